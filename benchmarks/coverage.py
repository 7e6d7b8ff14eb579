"""How often the 95 % intervals of real.statistics.intervals cover the truth, by simulation.

    python -m benchmarks.coverage grid [--repetitions 2000] [--cells FILE] [--cores 2]
    python -m benchmarks.coverage paper [--repetitions 2000]

``grid``: one benchmark, in the cells of :func:`grid`; beside the intervals stand those they replaced (percentile
bootstrap over problems; Student's t over seeds, normal from ten on), whose widths are the yardstick. ``paper``: two
methods on the paper's six benchmarks. The world is that of benchmarks/simulated.py; problems, runs and samples are
drawn anew in every repetition. With one seed the target is that run's mean over problems, with several the method's
mean over runs and problems. The tables printed are those in docs/statistics.md; ``--cells`` writes every cell
as CSV when it is done, and leaves out those that the file has.
"""

import argparse
import itertools
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special
from tqdm import tqdm

from benchmarks.simulated import Method, pass_k_of, rates
from real.evidence.printed import benchmarks, cells, read_benchmarks
from real.statistics.intervals import mean_limits
from real.statistics.power import SAMPLES

RUN_DEVIATIONS = (0.0, 0.005, 0.010)
RESAMPLES = 1000  # of the yardstick
DRAWN = 1_000_000  # rates at a time
BENCHMARK = ["paper_configs/reported/benchmarks.csv"]
Limits = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class Cell:
    """One simulated experiment on one benchmark.

    Attributes:
        world, truth: of the first method, as of :func:`benchmarks.simulated.rates`.
        other: the second method's truth where a difference is measured (of 1: always right, a fixed checkpoint).
        unrelated: the two methods fail on problems that have nothing in common.
        k: of pass@k.
    """

    world: str
    truth: float
    run_deviation: float
    problems: int
    samples: int
    seeds: int
    other: float | None = None
    unrelated: bool = False
    k: int = 1

    @property
    def measure(self) -> str:
        """pass@1, pass@k or difference."""
        if self.other is not None:
            return "difference"
        return "pass@1" if self.k == 1 else "pass@k"


def grid() -> Iterator[Cell]:
    """Truths of 0.5 to 99.5 %, run deviations of 0 to 1 point, 30 to 700 problems, 1 to 64 samples, 1 to 10 seeds."""
    sizes = list(itertools.product(RUN_DEVIATIONS, (30, 100, 700), (1, 16, 64), (1, 3, 10)))
    beta = list(itertools.product(("0.4", "1.0"), (0.005, 0.03, 0.5, 0.9, 0.97, 0.99, 0.995)))
    for (world, truth), size in itertools.product([*beta, ("rare half", 0.995)], sizes):
        yield Cell(world, truth, *size)
        if size[0] == 0 and size[3] == 1:
            yield from (Cell(world, truth, *size, k=k) for k in (4, 16) if k <= size[2])
    pairs = [(0.005, 0.01), (0.5, 0.5), (0.9, 0.85), (0.97, 0.95), (0.995, 0.985), (0.995, 0.5)]
    for world, (truth, other), size in itertools.product(("0.4", "1.0"), pairs, sizes):
        yield Cell(world, truth, *size, other=other)
    for size in sizes:
        yield Cell("rare half", 0.995, *size, other=0.995, unrelated=True)
        yield Cell("rare none", 0.99, *size, other=1.0)


def simulate(cell: Cell, repetitions: int, seed: int = 0) -> dict[str, float]:
    """Coverage and mean width of the cell's intervals, and of those they replaced; how often these had no width."""
    rate = rates(cell.world, cell.truth)
    methods = [Method([rate], cell.truth, cell.run_deviation)]
    if cell.other is not None:
        methods.append(Method([rates(cell.world, cell.other)], cell.other, cell.run_deviation * (cell.other < 1)))
    rng, found = np.random.default_rng(seed), []
    batch = max(1, min(repetitions, DRAWN // (cell.seeds * cell.problems)))
    for start in range(0, repetitions, batch):
        shape = min(batch, repetitions - start), cell.problems
        problems = [rng.normal(size=shape) for _ in range(2 if cell.unrelated else 1)]
        drawn = [
            of.draw(rng, [problems[number % len(problems)]], cell.seeds, cell.samples, cell.k)
            for number, of in enumerate(methods)
        ]
        if cell.other is None:
            values, lowest, target = drawn[0][0], 0.0, _target(methods[0], drawn[0][1])
        else:
            values, lowest = [drawn[0][0][0] - drawn[1][0][0]], -1.0
            target = _target(methods[0], drawn[0][1]) - _target(methods[1], drawn[1][1])
        target = target if cell.k == 1 else np.full(len(target), pass_k_of(rate, cell.k))
        before = _judged(former(values[0], lowest), target)
        found.append([*_judged(mean_limits(values, lowest), target), *before, before[1] < 1e-6])
    names = ("coverage", "width", "former_coverage", "former_width", "former_empty")
    return dict(zip(names, np.concatenate(found, axis=1).mean(axis=1).tolist(), strict=True))


def simulate_all(every: Sequence[Cell], repetitions: int, cores: int, file: Path | None) -> pd.DataFrame:
    """Fields, measure and results of all cells; what ``file`` has of them is taken from it, the rest is added to it."""
    done = pd.read_csv(file) if file and file.exists() else pd.DataFrame()
    known = set() if done.empty else set(done["number"])
    left = [number for number in range(len(every)) if number not in known]
    rows = [done]
    with ProcessPoolExecutor(cores) as pool:
        found = pool.map(simulate, [every[number] for number in left], itertools.repeat(repetitions))
        for number, values in tqdm(zip(left, found, strict=True), total=len(left), disable=None):
            cell = every[number]
            row = pd.DataFrame([{"number": number, **asdict(cell), "measure": cell.measure, **values}])
            rows.append(row)
            if file:
                row.to_csv(file, mode="a", index=False, header=not file.exists())
    # cells that measure no difference have None there
    return pd.concat(rows).sort_values("number", ignore_index=True).astype({"other": float})


def former(values_XSP: NDArray[np.float64], lowest: float) -> Limits:
    """The limits that were used before: percentile bootstrap over problems and, in quadrature, the seeds' interval."""
    _, seeds, problems = values_XSP.shape
    weights = np.random.default_rng(1).multinomial(problems, np.full(problems, 1 / problems), RESAMPLES) / problems
    resampled = values_XSP.mean(axis=1).astype(np.float32) @ weights.T.astype(np.float32)
    low, high = np.quantile(resampled, [0.025, 0.975], axis=1)
    value, half = values_XSP.mean(axis=(1, 2)), np.zeros(len(values_XSP))
    if seeds > 1:
        quantile = special.stdtrit(seeds - 1, 0.975) if seeds < 10 else special.ndtri(0.975)
        half = quantile * values_XSP.mean(axis=2).std(axis=1, ddof=1) / math.sqrt(seeds)
    below, above = np.hypot(value - low, half), np.hypot(high - value, half)
    return np.maximum(lowest, value - below), np.minimum(1.0, value + above)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Of the cells with one measure, distance of a truth from an end, deviation of runs, and one or several seeds.

    Widths are compared in cells that the former intervals covered in 94 % or more and where they had a width in 99 % of
    the repetitions or more: without one they cover equality alone, by luck.

    Args:
        rows: the fields of :class:`Cell`, ``measure``, and what :func:`simulate` gives.
    """
    nearest = np.fmin(*(np.minimum(rows[name], 1 - rows[name]) for name in ("truth", "other")))
    comparable = (rows["former_coverage"] >= 0.94) & (rows["former_empty"] <= 0.01)
    table = pd.DataFrame(
        {
            "measure": rows["measure"],
            "from an end, points": pd.cut(nearest, [-1, 0.011, 0.051, 1], labels=["0 to 1", "3 to 5", "10 to 50"]),
            "runs deviate by": [f"{100 * value:.1f} points" for value in rows["run_deviation"]],
            "seeds": np.where(rows["seeds"] == 1, "1", "2 to 10"),
            "coverage": rows["coverage"],
            "former": rows["former_coverage"],
            "ratio": (rows["width"] / rows["former_width"]).where(comparable),
        }
    )
    groups = table.groupby(list(table.columns[:4]), observed=True)
    found = {
        "cells": groups["coverage"].size(),
        "lowest coverage": groups["coverage"].min(),
        "median": groups["coverage"].median(),
        "below .93": groups["coverage"].agg(lambda values: (values < 0.93).sum()),
        "lowest before": groups["former"].min(),
        "compared in width": groups["ratio"].count(),
        "median ratio": groups["ratio"].median(),
        "over 1.25": groups["ratio"].agg(lambda values: (values > 1.25).sum()),
        "largest": groups["ratio"].max(),
    }
    return pd.DataFrame(found).reset_index()


def paper_cell(seeds: int, run_deviation: float, repetitions: int, seed: int = 0) -> dict[str, float]:
    """Coverage of one method's mean over the paper's benchmarks and of the difference of two, and widths in points.

    ``problems and seeds`` is the truth over problems and runs; ``problems`` that of the drawn runs over problems.
    """
    table = read_benchmarks(BENCHMARK)
    printed = [cells(table, "DeepSeek-R1-Distill-Qwen-1.5B", name) for name in ("real", "gspo")]
    scores = [[row[name] for name in benchmarks()] for row in printed if row]
    a, b = (Method([rates("1.0", score) for score in row], float(np.mean(row)), run_deviation) for row in scores)
    rng, sizes, found = np.random.default_rng(seed), [source.rows for source in benchmarks().values()], []
    for _ in range(math.ceil(repetitions / 100)):
        problem_XP = [rng.normal(size=(100, problems)) for problems in sizes]
        (values, own), (others, others_own) = (of.draw(rng, problem_XP, seeds, SAMPLES) for of in (a, b))
        single = mean_limits(values, 0.0)
        paired = mean_limits([x - y for x, y in zip(values, others, strict=True)], -1.0)
        own_a, own_b = own.mean(axis=1), others_own.mean(axis=1)
        found.append(
            {
                "one method, problems": _judged(single, own_a)[0].mean(),
                "one method, problems and seeds": _judged(single, np.full(100, a.truth))[0].mean(),
                "difference, problems": _judged(paired, own_a - own_b)[0].mean(),
                "difference, problems and seeds": _judged(paired, np.full(100, a.truth - b.truth))[0].mean(),
                "width of one method, points": 100 * (single[1] - single[0]).mean(),
                "width of difference, points": 100 * (paired[1] - paired[0]).mean(),
            }
        )
    return pd.DataFrame(found).mean().to_dict()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["grid", "paper"])
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--cells", type=Path, help="CSV file of the grid's cells, which is gone on with")
    parser.add_argument("--cores", type=int, default=1, help="processes that simulate the grid")
    given = parser.parse_args()
    if given.what == "grid":
        table = summary(simulate_all(list(grid()), given.repetitions, given.cores, given.cells))
    else:
        settings = list(itertools.product(RUN_DEVIATIONS[1:], (1, 3, 10)))
        table = pd.DataFrame(
            {
                "runs deviate by": f"{100 * deviation:.1f} points",
                "seeds": seeds,
                **paper_cell(seeds, deviation, given.repetitions),
            }
            for deviation, seeds in tqdm(settings, disable=None)
        )
    print(table.round(3).to_markdown(index=False))
    error = math.sqrt(0.95 * 0.05 / given.repetitions)
    print(f"\n{given.repetitions} repetitions: the standard error of a share near 0.95 is {error:.3f}")


def _target(method: Method, means_XS: NDArray[np.float64]) -> NDArray[np.float64]:
    """(X) what the interval is about: the run's own mean where there is one, else the method's."""
    return means_XS[:, 0] if means_XS.shape[1] == 1 else np.full(len(means_XS), method.truth)


def _judged(limits: Limits, truth_X: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """(X) whether the truth is covered, and the widths."""
    low, high = limits
    return (low <= truth_X + 1e-9) & (truth_X <= high + 1e-9), high - low


if __name__ == "__main__":
    main()
