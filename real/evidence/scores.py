"""Scores of methods on benchmarks as rows, and as the cells that a reader sees."""

from typing import Any

import numpy as np
import pandas as pd

from real.config import Experiment
from real.config.labels import BASE_LABEL
from real.evidence.printed import MEAN, benchmark_label
from real.records.jobs import BASE
from real.statistics.intervals import Interval

OWN_PROBLEMS = "the base model's cover problems only"
NONE = "–"


def score_row(
    experiment: Experiment, method: str, benchmark: str, interval: Interval, rates: list[np.ndarray]
) -> dict[str, Any]:
    """A value of a method on a benchmark (or on their mean), with its interval and what that covers."""
    return {
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


def with_mean(rates: dict[str, np.ndarray]) -> list[tuple[str, list[np.ndarray]]]:
    """Every benchmark by itself, then all of them as ``mean``."""
    return [*((name, [part]) for name, part in rates.items()), (MEAN, list(rates.values()))]


def label_of(experiment: Experiment, method: str) -> str:
    """Name of a method, or of the base model, in tables."""
    return BASE_LABEL if method == BASE else experiment.methods[method].label


def score_note(experiment: Experiment, scores: pd.DataFrame, what: str, base: str = OWN_PROBLEMS) -> str:
    """The sentences under a table: what a cell is, what was sampled, what the intervals cover.

    Args:
        what: a cell is; base: what is to be said of the base model's intervals.
    """
    scale = experiment.trained
    return (
        f"{what}; {scale.evaluation.samples} samples per problem, {scores['problems'].max()} problems in all, "
        f"temperature {scale.evaluation.temperature}, top-p {scale.evaluation.top_p}, "
        f"seeds {', '.join(map(str, scale.seeds))}. Intervals cover {scores['covers'].iloc[-1]}; {base}."
    )


def printed_table(scores: pd.DataFrame, form: str) -> pd.DataFrame:
    """The table a reader sees: rows in the order given, one column per benchmark.

    Args:
        scores: columns name (of the row), benchmark, value and, where there are intervals, low and high.
        form: how a number is printed, as of :func:`format`.
    """
    names, columns = list(dict.fromkeys(scores["name"])), list(dict.fromkeys(scores["benchmark"]))
    cells = scores.assign(cell=[_cell(row, form) for row in scores.itertuples()])
    table = cells.pivot(index="name", columns="benchmark", values="cell").loc[names, columns].fillna(NONE)
    table.columns = [benchmark_label(name) for name in table.columns]
    return table.rename_axis(index="method", columns=None).reset_index()


def _cell(row: Any, form: str) -> str:
    """A value, with its interval where it has one."""
    if pd.isna(row.value):
        return NONE
    if "low" not in row._fields:
        return f"{row.value:{form}}"
    return f"{row.value:{form}} [{row.low:{form}}, {row.high:{form}}]"
