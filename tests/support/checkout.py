"""A copy of the repository as a fresh clone would be, and Snakemake in it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from real.commands.exhibits import exhibits
from real.config import load
from tests.support.paths import ROOT

LEFT_BEHIND = (".git", ".venv*", ".snakemake", "results", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info")
LEFT_BEHIND += ("raw", "prepared", "local.yaml")  # of datasets/ and paper_configs/
PUBLISHED = ("--configfile", "paper_configs/published.yaml")


def copy_checkout(folder: Path) -> Path:
    """The repository as a fresh clone would have it."""
    shutil.copytree(ROOT, folder, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_BEHIND))
    (folder / "results").mkdir()
    return folder


def snakemake(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Snakemake as a user would, with stdout and stderr together."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-m", "snakemake", *arguments]
    return subprocess.run(
        command, cwd=checkout, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def planned(checkout: Path, *arguments: str) -> dict[str, int]:
    """Jobs per rule that a dry run announces."""
    done = snakemake(checkout, "--dry-run", "--cores", "1", *arguments)
    assert done.returncode == 0, done.stdout
    table = re.search(r"Job stats:\njob +count\n[- ]+\n(.*?)\n\n", done.stdout, re.S)
    if table is None:
        assert "Nothing to be done" in done.stdout, done.stdout
        return {}
    counts = dict(line.split() for line in table[1].splitlines())
    return {rule: int(count) for rule, count in counts.items() if rule != "total"}


def shown_by_default(scale: str) -> dict[str, int]:
    """The exhibits that a scale's default target makes, a job each."""
    folder = ROOT / "paper_configs"
    experiment = load([folder / f"{scale}.yaml"], methods_file=folder / "methods.yaml", local_file=Path("absent"))
    had = [exhibit for exhibit in exhibits() if not exhibit.command and not exhibit.absent(experiment)]
    return {exhibit.name: 1 for exhibit in had}
