"""The scales of paper_configs/, wherever a test runs, and folders in which the command line finds them."""

import shutil
from pathlib import Path

from real.config import Experiment, load
from tests.support.paths import PAPER_CONFIGS, ROOT


def shipped(*files: str | Path) -> Experiment:
    """A scale and its overlays, without this machine's local.yaml.

    Args:
        files: a name below paper_configs/ ("smoke", "variants/tau_sweep"), or a path elsewhere.
    """
    paths = [PAPER_CONFIGS / f"{file}.yaml" if isinstance(file, str) else file for file in files]
    return load(paths, methods_file=PAPER_CONFIGS / "methods.yaml", local_file=Path("absent"))


def link_rooms(folder: Path) -> None:
    """Let the command line find this repository's configuration in a folder."""
    for room in ("paper_configs", "datasets", "workflow"):
        (folder / room).symlink_to(ROOT / room)


def copy_configs(folder: Path) -> None:
    """Give a folder a paper_configs/ of its own, to change, without this machine's local.yaml."""
    shutil.copytree(PAPER_CONFIGS, folder / "paper_configs", ignore=shutil.ignore_patterns("local.yaml"))
