"""Attempts at a job: from where each went on, how it ended, and which one isn't made.

A scheduler cuts jobs off, and Snakemake's ``--retries`` starts them again by itself. That helps a job that a time limit
ended. It burns an allocation where the last attempt saved nothing, so that the next would fail as it did, and it is
against the will of whoever cancelled the job. So such an attempt ends in one sentence, before it loads anything.

The record stands beside the work folder, as its lock does: what is in the folder is the engines'.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from real.system import slurm
from real.system.errors import ExpectedError
from real.system.files import DamagedError, WriteError, read_json, write_json


class NotTriedAgainError(ExpectedError):
    """An attempt that Snakemake made by itself, and that would get no further than the last one; it says why."""


@dataclass(frozen=True)
class Attempt:
    """One attempt.

    Attributes:
        began: local time.
        done: steps, or chunks, that were saved before it.
        job: its number in SLURM; None elsewhere.
        ended: by what; None while it runs, and where it was killed.
    """

    began: str
    done: int
    job: str | None = None
    ended: str | None = None


def record_of(work: Path) -> Path:
    """The file with the attempts at the job whose state is in ``work``."""
    return work.with_name(f"{work.name}.attempts.json")


def attempts(work: Path) -> list[Attempt]:
    """Those that are recorded, the oldest first; none of a job that is finished.

    Raises:
        DamagedError: the record can't be read.
    """
    path = record_of(work)
    try:
        found = read_json(path, "delete it", ["attempts"])["attempts"]
    except (FileNotFoundError, NotADirectoryError):
        return []
    try:
        return [_read(one) for one in found]
    except (TypeError, ValueError):
        raise DamagedError(f"{path}: holds no attempts; delete it") from None


def refusal(made: list[Attempt], done: int) -> str | None:
    """Why Snakemake's own next attempt isn't made, and what to do; None where it is made.

    Args:
        made: the attempts before it.
        done: steps, or chunks, that are saved now.
    """
    last = made[-1] if made else Attempt("", done)
    if last.ended == slurm.CANCELLED:
        return f"the last attempt was ended by {last.ended}; give the same command again to go on"
    if done == last.done:
        ended = f" (it was ended by {last.ended})" if last.ended in (slurm.TIME_LIMIT, slurm.PREEMPTED) else ""
        return (
            f"the last attempt saved nothing new{ended}; see to what the log says or, after a time limit, let the job "
            "have more time (`runtime`), and give the same command again"
        )
    return None


@contextmanager
def attempt(work: Path, done: int, snakemakes: int = 1) -> Iterator[int]:
    """Record an attempt at the job whose state is in ``work``, which nobody else holds; its number.

    Args:
        done: steps, or chunks, that are saved.
        snakemakes: the number that Snakemake gives it; above 1, Snakemake makes it by itself.

    Raises:
        NotTriedAgainError: Snakemake makes it by itself, and it would get no further; nothing is recorded.
    """
    try:
        made = attempts(work)
    except DamagedError as error:
        print(f"{error}; attempts are counted anew", flush=True)
        made = []
    if snakemakes > 1 and (why := refusal(made, done)):
        raise NotTriedAgainError(f"{work}: not tried again by itself, because {why}")
    made = [*made, Attempt(time.strftime("%Y-%m-%d %H:%M:%S"), done, slurm.job_id())]
    _write(work, made)
    try:
        yield len(made)
    except BaseException as error:
        _write(work, [*made[:-1], replace(made[-1], ended=_end(error))])
        raise
    with suppress(OSError):  # as in _write
        record_of(work).unlink()


def _end(error: BaseException) -> str:
    """By what an attempt was ended."""
    # SLURM first: a library may make any error of its signal
    return slurm.why_ended() or ("an interruption" if isinstance(error, KeyboardInterrupt) else "an error")


def _write(work: Path, made: list[Attempt]) -> None:
    # the job itself says what can't be written, and by a better name than this one
    with suppress(OSError, WriteError):
        record_of(work).parent.mkdir(parents=True, exist_ok=True)
        write_json(record_of(work), {"attempts": [asdict(one) for one in made]})


def _read(one: dict[str, Any]) -> Attempt:
    found = Attempt(**one)
    if not isinstance(found.done, int) or not all(isinstance(text, str) for text in (found.began, found.ended or "")):
        raise ValueError
    return found
