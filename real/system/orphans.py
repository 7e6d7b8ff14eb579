"""Whether the Snakemake that started this job is still there.

Killed outright, it leaves its jobs running. What they finish then is lost: the next Snakemake takes their outputs for
incomplete, deletes them and starts the jobs again. So a job whose Snakemake is gone keeps its last state.
"""

from collections.abc import Callable
from pathlib import PurePath

import psutil


def watch() -> Callable[[], bool]:
    """Note the Snakemakes that this process descends from; the function returned says whether one of them is gone."""
    ancestors = [process for process in psutil.Process().parents() if _is_snakemake(process)]
    return lambda: not all(map(_runs, ancestors))


def _is_snakemake(process: psutil.Process) -> bool:
    try:
        return any(PurePath(part).name == "snakemake" for part in process.cmdline())
    except psutil.Error:
        return False


def _runs(process: psutil.Process) -> bool:
    """Whether it is there, and no other process with its number."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
