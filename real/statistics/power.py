"""What a difference of benchmark scores can resolve, from a beta-binomial model of problems and samples.

A problem's rate is drawn from a beta distribution whose mean is the printed score m and whose concentration is ν, so
that rates vary between problems by m(1 − m)/(ν + 1), and k samples of one problem by m(1 − m) ν/(ν + 1)/k in the mean.
Two methods' rates of one problem are joined by a Gaussian copula with correlation ρ. A trained run differs from its
repetition by a normal shift with standard deviation r in the mean of all benchmarks. Scores, differences and
deviations are fractions, not points.

ν = 1 follows from AIME24 accuracies of 64 samples (open-r1, pull request 665); ρ = 0.95 and r are assumptions: the
paper prints no run-to-run deviation. ReSPO (arXiv 2609.35433) prints 0.54 and 0.95 points, over three seeds each
(paper_configs/reported/third_party.csv). B benchmarks, each with P problems.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

CONCENTRATION = 1.0
CORRELATION = 0.95
SAMPLES = 16
RUN_DEVIATIONS = (0.0, 0.005, 0.010)
SIGNIFICANT = float(special.ndtri(0.975))
POWER = 0.8
QUADRATURE = 80  # nodes; exact to 1e-9 for these marginals


@dataclass(frozen=True)
class Resolution:
    """What one printed difference can resolve.

    Attributes:
        se_fixed, z_fixed: for these very problems and checkpoints: only decoding varies.
        se_paired, z_paired: problems resampled too, the same ones for both methods.
        z_runs: z_paired with each run-to-run deviation of :data:`RUN_DEVIATIONS`.
        word: ``resolved`` if |z| stays above 1.96 at the largest deviation, ``not resolvable`` if it is below without
            any, else ``suggestive``.
        samples, seeds: samples per problem in all and, per run deviation above 0, the seeds that give 80 % power for
            these problems.
    """

    difference: float
    se_fixed: float
    z_fixed: float
    se_paired: float
    z_paired: float
    z_runs: tuple[float, ...]
    word: str
    samples: int
    seeds: tuple[int, ...]


def decoding_variance(a_B: Sequence[float], b_B: Sequence[float], problems_B: Sequence[int], samples: int) -> float:
    """Variance, from sampling answers alone, of the difference of two methods' means over benchmarks."""
    per_benchmark = [(_decoding(a) + _decoding(b)) / n for a, b, n in zip(a_B, b_B, problems_B, strict=True)]
    return float(sum(per_benchmark)) / samples / len(problems_B) ** 2


def problem_variance(
    a_B: Sequence[float], b_B: Sequence[float], problems_B: Sequence[int], correlation: float = CORRELATION
) -> float:
    """Variance of the same difference from drawing other problems, the same ones for both methods."""
    per_benchmark = [
        (_between(a) + _between(b) - 2 * _covariance(a, b, correlation)) / n
        for a, b, n in zip(a_B, b_B, problems_B, strict=True)
    ]
    return float(sum(per_benchmark)) / len(problems_B) ** 2


def resolution(
    a_B: Sequence[float], b_B: Sequence[float], problems_B: Sequence[int], difference: float | None = None
) -> Resolution:
    """What the difference of two methods' printed scores can resolve.

    Args:
        a_B, b_B: printed scores per benchmark, of 16 answers per problem; problems_B: problems per benchmark.
        difference: a − b where it is printed by itself; default: from the scores.
    """
    difference = float(np.mean(a_B) - np.mean(b_B)) if difference is None else difference
    decoding = decoding_variance(a_B, b_B, problems_B, SAMPLES)
    paired = decoding + problem_variance(a_B, b_B, problems_B)
    z_runs = tuple(difference / math.sqrt(paired + 2 * r**2) for r in RUN_DEVIATIONS)
    word = "suggestive" if abs(z_runs[0]) >= SIGNIFICANT else "not resolvable"
    if abs(z_runs[-1]) >= SIGNIFICANT:
        word = "resolved"
    needed, seeds = needed_for_power(difference, decoding * SAMPLES)
    return Resolution(
        difference=difference,
        se_fixed=math.sqrt(decoding),
        z_fixed=difference / math.sqrt(decoding),
        se_paired=math.sqrt(paired),
        z_paired=z_runs[0],
        z_runs=z_runs,
        word=word,
        samples=needed,
        seeds=seeds,
    )


def needed_for_power(difference: float, one_sample_variance: float) -> tuple[int, tuple[int, ...]]:
    """Samples per problem (in all, over the seeds) and seeds per method that resolve a difference on these problems.

    Samples cost minutes and seeds days, so samples double from 16 until decoding takes at most two thirds of the
    variance that 80 % power allows; the seeds fill the rest, once per run deviation above 0.

    Args:
        one_sample_variance: :func:`decoding_variance` at one sample per problem.

    Returns:
        samples, and the seeds for each positive value of :data:`RUN_DEVIATIONS`; (0, ()) for a difference of 0, which
        nothing resolves.
    """
    if difference == 0:
        return 0, ()
    allowed = (difference / (SIGNIFICANT + float(special.ndtri(POWER)))) ** 2
    samples = SAMPLES
    while one_sample_variance / samples > 2 / 3 * allowed:
        samples *= 2
    left = allowed - one_sample_variance / samples
    return samples, tuple(math.ceil(2 * r**2 / left) for r in RUN_DEVIATIONS if r > 0)


def rate_quantile(score: float, normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rates of problems at the quantiles of standard normal values: the beta marginal of the copula.

    Args:
        score: mean rate, strictly between 0 and 1; normal: any shape.
    """
    shape = score * CONCENTRATION, (1 - score) * CONCENTRATION
    from scipy import stats

    return stats.beta.ppf(special.ndtr(normal), *shape)


@cache
def _covariance(a: float, b: float, correlation: float) -> float:
    """Covariance of two methods' rates of one problem, by Gauss–Hermite quadrature over the copula."""
    node, weight = np.polynomial.hermite_e.hermegauss(QUADRATURE)
    weight = weight / weight.sum()
    other = correlation * node[:, None] + math.sqrt(1 - correlation**2) * node
    product = (rate_quantile(a, node) - a)[:, None] * (rate_quantile(b, other) - b)
    return float(weight @ product @ weight)


def _between(score: float) -> float:
    return score * (1 - score) / (CONCENTRATION + 1)


def _decoding(score: float) -> float:
    return score * (1 - score) * CONCENTRATION / (CONCENTRATION + 1)
