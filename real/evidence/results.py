"""Reading what the rules of a trained scale wrote: per-problem rates and training curves (docs/metrics.md)."""

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from real.config import Experiment, resolve
from real.engines.run_files import METRICS
from real.records.consistent import EVALUATIONS, RUNS, require_one_origin
from real.records.jobs import BASE, Job, evaluation_job, run_job
from real.statistics.intervals import pass_at_k
from real.system.errors import ExpectedError
from real.system.files import DamagedError, read_json_lines, read_table


class ResultsError(ExpectedError):
    """Results that don't belong together; the message is one sentence with the remedy."""


def problem_rates(experiment: Experiment, method: str, k: int = 1) -> dict[str, pd.DataFrame]:
    """pass@k of every problem by benchmark: (P rows named by problem_id, S columns named by seed).

    Args:
        method: a method of the scale, or ``"base"``, whose one column is the base model.

    Raises:
        FileNotFoundError: an evaluation is missing, with what to run.
        OriginError: results of different origin; DamagedError: a file is cut off or altered.
        ResultsError: two seeds' files hold other problems, or fewer than k samples of one.
    """
    scale = experiment.trained
    seeds = {BASE: None} if method == BASE else {f"seed{seed}": seed for seed in scale.seeds}
    jobs = {name: evaluation_job(scale.evaluated_on, method, seed) for name, seed in seeds.items()}
    _require_finished(experiment, jobs.values(), EVALUATIONS)
    places = {name: Path(experiment.results) / job.name for name, job in jobs.items()}
    rates = {}
    for benchmark in scale.evaluation.benchmarks:
        columns = {name: _rates(place / f"{benchmark}.parquet", k) for name, place in places.items()}
        first = next(iter(columns.values()))
        for name, column in columns.items():
            if not column.index.equals(first.index):
                raise ResultsError(
                    f"{places[name] / benchmark}.parquet: holds other problems than the first seed's file; "
                    "delete the older of the two and run its rule again"
                )
        rates[benchmark] = pd.DataFrame(columns)
    return rates


def run_metrics(experiment: Experiment, method: str, seed: int) -> pd.DataFrame:
    """metrics.jsonl of a run as a frame of floats, NaN where nothing was measured.

    Raises:
        FileNotFoundError: the run is missing or unfinished, with what to run.
        OriginError: results of different origin.
        DamagedError: a line is damaged, lacks a key, or lines are missing.
    """
    job = run_job(method, seed)
    _require_finished(experiment, [job], RUNS)
    path = Path(experiment.results) / job.name / "metrics.jsonl"
    _require(path)
    remedy = "delete the run's folder and run snakemake again, which trains it anew"
    lines = read_json_lines(path, remedy, keys=METRICS)
    steps = resolve(experiment, method, seed).training.steps
    for number, line in enumerate(lines):
        if line["step"] != number:
            raise DamagedError(f"{path}: line {number + 1} holds step {line['step']} instead of {number}; {remedy}")
    if len(lines) != steps + 1:
        raise DamagedError(f"{path}: ends with step {len(lines) - 1} of {steps}; {remedy}")
    try:
        return pd.DataFrame(lines, columns=METRICS).astype(float)
    except (TypeError, ValueError) as error:
        raise DamagedError(f"{path}: holds something else than numbers ({error}); {remedy}") from None


def curve(experiment: Experiment, method: str, metric: str) -> pd.DataFrame:
    """One metric of every run of a method: rows are measured steps, columns seeds."""
    runs = {
        f"seed{seed}": run_metrics(experiment, method, seed).set_index("step")[metric]
        for seed in experiment.trained.seeds
    }
    return pd.DataFrame(runs).dropna(how="all")


def _require_finished(experiment: Experiment, jobs: Collection[Job], kinds: Collection[str]) -> None:
    """Refuse jobs that are not finished, then a mixture of results."""
    for job in jobs:
        _require(Path(experiment.results) / str(job.record))
    require_one_origin(experiment, kinds)


def _rates(path: Path, k: int) -> pd.Series:
    _require(path)
    correct = read_table(path, columns=["problem_id", "correct"]).groupby("problem_id", sort=False)["correct"]
    counts, samples = correct.sum(), correct.size()
    try:
        return pd.Series(pass_at_k(counts.to_numpy(int), samples.to_numpy(int), k), counts.index)
    except ValueError as error:
        raise ResultsError(f"{path}: {error}") from None


def _require(path: Path) -> None:
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; run snakemake with this scale first")
