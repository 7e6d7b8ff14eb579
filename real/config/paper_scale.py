"""The sections that only scales of the verl engine have."""

import re
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from real.config.sections import Strict, Training, check_benchmark, divisors
from real.system.names import Count, CountOrNone, Few, Line

# objectives that verl has itself (real/engines/verl/coverage.py says as which losses)
VERL_OBJECTIVES = ("grpo", "dapo", "gspo")
COMMIT = re.compile("[0-9a-f]{40}")
# organisation/name; a folder begins with a slash or a dot, or is one word
HUB_ID = re.compile(r"(?!\.{1,2}/)[\w.-]+/[\w.-]+")


class Model(Strict):
    """The checkpoint that RL starts from."""

    name: Line
    """a Hugging Face hub id, or a folder (this machine's paths belong in paper_configs/local.yaml)"""
    revision: Line | None
    """commit of the hub, 40 digits; null for a folder"""

    @field_validator("revision")
    @classmethod
    def _is_a_commit(cls, value: str | None) -> str | None:
        if value is not None and not COMMIT.fullmatch(value):
            raise ValueError(
                "a branch or a tag may name another commit tomorrow; give the commit, 40 digits and letters a to f, as "
                "the hub shows it beside the model's files"
            )
        return value

    @model_validator(mode="after")
    def _hub_id_has_a_commit(self) -> Self:
        # by the name alone: a job's workers read it in another folder
        if self.revision is None and HUB_ID.fullmatch(self.name):
            raise ValueError(
                f"model.revision is null, but model.name {self.name} is a hub id; give the commit, 40 digits and "
                f"letters a to f, or, where it is a folder, write ./{self.name}"
            )
        return self


class Data(Strict):
    """Prompts of training and of validation, from datasets/sources.yaml."""

    train: Literal["deepscaler", "dapo_math_17k", "gsm8k_train"]
    """training set"""
    validation: str
    """a test set of datasets/sources.yaml; validation while training chooses nothing, the last step is evaluated"""
    max_prompt_tokens: Count
    """longer training prompts are left out"""

    @model_validator(mode="after")
    def _validation_exists(self) -> Self:
        check_benchmark("data.validation", self.validation)
        return self


class Lora(Strict):
    """A low-rank adapter beside every linear layer but the head: W + alpha / rank · B A."""

    rank: Few
    """of A and B"""
    alpha: Count
    """the adapter's weight is alpha / rank"""


class VerlTraining(Training):
    """One RL run of the verl engine: what every engine takes, full DAPO's additions, LoRA, and what rewards go by."""

    dynamic_sampling: bool
    """true: one-sided groups are replaced by fresh prompts before the update (full DAPO)"""
    overlong_buffer_tokens: CountOrNone
    """last tokens before the limit over which the reward falls linearly by 1 (full DAPO's shaping); 0: no shaping"""
    lora: Lora | None
    """train an adapter, which is merged into the model for sampling and at the end; null: train all weights"""
    strict_format: bool
    """rewards by the released grader's rules, </think> required; false: a response without </think> is read whole"""

    @model_validator(mode="after")
    def _buffer_fits(self) -> Self:
        if self.overlong_buffer_tokens >= self.max_response_tokens:
            raise ValueError(
                f"training.overlong_buffer_tokens {self.overlong_buffer_tokens} must be smaller than "
                f"training.max_response_tokens {self.max_response_tokens}; lower it"
            )
        return self


# of verl's configuration, sections (ending in a dot) and keys that change neither the objective nor its batches nor its
# optimizer, nor what is sampled
VERL_OPEN = (
    "actor_rollout_ref.actor.checkpoint.",
    "actor_rollout_ref.actor.entropy_checkpointing",
    "actor_rollout_ref.actor.entropy_from_logits_with_chunking",
    "actor_rollout_ref.actor.fsdp_config.",
    "actor_rollout_ref.model.enable_activation_offload",
    "actor_rollout_ref.model.use_liger",
    "actor_rollout_ref.ref.fsdp_config.",
    "actor_rollout_ref.rollout.checkpoint_engine.",
    "actor_rollout_ref.rollout.cudagraph_capture_sizes",
    "actor_rollout_ref.rollout.enable_chunked_prefill",
    "actor_rollout_ref.rollout.enable_prefix_caching",
    "actor_rollout_ref.rollout.engine_kwargs.vllm.async_scheduling",
    "actor_rollout_ref.rollout.engine_kwargs.vllm.block_size",
    "actor_rollout_ref.rollout.engine_kwargs.vllm.disable_custom_all_reduce",
    "ray_kwargs.",
    "trainer.ray_wait_register_center_timeout",
)


# of verl's configuration, what its asynchronous trainers are chosen and set by
ASYNCHRONOUS = ("trainer.v1.", "async_training.")


class Cluster(Strict):
    """The machines of one run, and what of them verl, vLLM and Ray may use; no key changes the objective."""

    device: Literal["cuda", "cpu"]
    """cpu: only under the platform of the tests (make test-verl)"""
    nodes: Few
    """machines"""
    gpus_per_node: Few
    """GPUs (on a CPU: processes) of each, all of them data-parallel ranks"""
    ray_address: Line | None
    """an existing Ray cluster; null: a private one on this machine, ended with the job"""
    ray_cpus: Count | None
    """CPUs that a private Ray schedules; null: those of the machine"""
    precision: Literal["bfloat16", "float32"]
    """of forward and backward passes and of vLLM; master weights and reductions are float32"""
    attention: Literal["auto", "flash_attention_2", "flex_attention", "sdpa"]
    """of the trainer. auto: the first of these that runs when the job starts, by a trial (docs/paper_scale.md).
    flash_attention_2 needs the package flash-attn or kernels; sdpa masks the whole pack, which takes time and memory"""
    head: Literal["auto", "fused", "logits"]
    """of the trainer. fused: log-probs without logits, by verl's linear cross entropy (Triton on a GPU); logits: verl's
    log-probs of bfloat16 logits, token by token where flash-attn is missing; auto: fused"""
    micro_batch_tokens: Count | None
    """tokens per GPU back-propagated at once, in whole rows; null: training.micro_batch_rows rows"""
    gradient_checkpointing: bool
    """recompute activations in the backward pass"""
    offload: bool
    """keep weights and optimizer state in host memory while vLLM samples"""
    tensor_parallel: Few
    """GPUs of one vLLM replica"""
    vllm_memory: float = Field(gt=0, lt=1)
    """share of a GPU's memory given to vLLM"""
    vllm_batched_tokens: Count
    """tokens that vLLM runs through the model at once"""
    vllm_sequences: Count
    """responses that vLLM samples at once"""
    vllm_eager: bool
    """true: no CUDA graphs (slower, less memory)"""
    reward_workers: Few
    """processes that grade rollouts while others are sampled"""
    keep_checkpoints: Few
    """states to resume from that are kept"""
    wandb: Literal["off", "offline", "online"]
    """Weights & Biases; its key comes from the environment alone"""
    trust_remote_code: bool
    """true: run Python code that a checkpoint brings along"""
    verl: dict[str, bool | int | float | str | list[str]]
    """verl's own settings by dotted key, of those that change no objective (VERL_OPEN); {}: none"""

    @field_validator("verl")
    @classmethod
    def _changes_no_objective(cls, value: dict[str, Any]) -> dict[str, Any]:
        sections = tuple(name for name in VERL_OPEN if name.endswith("."))
        for key in value:
            if key.startswith(ASYNCHRONOUS):
                raise ValueError(
                    f"{key} would set one of verl's asynchronous modes (colocate_async, separate_async), which are not "
                    "offered: an update may then hold rollouts of several older policies and parts of groups. First it "
                    "would have to be proven that groups stay whole in a mini-batch, that every score is taken against "
                    "the policy that sampled, and that the gradient is still the undivided objective's "
                    "(docs/paper_scale.md); leave it out"
                )
            if key not in VERL_OPEN and not key.startswith(sections):
                raise ValueError(
                    f"{key} may change what is trained; passed on are only {', '.join(VERL_OPEN)}: set it by this "
                    "package's own keys, or leave it out"
                )
        return value

    @property
    def gpus(self) -> int:
        """All GPUs of a run."""
        return self.nodes * self.gpus_per_node

    @model_validator(mode="after")
    def _replicas_fit(self) -> Self:
        if self.gpus_per_node % self.tensor_parallel:
            raise ValueError(
                f"cluster.tensor_parallel {self.tensor_parallel} must divide cluster.gpus_per_node "
                f"{self.gpus_per_node}; choose one of {divisors(self.gpus_per_node)}"
            )
        if self.nodes > 1 and self.ray_address is None:
            raise ValueError(
                f"cluster.ray_address is null with cluster.nodes {self.nodes}; start Ray on the nodes and give its "
                "address (docs/paper_scale.md), or set cluster.nodes to 1"
            )
        if self.vllm_batched_tokens < self.vllm_sequences:
            raise ValueError(
                f"cluster.vllm_batched_tokens {self.vllm_batched_tokens} must be at least cluster.vllm_sequences "
                f"{self.vllm_sequences}, which vLLM demands; raise the one or lower the other"
            )
        return self
