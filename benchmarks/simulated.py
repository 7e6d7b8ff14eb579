"""A simulated world of problems, training runs and samples, in which every truth is known.

A problem's rate is a quantile function of a normal value √ρ · problem + √(1 − ρ) · run + centre + shift. `problem` is
shared by all methods and runs, `run` is drawn for every problem of every run, ρ = 0.95, and `shift` is one normal
number per run. Centre and the shift's deviation are chosen so that a run's mean over problems (and benchmarks) has,
over runs, exactly the stated truth and standard deviation. The quantile function is a beta's with the stated
concentration, or one of the rare worlds: `rare half`, 1 % of problems are solved half the time and the others always;
`rare none`, 1 % never.

Shapes: X repetitions, S seeds, P problems.
"""

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from real.statistics.intervals import pass_at_k
from real.statistics.power import CORRELATION

GRID = np.linspace(-9, 9, 4001)
CENTRES = np.linspace(-6, 6, 601)
NODE, WEIGHT = np.polynomial.hermite_e.hermegauss(60)
WEIGHT = WEIGHT / WEIGHT.sum()
RARE = {"rare half": 0.5, "rare none": 0.0}


class Method:
    """A method of the simulated world: rates of problems, and runs that differ by a shift.

    Args:
        rates_B: per benchmark, what :func:`rates` gives.
        run_deviation: standard deviation of the runs' means over problems and benchmarks; 0 for a fixed checkpoint.
        truth: mean over runs, problems and benchmarks.
    """

    def __init__(self, rates_B: Sequence[NDArray[np.float64]], truth: float, run_deviation: float) -> None:
        self.rates_B, self.truth = rates_B, truth
        self._means = _density() @ np.mean(rates_B, axis=0)
        self._centre, self._shift_deviation = 0.0, 0.0
        if run_deviation > 0:
            self._shift_deviation = optimize.brentq(lambda d: self._deviation(d) - run_deviation, 1e-6, 2.5)
            self._centre = self._centre_at(self._shift_deviation)

    def draw(
        self, rng: np.random.Generator, problem_XP: Sequence[NDArray[np.float64]], seeds: int, samples: int, k: int = 1
    ) -> tuple[list[NDArray[np.float64]], NDArray[np.float64]]:
        """(X, S, P) estimates of pass@k per benchmark, and (X, S) means over problems of pass@1 of the runs drawn.

        Args:
            problem_XP: per benchmark, standard normal.
        """
        shift_XS = self._centre + rng.normal(0, self._shift_deviation, (len(problem_XP[0]), seeds))
        found = []
        for problem, rate in zip(problem_XP, self.rates_B, strict=True):
            run_XSP = rng.normal(size=(len(problem), seeds, problem.shape[1]))
            normal = math.sqrt(CORRELATION) * problem[:, None] + math.sqrt(1 - CORRELATION) * run_XSP
            correct = rng.binomial(samples, _at(rate, normal + shift_XS[..., None]))
            found.append(correct / samples if k == 1 else pass_at_k(correct, samples, k))
        return found, np.interp(shift_XS, CENTRES, self._means)

    def _centre_at(self, shift_deviation: float) -> float:
        return float(optimize.brentq(lambda c: WEIGHT @ self._run_means(c, shift_deviation) - self.truth, -5, 5))

    def _deviation(self, shift_deviation: float) -> float:
        means = self._run_means(self._centre_at(shift_deviation), shift_deviation)
        return math.sqrt(max(0.0, float(WEIGHT @ means**2) - self.truth**2))

    def _run_means(self, centre: float, shift_deviation: float) -> NDArray[np.float64]:
        return np.interp(centre + shift_deviation * NODE, CENTRES, self._means)


def rates(world: str, mean: float) -> NDArray[np.float64]:
    """Rates of problems on :data:`GRID`, ascending, with this mean.

    Args:
        world: a beta distribution's concentration, or a key of :data:`RARE`, which has one mean, and its complement's.
    """
    if mean in (0.0, 1.0):
        return np.full(len(GRID), mean)
    if world in RARE:
        common = np.where(special.ndtr(GRID) < 0.01, RARE[world], 1.0)
        return common if mean > 0.5 else 1 - common[::-1]
    if mean > 0.5:  # beta quantiles are exact near 0
        return 1 - rates(world, 1 - mean)[::-1]
    concentration = float(world)
    return np.asarray(stats.beta.ppf(special.ndtr(GRID), mean * concentration, (1 - mean) * concentration))


def pass_k_of(rate: NDArray[np.float64], k: int) -> float:
    """Mean over problems of the probability that at least one of k samples is correct, where runs don't differ."""
    return float(_density()[len(CENTRES) // 2] @ (1 - (1 - rate) ** k))


@cache
def _density() -> NDArray[np.float64]:
    """Weights of :data:`GRID` in a mean over problems, a row for each of :data:`CENTRES`."""
    density = stats.norm.pdf(GRID - CENTRES[:, None])
    return np.asarray(density / density.sum(axis=1, keepdims=True))


def _at(rate: NDArray[np.float64], normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rates at normal values, of the nearest point of :data:`GRID`: several times as fast as interpolation."""
    return rate[((np.clip(normal, GRID[0], GRID[-1]) - GRID[0]) * (1 / (GRID[1] - GRID[0])) + 0.5).astype(np.int32)]
