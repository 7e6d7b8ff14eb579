"""Folders in which the command line finds this repository's configuration."""

import shutil
from pathlib import Path

from tests.support.paths import PAPER_CONFIGS, ROOT


def link_rooms(folder: Path) -> None:
    """Put links to the folders that the command line reads into a folder."""
    for room in ("paper_configs", "datasets", "workflow"):
        (folder / room).symlink_to(ROOT / room)


def copy_configs(folder: Path) -> None:
    """Give a folder a paper_configs/ of its own, to change, without this machine's local.yaml."""
    shutil.copytree(PAPER_CONFIGS, folder / "paper_configs", ignore=shutil.ignore_patterns("local.yaml"))
