"""What an unfinished job has left in its work folder: how far it is, how fast, and which of its files are damaged.

Read while the job may be running: nothing is locked, changed or loaded as a state.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median

from real.engines.verl.journal import TRACKER
from real.evaluation.chunks import SUFFIX
from real.planning.taken import LARGEST, steps_taken
from real.system.files import DamagedError, read_sealed
from real.system.work_folder import WorkFolder


@dataclass(frozen=True)
class Trace:
    """How far a job is.

    Attributes:
        done: steps; of an evaluation, chunks.
        seconds: wall, of one of them; None where unknown.
        at_most: it may go on from less, because its last state is damaged.
        notes: a sentence per damaged file.
    """

    done: int = 0
    seconds: float | None = None
    at_most: bool = False
    notes: tuple[str, ...] = ()


def of_steps(work: Path) -> Trace:
    """A training, by the lines of ``timings.jsonl`` in its work folder: the verl engine's have every step, the torch
    engine's those up to the last one saved."""
    try:
        steps = steps_taken(work, finished=False)
    except DamagedError as error:
        return Trace(notes=(str(error),))
    if not steps:
        return Trace()
    done = steps[-1][0]
    return Trace(done, sum(seconds for _, seconds in steps) / done)


def saved_by_torch(work: Path, trace: Trace) -> Trace:
    """The trace of a job of the torch engine that nobody runs, held against its states."""
    states = WorkFolder(work).states()
    whole = [path for path in states if states[path]]
    then = f"the job goes on from {whole[0].name}" if whole else "the job starts anew"
    notes = tuple(f"{path}: is damaged, not the bytes that were written; {then}" for path in states if not states[path])
    if not whole:
        return replace(trace, done=0, notes=(*trace.notes, *notes))
    return replace(trace, at_most=bool(notes) and whole[0].name == "previous.pt", notes=(*trace.notes, *notes))


def saved_by_verl(work: Path, trace: Trace) -> Trace:
    """The trace of a job of the verl engine that nobody runs: what came after its last checkpoint is done again."""
    tracker = work / TRACKER
    try:
        if not 0 <= (step := int(tracker.read_text(encoding="utf-8"))) <= LARGEST:
            raise ValueError
    except FileNotFoundError:
        return replace(trace, done=0)
    except ValueError:
        note = f"{tracker}: is damaged, it holds no step; write the number of the last folder global_step_… into it"
        return replace(trace, at_most=True, notes=(*trace.notes, note))
    if (folder := tracker.with_name(f"global_step_{step}")).is_dir():
        return replace(trace, done=step)
    note = f"{folder}: is missing, although {tracker.name} names it; write the number of the last such folder into it"
    return replace(trace, done=step, at_most=True, notes=(*trace.notes, note))


def of_chunks(work: Path, running: bool) -> Trace:
    """An evaluation, by its finished chunks; a rate from their times, of which the middle one hides interruptions.

    Args:
        running: take them for whole, rather than read each.
    """
    chunks = list(work.glob(f"chunks-*/*{SUFFIX}"))
    damaged = [] if running else [path for path in sorted(chunks) if read_sealed(path) is None]
    written = sorted(path.stat().st_mtime for path in chunks)
    seconds = median(after - before for before, after in pairwise(written)) if len(written) > 1 else None
    notes = tuple(f"{path}: is damaged, not the bytes that were written; it is done again" for path in damaged)
    return Trace(len(chunks) - len(damaged), seconds, notes=notes)


SAVED: dict[str, Callable[[Path, Trace], Trace]] = {"torch": saved_by_torch, "verl": saved_by_verl}
