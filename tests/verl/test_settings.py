"""Every published run composes against verl's own schema, as the paper's; what verl would let pass is refused."""

import importlib.metadata
import json
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hydra import compose
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf
from verl.trainer.ppo.utils import need_reference_policy
from verl.utils.config import omega_conf_to_dataclass
from verl.workers.engine.fsdp.transformer_impl import FSDPEngine

from real.config import Experiment, VerlRun, load, resolve
from real.config.files import read_yaml
from real.torch_engine.train import learning_rate_at
from real.verl_engine import settings
from real.verl_engine.hooks import VERL_VERSION, VerlError, check_version
from real.verl_engine.losses import SURROGATE
from real.verl_engine.settings import compose_config
from real.verl_engine.train import FINGERPRINT, check_platform, check_same_run, train
from real.verl_engine.trainer import TRAINER

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "paper_configs"
SEED = 7
ANY_SCALE = ["ablations", "one_sided_train", "tau_sweep"]
PAPER_SCALE = [*ANY_SCALE, "dapo17k", "full_dapo", "learning_rate_sweep_paper"]
VARIANTS = {"verl_smoke": ANY_SCALE, "single_gpu": PAPER_SCALE, "1.5b": PAPER_SCALE, "7b": PAPER_SCALE}
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
}
ADDED_LOCAL = {"ray_kwargs.ray_init.include_dashboard"}
ADDED_CPU = {"ray_kwargs.ray_init.num_gpus", "actor_rollout_ref.rollout.enable_sleep_mode"}
ADDED_SHAPED = {
    "reward.reward_kwargs.max_resp_len",  # DAPORewardManager
    *(f"reward.reward_kwargs.overlong_buffer_cfg.{key}" for key in ("enable", "len", "penalty_factor", "log")),
}


@cache
def experiment(scale: str, overlay: str | None = None) -> Experiment:
    """A published experiment, without what this machine adds."""
    folder = ROOT / "tests" / "verl" if overlay == "all_methods" else CONFIGS / "variants"
    files = [CONFIGS / f"{scale}.yaml", *([folder / f"{overlay}.yaml"] if overlay else [])]
    return load(files, methods_file=CONFIGS / "methods.yaml", local_file=Path("absent"))


def composed(run: VerlRun) -> DictConfig:
    """verl's configuration of a run; no model or data is there."""
    return compose_config(run, Path("model"), (Path("train.parquet"), Path("validation.parquet")), Path("work"))


@cache
def config_of(scale: str, overlay: str | None, method: str) -> tuple[VerlRun, DictConfig]:
    run = resolve(experiment(scale, overlay), method, SEED)
    return run, composed(run)


def distinct(scale: str) -> list[tuple[str | None, str]]:
    """(overlay, method) of a scale: those that differ in more than names and data, which verl only passes on."""
    found: dict[str, tuple[str | None, str]] = {}
    overlays = [None, *VARIANTS[scale], *(["all_methods"] if scale == "verl_smoke" else [])]
    for overlay in overlays:
        for method in experiment(scale, overlay).methods:
            run = resolve(experiment(scale, overlay), method, SEED)
            found.setdefault(run.model_dump_json(exclude={"experiment", "method", "data"}), (overlay, method))
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
    with settings._hydra():
        return flat(compose("ppo_trainer"))


def test_every_scale_of_the_engine_and_every_overlay_is_tested():
    """A new file in paper_configs has to be listed above; the laptop's sweep is the torch engine's."""
    scales = {path.stem for path in CONFIGS.glob("*.yaml") if read_yaml(path).get("engine") == "verl"}
    assert scales == set(VARIANTS)
    overlays = {path.stem for path in (CONFIGS / "variants").glob("*.yaml")}
    assert overlays == {"learning_rate_sweep", *(name for names in VARIANTS.values() for name in names)}


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
        assert actor.optim.lr == run.training.learning_rate, where
        assert actor.optim.lr_warmup_steps >= 1, where
        assert (config.data.seed, config.actor_rollout_ref.rollout.seed) == (SEED, SEED), where
        ours = config.trainer.v1[TRAINER]
        assert (ours.objective, ours.method, ours.seed) == (objective, method, SEED)
        assert dict(ours.hyperparameters) == run.settings.hyperparameters, where
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
    _, config = config_of("1.5b", overlay, method)
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
    ours = config.trainer.v1[TRAINER]
    assert ours.objective.removeprefix("real_") in (
        script["actor_rollout_ref.actor.loss_type"],
        script["actor_rollout_ref.actor.loss_type"].removeprefix("real_").removesuffix("_style"),
    )
    # released for the others: 1, which no code of theirs reads
    assert ours.hyperparameters.get("tau", 1) == script["actor_rollout_ref.actor.tau"]
    assert ours.rollouts * ours.mini_batch_prompts == 8 * 32


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
    run = changed(resolve(experiment("verl_smoke"), "real", SEED), training={"warmup_steps": warmup})
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


def changed(run: VerlRun, **sections: dict[str, Any]) -> VerlRun:
    """A run with some keys of its sections changed, unchecked."""
    return run.model_copy(update={name: getattr(run, name).model_copy(update=keys) for name, keys in sections.items()})


@pytest.fixture
def smoke() -> VerlRun:
    return resolve(experiment("verl_smoke"), "real", SEED)


def test_an_existing_ray_cluster_is_joined_as_it_is(smoke):
    """ray.init refuses to be told a cluster's CPUs, GPUs or dashboard."""
    joined = changed(smoke, cluster={"ray_address": "10.0.0.1:6379", "nodes": 2, "device": "cuda"})
    config = composed(joined)
    asked = {key: value for key, value in flat(config.ray_kwargs.ray_init).items() if value is not None}
    assert asked == {"address": "10.0.0.1:6379"}
    assert (config.trainer.nnodes, config.trainer.n_gpus_per_node) == (2, 1)


def test_an_unknown_loss_is_refused(smoke, monkeypatch):
    """verl itself would notice at the first update, after the first rollouts."""
    monkeypatch.setitem(settings.LOSSES, "real", ("real_surogate", "token-mean"))
    with pytest.raises(VerlError, match=r"^policy loss 'real_surogate' is not registered with verl; it has .*gspo"):
        composed(smoke)


def test_an_unknown_key_is_refused(smoke, monkeypatch):
    overrides = settings._overrides(smoke)
    monkeypatch.setattr(settings, "_overrides", lambda run: {**overrides, "actor_rollout_ref.actor.clip_ratio_lo": 0.2})
    with pytest.raises(ConfigCompositionException, match="clip_ratio_lo"):
        composed(smoke)


def test_what_verl_refuses_is_said_in_a_sentence(smoke):
    with pytest.raises(VerlError, match=r"^verl refuses the configuration of real: .*train_batch_size"):
        composed(changed(smoke, training={"prompts": 2}, cluster={"micro_batch_tokens": None}))


def test_shaped_rewards_are_refused_where_labels_are_needed(smoke):
    with pytest.raises(VerlError, match=r"^training.overlong_buffer_tokens 8 shapes rewards, but real takes labels of"):
        composed(changed(smoke, training={"overlong_buffer_tokens": 8}))


@pytest.mark.parametrize("found", ["0.9.0", "0.9.2", None])
def test_another_verl_is_refused_before_anything_is_written(smoke, found, monkeypatch, tmp_path):
    def version(name: str) -> str:
        if found is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return found

    assert importlib.metadata.version("verl") == VERL_VERSION
    check_version()
    monkeypatch.setattr(importlib.metadata, "version", version)
    remedy = "make gpu-env" if found is None else rf"^verl {found} is installed, .*; install verl==0\.9\.1$"
    with pytest.raises(VerlError, match=remedy):
        train(smoke, tmp_path / "model", tmp_path / "run", tmp_path / "work")
    assert list(tmp_path.iterdir()) == []


def test_a_cpu_is_refused_outside_the_tests(smoke, monkeypatch, tmp_path):
    check_platform(smoke)
    monkeypatch.delenv("VERL_PLATFORM")
    with pytest.raises(VerlError, match=r"^cluster.device is 'cpu', .*`make test-verl`, or set cluster.device: cuda$"):
        train(smoke, tmp_path / "model", tmp_path / "run", tmp_path / "work")
    assert list(tmp_path.iterdir()) == []
    check_platform(changed(smoke, cluster={"device": "cuda"}))


def test_the_state_of_another_configuration_is_refused_and_kept(smoke, tmp_path):
    check_same_run(smoke, tmp_path)
    check_same_run(smoke, tmp_path)
    kept = (tmp_path / FINGERPRINT).read_text()
    with pytest.raises(VerlError, match=rf"^{tmp_path}: holds the state of this run with another configuration"):
        check_same_run(changed(smoke, training={"learning_rate": 2e-3}), tmp_path)
    assert (tmp_path / FINGERPRINT).read_text() == kept
