"""A run of ours as verl's own configuration: composed, validated, and checked where verl would let a mistake pass."""

import contextlib
import io
from collections.abc import Collection
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from verl.trainer.ppo.core_algos import POLICY_LOSS_REGISTRY
from verl.trainer.ppo.utils import need_critic, need_reference_policy
from verl.utils.config import validate_config

from real.config import VerlRun
from real.engines.verl.coverage import OWN_LOSSES, loss_of
from real.engines.verl.hooks import VerlError
from real.engines.verl.kernels import FUSED_BACKENDS, Kernels
from real.engines.verl.trainer import TRAINER
from real.models.checkpoints import first_line
from real.system.code import ROOT

ACTOR, ROLLOUT, REFERENCE, MODEL = (f"actor_rollout_ref.{part}" for part in ("actor", "rollout", "ref", "model"))
AGENT_LOOPS = Path(__file__).with_name("agent_loops.yaml")
# verl's dual clip bounds the loss of negatives at this ratio; at its default of 3 it would remove the gradient
# domination that the paper describes
NO_DUAL_CLIP = 1.0e9


def compose_config(
    run: VerlRun, model: Path, prompts: tuple[Path, Path], work_folder: Path, kernels: Kernels
) -> DictConfig:
    """verl's configuration of a run, validated by verl and by us.

    Args:
        model: the checkpoint that RL starts from; prompts: files of prompts.write_prompts.
        kernels: of the trainer, by kernels.choose.

    Raises:
        VerlError: something that verl can't do, or would silently do otherwise.
    """
    config = verl_defaults()
    values = {
        **_overrides(run, kernels),
        f"{MODEL}.path": str(model.resolve()),
        "data.train_files": str(prompts[0].resolve()),
        "data.val_files": str(prompts[1].resolve()),
        f"{ROLLOUT}.agent.agent_loop_config_path": str(AGENT_LOOPS),
        "trainer.default_local_dir": str((work_folder / "checkpoints").resolve()),
        # what RealTrainer needs besides verl's keys
        f"+trainer.v1.{TRAINER}": {
            "work_folder": str(work_folder.resolve()),
            "run": run.model_dump(mode="json"),
            "head": kernels.head,
        },
    }
    for key, value in values.items():
        # refuses a key that verl's schema lacks, unless it is added
        OmegaConf.update(config, key.removeprefix("+"), value, force_add=key.startswith("+"))
    _take(config, run.cluster.verl, {key.removeprefix("+") for key in values})
    check(config, run)
    return config


def _take(config: DictConfig, given: dict[str, Any], ours: Collection[str]) -> None:
    """Put ``cluster.verl`` into verl's configuration.

    Raises:
        VerlError: a key that this package sets itself, or that verl's schema lacks.
    """
    for key, value in given.items():
        if key in ours:
            raise VerlError(f"cluster.verl.{key}: this package sets it from its own keys; leave it out")
        section = OmegaConf.select(config, key.rpartition(".")[0])
        # an empty section is one that verl leaves open, such as vLLM's own arguments
        is_open = isinstance(section, DictConfig) and not section
        try:
            OmegaConf.update(config, key, value, force_add=is_open)
        except (OmegaConfBaseException, ValueError) as error:
            known = list(section) if isinstance(section, DictConfig) else []
            hint = f"; its section has {', '.join(map(str, known))}" if known else ""
            wrong = f"cluster.verl.{key}: verl takes no such setting ({first_line(error)}){hint}"
            raise VerlError(f"{wrong}; correct it or leave it out") from None


def verl_defaults() -> DictConfig:
    """verl's configuration as its files have it, whatever hydra was used for before."""
    GlobalHydra.instance().clear()
    with initialize_config_module("verl.trainer.config", version_base=None):
        return compose("ppo_trainer")


def check(config: DictConfig, run: VerlRun) -> None:
    """Raise VerlError where verl would fail later, or train something else."""
    mode = config.actor_rollout_ref.actor.policy_loss.loss_mode
    if mode not in POLICY_LOSS_REGISTRY:
        raise VerlError(f"policy loss {mode!r} is not registered with verl; it has {', '.join(POLICY_LOSS_REGISTRY)}")
    if run.settings.objective not in OWN_LOSSES and run.training.overlong_buffer_tokens:
        raise VerlError(
            f"training.overlong_buffer_tokens {run.training.overlong_buffer_tokens} shapes rewards, but {run.method} "
            "takes labels of 0 and 1; set it to 0, or choose grpo, dapo or gspo"
        )
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            validate_config(config, need_reference_policy(config), need_critic(config))
    except (AssertionError, ValueError) as error:
        raise VerlError(f"verl refuses the configuration of {run.method}: {error}") from None


def _overrides(run: VerlRun, kernels: Kernels) -> dict[str, Any]:
    """verl's keys by section; a leading + adds a key that its schema leaves open."""
    engine = {**_engine(run, kernels.micro_batch_tokens), **_kernels(run, kernels)}
    return {**_data(run), **_actor(run), **engine, **_rollout(run), **_reward(run), **_trainer(run), **_ray(run)}


def _data(run: VerlRun) -> dict[str, Any]:
    """Prompts, which groups are replaced by fresh ones, and the queue between rollouts and updates."""
    training = run.training
    # verl starts eight storage processes of half a GB each; a run on CPUs has little to store
    storage = {"transfer_queue.backend.SimpleStorage.num_data_storage_units": 1} if run.cluster.device == "cpu" else {}
    return {
        **storage,
        "data.max_prompt_length": run.max_prompt_tokens,
        "data.max_response_length": training.max_response_tokens,
        "data.train_batch_size": training.prompts,
        "data.shuffle": run.task is None,
        "data.seed": run.seed,
        "data.filter_overlong_prompts": True,
        "data.truncation": "error",
        "data.dataloader_num_workers": 0,
        "data.trust_remote_code": run.cluster.trust_remote_code,
        "algorithm.adv_estimator": "grpo",
        "algorithm.filter_groups.enable": training.dynamic_sampling,
        "algorithm.filter_groups.metric": "acc",
        "critic.enable": False,
    }


def _actor(run: VerlRun) -> dict[str, Any]:
    """The objective and its optimizer."""
    settings, training = run.settings, run.training
    loss, average = loss_of(settings.objective)
    clips = settings.hyperparameters if "clip_low" in settings.hyperparameters else {"clip_low": 0.2, "clip_high": 0.2}
    return _under(
        ACTOR,
        {
            "ppo_mini_batch_size": training.mini_batch_prompts,
            "policy_loss.loss_mode": loss,
            "loss_agg_mode": average,
            "clip_ratio_low": clips["clip_low"],
            "clip_ratio_high": clips["clip_high"],
            "clip_ratio_c": NO_DUAL_CLIP,
            "use_kl_loss": settings.kl_coefficient > 0,
            "kl_loss_coef": settings.kl_coefficient,
            "kl_loss_type": "low_var_kl",
            "entropy_coeff": 0.0,
            "shuffle": False,
            "grad_clip": training.gradient_clip,
            "optim.clip_grad": training.gradient_clip,
            "optim.lr": training.learning_rate,
            # at least one: the released scheduler starts at a rate of 0 in the first outer step
            "optim.lr_warmup_steps": max(1, training.warmup_steps),
            "optim.weight_decay": training.weight_decay,
        },
    )


def _engine(run: VerlRun, at_once: int | None) -> dict[str, Any]:
    """How policy and reference model are held, split and run.

    Args:
        at_once: tokens of a micro-batch; None: rows are counted instead.
    """
    cluster, rows = run.cluster, run.training.micro_batch_rows
    tokens, dynamic = at_once or _longest(run), at_once is not None
    held = {
        "fsdp_config.dtype": cluster.precision,
        # verl reads this key, not dtype, and takes bf16 where it is missing
        "+fsdp_config.mixed_precision.param_dtype": {"bfloat16": "bf16", "float32": "fp32"}[cluster.precision],
        "fsdp_config.use_torch_compile": cluster.device != "cpu",
        "use_torch_compile": cluster.device != "cpu",
    }
    policy = {
        **held,
        "strategy": "fsdp2",
        "use_dynamic_bsz": dynamic,
        "ppo_max_token_len_per_gpu": tokens,
        "ppo_micro_batch_size_per_gpu": rows,
        "fsdp_config.param_offload": cluster.offload,
        "fsdp_config.optimizer_offload": cluster.offload,
    }
    reference = {
        **held,
        "log_prob_use_dynamic_bsz": dynamic,
        "log_prob_max_token_len_per_gpu": tokens,
        "log_prob_micro_batch_size_per_gpu": rows,
        "fsdp_config.param_offload": True,
    }
    model = {
        "trust_remote_code": cluster.trust_remote_code,
        "enable_gradient_checkpointing": cluster.gradient_checkpointing,
        "use_remove_padding": True,
        **_adapter(run),
    }
    return {**_under(ACTOR, policy), **_under(REFERENCE, reference), **_under(MODEL, model)}


def _adapter(run: VerlRun) -> dict[str, Any]:
    """LoRA; vLLM gets weights with the adapter merged in, and needs no kernels of its own for it."""
    if run.training.lora is None:
        return {}
    lora = run.training.lora
    return {"lora_rank": lora.rank, "lora_alpha": lora.alpha, "target_modules": "all-linear", "lora.merge": True}


def _kernels(run: VerlRun, kernels: Kernels) -> dict[str, Any]:
    """Attention and head of policy and reference model."""
    return _under(
        MODEL,
        {
            "+override_config.attn_implementation": kernels.attention,
            "use_fused_kernels": kernels.head == "fused",
            "fused_kernel_options.impl_backend": FUSED_BACKENDS[run.cluster.device],
        },
    )


def _rollout(run: VerlRun) -> dict[str, Any]:
    """vLLM, in training and in validation."""
    training, cluster, longest = run.training, run.cluster, _longest(run)
    cpu = cluster.device == "cpu"
    return _under(
        ROLLOUT,
        {
            "name": "vllm",
            "n": training.rollouts,
            "temperature": training.temperature,
            "top_p": 1.0,
            "seed": run.seed,
            "dtype": cluster.precision,
            "gpu_memory_utilization": cluster.vllm_memory,
            "tensor_model_parallel_size": cluster.tensor_parallel,
            "max_num_batched_tokens": max(cluster.vllm_batched_tokens, longest),
            "max_num_seqs": cluster.vllm_sequences,
            "max_model_len": longest,
            "enforce_eager": cluster.vllm_eager,
            "free_cache_engine": not cpu,
            **({"+enable_sleep_mode": False} if cpu else {}),
            "calculate_log_probs": True,
            "log_prob_micro_batch_size_per_gpu": training.micro_batch_rows,
            "val_kwargs.n": training.validation_samples,
            "val_kwargs.temperature": training.temperature,
            "val_kwargs.top_p": 1.0,
            "val_kwargs.do_sample": True,
            "agent.num_workers": cluster.reward_workers,
            "agent.default_agent_loop": "chat_template",
        },
    )


def _reward(run: VerlRun) -> dict[str, Any]:
    """Our reward function, and full DAPO's shaping where it is asked for."""
    buffer = run.training.overlong_buffer_tokens
    shaping = {
        "max_resp_len": run.training.max_response_tokens,
        "overlong_buffer_cfg.enable": True,
        "overlong_buffer_cfg.len": buffer,
        "overlong_buffer_cfg.penalty_factor": 1.0,
        "overlong_buffer_cfg.log": False,
    }
    return {
        "reward.num_workers": run.cluster.reward_workers,
        "reward.custom_reward_function.path": "pkg://real.engines.verl.reward",
        "reward.custom_reward_function.name": "compute_score",
        "+reward.custom_reward_function.reward_kwargs.strict_format": run.training.strict_format,
        "reward.reward_manager.name": "dapo" if buffer else "naive",
        **({f"+reward.reward_kwargs.{key}": value for key, value in shaping.items()} if buffer else {}),
    }


def _trainer(run: VerlRun) -> dict[str, Any]:
    """Steps, checkpoints, validation and logs."""
    training, cluster = run.training, run.cluster
    return _under(
        "trainer",
        {
            "project_name": "REAL",
            "experiment_name": f"{run.experiment}-{run.method}-seed{run.seed}",
            "logger": ["console", "wandb"] if cluster.wandb != "off" else ["console"],
            "nnodes": cluster.nodes,
            "n_gpus_per_node": cluster.gpus_per_node,
            "device": cluster.device,
            "save_freq": training.checkpoint_every,
            "test_freq": training.validation_every,
            "val_before_train": True,
            # an epoch has at least one step, so that this many are never the limit
            "total_epochs": training.steps,
            "total_training_steps": training.steps,
            "max_actor_ckpt_to_keep": cluster.keep_checkpoints,
            "v1.trainer_mode": TRAINER,
        },
    )


def _ray(run: VerlRun) -> dict[str, Any]:
    """A private Ray on this machine, or the cluster that the config names."""
    cluster, init = run.cluster, "ray_kwargs.ray_init"
    if cluster.ray_address is not None:
        # a cluster's workers were started without this job's environment
        path = {f"+{init}.runtime_env.env_vars.PYTHONPATH": str(ROOT)}
        return {f"+{init}.address": cluster.ray_address, **path}
    pretended = {f"+{init}.num_gpus": cluster.gpus_per_node} if cluster.device == "cpu" else {}
    return {
        f"+{init}.address": "local",
        f"{init}.num_cpus": cluster.ray_cpus,
        f"+{init}.include_dashboard": False,
        **pretended,
    }


def _under(section: str, values: dict[str, Any]) -> dict[str, Any]:
    """Keys below a section; a leading + stays in front."""
    return {f"{'+' * key.startswith('+')}{section}.{key.lstrip('+')}": value for key, value in values.items()}


def _longest(run: VerlRun) -> int:
    """Tokens of the longest row."""
    return run.max_prompt_tokens + run.training.max_response_tokens
