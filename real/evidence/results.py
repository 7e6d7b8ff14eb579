"""Reading what the rules of a trained scale wrote: per-problem rates and training curves (docs/metrics.md).

A reader takes all the methods that its caller shows, and checks once that their results are there and belong together.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from real.config import Experiment, digest
from real.engines.run_files import METRICS
from real.records.consistent import EVALUATIONS, RUNS, require_one_origin
from real.records.jobs import BASE, Job, evaluation_job, run_job
from real.statistics.intervals import pass_at_k
from real.system.errors import ExpectedError
from real.system.files import DamagedError, read_json, read_json_lines, read_once, read_table
from real.system.sentences import shown

# of metrics.jsonl: what a measured value can be; shaped rewards and scores have no bound of their own
FRACTION, COUNT = (0, 1), (0, math.inf)
RANGES = {
    **dict.fromkeys(("val_pass_at_1", "clipped_fraction"), FRACTION),
    **dict.fromkeys(("solve_all", "solve_none", "prompts", "response_length_mean", "grad_norm", "entropy"), COUNT),
    **dict.fromkeys(("learning_rate", "score_abs_max"), COUNT),
}
EVALUATE_ANEW = "delete the folder of the evaluation and run snakemake again, which evaluates anew"
Rates = dict[str, dict[str, NDArray[np.float64]]]  # by method and benchmark: (S, P)


class ResultsError(ExpectedError):
    """Results that don't belong together; the message is one sentence with the remedy."""


def problem_rates(experiment: Experiment, methods: Sequence[str]) -> Rates:
    """pass@1 of every problem; as :func:`rates_by_k`."""
    ((_, rates),) = rates_by_k(experiment, methods, (1,))
    return rates


def rates_by_k(experiment: Experiment, methods: Sequence[str], ks: Sequence[int]) -> Iterator[tuple[int, Rates]]:
    """Each k with pass@k of every problem: (S, P) by method and benchmark, the same problems in the same order.

    Args:
        methods: of the scale, or ``"base"``, whose S is 1.

    Raises:
        FileNotFoundError: an evaluation is missing, with what to run.
        OriginError: results of different origin; DamagedError: a file is cut off or altered.
        ResultsError: two files of a benchmark hold other problems, or one holds fewer than k samples of a problem.
    """
    scale = experiment.trained
    seeds = {method: [None] if method == BASE else scale.seeds for method in methods}
    benchmarks = scale.evaluated_on
    jobs = {method: [evaluation_job(benchmarks, method, seed) for seed in those] for method, those in seeds.items()}
    _require_finished(experiment, [job for those in jobs.values() for job in those], EVALUATIONS)
    files = {
        (method, benchmark): [Path(experiment.results, job.name, f"{benchmark}.parquet") for job in those]
        for benchmark in benchmarks
        for method, those in jobs.items()
    }
    graded: dict[Path, _Counts] = {}
    for benchmark in benchmarks:
        graded |= _graded(benchmark, [path for method in jobs for path in files[method, benchmark]])
    # one k after the other, because the rates of a single one take as much memory as all counts
    for k in ks:
        rates: Rates = {method: {} for method in jobs}
        for (method, benchmark), paths in files.items():
            rates[method][benchmark] = np.stack([_rates(path, graded[path], k) for path in paths])
        yield k, rates


def run_metrics(experiment: Experiment, methods: Sequence[str]) -> dict[tuple[str, int], pd.DataFrame]:
    """metrics.jsonl of every run by method and seed, as a frame of floats, NaN where nothing was measured.

    Raises:
        FileNotFoundError: a run is missing or unfinished, with what to run.
        OriginError: results of different origin.
        DamagedError: a line is damaged, lacks a key, or lines are missing.
    """
    jobs = {(method, seed): run_job(method, seed) for method, seed in experiment.runs if method in methods}
    _require_finished(experiment, jobs.values(), RUNS)
    return {
        run: _metrics(existing(Path(experiment.results, job.name, "metrics.jsonl")), experiment.training[run[0]].steps)
        for run, job in jobs.items()
    }


def curve(experiment: Experiment, method: str, metric: str) -> pd.DataFrame:
    """One metric of every run of a method: rows are measured steps, columns seeds."""
    runs = run_metrics(experiment, [method])
    curves = {f"seed{seed}": frame.set_index("step")[metric] for (_, seed), frame in runs.items()}
    return pd.DataFrame(curves).dropna(how="all")


def existing(path: Path) -> Path:
    """A file that a rule of the scale makes.

    Raises:
        FileNotFoundError: no such file, with what to run.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; run snakemake with this scale first")
    return path


def _require_finished(experiment: Experiment, jobs: Collection[Job], kinds: Collection[str]) -> None:
    """Refuse jobs that are not finished, then a mixture of results."""
    for job in jobs:
        existing(Path(experiment.results, job.record))
    require_one_origin(experiment, kinds)


@dataclass(frozen=True)
class _Counts:
    """What a file of an evaluation counts: samples of each of its problems (P,), and those of them that are correct.

    Attributes:
        order: digest of the problems' ids in their order, which would be larger by far than the counts.
    """

    order: str
    correct: NDArray[np.int32]
    samples: NDArray[np.int32]


def _graded(benchmark: str, paths: Sequence[Path]) -> dict[Path, _Counts]:
    """What each of one benchmark's files counts, of the same problems in the same order."""
    graded = {}
    for path in paths:
        graded[path] = counts = _counts(existing(path), benchmark)
        _require_counted(path, benchmark, counts)
        if counts.order != graded[paths[0]].order:
            raise ResultsError(
                f"{path}: holds other problems than {paths[0]}; delete the older of the two and run snakemake again"
            )
    return graded


@read_once
def _counts(path: Path, benchmark: str) -> _Counts:
    """Count a file's samples; rows of another benchmark are refused."""
    rows = read_table(path, columns=["problem_id", "correct"])
    if rows["correct"].dtype != bool:
        raise DamagedError(f"{path}: its column correct holds something else than true and false; {EVALUATE_ANEW}")
    place, problems = pd.factorize(rows["problem_id"], use_na_sentinel=False)
    for strange in (name for name in problems if not str(name).startswith(f"{benchmark}-")):
        raise ResultsError(f"{path}: holds {shown(strange)}, which is no problem of {benchmark}; {EVALUATE_ANEW}")
    correct, samples = (
        np.bincount(part, minlength=len(problems)) for part in (place[rows["correct"].to_numpy()], place)
    )
    return _Counts(digest(list(problems)), correct.astype(np.int32), samples.astype(np.int32))


def _require_counted(path: Path, benchmark: str, counts: _Counts) -> None:
    """Refuse rows that evaluation.json beside them didn't count."""
    about = path.with_name("evaluation.json")
    counted = _summaries(existing(about))
    known = counted.get(benchmark) if isinstance(counted, dict) else None
    correct, samples = int(counts.correct.sum()), int(counts.samples.sum())
    found = {
        "problems": len(counts.samples),
        "samples": samples,
        "pass_at_1": correct / samples if samples else math.nan,
    }
    if not isinstance(known, dict) or any(known.get(key) != value for key, value in found.items()):
        raise ResultsError(f"{path}: doesn't hold the problems and samples that {about.name} counted; {EVALUATE_ANEW}")


@read_once
def _summaries(about: Path) -> Any:
    """What evaluation.json says of each benchmark."""
    return read_json(about, EVALUATE_ANEW, keys=("benchmarks",))["benchmarks"]


def _rates(path: Path, counts: _Counts, k: int) -> NDArray[np.float64]:
    try:
        return pass_at_k(counts.correct, counts.samples, k)
    except ValueError as error:
        raise ResultsError(f"{path}: {error}") from None


@read_once
def _metrics(path: Path, steps: int) -> pd.DataFrame:
    remedy = "delete the run's folder and run snakemake again, which trains it anew"
    lines = read_json_lines(path, remedy, keys=METRICS)
    for number, line in enumerate(lines):
        if line["step"] != number:
            raise DamagedError(f"{path}: line {number + 1} holds step {line['step']} instead of {number}; {remedy}")
    if len(lines) != steps + 1:
        raise DamagedError(f"{path}: ends with step {len(lines) - 1} of {steps}; {remedy}")
    for number, line in enumerate(lines, 1):
        if wrong := _out_of_range(line):
            raise DamagedError(f"{path}: line {number}: {wrong}; {remedy}")
    return pd.DataFrame(lines, columns=METRICS).astype(float)


def _out_of_range(line: Mapping[str, Any]) -> str:
    """What a line of metrics.jsonl says that no training can have measured; empty of any other."""
    for key in METRICS:
        value = line[key]
        if value is None:
            continue
        if type(value) not in (int, float):
            return f"{key} is {shown(value)}, which is no number"
        low, high = RANGES.get(key, (-math.inf, math.inf))
        if not (low <= value <= high and math.isfinite(value)):
            return f"{key} is {value}, which nothing measured can be"
    return ""
