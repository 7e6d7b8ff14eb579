"""``python -m real status``: what is done, what runs, what was interrupted and where, what waits, how long is left.

Reads only, takes no lock and loads no engine, so it can be asked at any moment. Results are taken as they are: whether
they are whole, and of the present configuration and code, is the question of ``python -m real verify``.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Literal, get_args

import pandas as pd

from real.config import Experiment
from real.planning.attempts import attempts
from real.planning.costs import Amount, evaluation_batches
from real.planning.plan import problem_counts
from real.planning.progress import SAVED, Trace, of_chunks, of_steps
from real.planning.taken import seconds_and_steps
from real.planning.text import UNKNOWN, duration
from real.records.jobs import BASE, Job, trained_jobs
from real.system.files import DamagedError
from real.system.locks import holder, is_held

State = Literal["done", "incomplete", "running", "interrupted", "waiting"]
# a job renames files while they are read; they are looked for again
LOOKS = 3
LOST = "`python -m real verify` says what to do"
UNITS = {"base": "steps", "train": "steps", "evaluate": "chunks"}


@dataclass(frozen=True)
class Progress:
    """One job, and how far it is.

    Attributes:
        total: steps; of an evaluation, chunks; None where there is nothing to count.
        trace: of a finished job, all of them, each with its share of the job's wall time.
        pid: of the process that holds it, with the name of its machine where that is another one.
        taken: wall seconds of a finished job; None where unknown.
        left: wall seconds that an unfinished job still needs; None where unknown.
        attempt: how many attempts at an unfinished job there were, with the one that is under way; 0: none is recorded.
    """

    job: Job
    state: State
    total: int | None
    trace: Trace
    pid: str | None = None
    taken: float | None = None
    left: float | None = None
    attempt: int = 0


def status(experiment: Experiment, kind: str | None = None) -> list[Progress]:
    """Every base model, run and evaluation of a scale, producers first, with the time that is left.

    A job that has done nothing yet is expected to be as fast as the mean of its like.

    Args:
        kind: of the jobs asked for (``base``, ``train`` or ``evaluate``); None: all.

    Raises:
        ConfigError: a scale that trains nothing.
    """
    _ = experiment.trained
    found = [_progress(experiment, job) for job in trained_jobs(experiment) if kind in (None, job.kind)]
    rates = {
        kind: [one.trace.seconds for one in found if one.job.kind == kind and one.trace.seconds is not None]
        for kind in UNITS
    }
    return [replace(one, left=_left(one, rates[one.job.kind])) for one in found]


def job_into(experiment: Experiment, output: Path) -> Job | None:
    """The scale's job that writes into a folder; None: the folder is none of the scale's."""
    results = Path(experiment.results)
    return next((job for job in trained_jobs(experiment) if results / job.name == output), None)


def saved(experiment: Experiment, job: Job) -> int | None:
    """Steps, or chunks, that a job has saved and not yet made results of; None while a process holds it."""
    work = Path(experiment.results) / job.work
    try:
        return None if is_held(work) else _trace(experiment, job, work, running=False).done
    except (DamagedError, OSError):  # nothing that can't be read may keep a job from beginning
        return None


def outlook(experiment: Experiment, output: Path) -> str:
    """What lies before a job that begins now, after a semicolon: ``; 70 steps, about 34.8 s at the pace of its like``.

    Args:
        output: its folder; of a folder that is none of the scale's, nothing is known.
    """
    job = job_into(experiment, output)
    if job is None:
        return ""
    try:
        one = next(one for one in status(experiment, job.kind) if one.job == job)
    except OSError:  # nothing that can't be read may keep a job from beginning
        return ""
    if one.total is None:
        return ""
    whose = "its like" if one.trace.seconds is None else "its earlier attempt"
    left = f", about {_seconds(one.left)} at the pace of {whose}" if one.left else ""
    return f"; {one.total:,} {UNITS[job.kind]}{left}"


def status_report(experiment: Experiment) -> str:
    """What :func:`status` finds, for reading: a row per base model and run, a sentence per damaged file, the total."""
    found = {one.job.name: one for one in status(experiment)}
    rows = [
        _row(one, found.get(f"evaluations/{one.job.name.removeprefix('runs/')}"))
        for one in found.values()
        if one.job.kind != "evaluate"
    ]
    notes = [note for one in found.values() for note in one.trace.notes]
    table = pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)
    title = f"{experiment.name}: {experiment.scale.evidence}"
    return "\n".join([title, "", table, "", *notes, *([""] if notes else []), _summary(list(found.values()))])


def _progress(experiment: Experiment, job: Job) -> Progress:
    for _ in range(LOOKS - 1):
        try:
            return _look(experiment, job)
        except FileNotFoundError:
            continue
    return _look(experiment, job)


def _look(experiment: Experiment, job: Job) -> Progress:
    results = Path(experiment.results)
    work, total = results / job.work, _total(experiment, job)
    try:
        pid, notes = holder(work), []
    except DamagedError as error:
        pid, notes = None, [str(error)]
    if pid is None and (results / job.record).exists():
        return _finished(results, job, total, notes)
    trace = _trace(experiment, job, work, running=pid is not None)
    begun = work.is_dir() and any(work.iterdir())
    state: State = "running" if pid else "interrupted" if begun else "waiting"
    attempt = 0
    try:
        attempt = len(made := attempts(work))
        if made and made[-1].ended and not pid:
            notes.append(f"{work}: attempt {attempt} was ended by {made[-1].ended}")
    except DamagedError as error:
        notes.append(str(error))
    return Progress(job, state, total, replace(trace, notes=(*notes, *trace.notes)), pid, attempt=attempt)


def _trace(experiment: Experiment, job: Job, work: Path, running: bool) -> Trace:
    if job.kind == "evaluate":
        return of_chunks(work, running)
    trace = of_steps(work)
    return trace if running else SAVED[experiment.trained.engine if job.kind == "train" else "torch"](work, trace)


def _finished(results: Path, job: Job, total: int | None, notes: Sequence[str]) -> Progress:
    """A job that has written its record, which comes last; incomplete if one of its files is gone since."""
    missing = [output for output in job.outputs if not (results / output).exists()]
    notes = [*notes, *(f"{results / name}: is missing, although its job finished; {LOST}" for name in missing)]
    taken, steps = None, None
    try:
        taken, steps = seconds_and_steps(results / job.name)
    except DamagedError as error:
        notes.append(str(error))
    done = total or 0 if steps is None else steps
    trace = Trace(done, taken / done if taken and done else None, notes=tuple(notes))
    return Progress(job, "incomplete" if missing else "done", total, trace, taken=taken)


def _total(experiment: Experiment, job: Job) -> int | None:
    """Steps of a training, chunks of an evaluation; None of a base model that is only linked."""
    scale = experiment.trained
    if job.method in experiment.training and job.kind == "train":
        return experiment.training[job.method].steps
    if job.kind == "base":
        return sum(phase.steps for phase in scale.own_base.phases) if scale.own_base else None
    names = scale.evaluation.benchmarks
    counts = [scale.own_task.test_problems] * len(names) if scale.own_task else problem_counts(names)
    return evaluation_batches(counts, scale.evaluation)


def _left(one: Progress, rates: Sequence[float]) -> float | None:
    if one.state == "done":
        return 0.0
    seconds = one.trace.seconds if one.trace.seconds is not None else fmean(rates) if rates else None
    if one.total is None or seconds is None:
        return None
    done = 0 if one.state == "incomplete" else one.trace.done
    return max(0, one.total - done) * seconds


def _row(one: Progress, evaluation: Progress | None) -> dict[str, str]:
    job = one.job
    base = "base model" if job.name == BASE else f"base model, seed {job.seed}"
    known, unknown = _left_of([one, *([evaluation] if evaluation else [])])
    left = UNKNOWN if known == 0 and unknown else "" if known == 0 else _seconds(known)
    return {
        "run": base if job.kind == "base" else f"{job.method}, seed {job.seed}",
        "state": _state(one),
        "steps": _counted(one),
        "per step": _seconds(one.trace.seconds),
        "took": _seconds(one.taken),
        "evaluation": UNKNOWN if evaluation is None else _evaluation(evaluation),
        "left": f"{left} and more" if known and unknown else left,
    }


def _left_of(found: Sequence[Progress]) -> tuple[float, int]:
    """Seconds that are known to be left, and of how many jobs they are unknown."""
    return sum(one.left or 0 for one in found), sum(one.left is None for one in found)


def _state(one: Progress) -> str:
    about = [*([f"pid {one.pid}"] if one.pid else []), *([f"attempt {one.attempt}"] if one.attempt > 1 else [])]
    return f"{one.state} ({', '.join(about)})" if about else one.state


def _counted(one: Progress) -> str:
    if one.total is None:
        return UNKNOWN
    done = f"at most {one.trace.done:,}" if one.trace.at_most else f"{one.trace.done:,}"
    return f"{done} of {one.total:,}"


def _evaluation(one: Progress) -> str:
    begun = one.state in ("running", "interrupted")
    return f"{_state(one)}, {_counted(one)} chunks" if begun else _state(one)


def _seconds(value: float | None) -> str:
    return UNKNOWN if value is None else duration(Amount(value, value))


def _summary(found: Sequence[Progress]) -> str:
    counts = Counter(one.state for one in found)
    states = ", ".join(f"{counts[state]} {state}" for state in get_args(State) if counts[state])
    trained = [one for one in found if one.job.kind == "train"]
    done, total = sum(one.trace.done for one in trained), sum(one.total or 0 for one in trained)
    known, unknown = _left_of(found)
    parts = [f"{_seconds(known)} left, one job after the other"] if known else []
    if unknown:
        parts.append(f"time unknown of {unknown} jobs, of whose like none has begun (`python -m real plan` estimates)")
    left = "; ".join(parts) or "nothing left"
    return f"{len(found)} jobs: {states}; {done:,} of {total:,} steps of training; {left}"
