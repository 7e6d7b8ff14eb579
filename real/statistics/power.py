"""What a difference of benchmark scores can resolve, from a beta-binomial model of problems and samples.

A problem's rate is drawn from a beta distribution whose mean is the printed score m and whose concentration is ν, so
that rates vary between problems by m(1 − m)/(ν + 1), and k samples of one problem by m(1 − m) ν/(ν + 1)/k in the mean.
Two methods' rates of one problem, and those of two runs of one method, are joined by a Gaussian copula with correlation
ρ. A trained run differs from its repetition by a normal shift with standard deviation r. Scores, differences and
deviations are fractions, not points.

Others measured ν and r (paper_configs/reported/third_party.csv): ν follows from sober-reasoning's deviations of one
sample per problem, by benchmark; where nobody measured it, it is 1. r is one of ReSPO's two, of three seeds each.
ρ = 0.95 is assumed. B benchmarks, each with P problems; S seeds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

CONCENTRATION = 1.0
# by backbone and benchmark, from m(1 − m)·ν/(ν + 1)/P = deviation² at the score m of sober-reasoning's own samples
MEASURED_CONCENTRATION = {
    "DeepSeek-R1-Distill-Qwen-1.5B": {"aime": 0.51, "aime25": 0.88, "amc": 0.43},
    "DeepSeek-R1-Distill-Qwen-7B": {"aime": 0.91, "aime25": 0.78, "amc": 0.60},
}
CORRELATION = 0.95
SAMPLES = 16
RUN_DEVIATIONS = (0.0, 0.0054, 0.0095)
SIGNIFICANT = float(special.ndtri(0.975))
POWER = 0.8
QUADRATURE = 80  # nodes; exact to 1e-9 for these marginals


@dataclass(frozen=True)
class Runs:
    """What the runs of one method differ by on one problem, as variances by benchmark.

    Attributes:
        interaction_B: of the rate, from one run to another; decoding_B: of one sample's correctness about the rate.
        shift_B: by how much a run's shift moves each benchmark, where it moves their mean by 1.
    """

    interaction_B: list[float]
    decoding_B: list[float]
    shift_B: list[float]


@dataclass(frozen=True)
class Cells:
    """Two methods' scores on B benchmarks.

    Attributes:
        a_B, b_B: scores, strictly between 0 and 1; problems_B: problems; concentration_B: ν, by default 1.
    """

    a_B: Sequence[float]
    b_B: Sequence[float]
    problems_B: Sequence[int]
    concentration_B: Sequence[float] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "concentration_B", self.concentration_B or [CONCENTRATION] * len(self.a_B))

    @property
    def difference(self) -> float:
        """a − b, mean of the benchmarks."""
        return float(np.mean(self.a_B) - np.mean(self.b_B))

    def each(self) -> "list[Cells]":
        """The same of every benchmark alone."""
        rows = zip(self.a_B, self.b_B, self.problems_B, self.concentration_B, strict=True)
        return [Cells([a], [b], [problems], [v]) for a, b, problems, v in rows]

    def moved(self, effect: float) -> "Cells":
        """The same with a baseline b that scores less than a by an effect on every benchmark."""
        return Cells(self.a_B, [score - effect for score in self.a_B], self.problems_B, self.concentration_B)

    def mean_of(self, per_problem_B: Sequence[float]) -> float:
        """Variance of a mean over problems and benchmarks, from each benchmark's variance of one problem."""
        return float(sum(v / n for v, n in zip(per_problem_B, self.problems_B, strict=True))) / len(self.a_B) ** 2

    def decoding(self, samples: int) -> float:
        """Variance, from sampling answers alone, of the difference of the means over benchmarks."""
        return self.mean_of(np.add(self.a_runs.decoding_B, self.b_runs.decoding_B).tolist()) / samples

    def drawing(self) -> float:
        """Variance of the same difference, of two runs, from drawing other problems, the same ones for both."""
        parts = [self.shared_B, self.a_runs.interaction_B, self.b_runs.interaction_B]
        return self.mean_of(np.sum(parts, axis=0).tolist())

    @property
    def a_runs(self) -> Runs:
        """What differs from one run of a to another."""
        return self._runs(self.a_B)

    @property
    def b_runs(self) -> Runs:
        """What differs from one run of b to another."""
        return self._runs(self.b_B)

    @property
    def shared_B(self) -> list[float]:
        """Variance over problems of the methods' difference on one problem, each averaged over all its runs."""
        rows = zip(self.a_B, self.b_B, self.concentration_B, strict=True)
        return [covariance(a, a, v) + covariance(b, b, v) - 2 * covariance(a, b, v) for a, b, v in rows]

    def _runs(self, score_B: Sequence[float]) -> Runs:
        spread = [(score * (1 - score) / (v + 1), v) for score, v in zip(score_B, self.concentration_B, strict=True)]
        shared = [covariance(score, score, v) for score, v in zip(score_B, self.concentration_B, strict=True)]
        slope = [_slope(score, v) for score, v in zip(score_B, self.concentration_B, strict=True)]
        return Runs(
            interaction_B=[between - same for (between, _), same in zip(spread, shared, strict=True)],
            decoding_B=[v * between for between, v in spread],
            shift_B=[one / float(np.mean(slope)) for one in slope],
        )


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


def resolution(cells: Cells, difference: float | None = None) -> Resolution:
    """What the difference of two methods' printed scores, of 16 answers per problem, can resolve.

    Args:
        difference: a − b where it is printed by itself; default: from the scores.
    """
    difference = cells.difference if difference is None else difference
    decoding = cells.decoding(SAMPLES)
    paired = decoding + cells.drawing()
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
        one_sample_variance: :meth:`Cells.decoding` at one sample per problem.

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


def concentration(deviation: float, score: float, problems: int) -> float:
    """ν of a benchmark whose score, of one sample per problem, has this deviation from one decoding to another.

    Raises:
        ValueError: a deviation larger than that of problems that are all alike, which no ν has.
    """
    share = deviation**2 * problems / (score * (1 - score))
    if share >= 1:
        raise ValueError(f"deviation {deviation:g} is larger than any of {problems} problems with score {score:g}")
    return share / (1 - share)


def rate_quantile(
    score: float, normal: NDArray[np.float64], concentration: float = CONCENTRATION
) -> NDArray[np.float64]:
    """Rates of problems at the quantiles of standard normal values: the beta marginal of the copula.

    Args:
        score: mean rate, strictly between 0 and 1; normal: any shape.
    """
    # imported here: it takes half a second
    from scipy import stats

    return stats.beta.ppf(special.ndtr(normal), score * concentration, (1 - score) * concentration)


@cache
def covariance(a: float, b: float, concentration: float) -> float:
    """Covariance of the rates that two runs have on one problem, by Gauss–Hermite quadrature over the copula."""
    node, weight = _quadrature()
    other = CORRELATION * node[:, None] + math.sqrt(1 - CORRELATION**2) * node
    product = (rate_quantile(a, node, concentration) - a)[:, None] * (rate_quantile(b, other, concentration) - b)
    return float(weight @ product @ weight)


@cache
def _slope(score: float, concentration: float) -> float:
    """Change of a mean over problems with a shift of all normal values: E[z · rate(z)], by Stein's lemma."""
    node, weight = _quadrature()
    return float(weight @ (node * rate_quantile(score, node, concentration)))


@cache
def _quadrature() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes and weights of a mean over the standard normal distribution."""
    node, weight = np.polynomial.hermite_e.hermegauss(QUADRATURE)
    return node, weight / weight.sum()
