"""Reading what the rules of a trained scale wrote: per-problem rates and training curves (docs/metrics.md)."""

from pathlib import Path

import pandas as pd

from real.config import Experiment
from real.errors import ExpectedError
from real.files import read_json_lines, read_table
from real.statistics import pass_at_k

BASE = "base"


class ResultsError(ExpectedError):
    """Results that don't belong together; the message is one sentence with the remedy."""


def problem_rates(experiment: Experiment, method: str, k: int = 1) -> dict[str, pd.DataFrame]:
    """pass@k of every problem by benchmark: (P rows named by problem_id, S columns named by seed).

    Args:
        method: a method of the scale, or ``"base"``, whose one column is the base model.

    Raises:
        FileNotFoundError: an evaluation is missing, with what to run.
        ResultsError: two seeds' files hold other problems, or fewer than k samples of one.
    """
    scale = experiment.trained
    folder = Path(experiment.results) / "evaluations" / method
    seeds: dict[str, Path] = (
        {BASE: folder} if method == BASE else {f"seed{seed}": folder / f"seed{seed}" for seed in scale.seeds}
    )
    rates = {}
    for benchmark in scale.evaluation.benchmarks:
        columns = {name: _rates(place / f"{benchmark}.parquet", k) for name, place in seeds.items()}
        first = next(iter(columns.values()))
        for name, column in columns.items():
            if not column.index.equals(first.index):
                raise ResultsError(
                    f"{seeds[name] / benchmark}.parquet: holds other problems than the first seed's file; "
                    "delete the older of the two and run its rule again"
                )
        rates[benchmark] = pd.DataFrame(columns)
    return rates


def run_metrics(experiment: Experiment, method: str, seed: int) -> pd.DataFrame:
    """metrics.jsonl of a run as a frame of floats, NaN where nothing was measured."""
    path = Path(experiment.results) / "runs" / method / f"seed{seed}" / "metrics.jsonl"
    _require(path)
    return pd.DataFrame(read_json_lines(path)).astype(float)


def curve(experiment: Experiment, method: str, metric: str) -> pd.DataFrame:
    """One metric of every run of a method: rows are measured steps, columns seeds."""
    runs = {
        f"seed{seed}": run_metrics(experiment, method, seed).set_index("step")[metric]
        for seed in experiment.trained.seeds
    }
    return pd.DataFrame(runs).dropna(how="all")


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
