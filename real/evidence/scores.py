"""Scores of methods on benchmarks as rows, and as the cells that a reader sees."""

from typing import Any

import numpy as np
import pandas as pd

from real.config import Experiment
from real.evidence.printed import MEAN, benchmark_label
from real.records.jobs import BASE
from real.statistics.intervals import Interval

BASE_LABEL = "Base model"


def score_row(
    experiment: Experiment, method: str, benchmark: str, interval: Interval, rates: list[np.ndarray]
) -> dict[str, Any]:
    """A value of a method on a benchmark (or on their mean), with its interval and what that covers."""
    return {
        "backbone": experiment.scale.evidence,
        "group": "models" if method == BASE else "methods",
        "method": method,
        "label": label_of(experiment, method),
        "benchmark": benchmark,
        "value": interval.value,
        "low": interval.low,
        "high": interval.high,
        "seeds": len(rates[0]),
        "problems": sum(part.shape[1] for part in rates),
        "samples": experiment.trained.evaluation.samples,
        "covers": interval.covers,
    }


def arrays(rates: dict[str, pd.DataFrame]) -> dict[str, np.ndarray]:
    """(S, P) per benchmark."""
    return {benchmark: frame.to_numpy().T for benchmark, frame in rates.items()}


def with_mean(rates: dict[str, np.ndarray]) -> list[tuple[str, list[np.ndarray]]]:
    """Every benchmark by itself, then all of them as ``mean``."""
    return [*((name, [part]) for name, part in rates.items()), (MEAN, list(rates.values()))]


def label_of(experiment: Experiment, method: str) -> str:
    """Name of a method, or of the base model, in tables."""
    return BASE_LABEL if method == BASE else experiment.methods[method].label


def sampling(experiment: Experiment, scores: pd.DataFrame) -> str:
    """What was sampled, for the sentence under a table."""
    scale = experiment.trained
    return (
        f"{scale.evaluation.samples} samples per problem, {scores['problems'].max()} problems in all, "
        f"temperature {scale.evaluation.temperature}, top-p {scale.evaluation.top_p}, "
        f"seeds {', '.join(map(str, scale.seeds))}"
    )


def printed_table(scores: pd.DataFrame) -> pd.DataFrame:
    """The table a reader sees: rows in the order given, one column per benchmark."""
    names, columns = list(dict.fromkeys(scores["name"])), list(dict.fromkeys(scores["benchmark"]))
    table = scores.pivot(index="name", columns="benchmark", values="cell").loc[names, columns]
    table.columns = [benchmark_label(name) for name in table.columns]
    return table.rename_axis(index="method", columns=None).reset_index()


def cell(row: Any, form: str) -> str:
    """A value, with its interval where it has one."""
    if pd.isna(row.value):
        return "–"
    if "low" not in row._fields:
        return f"{row.value:{form}}"
    return f"{row.value:{form}} [{row.low:{form}}, {row.high:{form}}]"
