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
# effective number of problems that deviate at which the pseudo-problem weighs half as much as a problem
HALF_WEIGHT = 2.0
# values that differ by less are equal
ROUNDING = 1e-9

# what the intervals of one run cover: they say nothing about another run of the same method
PROBLEMS, NOTHING = "problems only", "nothing: one seed"

Rates = Sequence[NDArray[np.float64]]


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval.

    Attributes:
        low, high: its ends; NaN where nothing is known of the spread.
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
    return mean_interval(rates_SP, 0.0)


def paired_difference(rates_a: Rates, rates_b: Rates, confidence: float = CONFIDENCE) -> Interval:
    """Mean of a − b over benchmarks, paired by problem and by seed.

    Args:
        confidence: that the interval is to cover the difference with.
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
    return mean_interval([a - b for a, b in zip(rates_a, rates_b, strict=True)], -1.0, confidence)


def mean_interval(values_SP: Rates, lowest: float, confidence: float = CONFIDENCE) -> Interval:
    """Mean over benchmarks of per-problem values, with an interval over problems and, from two seeds on, over seeds.

    Args:
        values_SP: values between ``lowest`` and 1; lowest: 0 for rates, −1 for differences of rates.

    Raises:
        ValueError: no benchmark, no seed, no problem, or arrays with different numbers of seeds.
    """
    if not values_SP or len({len(values) for values in values_SP}) != 1 or not all(v.size for v in values_SP):
        raise ValueError("rates_SP: expected at least one (S, P) array, all with the same number of seeds S")
    value = float(np.mean([values.mean() for values in values_SP]))
    low, high = mean_limits(values_SP, lowest, confidence)
    return Interval(value, float(low), float(high), PROBLEMS if len(values_SP[0]) == 1 else "problems and seeds")


def mean_limits(
    values_XSP: Rates, lowest: float, confidence: float = CONFIDENCE
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The (X) lower and upper ends of :func:`mean_interval`, where X stands for any leading axes, as of simulations.

    The problem part is a Bayesian bootstrap of the seed-averaged values with a pseudo-problem at the bound
    (:func:`_upper_limit`). The seed part is :func:`mean_half_width` of the seeds' means. The distances from the mean
    to the ends add in quadrature (the MOVER rule of Zou and Donner, 2008). What seeds and problems vary by together is
    in both parts, and is taken out of the sum once (:func:`_shared_variance`). The interval is cut to what is possible.
    """
    value = np.mean([values.mean(axis=(-2, -1)) for values in values_XSP], axis=0)
    averaged = [values.mean(axis=-2) for values in values_XSP]
    low = -_upper_limit([-values for values in averaged], -lowest, confidence)
    high = _upper_limit(averaged, 1.0, confidence)
    if values_XSP[0].shape[-2] > 1:
        seed_part = mean_half_width(np.mean([values.mean(axis=-1) for values in values_XSP], axis=0), confidence)
        twice = special.ndtri((1 + confidence) / 2) ** 2 * _shared_variance(values_XSP)
        low, high = value - _joined(value - low, seed_part, twice), value + _joined(high - value, seed_part, twice)
    return np.maximum(lowest, low), np.minimum(1.0, high)


def seed_mean(values_S: NDArray[np.float64], positive: bool = False, confidence: float = CONFIDENCE) -> Interval:
    """Mean over seeds of one number per run (a point of a curve) with Student's t interval.

    One seed has none: both ends are NaN.

    Args:
        positive: ratios: the geometric mean, with the interval on the logarithm.

    Raises:
        ValueError: no value, or a value that is not positive where ``positive``.
    """
    if len(values_S) == 0 or (positive and (values_S <= 0).any()):
        raise ValueError("values_S: expected at least one value, all positive where a ratio is meant")
    if len(values_S) == 1:
        return Interval(float(values_S[0]), np.nan, np.nan, NOTHING)
    scale = np.log(values_S) if positive else values_S
    mean, half = float(scale.mean()), float(mean_half_width(scale, confidence))
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


def mean_half_width(values_XS: NDArray[np.float64], confidence: float = CONFIDENCE) -> NDArray[np.float64]:
    """(X) half-widths of Student's t intervals of means of S ≥ 2 values; X stands for any leading axes."""
    count = values_XS.shape[-1]
    quantile = special.stdtrit(count - 1, (1 + confidence) / 2)
    return np.asarray(quantile * values_XS.std(axis=-1, ddof=1) / np.sqrt(count))


def _joined(one: NDArray[np.float64], other: NDArray[np.float64], twice: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances to an end in quadrature, without the square that stands in both; never less than either."""
    return np.sqrt(np.maximum(np.maximum(one, other) ** 2, one**2 + other**2 - twice))


def _shared_variance(values_XSP: Rates) -> NDArray[np.float64]:
    """(X) variance of the mean from what varies with seed and problem together: samples, and rates of single runs.

    It is the residual mean square of a two-way table without replication, divided by the number of its values.
    """
    found = []
    for values in values_XSP:
        seeds, problems = values.shape[-2:]
        over_seeds, over_problems = values.mean(axis=-2, keepdims=True), values.mean(axis=-1, keepdims=True)
        residual = values - over_seeds - over_problems + values.mean(axis=(-2, -1), keepdims=True)
        free = (seeds - 1) * max(problems - 1, 1)
        found.append((residual**2).sum(axis=(-2, -1)) / free / (seeds * problems))
    return np.asarray(np.sum(found, axis=0) / len(values_XSP) ** 2)


def _upper_limit(values_XP: Sequence[NDArray[np.float64]], bound: float, confidence: float) -> NDArray[np.float64]:
    """(X) upper ends of means over problems of values that can't exceed ``bound``, averaged over benchmarks.

    The quantile is that of the Bayesian bootstrap (Rubin, 1981), whose weights of problems are Dirichlet, with a
    pseudo-problem at the bound. Where it weighs as much as a problem, this is Gaffke's bound (Gaffke, 2005;
    Learned-Miller and Thomas, arXiv 1905.06208), which for values 0 and 1 is Clopper and Pearson's. Its weight falls
    as more problems deviate from the rest, since the unseen is then like the seen; benchmarks share it. The quantile
    is Pearson's type III with the same mean, variance and skewness.
    """
    # imported here, as in power.py: it takes half a second, and most callers need none of it
    from scipy import stats

    moments = np.array([_moments(values, bound, len(values_XP), confidence) for values in values_XP]).sum(axis=0)
    mean, variance, third = (moment / len(values_XP) ** power for power, moment in enumerate(moments, start=1))
    deviation = np.sqrt(variance)
    skewness = np.divide(third, deviation**3, out=np.zeros_like(third), where=deviation > 0)
    return np.asarray(mean + deviation * stats.pearson3.ppf((1 + confidence) / 2, skewness))


def _moments(
    values_XP: NDArray[np.float64], bound: float, sharing: int, confidence: float
) -> tuple[NDArray[np.float64], ...]:
    """(X) mean, variance and third central moment of one benchmark's Dirichlet-weighted mean with its pseudo-problem.

    So far as the spread is estimated from problems and not from the pseudo-problem, the deviation is scaled from that
    of the bootstrap to Student's t.

    Args:
        sharing: number of benchmarks among which one pseudo-problem is divided.
    """
    problems = values_XP.shape[-1]
    share = 1 / (1 + (_effective_number(values_XP) / HALF_WEIGHT) ** 2)
    weight = share / sharing
    total = problems + weight
    mean = (values_XP.sum(axis=-1) + weight * bound) / total
    centred, pseudo = values_XP - mean[..., None], bound - mean
    variance = ((centred**2).sum(axis=-1) + weight * pseudo**2) / (total * (total + 1))
    third = 2 * ((centred**3).sum(axis=-1) + weight * pseudo**3) / (total * (total + 1) * (total + 2))
    free, upper = max(problems - 1, 1), (1 + confidence) / 2
    student = (special.stdtrit(free, upper) / special.ndtri(upper)) ** 2 * (problems + 1) / free
    scale = share + (1 - share) * student
    return mean, scale * variance, scale**1.5 * third


def _effective_number(values_XP: NDArray[np.float64]) -> NDArray[np.float64]:
    """(X) effective number of problems that deviate from the median: (Σ|d|)² / Σd², 0 where none does.

    It is their number where all deviate by the same amount, and smaller where a few carry most of the deviation.
    """
    deviation = np.abs(values_XP - np.median(values_XP, axis=-1, keepdims=True))
    deviation = np.where(deviation > ROUNDING, deviation, 0.0)
    squares = (deviation**2).sum(axis=-1)
    return np.divide(deviation.sum(axis=-1) ** 2, squares, out=np.zeros_like(squares), where=squares > 0)
