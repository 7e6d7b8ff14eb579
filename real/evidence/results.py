"""Reading what the rules of a trained scale wrote: per-problem rates and training curves (docs/metrics.md).

A reader takes all the methods that its caller shows, and checks once that their results are there and belong together.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from real.config import Experiment
from real.engines.run_files import METRICS
from real.records.consistent import EVALUATIONS, RUNS, require_one_origin
from real.records.jobs import BASE, Job, evaluation_job, run_job
from real.statistics.intervals import pass_at_k
from real.system.errors import ExpectedError
from real.system.files import DamagedError, read_json_lines, read_table

Rates = dict[str, dict[str, NDArray[np.float64]]]  # by method and benchmark: (S, P)


class ResultsError(ExpectedError):
    """Results that don't belong together; the message is one sentence with the remedy."""


def problem_rates(experiment: Experiment, methods: Sequence[str]) -> Rates:
    """pass@1 of every problem; as :func:`rates_by_k`."""
    return rates_by_k(experiment, methods, (1,))[1]


def rates_by_k(experiment: Experiment, methods: Sequence[str], ks: Sequence[int]) -> dict[int, Rates]:
    """pass@k of every problem for each k: (S, P) by method and benchmark, the same problems in the same order.

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
    rates: dict[int, Rates] = {k: {method: {} for method in jobs} for k in ks}
    for benchmark in benchmarks:
        paths = {
            method: [Path(experiment.results, job.name, f"{benchmark}.parquet") for job in those]
            for method, those in jobs.items()
        }
        graded = _graded([path for those in paths.values() for path in those])
        for k in ks:
            for method, those in paths.items():
                rates[k][method][benchmark] = np.stack([_rates(path, graded[path], k) for path in those])
    return rates


def run_metrics(experiment: Experiment, methods: Sequence[str]) -> dict[tuple[str, int], pd.DataFrame]:
    """metrics.jsonl of every run by method and seed, as a frame of floats, NaN where nothing was measured.

    Raises:
        FileNotFoundError: a run is missing or unfinished, with what to run.
        OriginError: results of different origin.
        DamagedError: a line is damaged, lacks a key, or lines are missing.
    """
    jobs = {(method, seed): run_job(method, seed) for method in methods for seed in experiment.trained.seeds}
    _require_finished(experiment, jobs.values(), RUNS)
    return {
        run: _metrics(Path(experiment.results, job.name, "metrics.jsonl"), experiment.training[run[0]].steps)
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
        existing(Path(experiment.results, str(job.record)))
    require_one_origin(experiment, kinds)


def _graded(paths: Sequence[Path]) -> dict[Path, pd.DataFrame]:
    """How many samples of each problem there are (``size``) and are correct (``sum``), of one benchmark's files."""
    graded = {}
    for path in paths:
        rows = read_table(existing(path), columns=["problem_id", "correct"])
        graded[path] = rows.groupby("problem_id", sort=False)["correct"].agg(["sum", "size"])
        if not graded[path].index.equals(graded[paths[0]].index):
            raise ResultsError(
                f"{path}: holds other problems than {paths[0]}; delete the older of the two and run snakemake again"
            )
    return graded


def _rates(path: Path, graded: pd.DataFrame, k: int) -> NDArray[np.float64]:
    try:
        return pass_at_k(graded["sum"].to_numpy(int), graded["size"].to_numpy(int), k)
    except ValueError as error:
        raise ResultsError(f"{path}: {error}") from None


def _metrics(path: Path, steps: int) -> pd.DataFrame:
    remedy = "delete the run's folder and run snakemake again, which trains it anew"
    lines = read_json_lines(existing(path), remedy, keys=METRICS)
    for number, line in enumerate(lines):
        if line["step"] != number:
            raise DamagedError(f"{path}: line {number + 1} holds step {line['step']} instead of {number}; {remedy}")
    if len(lines) != steps + 1:
        raise DamagedError(f"{path}: ends with step {len(lines) - 1} of {steps}; {remedy}")
    try:
        return pd.DataFrame(lines, columns=METRICS).astype(float)
    except (TypeError, ValueError) as error:
        raise DamagedError(f"{path}: holds something else than numbers ({error}); {remedy}") from None
