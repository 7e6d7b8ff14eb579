"""A copy of the repository as a fresh clone would be, and Snakemake in it."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from real.commands.exhibits import exhibits
from tests.support.paths import ROOT
from tests.support.processes import environment
from tests.support.scales import shipped

LEFT_BEHIND = (".git", ".venv*", ".snakemake", "results", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info")
LEFT_BEHIND += ("raw", "prepared", "local.yaml")  # of datasets/ and paper_configs/
PUBLISHED = ("--configfile", "paper_configs/published.yaml")
# one Snakemake start takes seconds, a further one in the same process half of one
ONE_AFTER_THE_OTHER = """
import contextlib, io, json, sys
from snakemake.cli import main
printed = []
for arguments in json.load(sys.stdin):
    out, code = io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            main(arguments)
        except SystemExit as end:
            code = end.code
    printed.append((code or 0, out.getvalue()))
json.dump(printed, sys.stdout)
"""


def copy_checkout(folder: Path) -> Path:
    """The repository as a fresh clone would have it."""
    shutil.copytree(ROOT, folder, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_BEHIND))
    (folder / "results").mkdir()
    return folder


def snakemake(
    checkout: Path, *arguments: str, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Snakemake as a user would, with stdout and stderr together."""
    command = [sys.executable, "-m", "snakemake", *arguments]
    given = environment() | (variables or {})
    return subprocess.run(command, cwd=checkout, env=given, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def snakemakes(checkout: Path, commands: Sequence[Sequence[str]]) -> list[tuple[int, str]]:
    """Run Snakemake several times in one process: exit code and all that was printed, by command."""
    done = subprocess.run(
        [sys.executable, "-c", ONE_AFTER_THE_OTHER],
        input=json.dumps(commands),
        cwd=checkout,
        env=environment(),
        text=True,
        capture_output=True,
        check=True,
    )
    return [(code, printed) for code, printed in json.loads(done.stdout)]


def dry_runs(checkout: Path, *commands: Sequence[str]) -> list[str]:
    """What dry runs print, one after the other in one process."""
    dry = [["--dry-run", "--printshellcmds", "--cores", "1", *arguments] for arguments in commands]
    return [printed for _, printed in snakemakes(checkout, dry)]


def planned(checkout: Path, *arguments: str) -> dict[str, int]:
    """Jobs per rule that a dry run announces."""
    done = snakemake(checkout, "--dry-run", "--cores", "1", *arguments)
    assert done.returncode == 0, done.stdout
    return counts(done.stdout)


def counts(printed: str) -> dict[str, int]:
    """Jobs per rule of one dry run."""
    table = re.search(r"Job stats:\njob +count\n[- ]+\n(.*?)\n\n", printed, re.S)
    if table is None:
        assert "Nothing to be done" in printed, printed
        return {}
    jobs = {rule: int(count) for rule, count in (line.split() for line in table[1].splitlines())}
    assert jobs.pop("total") == sum(jobs.values())
    return jobs


def shown_by_default(scale: str) -> dict[str, int]:
    """The exhibits that a scale's default target makes, a job each."""
    experiment = shipped(scale)
    had = [exhibit for exhibit in exhibits() if not exhibit.command and not exhibit.absent(experiment)]
    return {exhibit.name: 1 for exhibit in had}
