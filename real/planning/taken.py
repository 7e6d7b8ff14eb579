"""What finished and running jobs took: read from the files that the rules leave (docs/metrics.md).

Training counts the seconds of ``timings.jsonl``: ``step_seconds`` of a line where it has it, else the sum of its keys
that end in ``_seconds``. A resumed run's ``provenance.json`` counts its last process alone, so the larger of the two is
taken. A run in progress is extrapolated from its own steps: what is left takes the 10th to the 90th percentile of them.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from real.config import Training
from real.planning.costs import Amount
from real.records.jobs import Job
from real.records.provenance import RECORD
from real.system.files import MAKE_AGAIN, DamagedError, read_json, read_json_lines, read_table

PERCENTILES = (10, 90)
SECONDS_PER_HOUR = 3600
# of steps, seconds and tokens; no job reaches it, and sums and products of what lies below stay finite
LARGEST = 1e15
Value = TypeVar("Value")


@dataclass(frozen=True)
class PlannedJob:
    """One job.

    Attributes:
        name: what it does.
        devices: GPUs that it holds (on a CPU: processes).
        steps: outer steps; None of what doesn't train.
        steps_done: of a run in progress.
        tokens: sampled (measured: not those that dynamic sampling replaced); None where unknown, as the others.
        seconds: wall.
        peak: bytes on disk while it runs.
        kept: bytes that stay.
        held: bytes on disk now, of a run in progress.
        folder: of its results, below the scale's.
    """

    name: str
    devices: int
    steps: int | None = None
    steps_done: int | None = None
    tokens: Amount | None = None
    seconds: Amount | None = None
    peak: Amount | None = None
    kept: Amount | None = None
    held: int = 0
    folder: str = ""

    @property
    def device_hours(self) -> Amount | None:
        """Devices times wall hours."""
        return self.seconds and self.seconds * (self.devices / SECONDS_PER_HOUR)

    @property
    def finished(self) -> bool:
        """Whether its results are there."""
        return self.kept is not None and self.kept.kind == "measured"


def measured(row: PlannedJob, results: Path, job: Job, training: Training) -> PlannedJob:
    """The row with what is known of its job by now: measured where it is finished, extrapolated where a run goes on.

    Args:
        training: of a run: its steps, and G rollouts per prompt.

    Raises:
        DamagedError: a file of the job can't be read, or holds other things than numbers.
    """
    folder, work = results / job.name, results / job.work
    row = replace(row, folder=job.name)
    if all((results / output).exists() for output in job.outputs):
        seconds, size = seconds_and_steps(folder)[0], folder_bytes(folder)
        tokens = _tokens(results, job, training) or row.tokens
        return replace(row, seconds=_exactly(seconds), tokens=tokens, peak=_exactly(size), kept=_exactly(size))
    steps = steps_taken(work, finished=False) if job.kind == "train" else []
    if not steps:
        return row
    of_steps = _step_tokens(work, training, finished=False)
    return replace(
        row,
        steps_done=steps[-1][0],
        seconds=_extrapolated([seconds for _, seconds in steps], training.steps),
        tokens=_extrapolated(of_steps, training.steps) if of_steps else row.tokens,
        held=folder_bytes(work),
    )


def seconds_and_steps(folder: Path) -> tuple[float, int | None]:
    """Wall seconds of a finished job, by the record in its folder or by its steps if they took longer; steps, of a run.

    Raises:
        DamagedError: a file that can't be read, or holds other things than numbers.
    """
    record = read_json(folder / RECORD, keys=["wall_seconds"])
    try:
        wall = _number(record["wall_seconds"])
    except ValueError:
        raise DamagedError(f"{folder / RECORD}: is damaged (wall_seconds is no number); {MAKE_AGAIN}") from None
    steps = steps_taken(folder, finished=True)
    return (max(wall, sum(seconds for _, seconds in steps)), steps[-1][0]) if steps else (wall, None)


def steps_taken(folder: Path, finished: bool) -> list[tuple[int, float]]:
    """Number and wall seconds of every step in ``timings.jsonl``; none where there is no such file.

    Args:
        finished: no line is still being written.

    Raises:
        DamagedError: the file can't be read, or holds other things than numbers.
    """

    def taken(line: dict[str, Any]) -> tuple[int, float]:
        parts = {key: _number(value) for key, value in line.items() if key.endswith("_seconds")}
        if not isinstance(line["step"], int) or _number(line["step"]) < 1:
            raise ValueError
        return line["step"], parts.get("step_seconds", sum(parts.values()))

    return _of_lines(folder / "timings.jsonl", ["step"], taken, finished)


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder, links to files followed; 0 where there is no folder."""
    count = 0
    for place, _, names in os.walk(folder):
        for name in names:
            # a job that runs removes files while they are counted
            with suppress(FileNotFoundError):
                count += Path(place, name).stat().st_size
    return count


def _tokens(results: Path, job: Job, training: Training) -> Amount | None:
    """Of a finished job; None of a base model."""
    if job.kind == "train":
        return _exactly(sum(_step_tokens(results / job.name, training, finished=True)))
    files = [results / output for output in job.outputs if output.endswith(".parquet")]
    return _exactly(sum(map(_stored_tokens, files))) if job.kind == "evaluate" else None


def _stored_tokens(file: Path) -> float:
    """Of all responses of a file of an evaluation."""
    count = read_table(file, columns=["tokens"])["tokens"].sum(skipna=False)
    try:
        return _number(count.item())
    except (AttributeError, ValueError):  # the sum of texts is one
        raise DamagedError(f"{file}: is damaged (its column tokens holds no numbers); {MAKE_AGAIN}") from None


def _step_tokens(folder: Path, training: Training, finished: bool) -> list[float]:
    """Tokens of the steps that were trained on; line 0 holds the validation of the base model alone."""

    def tokens(line: dict[str, Any]) -> float | None:
        length = line["response_length_mean"]
        return None if length is None else _number(length) * _number(line["prompts"]) * training.rollouts

    found = _of_lines(folder / "metrics.jsonl", ["response_length_mean", "prompts"], tokens, finished)
    return [count for count in found if count is not None]


def _of_lines(path: Path, keys: Sequence[str], value: Callable[[dict], Value], finished: bool) -> list[Value]:
    """A value of each line of a JSON file; none where it is missing."""
    if not path.exists():
        return []
    remedy = MAKE_AGAIN if finished else "its steps can't be counted"
    try:
        values = [value(line) for line in read_json_lines(path, remedy, keys, unfinished=not finished)]
    except ValueError:
        raise DamagedError(f"{path}: is damaged (no numbers of steps and seconds); {remedy}") from None
    if finished and not values:
        raise DamagedError(f"{path}: is damaged (it holds no line); {remedy}")
    return values


def _number(value: Any) -> float:
    """A number that can be one of steps, seconds or tokens; ValueError where a file holds anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LARGEST:
        raise ValueError
    return float(value)


def _exactly(value: float) -> Amount:
    return Amount(value, value, "measured")


def _extrapolated(of_steps: list[float], steps: int) -> Amount:
    left, done = max(0, steps - len(of_steps)), sum(of_steps)
    low, high = np.percentile(of_steps, PERCENTILES)
    return Amount(left * float(low) + done, left * float(high) + done, "extrapolated")
