"""The chance that a planned comparison comes out as claimed, if a stated effect is true.

An estimate over S seeds is normal about its truth. Its interval is that of intervals.py: half-widths over problems and,
by Student's t, over seeds add in quadrature; the deviation of seeds that it estimates varies as the square root of a
chi-square with S − 1 degrees of freedom, and is independent of the estimate. Variances of benchmark scores come from
power.py's model. Whether the chances are those of the real intervals in simulated experiments: benchmarks/power.py.

B benchmarks, M baselines, S seeds, X repetitions.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from real.statistics.intervals import CONFIDENCE
from real.statistics.power import POWER, Cells, Runs, covariance

FEWEST_SEEDS, MOST_SEEDS = 2, 30
# of the chi-square that the estimated deviation of seeds follows
QUANTILES = (np.arange(400) + 0.5) / 400
REPETITIONS = 4000


@dataclass(frozen=True)
class Precision:
    """How an estimate over S seeds varies, and how wide its interval is.

    Attributes:
        deviation: standard deviation of the estimate.
        problem_variances: variance over problems of each benchmark's part; degrees: its degrees of freedom. Empty
            where no problem is drawn, as of curves.
        seed_deviation: standard deviation of one seed's value on the same problems.
        in_both: variance of the estimate that both parts hold, which the interval takes out once.
    """

    deviation: float
    seed_deviation: float
    seeds: int
    problem_variances: tuple[float, ...] = ()
    degrees: tuple[int, ...] = ()
    in_both: float = 0.0

    def half_widths(self, confidence: float) -> NDArray[np.float64]:
        """Of the interval, at :data:`QUANTILES` of what the deviation of seeds is estimated as."""
        upper = (1 + confidence) / 2
        quantile = special.stdtrit(np.array(self.degrees), upper)
        problems = float(np.sum(quantile**2 * np.array(self.problem_variances)))
        free = self.seeds - 1
        estimated = self.seed_deviation**2 * special.chdtri(free, 1 - QUANTILES) / free
        seeds = special.stdtrit(free, upper) ** 2 * estimated / self.seeds
        return np.sqrt(_joined(problems, seeds, special.ndtri(upper) ** 2 * self.in_both))


@dataclass(frozen=True)
class Chances:
    """Of the two verdicts that decide."""

    reproduced: float
    contradicted: float


def curve_precision(seed_deviation: float, seeds: int) -> Precision:
    """Of a mean over seeds of one number per run."""
    return Precision(seed_deviation / math.sqrt(seeds), seed_deviation, seeds)


def benchmark_precision(
    cells: Cells, samples: int, seeds: int, run_deviation: float, fixed_baseline: bool = False
) -> Precision:
    """Of a paired difference of two methods, mean of the benchmarks.

    Args:
        run_deviation: r of power.py; fixed_baseline: b is one checkpoint, subtracted from every seed of a.
    """
    trained = (cells.a_runs, *(() if fixed_baseline else (cells.b_runs,)))
    # what another run draws anew on the same problems: rates of its own, and samples
    own_B = [np.add(one.interaction_B, np.divide(one.decoding_B, samples)) for one in trained]
    per_problem_B = np.array(cells.shared_B) + np.sum(own_B, axis=0) / seeds
    if fixed_baseline:
        per_problem_B += np.add(cells.b_runs.interaction_B, np.divide(cells.b_runs.decoding_B, samples))
    of_mean_B = per_problem_B / cells.problems_B / len(cells.a_B) ** 2
    runs = len(trained) * run_deviation**2
    return Precision(
        deviation=math.sqrt(float(of_mean_B.sum()) + runs / seeds),
        seed_deviation=math.sqrt(runs + cells.mean_of(np.sum(own_B, axis=0).tolist())),
        seeds=seeds,
        problem_variances=tuple(of_mean_B.tolist()),
        degrees=tuple(problems - 1 for problems in cells.problems_B),
        in_both=cells.mean_of(np.sum(own_B, axis=0).tolist()) / seeds,
    )


def chances(
    effect: float,
    precision: Precision,
    above: float = -math.inf,
    below: float = math.inf,
    confidence: float = CONFIDENCE,
) -> Chances:
    """Of both verdicts on a claim that its value lies in the region (above, below), where it truly is ``effect``."""
    half, deviation = precision.half_widths(confidence), precision.deviation
    inside = special.ndtr((below - half - effect) / deviation) - special.ndtr((above + half - effect) / deviation)
    outside = special.ndtr((above - half - effect) / deviation) + special.ndtr((effect - below - half) / deviation)
    return Chances(float(np.maximum(inside, 0).mean()), float(outside.mean()))


def tolerated_deviation(effect: float, seeds: int, above: float, below: float, confidence: float) -> float:
    """The largest deviation of one seed's value at which a curve's claim is reproduced in 80 % of the cases.

    Returns:
        0 where the effect lies outside the region or on its border.
    """

    def lacks(deviation: float) -> float:
        return chances(effect, curve_precision(deviation, seeds), above, below, confidence).reproduced - POWER

    distance = min(effect - above, below - effect)
    if distance <= 0:
        return 0.0
    return float(optimize.brentq(lacks, 1e-6 * distance, 10 * distance))


def consistent_chances(
    cells_M: Sequence[Cells], samples: int, seeds: int, run_deviation: float, repetitions: int = REPETITIONS
) -> Chances:
    """Of both verdicts on "better than all M baselines on every benchmark", from drawn runs and drawn half-widths.

    Args:
        cells_M: method a with each baseline b, on the same benchmarks.
    """
    rng, count = np.random.default_rng(0), len(cells_M) * len(cells_M[0].a_B)
    first, shape = cells_M[0], (repetitions, seeds, len(cells_M[0].a_B))

    def drawn(runs: Runs) -> NDArray[np.float64]:
        own_B = np.add(runs.interaction_B, np.divide(runs.decoding_B, samples)) / first.problems_B
        shift_XS = rng.normal(0, run_deviation, (*shape[:2], 1))
        return shift_XS * runs.shift_B + rng.normal(0, np.sqrt(own_B), shape)

    a_XSB, shared_MXB = drawn(first.a_runs), _drawn_shared(cells_M, rng, repetitions)
    above_0, below_0 = np.ones(repetitions, bool), np.zeros(repetitions, bool)
    for cells, shared_XB in zip(cells_M, shared_MXB, strict=True):
        difference_XSB = a_XSB - drawn(cells.b_runs)
        shared_B = np.array(cells.shared_B) / cells.problems_B
        estimate_XB = np.subtract(cells.a_B, cells.b_B) + shared_XB + difference_XSB.mean(axis=1)
        own_B = [np.add(one.interaction_B, np.divide(one.decoding_B, samples)) for one in (cells.a_runs, cells.b_runs)]
        both_B = np.sum(own_B, axis=0) / seeds / cells.problems_B
        seeds_XB = difference_XSB.var(axis=1, ddof=1) / seeds

        half_XB, half_among_all_XB = (
            np.sqrt(
                _joined(
                    special.stdtrit(np.subtract(cells.problems_B, 1), upper) ** 2 * (shared_B + both_B),
                    special.stdtrit(seeds - 1, upper) ** 2 * seeds_XB,
                    special.ndtri(upper) ** 2 * both_B,
                )
            )
            for upper in ((1 + CONFIDENCE) / 2, 1 - (1 - CONFIDENCE) / count / 2)
        )
        above_0 &= (estimate_XB > half_XB).all(axis=1)
        below_0 |= (estimate_XB < -half_among_all_XB).any(axis=1)
    return Chances(float(above_0.mean()), float(below_0.mean()))


def _joined(one: Any, other: Any, twice: Any) -> Any:
    """Squares of two half-widths in quadrature, as in intervals.py."""
    return np.maximum(np.maximum(one, other), one + other - twice)


def _drawn_shared(cells_M: Sequence[Cells], rng: np.random.Generator, repetitions: int) -> NDArray[np.float64]:
    """(M, X, B) what the drawn problems add to each baseline's difference, whose problems are the same."""
    found = []
    for number, problems in enumerate(cells_M[0].problems_B):
        a, v = cells_M[0].a_B[number], cells_M[0].concentration_B[number]
        b_M = [cells.b_B[number] for cells in cells_M]
        covariance_MM = np.array(
            [
                [covariance(a, a, v) - covariance(a, x, v) - covariance(a, y, v) + covariance(x, y, v) for y in b_M]
                for x in b_M
            ]
        )
        drawn = rng.multivariate_normal(np.zeros(len(b_M)), covariance_MM / problems, repetitions, method="eigh")
        found.append(drawn.T)
    return np.stack(found, axis=-1)
