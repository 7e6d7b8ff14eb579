"""pass@k, intervals over problems and seeds, paired differences, verdicts. Every interval says what it covers.

Shapes: S seeds, P problems. A *rate* is the mean correctness of one problem over its samples (or its pass@k). Several
benchmarks are a list of (S, P) arrays, one each; their mean weighs benchmarks equally. What the intervals cover in
simulation is printed in docs/statistics.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

CONFIDENCE = 0.95
RESAMPLES = 9_999
# from this many seeds on the seed part takes the normal quantile instead of Student's t
MANY_SEEDS = 10

Rates = Sequence[NDArray[np.float64]]


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval.

    Attributes:
        low, high: its ends; infinite where nothing is known of the spread.
        covers: what would vary in a repetition, for example ``"problems only"`` or ``"problems and seeds"``.
    """

    value: float
    low: float
    high: float
    covers: str


def pass_at_k(correct: NDArray[np.integer], samples: NDArray[np.integer] | int, k: int) -> NDArray[np.float64]:
    """Unbiased estimate of the probability that at least one of k samples is correct: 1 − C(n−c, k) / C(n, k).

    Args:
        correct: (P,) correct samples c of each problem; samples: n of each problem, or one number for all.

    Raises:
        ValueError: k outside 1 to the smallest n, or a count c outside 0 to n.

    Source: Chen et al., arXiv 2107.03374, Eq. 1.
    """
    counts, drawn = np.broadcast_arrays(np.asarray(correct), np.asarray(samples))
    if not 1 <= k <= drawn.min():
        raise ValueError(f"k: pass@{k} needs 1 <= k <= {drawn.min()}, the samples drawn per problem")
    if (counts < 0).any() or (counts > drawn).any():
        raise ValueError("correct: expected counts from 0 to the number of samples")
    return 1.0 - special.comb(drawn - counts, k) / special.comb(drawn, k)


def pass_at_1(rates_SP: Rates) -> Interval:
    """Mean over benchmarks of the rates, with an interval over problems and, from two seeds on, over seeds.

    Args:
        rates_SP: one (S, P) array of rates per benchmark; a list of one gives a single benchmark's interval.

    Raises:
        ValueError: see :func:`mean_interval`.
    """
    return _cut(mean_interval(rates_SP), 0.0)


def paired_difference(rates_a: Rates, rates_b: Rates) -> Interval:
    """Mean of a − b over benchmarks, paired by problem and by seed.

    Args:
        rates_a, rates_b: (S, P) arrays of the same benchmarks and problems in the same order. One of the two may have
            S = 1 where the other has more: a fixed checkpoint (the base model), subtracted from every seed.

    Raises:
        ValueError: other benchmarks, problems or seeds.
    """
    if len(rates_a) != len(rates_b):
        raise ValueError(f"rates_b: expected {len(rates_a)} benchmarks as in rates_a, got {len(rates_b)}")
    for a, b in zip(rates_a, rates_b, strict=True):
        if a.shape[1] != b.shape[1] or (len(a) != len(b) and 1 not in (len(a), len(b))):
            raise ValueError(f"rates_b: {b.shape} (seeds, problems) can't be paired with {a.shape} of rates_a")
    return _cut(mean_interval([a - b for a, b in zip(rates_a, rates_b, strict=True)]), -1.0)


def mean_interval(values_SP: Rates) -> Interval:
    """Mean over benchmarks of per-problem values, with an interval over problems and, from two seeds on, over seeds.

    The problem part is the percentile bootstrap of the seed-averaged values, problems resampled within each
    benchmark. The seed part is :func:`mean_half_width` of the seeds' means. The distances from the mean to the ends
    add in quadrature (the MOVER rule of Zou and Donner, 2008). The interaction of seeds and problems enters both
    parts, so the interval is on the wide side.

    Raises:
        ValueError: no benchmark, or arrays with different numbers of seeds.
    """
    if not values_SP or len({len(values) for values in values_SP}) != 1:
        raise ValueError("rates_SP: expected at least one (S, P) array, all with the same number of seeds S")
    seeds = len(values_SP[0])
    value = float(np.mean([values.mean() for values in values_SP]))
    low, high = _bootstrap_over_problems([values.mean(axis=0) for values in values_SP])
    if seeds == 1:
        return Interval(value, low, high, "problems only")
    seed_part = mean_half_width(np.mean([values.mean(axis=1) for values in values_SP], axis=0), MANY_SEEDS)
    below, above = float(np.hypot(value - low, seed_part)), float(np.hypot(high - value, seed_part))
    return Interval(value, value - below, value + above, "problems and seeds")


def seed_mean(values_S: NDArray[np.float64], positive: bool = False) -> Interval:
    """Mean over seeds of one number per run (a point of a curve) with Student's t interval; one seed has none.

    Args:
        positive: ratios: the geometric mean, with the interval on the logarithm.

    Raises:
        ValueError: no value, or a value that is not positive where ``positive``.
    """
    if len(values_S) == 0 or (positive and (values_S <= 0).any()):
        raise ValueError("values_S: expected at least one value, all positive where a ratio is meant")
    if len(values_S) == 1:
        return Interval(float(values_S[0]), -np.inf, np.inf, "nothing: one seed")
    scale = np.log(values_S) if positive else values_S
    mean, half = float(scale.mean()), mean_half_width(scale)
    ends = np.array([mean, mean - half, mean + half])
    value, low, high = np.exp(ends) if positive else ends
    return Interval(float(value), float(low), float(high), "seeds only")


def verdict(interval: Interval, above: float = -np.inf, below: float = np.inf) -> str:
    """``reproduced`` if the interval lies inside the open region (above, below), ``contradicted`` if wholly outside.

    Else, and where it only touches the edge, ``unresolved``: equal values contradict no "greater than".
    """
    if interval.low > above and interval.high < below:
        return "reproduced"
    if interval.high < above or interval.low > below:
        return "contradicted"
    return "unresolved"


def mean_half_width(values_S: NDArray[np.float64], many: float = np.inf) -> float:
    """Half-width of the 95 % interval of the mean of S ≥ 2 values: Student's t, normal from ``many`` values on."""
    count, upper = len(values_S), (1 + CONFIDENCE) / 2
    quantile = special.stdtrit(count - 1, upper) if count < many else special.ndtri(upper)
    return float(quantile * values_S.std(ddof=1) / np.sqrt(count))


def _cut(interval: Interval, lowest: float) -> Interval:
    """The interval without what no rate (lowest 0) and no difference of rates (lowest −1) can be."""
    return Interval(interval.value, max(lowest, interval.low), min(1.0, interval.high), interval.covers)


def _bootstrap_over_problems(values_P: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """Ends of the percentile interval of the mean of benchmark means, each benchmark's problems resampled by itself."""
    # a benchmark of one problem tells nothing of its spread: it stays as it is
    samples = [np.repeat(values, 2) if len(values) == 1 else values for values in values_P]
    # imported here, as in power.py: it takes half a second, and most intervals need none of it
    from scipy import stats

    result = stats.bootstrap(
        samples,
        _mean_of_means,
        n_resamples=RESAMPLES,
        batch=50,  # small enough for the cache, several times as fast as all at once
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def _mean_of_means(*samples: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    return np.mean([sample.mean(axis=axis) for sample in samples], axis=0)
