"""The scales of paper_configs/, wherever a test runs, without this machine's local.yaml."""

from pathlib import Path

from real.config import Experiment, load
from tests.support.paths import PAPER_CONFIGS


def shipped(*files: str | Path) -> Experiment:
    """A scale and its overlays: by name below paper_configs/ ("smoke", "variants/tau_sweep"), or a path elsewhere."""
    paths = [PAPER_CONFIGS / f"{file}.yaml" if isinstance(file, str) else file for file in files]
    return load(paths, methods_file=PAPER_CONFIGS / "methods.yaml", local_file=Path("absent"))
