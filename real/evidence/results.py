"""Reading what the rules of a trained scale wrote: per-problem rates and training curves (docs/metrics.md).

A reader takes all the methods that its caller shows, and checks once that their results are there and belong together.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from real.config import Experiment
from real.engines.run_files import METRICS
from real.records.consistent import EVALUATIONS, RUNS, require_one_origin
from real.records.jobs import BASE, Job, evaluation_job, run_job
from real.statistics.intervals import pass_at_k
from real.system.errors import ExpectedError
from real.system.files import DamagedError, read_json, read_json_lines, read_table
from real.system.sentences import shown

# of metrics.jsonl: what a measured value can be; shaped rewards and scores have no bound of their own
FRACTION, COUNT = (0, 1), (0, math.inf)
RANGES = {
    **dict.fromkeys(("val_pass_at_1", "clipped_fraction"), FRACTION),
    **dict.fromkeys(("solve_all", "solve_none", "prompts", "response_length_mean", "grad_norm", "entropy"), COUNT),
    **dict.fromkeys(("learning_rate", "score_abs_max"), COUNT),
}
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
        graded = _graded(benchmark, [path for those in paths.values() for path in those])
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
        existing(Path(experiment.results, job.record))
    require_one_origin(experiment, kinds)


def _graded(benchmark: str, paths: Sequence[Path]) -> dict[Path, pd.DataFrame]:
    """How many samples of each problem there are (``size``) and are correct (``sum``), of one benchmark's files."""
    graded = {}
    for path in paths:
        rows = read_table(existing(path), columns=["problem_id", "correct"])
        _require_own(path, benchmark, rows)
        graded[path] = rows.groupby("problem_id", sort=False)["correct"].agg(["sum", "size"])
        if not graded[path].index.equals(graded[paths[0]].index):
            raise ResultsError(
                f"{path}: holds other problems than {paths[0]}; delete the older of the two and run snakemake again"
            )
    return graded


def _require_own(path: Path, benchmark: str, rows: pd.DataFrame) -> None:
    """Refuse rows of another benchmark, and those that evaluation.json beside them didn't count."""
    remedy = "delete the folder of the evaluation and run snakemake again, which evaluates anew"
    if rows["correct"].dtype != bool:
        raise DamagedError(f"{path}: its column correct holds something else than true and false; {remedy}")
    strange = rows.loc[~rows["problem_id"].astype(str).str.startswith(f"{benchmark}-"), "problem_id"]
    if len(strange):
        raise ResultsError(f"{path}: holds {shown(strange.iloc[0])}, which is no problem of {benchmark}; {remedy}")
    about = path.with_name("evaluation.json")
    counted = read_json(existing(about), remedy, keys=("benchmarks",))["benchmarks"]
    known = counted.get(benchmark) if isinstance(counted, dict) else None
    found = {"problems": rows["problem_id"].nunique(), "samples": len(rows), "pass_at_1": rows["correct"].mean()}
    if not isinstance(known, dict) or any(known.get(key) != value for key, value in found.items()):
        raise ResultsError(f"{path}: doesn't hold the problems and samples that {about.name} counted; {remedy}")


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
