"""Published runs and their verl configurations, for the tests beside this file; no model or data is needed."""

from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from real.config import Experiment, VerlRun, load, resolve
from real.engines.verl.kernels import settled
from real.engines.verl.settings import compose_config
from tests.support.paths import ROOT

CONFIGS = ROOT / "paper_configs"
ALL_METHODS = ROOT / "tests" / "verl" / "all_methods.yaml"


@cache
def experiment(scale: str, overlay: str | None = None) -> Experiment:
    """A published experiment, without what this machine adds; ``all_methods`` is an overlay of the tests."""
    overlays = {None: [], "all_methods": [ALL_METHODS]}.get(overlay, [CONFIGS / "variants" / f"{overlay}.yaml"])
    files = [CONFIGS / f"{scale}.yaml", *overlays]
    return load(files, methods_file=CONFIGS / "methods.yaml", local_file=Path("absent"))


def run_of(scale: str, overlay: str | None = None, method: str = "real", seed: int = 7) -> VerlRun:
    """A published run."""
    return resolve(experiment(scale, overlay), method, seed)


def changed(run: VerlRun, **sections: dict[str, Any]) -> VerlRun:
    """A run with some keys of its sections changed, unchecked."""
    return run.model_copy(update={name: getattr(run, name).model_copy(update=keys) for name, keys in sections.items()})


def composed(
    run: VerlRun, model: Path = Path("model"), train: Path = Path("train.parquet"), attention: str = "sdpa"
) -> DictConfig:
    """verl's configuration of a run."""
    return compose_config(run, model, (train, Path("validation.parquet")), Path("work"), settled(run, attention))
