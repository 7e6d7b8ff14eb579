"""Intervals of pass@1 over problems and seeds. Every interval says what it covers.

Shapes: S seeds, P problems. A *rate* is the mean correctness of one problem over its samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval.

    Attributes:
        half_width: of the symmetric interval, as the tables print it.
        low, high: its ends, cut to [0, 1].
        covers: what would vary in a repetition: ``"problems only"`` or ``"problems and seeds"``.
    """

    value: float
    half_width: float
    low: float
    high: float
    covers: str


def pass_at_1(rates_SP: Sequence[NDArray[np.float64]]) -> Interval:
    """Mean over benchmarks of pass@1, with an interval over problems and, from two seeds on, over seeds.

    The problem part is the standard error over problems of the seed-averaged rates (normal quantile); the seed part
    that of the seeds' means (Student's t with S − 1 degrees of freedom). They add in quadrature; the interaction of
    seeds and problems enters both, so the interval is on the wide side.

    Args:
        rates_SP: one (S, P) array of rates per benchmark; a list of one gives a single benchmark's interval.

    Raises:
        ValueError: no benchmark, or arrays with different numbers of seeds.
    """
    if not rates_SP or len({len(rates) for rates in rates_SP}) != 1:
        raise ValueError("rates_SP: expected at least one (S, P) array, all with the same number of seeds S")
    seeds = len(rates_SP[0])
    value = float(np.mean([rates.mean() for rates in rates_SP]))
    problem_errors = [_standard_error(rates.mean(axis=0)) for rates in rates_SP]
    problem_part = stats.norm.ppf((1 + CONFIDENCE) / 2) * float(np.linalg.norm(problem_errors)) / len(rates_SP)
    seed_part = 0.0
    if seeds > 1:
        seed_means = np.mean([rates.mean(axis=1) for rates in rates_SP], axis=0)
        seed_part = mean_half_width(seed_means)
    half = float(np.hypot(problem_part, seed_part))
    covers = "problems and seeds" if seeds > 1 else "problems only"
    return Interval(value, half, max(0.0, value - half), min(1.0, value + half), covers)


def mean_half_width(values_S: NDArray[np.float64]) -> float:
    """Half-width of the 95 % Student's t interval of the mean of S ≥ 2 values."""
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values_S) - 1)) * _standard_error(values_S)


def _standard_error(values: NDArray[np.float64]) -> float:
    """Standard error of the mean; 0 for a single value, which tells nothing of its spread."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
