"""A run of ours as verl's own configuration: composed, validated, and checked where verl would let a mistake pass."""

import contextlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from verl.trainer.ppo.core_algos import POLICY_LOSS_REGISTRY
from verl.trainer.ppo.utils import need_critic, need_reference_policy
from verl.utils.config import validate_config

from real.config import VerlRun
from real.verl_engine.hooks import VerlError
from real.verl_engine.losses import SURROGATE
from real.verl_engine.trainer import TRAINER

# objective -> (verl's policy loss, how it is averaged); the averages of real.objectives
LOSSES = {
    "real": (SURROGATE, "token-mean"),
    "real_bce": (SURROGATE, "token-mean"),
    "real_product": (SURROGATE, "token-mean"),
    "grpo": ("vanilla", "seq-mean-token-mean"),
    "dapo": ("vanilla", "token-mean"),
    "gspo": ("gspo", "seq-mean-token-mean"),
}
ROOT = Path(__file__).resolve().parents[2]
AGENT_LOOPS = Path(__file__).with_name("agent_loops.yaml")
# verl's dual clip bounds the loss of negatives at this ratio; at its default of 3 it would remove the gradient
# domination that the paper describes
NO_DUAL_CLIP = 1.0e9


def compose_config(run: VerlRun, model: Path, prompts: tuple[Path, Path], work_folder: Path) -> DictConfig:
    """verl's configuration of a run, validated by verl and by us.

    Args:
        model: the checkpoint that RL starts from; prompts: files of prompts.write_prompts.

    Raises:
        VerlError: something that verl can't do, or would silently do otherwise.
    """
    with _hydra():
        config = compose("ppo_trainer", overrides=[f"{key}={_text(value)}" for key, value in _overrides(run).items()])
    paths = {
        "actor_rollout_ref.model.path": str(model.resolve()),
        "data.train_files": str(prompts[0].resolve()),
        "data.val_files": str(prompts[1].resolve()),
        "actor_rollout_ref.rollout.agent.agent_loop_config_path": str(AGENT_LOOPS),
        "trainer.default_local_dir": str((work_folder / "checkpoints").resolve()),
    }
    for key, value in paths.items():
        OmegaConf.update(config, key, value)
    OmegaConf.update(config, f"trainer.v1.{TRAINER}", _ours(run, work_folder), force_add=True)
    check(config, run)
    return config


def check(config: DictConfig, run: VerlRun) -> None:
    """Raise VerlError where verl would fail later, or train something else."""
    mode = config.actor_rollout_ref.actor.policy_loss.loss_mode
    if mode not in POLICY_LOSS_REGISTRY:
        raise VerlError(f"policy loss {mode!r} is not registered with verl; it has {', '.join(POLICY_LOSS_REGISTRY)}")
    if run.settings.objective.startswith("real") and run.training.overlong_buffer_tokens:
        raise VerlError(
            f"training.overlong_buffer_tokens {run.training.overlong_buffer_tokens} shapes rewards, but {run.method} "
            "takes labels of 0 and 1; set it to 0, or choose grpo, dapo or gspo"
        )
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            validate_config(config, need_reference_policy(config), need_critic(config))
    except (AssertionError, ValueError) as error:
        raise VerlError(f"verl refuses the configuration of {run.method}: {error}") from None


def _overrides(run: VerlRun) -> dict[str, Any]:
    """verl's keys, in the order of its sections; a leading + adds a key that its schema leaves open."""
    settings, training, cluster = run.settings, run.training, run.cluster
    cpu = cluster.device == "cpu"
    loss, average = LOSSES[settings.objective]
    clips = settings.hyperparameters if "clip_low" in settings.hyperparameters else {"clip_low": 0.2, "clip_high": 0.2}
    dynamic = cluster.micro_batch_tokens is not None
    longest = run.max_prompt_tokens + training.max_response_tokens
    precision = {"bfloat16": "bf16", "float32": "fp32"}[cluster.precision]
    shaped = training.overlong_buffer_tokens > 0
    actor, rollout, model = (f"actor_rollout_ref.{part}" for part in ("actor", "rollout", "model"))
    values: dict[str, Any] = {
        "data.max_prompt_length": run.max_prompt_tokens,
        "data.max_response_length": training.max_response_tokens,
        "data.train_batch_size": training.prompts,
        "data.shuffle": run.task is None,
        "data.seed": run.seed,
        "data.filter_overlong_prompts": True,
        "data.truncation": "error",
        "data.dataloader_num_workers": 0,
        "data.trust_remote_code": cluster.trust_remote_code,
        "algorithm.adv_estimator": "grpo",
        "critic.enable": False,
        "algorithm.filter_groups.enable": training.dynamic_sampling,
        "algorithm.filter_groups.metric": "acc",
        f"{model}.trust_remote_code": cluster.trust_remote_code,
        f"{model}.enable_gradient_checkpointing": cluster.gradient_checkpointing,
        f"{model}.use_remove_padding": True,
        f"+{model}.override_config.attn_implementation": cluster.attention,
        f"{actor}.strategy": "fsdp2",
        f"{actor}.ppo_mini_batch_size": training.mini_batch_prompts,
        f"{actor}.use_dynamic_bsz": dynamic,
        f"{actor}.ppo_max_token_len_per_gpu": cluster.micro_batch_tokens or longest,
        f"{actor}.ppo_micro_batch_size_per_gpu": training.micro_batch_rows,
        f"{rollout}.log_prob_micro_batch_size_per_gpu": training.micro_batch_rows,
        f"{actor}.policy_loss.loss_mode": loss,
        f"{actor}.loss_agg_mode": average,
        f"{actor}.clip_ratio_low": clips["clip_low"],
        f"{actor}.clip_ratio_high": clips["clip_high"],
        f"{actor}.clip_ratio_c": NO_DUAL_CLIP,
        f"{actor}.use_kl_loss": settings.kl_coefficient > 0,
        f"{actor}.kl_loss_coef": settings.kl_coefficient,
        f"{actor}.kl_loss_type": "low_var_kl",
        f"{actor}.entropy_coeff": 0.0,
        f"{actor}.shuffle": False,
        f"{actor}.use_torch_compile": not cpu,
        f"{actor}.grad_clip": training.gradient_clip,
        f"{actor}.optim.clip_grad": training.gradient_clip,
        f"{actor}.optim.lr": training.learning_rate,
        # at least one: the released scheduler starts at a rate of 0 in the first outer step
        f"{actor}.optim.lr_warmup_steps": max(1, training.warmup_steps),
        f"{actor}.optim.weight_decay": training.weight_decay,
        f"{actor}.fsdp_config.param_offload": cluster.offload,
        f"{actor}.fsdp_config.optimizer_offload": cluster.offload,
        f"{actor}.fsdp_config.dtype": cluster.precision,
        # verl reads this key, not dtype, and takes bf16 where it is missing
        f"+{actor}.fsdp_config.mixed_precision.param_dtype": precision,
        f"{actor}.fsdp_config.use_torch_compile": not cpu,
        "actor_rollout_ref.ref.fsdp_config.param_offload": True,
        "actor_rollout_ref.ref.fsdp_config.dtype": cluster.precision,
        "+actor_rollout_ref.ref.fsdp_config.mixed_precision.param_dtype": precision,
        "actor_rollout_ref.ref.fsdp_config.use_torch_compile": not cpu,
        "actor_rollout_ref.ref.use_torch_compile": not cpu,
        "actor_rollout_ref.ref.log_prob_use_dynamic_bsz": dynamic,
        "actor_rollout_ref.ref.log_prob_max_token_len_per_gpu": cluster.micro_batch_tokens or longest,
        "actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu": training.micro_batch_rows,
        f"{rollout}.name": "vllm",
        f"{rollout}.n": training.rollouts,
        f"{rollout}.temperature": training.temperature,
        f"{rollout}.top_p": 1.0,
        f"{rollout}.seed": run.seed,
        f"{rollout}.dtype": cluster.precision,
        f"{rollout}.gpu_memory_utilization": cluster.vllm_memory,
        f"{rollout}.tensor_model_parallel_size": cluster.tensor_parallel,
        f"{rollout}.max_num_batched_tokens": max(cluster.vllm_batched_tokens, longest),
        f"{rollout}.max_num_seqs": cluster.vllm_sequences,
        f"{rollout}.max_model_len": longest,
        f"{rollout}.enforce_eager": cluster.vllm_eager,
        f"{rollout}.free_cache_engine": not cpu,
        f"{rollout}.calculate_log_probs": True,
        f"{rollout}.val_kwargs.n": training.validation_samples,
        f"{rollout}.val_kwargs.temperature": training.temperature,
        f"{rollout}.val_kwargs.top_p": 1.0,
        f"{rollout}.val_kwargs.do_sample": True,
        f"{rollout}.agent.num_workers": cluster.reward_workers,
        f"{rollout}.agent.default_agent_loop": "chat_template",
        "reward.num_workers": cluster.reward_workers,
        "reward.custom_reward_function.path": "pkg://real.verl_engine.reward",
        "reward.custom_reward_function.name": "compute_score",
        "reward.reward_manager.name": "dapo" if shaped else "naive",
        "trainer.project_name": "REAL",
        "trainer.experiment_name": f"{run.experiment}-{run.method}-seed{run.seed}",
        "trainer.logger": ["console", "wandb"] if cluster.wandb != "off" else ["console"],
        "trainer.nnodes": cluster.nodes,
        "trainer.n_gpus_per_node": cluster.gpus_per_node,
        "trainer.device": cluster.device,
        "trainer.save_freq": training.checkpoint_every,
        "trainer.test_freq": training.validation_every,
        "trainer.val_before_train": True,
        # an epoch has at least one step, so that this many are never the limit
        "trainer.total_epochs": training.steps,
        "trainer.total_training_steps": training.steps,
        "trainer.max_actor_ckpt_to_keep": cluster.keep_checkpoints,
        "trainer.v1.trainer_mode": TRAINER,
        "ray_kwargs.ray_init.num_cpus": cluster.ray_cpus,
        "+ray_kwargs.ray_init.address": cluster.ray_address or "local",
    }
    if cluster.ray_address is None:
        values["+ray_kwargs.ray_init.include_dashboard"] = False
        if cpu:
            values["+ray_kwargs.ray_init.num_gpus"] = cluster.gpus_per_node
    else:
        del values["ray_kwargs.ray_init.num_cpus"]
        # a cluster's workers were started without this job's environment
        values["+ray_kwargs.ray_init.runtime_env.env_vars.PYTHONPATH"] = str(ROOT)
    if shaped:
        values |= {
            "+reward.reward_kwargs.max_resp_len": training.max_response_tokens,
            "+reward.reward_kwargs.overlong_buffer_cfg.enable": True,
            "+reward.reward_kwargs.overlong_buffer_cfg.len": training.overlong_buffer_tokens,
            "+reward.reward_kwargs.overlong_buffer_cfg.penalty_factor": 1.0,
            "+reward.reward_kwargs.overlong_buffer_cfg.log": False,
        }
    if cpu:
        values[f"+{rollout}.enable_sleep_mode"] = False
    return values


def _ours(run: VerlRun, work_folder: Path) -> dict[str, Any]:
    """What RealTrainer needs besides verl's keys."""
    training = run.training
    return {
        "work_folder": str(work_folder.resolve()),
        "method": run.method,
        "seed": run.seed,
        "objective": run.settings.objective,
        "hyperparameters": dict(run.settings.hyperparameters),
        "rollouts": training.rollouts,
        "mini_batch_prompts": training.mini_batch_prompts,
        "max_response_tokens": training.max_response_tokens,
        "gradient_sample_steps": list(training.gradient_sample_steps),
    }


def _text(value: Any) -> str:
    """A value in hydra's override grammar."""
    if value is None:
        return "null"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{','.join(map(_text, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


@contextlib.contextmanager
def _hydra() -> Iterator[None]:
    """verl's configuration files, whatever hydra was used for before."""
    GlobalHydra.instance().clear()
    with initialize_config_module("verl.trainer.config", version_base=None):
        yield
