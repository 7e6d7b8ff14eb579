"""What finished and running jobs took: read from the files that the rules leave (docs/metrics.md).

Training counts the seconds of ``timings.jsonl``: ``step_seconds`` of a line where it has it, else the sum of its keys
that end in ``_seconds``. A resumed run's ``provenance.json`` counts its last process alone, so the larger of the two is
taken. A run in progress is extrapolated from its own steps: what is left takes the 10th to the 90th percentile of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from real.planning.costs import Range
from real.records.provenance import RECORD
from real.system.files import read_json, read_json_lines, read_table

Kind = Literal["estimated", "extrapolated", "measured"]
PERCENTILES = (10, 90)


@dataclass(frozen=True)
class Amount:
    """A range and how it is known."""

    range: Range
    kind: Kind


@dataclass(frozen=True)
class Taken:
    """What a job took, or will have taken when its remaining steps are done.

    Attributes:
        seconds: wall.
        tokens: of the rollouts trained on (not of those that dynamic sampling replaced), or of the evaluation.
        bytes: on disk now.
        steps_done: of a run in progress; None of a finished job.
    """

    seconds: Amount | None
    tokens: Amount | None
    bytes: int
    steps_done: int | None


def base_taken(folder: Path) -> Taken | None:
    """The job of the base model in ``folder``; None where there is none yet."""
    if not (folder / RECORD).exists():
        return None
    return Taken(_exactly(wall_seconds(folder)), None, folder_bytes(folder), None)


def run_taken(results: Path, method: str, seed: int, steps: int, rollouts: int) -> Taken | None:
    """One run: measured where it is finished, extrapolated where it has done some of its ``steps``, else None.

    Args:
        rollouts: G, per prompt.
    """
    part = Path(method) / f"seed{seed}"
    output, work = results / "runs" / part, results / "work" / part
    if (output / RECORD).exists():
        metrics, timings = (read_json_lines(output / f"{name}.jsonl") for name in ("metrics", "timings"))
        seconds = max(wall_seconds(output), sum(map(step_seconds, timings)))
        return Taken(_exactly(seconds), _exactly(sum(_step_tokens(metrics, rollouts))), folder_bytes(output), None)
    timings = _lines(work / "timings.jsonl")
    if not timings:
        return None
    tokens = _step_tokens(_lines(work / "metrics.jsonl"), rollouts)
    return Taken(
        _extrapolated([step_seconds(line) for line in timings], steps),
        _extrapolated(tokens, steps) if tokens else None,
        folder_bytes(work),
        int(timings[-1]["step"]),
    )


def evaluation_taken(results: Path, part: Path, benchmarks: Sequence[str]) -> Taken | None:
    """One evaluation: its tokens from its parquet files, its seconds from Snakemake's benchmark file.

    Args:
        part: ``base``, or method/seed<k>.
    """
    folder = results / "evaluations" / part
    files = [folder / f"{benchmark}.parquet" for benchmark in benchmarks]
    if not all(file.exists() for file in files):
        return None
    tokens = sum(read_table(file, columns=["tokens"])["tokens"].sum() for file in files)
    timed = _lines((results / "benchmarks" / "evaluate" / part).with_name(f"{part.name}.jsonl"))
    seconds = _exactly(float(timed[-1]["s"])) if timed else None
    return Taken(seconds, _exactly(float(tokens)), folder_bytes(folder), None)


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder, links followed; 0 where there is no folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _exactly(value: float) -> Amount:
    return Amount(Range(value, value), "measured")


def _extrapolated(of_steps: list[float], steps: int) -> Amount:
    left = max(0, steps - len(of_steps))
    low, high = np.percentile(of_steps, PERCENTILES)
    return Amount(Range(left * float(low), left * float(high)) + Range(sum(of_steps), sum(of_steps)), "extrapolated")


def step_seconds(line: dict[str, Any]) -> float:
    """Seconds of one line of ``timings.jsonl``."""
    if "step_seconds" in line:
        return line["step_seconds"]
    return sum(value for key, value in line.items() if key.endswith("_seconds"))


def _step_tokens(metrics: list[dict[str, Any]], rollouts: int) -> list[float]:
    """Tokens of the steps that were trained on; line 0 holds the validation of the base model alone."""
    return [
        line["response_length_mean"] * line["prompts"] * rollouts
        for line in metrics
        if line["response_length_mean"] is not None
    ]


def wall_seconds(folder: Path) -> float:
    """Of a finished job's last process, by the record in its folder."""
    return float(read_json(folder / RECORD, keys=["wall_seconds"])["wall_seconds"])


def _lines(path: Path) -> list[dict[str, Any]]:
    """Lines of a JSON file; none where it is missing. A last line that is still being written is left out."""
    if not path.exists():
        return []
    return read_json_lines(path, unfinished=True)
