"""Every published run composes against verl's own schema, and at 1.5B it is the released one."""

import json
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from runs import CONFIGS, ROOT, changed, composed, experiment, run_of
from verl.trainer.ppo.utils import need_reference_policy
from verl.utils.config import omega_conf_to_dataclass
from verl.workers.engine.fsdp.transformer_impl import FSDPEngine

from real.config import VerlRun
from real.config.paper_scale import VERL_OPEN
from real.engines.torch.train import learning_rate_at
from real.engines.verl import settings
from real.engines.verl.coverage import SURROGATE
from real.engines.verl.hooks import VerlError
from real.engines.verl.trainer import TRAINER
from real.system.yaml_files import read_yaml

SEED = 7
ANY_SCALE = ["ablations", "one_sided_train", "tau_sweep"]
PAPER_SCALE = [*ANY_SCALE, "dapo17k", "full_dapo", "learning_rate_sweep_paper", "lora"]
VARIANTS = {
    "verl_smoke": ANY_SCALE,
    "gsm8k": [*ANY_SCALE, "learning_rate_sweep_paper", "lora"],
    "single_gpu": PAPER_SCALE,
    "1.5b": [*PAPER_SCALE, "first_200_steps"],
    "7b": [*PAPER_SCALE, "released_rate"],
}
LOSSES = {
    "real": (SURROGATE, "token-mean"),
    "real_bce": (SURROGATE, "token-mean"),
    "real_product": (SURROGATE, "token-mean"),
    "grpo": ("vanilla", "seq-mean-token-mean"),
    "dapo": ("vanilla", "token-mean"),
    "gspo": ("gspo", "seq-mean-token-mean"),
}
# released: GRPO's in the configuration, the others in workers/actor/dp_actor.py:272-281
CLIPS = {"grpo": (0.2, 0.2), "dapo": (0.2, 0.28), "gspo": (3e-4, 4e-4)}
# keys of ours that verl's schema leaves open, and who reads them
ADDED = {
    "actor_rollout_ref.model.override_config.attn_implementation",  # transformers, which builds the policy
    "actor_rollout_ref.actor.fsdp_config.mixed_precision.param_dtype",  # FSDPEngine._build_fsdp_module
    "actor_rollout_ref.ref.fsdp_config.mixed_precision.param_dtype",
    "ray_kwargs.ray_init.address",  # ray.init
    "reward.custom_reward_function.reward_kwargs.strict_format",  # our compute_score, by get_custom_reward_fn
}
ADDED_LOCAL = {"ray_kwargs.ray_init.include_dashboard"}
ADDED_CPU = {"ray_kwargs.ray_init.num_gpus", "actor_rollout_ref.rollout.enable_sleep_mode"}
ADDED_SHAPED = {
    "reward.reward_kwargs.max_resp_len",  # DAPORewardManager
    *(f"reward.reward_kwargs.overlong_buffer_cfg.{key}" for key in ("enable", "len", "penalty_factor", "log")),
}


@cache
def config_of(scale: str, overlay: str | None, method: str) -> tuple[VerlRun, DictConfig]:
    run = run_of(scale, overlay, method, SEED)
    return run, composed(run)


def distinct(scale: str) -> list[tuple[str | None, str]]:
    """(overlay, method) of a scale: those that differ in more than what is only passed on."""
    passed_on = {"experiment": True, "method": True, "data": True, "training": {"learning_rate"}}
    found: dict[str, tuple[str | None, str]] = {}
    overlays = [None, *VARIANTS[scale], *(["all_methods"] if scale == "verl_smoke" else [])]
    for overlay in overlays:
        for method in experiment(scale, overlay).methods:
            run = run_of(scale, overlay, method, SEED)
            found.setdefault(run.model_dump_json(exclude=passed_on), (overlay, method))
    return list(found.values())


def flat(config: DictConfig) -> dict[str, Any]:
    """Leaves by dotted name, interpolations as they are written."""
    leaves: dict[str, Any] = {}

    def walk(node: Any, name: str) -> None:
        if isinstance(node, dict) and node:
            for key, value in node.items():
                walk(value, f"{name}.{key}" if name else str(key))
        else:
            leaves[name] = node

    walk(OmegaConf.to_container(config, resolve=False), "")
    return leaves


@cache
def schema() -> dict[str, Any]:
    """verl's own configuration, without a change."""
    return flat(settings.verl_defaults())


def test_every_scale_of_the_engine_and_every_overlay_is_tested():
    """A new file in paper_configs has to be listed above, or here among those of the torch engine."""
    scales = {path.stem for path in CONFIGS.glob("*.yaml") if read_yaml(path).get("engine") == "verl"}
    assert scales == set(VARIANTS)
    overlays = {path.stem for path in (CONFIGS / "variants").glob("*.yaml")}
    of_torch_engine = {"learning_rate_sweep", "stale_rollouts", "stale_rollouts_full"}
    assert overlays == of_torch_engine.union(*VARIANTS.values())


@pytest.mark.parametrize("scale", VARIANTS)
def test_every_run_composes_to_its_objective(scale):
    for overlay, method in distinct(scale):
        run, config = config_of(scale, overlay, method)
        actor, objective = config.actor_rollout_ref.actor, run.settings.objective
        where = f"{run.experiment} {method}"
        assert (actor.policy_loss.loss_mode, actor.loss_agg_mode) == LOSSES[objective], where
        assert (actor.clip_ratio_low, actor.clip_ratio_high) == CLIPS.get(objective, (0.2, 0.2)), where
        assert actor.clip_ratio_c == 1e9, f"{where}: no dual clip"
        assert (actor.use_kl_loss, actor.kl_loss_coef) == ((True, 0.001) if method.startswith("grpo") else (False, 0))
        assert need_reference_policy(config) == method.startswith("grpo")
        assert config.algorithm.filter_groups.enable == (method == "dapo_full"), where
        assert config.reward.reward_manager.name == ("dapo" if method == "dapo_full" else "naive"), where
        assert config.reward.custom_reward_function.reward_kwargs == {"strict_format": scale != "gsm8k"}, where
        assert actor.optim.lr == run.training.learning_rate, where
        assert actor.optim.lr_warmup_steps >= 1, where
        assert (config.data.seed, config.actor_rollout_ref.rollout.seed) == (SEED, SEED), where
        assert VerlRun.model_validate(OmegaConf.to_container(config.trainer.v1[TRAINER].run)) == run, where
        assert config.trainer.experiment_name == f"{run.experiment}-{method}-seed{SEED}"
        assert config.ray_kwargs.ray_init.address == "local", where
        assert config.ray_kwargs.ray_init.include_dashboard is False, where


@pytest.mark.parametrize("scale", VARIANTS)
def test_no_run_has_a_key_that_verl_does_not_know(scale):
    for overlay, method in distinct(scale):
        run, config = config_of(scale, overlay, method)
        expected = ADDED | ADDED_LOCAL
        expected |= ADDED_CPU if run.cluster.device == "cpu" else set()
        expected |= ADDED_SHAPED if run.training.overlong_buffer_tokens else set()
        added = {key for key in flat(config) if key not in schema()}
        assert {key for key in added if not key.startswith(f"trainer.v1.{TRAINER}.")} == expected


@pytest.mark.parametrize("scale", VARIANTS)
def test_the_workers_get_the_precision_that_was_asked_for(scale):
    """Read as verl's workers read it: through its dataclasses, which refuse what they don't know."""
    run, config = config_of(scale, *distinct(scale)[0])
    precision, parts = run.cluster.precision, config.actor_rollout_ref
    for engine in (omega_conf_to_dataclass(parts.actor).engine, omega_conf_to_dataclass(parts.ref.fsdp_config)):
        assert engine.mixed_precision == {"param_dtype": {"bfloat16": "bf16", "float32": "fp32"}[precision]}
        assert engine.model_dtype == "fp32", "master weights"
    assert omega_conf_to_dataclass(parts.rollout).dtype == precision


# name of the released configuration -> name in verl 0.9.1, where it isn't the same
RENAMED = {
    "actor_rollout_ref.actor.optim.warmup_style": "actor_rollout_ref.actor.optim.lr_scheduler_type",
    "actor_rollout_ref.rollout.val_temperature": "actor_rollout_ref.rollout.val_kwargs.temperature",
    "actor_rollout_ref.rollout.n_val": "actor_rollout_ref.rollout.val_kwargs.n",
}
# what the 1.5B runs do otherwise: name -> (released, ours)
DEPARTURES = {
    "actor_rollout_ref.actor.strategy": ("fsdp", "fsdp2"),  # the one that verl 0.9.1 recommends
    "actor_rollout_ref.actor.optim.lr_warmup_steps": (-1, 1),  # both: a rate of 0 in the first outer step
    "actor_rollout_ref.rollout.enforce_eager": (True, False),  # CUDA graphs, which the vLLM of 2024 did without
    "trainer.total_epochs": (30, 1400),  # never the limit
    "trainer.total_training_steps": (None, 1400),  # the end of the paper's figure
    "trainer.logger": (["console", "wandb"], ["console"]),  # Weights & Biases on request alone
}
SCRIPTS = {
    "real": "real",
    "grpo": "grpo",
    "dapo": "dapo",
    "gspo": "gspo",
    "real_bce": "bce",
    "real_product": "real_product_style",
}


@pytest.mark.parametrize("method", SCRIPTS)
def test_the_runs_at_1_5b_are_the_released_ones(method):
    released = json.loads((ROOT / "tests" / "data" / "released_config.json").read_text())
    overlay = "ablations" if method in ("real_bce", "real_product") else None
    # as it was released: the tokens at once are fewer only under a mask
    config = composed(run_of("1.5b", overlay, method, SEED), attention="flash_attention_2")
    common, found, expected = released["common"], {}, {}
    # GRPO alone has these two; the other scripts set them for nothing
    coefficient, clip = (
        common.pop("actor_rollout_ref.actor.kl_loss_coef"),
        common.pop("actor_rollout_ref.actor.clip_ratio"),
    )
    if method == "grpo":
        actor = config.actor_rollout_ref.actor
        assert actor.kl_loss_coef == coefficient
        assert (actor.clip_ratio_low, actor.clip_ratio_high) == (clip, clip)
    for key, value in common.items():
        before, after = DEPARTURES.get(key, (value, value))
        assert value == before, f"{key}: the departure is from another value"
        found[key], expected[key] = OmegaConf.select(config, RENAMED.get(key, key), throw_on_missing=True), after
    assert found == expected

    script = {key: by_script[SCRIPTS[method]] for key, by_script in released["differs"].items()}
    assert config.actor_rollout_ref.actor.use_kl_loss == script["actor_rollout_ref.actor.use_kl_loss"]
    assert need_reference_policy(config) == script["actor_rollout_ref.ref.enable"]
    ours = config.trainer.v1[TRAINER].run
    assert ours.settings.objective.removeprefix("real_") in (
        script["actor_rollout_ref.actor.loss_type"],
        script["actor_rollout_ref.actor.loss_type"].removeprefix("real_").removesuffix("_style"),
    )
    # released for the others: 1, which no code of theirs reads
    assert ours.settings.hyperparameters.get("tau", 1) == script["actor_rollout_ref.actor.tau"]
    assert ours.training.rollouts * ours.training.mini_batch_prompts == 8 * 32


def test_adam_is_the_released_one():
    """Its FSDP worker's, which the configuration of 2024 doesn't name."""
    optimizer = config_of("1.5b", None, "real")[1].actor_rollout_ref.actor.optim
    assert (optimizer.optimizer, list(optimizer.betas), optimizer.weight_decay) == ("AdamW", [0.9, 0.999], 0.01)


def test_full_dapo_lowers_rewards_over_the_last_tokens():
    config = config_of("1.5b", "full_dapo", "dapo_full")[1]
    buffer = {"enable": True, "len": 1024, "penalty_factor": 1.0, "log": False}
    assert config.reward.reward_kwargs == {"max_resp_len": 8192, "overlong_buffer_cfg": buffer}
    assert config.algorithm.filter_groups.metric == "acc", "judged by correctness, not by the lowered reward"


@pytest.mark.parametrize("warmup", [0, 1, 3])
def test_the_learning_rate_is_0_in_the_first_outer_step_on_both_engines(warmup):
    """By verl's own scheduler, made as its FSDP engine makes it; it steps once per outer step."""
    run = changed(run_of("verl_smoke"), training={"warmup_steps": warmup})
    actor = omega_conf_to_dataclass(composed(run).actor_rollout_ref.actor)
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=actor.optim.lr)
    scheduler = FSDPEngine._build_lr_scheduler(SimpleNamespace(rank=1, optimizer_config=actor.optim), optimizer)
    rates = []
    for _ in range(6):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates == pytest.approx([learning_rate_at(run.training, step) for step in range(1, 7)])
    assert rates[0] == 0.0
    assert rates[max(1, warmup) :] == [1.0e-3] * (6 - max(1, warmup))


def test_an_existing_ray_cluster_is_joined_as_it_is():
    """ray.init refuses to be told a cluster's CPUs, GPUs or dashboard."""
    joined = changed(run_of("verl_smoke"), cluster={"ray_address": "10.0.0.1:6379", "nodes": 2, "device": "cuda"})
    config = composed(joined)
    asked = {key: value for key, value in flat(config.ray_kwargs.ray_init).items() if value is not None}
    # the cluster's workers were started elsewhere, and must find `real`
    assert asked == {"address": "10.0.0.1:6379", "runtime_env.env_vars.PYTHONPATH": str(ROOT)}
    assert (config.trainer.nnodes, config.trainer.n_gpus_per_node) == (2, 1)


VLLM = "actor_rollout_ref.rollout.engine_kwargs.vllm"
PASSED = {"actor_rollout_ref.model.use_liger": True, "actor_rollout_ref.rollout.enable_prefix_caching": False}


def passing(given: dict[str, Any]) -> DictConfig:
    return composed(changed(run_of("1.5b"), cluster={"verl": given}))


def test_an_adapter_reaches_verl_and_is_merged_for_vllm():
    model = composed(run_of("1.5b", "lora")).actor_rollout_ref.model
    assert (model.lora_rank, model.lora_alpha, model.target_modules, model.lora.merge) == (32, 32, "all-linear", True)
    assert composed(run_of("1.5b")).actor_rollout_ref.model.lora_rank == 0


def test_settings_of_verl_are_passed_on_and_change_nothing_else():
    plain, given = (OmegaConf.to_container(one) for one in (passing({}), passing(PASSED)))
    for key, value in PASSED.items():
        *sections, name = key.split(".")
        for found in (plain, given):
            section = found
            for part in sections:
                section = section[part]
            if found is given:
                assert section.pop(name) == value
            else:
                assert section.pop(name) != value, "not verl's default, or the test proves nothing"
    for found in (plain, given):
        found["trainer"]["v1"].pop(TRAINER)  # the run itself, which holds them
    assert plain == given


def test_vllms_own_arguments_are_an_open_section():
    assert OmegaConf.select(passing({f"{VLLM}.async_scheduling": False}), f"{VLLM}.async_scheduling") is False


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"actor_rollout_ref.model.use_liger_kernel": True},
            r"use_liger_kernel: verl takes no such setting.*its section",
        ),
        ({"actor_rollout_ref.actor.fsdp_config.dtype": "float32"}, "this package sets it from its own keys"),
        ({"actor_rollout_ref.rollout.enable_prefix_caching.x": 1}, "enable_prefix_caching.x: verl takes no such"),
    ],
)
def test_a_setting_that_verl_lacks_or_that_is_ours_is_refused(given, said):
    with pytest.raises(VerlError, match=said):
        passing(given)


def test_no_open_section_holds_a_key_of_the_objective():
    """What this package sets of objective, batches and optimizer lies outside the sections that are passed on."""
    ours = settings._actor(run_of("1.5b")) | settings._data(run_of("1.5b")) | settings._reward(run_of("1.5b"))
    assert len(ours) > 25
    assert not [key for key in ours if key.removeprefix("+").startswith(VERL_OPEN)]
    schema = settings.verl_defaults()
    names = {VLLM if key.startswith(VLLM) else key.rstrip(".") for key in VERL_OPEN}
    assert [name for name in names if OmegaConf.select(schema, name, default="absent") == "absent"] == []
