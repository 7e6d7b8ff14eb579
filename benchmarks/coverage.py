"""How often the 95 % intervals of real.statistics.intervals cover the truth, by simulation.

    python -m benchmarks.coverage [--repetitions 1000]

Problems, training runs and samples are drawn anew in every repetition from a stated model, in which the truth is known
by quadrature; the table printed is the one in docs/statistics.md.

The model: six benchmarks with the paper's numbers of problems and 16 samples per problem. A problem's rate is the beta
quantile (concentration 1, mean the printed score of REAL or GSPO at 1.5B) of a normal value
√ρ · problem + √(1 − ρ) · run + shift, where `problem` is shared by both methods and all runs, `run` is drawn for every
problem of every run, ρ = 0.95, and `shift` is one number per run, scaled so that the mean of the benchmarks varies from
run to run with the stated standard deviation.
"""

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from real.evidence.printed import benchmarks, cells, read_benchmarks
from real.statistics.intervals import Interval, mean_interval, paired_difference
from real.statistics.power import CORRELATION, SAMPLES, rate_quantile

PROBLEMS = [source.rows for source in benchmarks().values()]
SEEDS = (1, 3, 10)
RUN_DEVIATIONS = (0.005, 0.010)
NODE, WEIGHT = np.polynomial.hermite_e.hermegauss(200)
GRID = np.linspace(-9, 9, 4001)


@dataclass(frozen=True)
class Method:
    """One method of the simulated world.

    Attributes:
        quantiles: per benchmark, normal value -> rate.
        shift_deviation: standard deviation of the runs' shifts.
    """

    quantiles: list[Callable[[NDArray[np.float64]], NDArray[np.float64]]]
    shift_deviation: float

    def mean(self, shift: float, deviation: float) -> float:
        """Mean of the benchmarks where the normal value has mean ``shift`` and this standard deviation."""
        rates = [quantile(shift + deviation * NODE) @ WEIGHT / WEIGHT.sum() for quantile in self.quantiles]
        return float(np.mean(rates))

    def truth(self) -> float:
        """Mean over problems and runs."""
        return self.mean(0.0, math.sqrt(1 + self.shift_deviation**2))


def method(scores_B: list[float], run_deviation: float) -> Method:
    """A method with these mean scores, whose runs' means deviate by ``run_deviation``."""
    quantiles = [_interpolated(rate_quantile(score, GRID)) for score in scores_B]
    still = Method(quantiles, 0.0)
    slope = (still.mean(0.01, 1.0) - still.mean(-0.01, 1.0)) / 0.02
    return Method(quantiles, run_deviation / slope)


def draw(
    rng: np.random.Generator, problem_P: list[NDArray[np.float64]], of: Method, seeds: int
) -> tuple[list[NDArray[np.float64]], NDArray[np.float64]]:
    """(S, P) observed rates per benchmark, and the (S,) runs' shifts."""
    shift_S = rng.normal(0, of.shift_deviation, seeds)
    rates = []
    for problem, quantile in zip(problem_P, of.quantiles, strict=True):
        run_SP = rng.normal(size=(seeds, len(problem)))
        normal = math.sqrt(CORRELATION) * problem + math.sqrt(1 - CORRELATION) * run_SP + shift_S[:, None]
        rates.append(rng.binomial(SAMPLES, quantile(normal)) / SAMPLES)
    return rates, shift_S


def coverage(seeds: int, run_deviation: float, repetitions: int, seed: int = 0) -> dict[str, float]:
    """Shares of the repetitions whose interval covers: one method's mean, and the paired difference of two methods.

    ``problems and seeds`` is the truth over problems and runs; ``problems`` that of the drawn runs over problems. The
    intervals' mean widths are fractions.
    """
    scores = read_benchmarks(["paper_configs/reported/benchmarks.csv"])
    rows = [cells(scores, "DeepSeek-R1-Distill-Qwen-1.5B", name) for name in ("real", "gspo")]
    a, b = (method([row[name] for name in benchmarks()], run_deviation) for row in rows if row)
    rng, hits = np.random.default_rng(seed), []
    for _ in tqdm(range(repetitions), f"{seeds} seeds, run deviation {run_deviation}", disable=None):
        problem_P = [rng.normal(size=count) for count in PROBLEMS]
        (rates_a, shift_a), (rates_b, shift_b) = (draw(rng, problem_P, of, seeds) for of in (a, b))
        own_a, own_b = (np.mean([of.mean(s, 1.0) for s in shift]) for of, shift in ((a, shift_a), (b, shift_b)))
        single, paired = mean_interval(rates_a), paired_difference(rates_a, rates_b)
        hits.append(
            {
                "one method, problems": _covers(single, own_a),
                "one method, problems and seeds": _covers(single, a.truth()),
                "difference, problems": _covers(paired, own_a - own_b),
                "difference, problems and seeds": _covers(paired, a.truth() - b.truth()),
                "width of one method, points": single.high - single.low,
                "width of difference, points": paired.high - paired.low,
            }
        )
    return pd.DataFrame(hits).mean().to_dict()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=1000)
    repetitions = parser.parse_args().repetitions
    rows = []
    for deviation in RUN_DEVIATIONS:
        for seeds in SEEDS:
            shares = coverage(seeds, deviation, repetitions)
            widths = {name: f"{100 * shares.pop(name):.1f}" for name in list(shares) if name.startswith("width")}
            fixed = {"runs deviate by": f"{100 * deviation:.1f} points", "seeds": seeds}
            rows.append({**fixed, **{name: f"{share:.3f}" for name, share in shares.items()}, **widths})
    print(pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True))
    error = math.sqrt(0.95 * 0.05 / repetitions)
    print(f"\n{repetitions} repetitions: the standard error of a share near 0.95 is {error:.3f}")


def _interpolated(rate_on_grid: NDArray[np.float64]) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """The beta quantile is slow; linear interpolation on 4,001 points is exact to 1e-5."""
    return lambda normal: np.interp(normal, GRID, rate_on_grid)


def _covers(interval: Interval, truth: float) -> float:
    return float(interval.low <= truth <= interval.high)


if __name__ == "__main__":
    main()
