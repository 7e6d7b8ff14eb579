"""Time things that take turns in one process, and the ratio of two of them with an interval."""

import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from scipy.stats import bootstrap

Clock = Callable[[], float]


def clock_of(device: str) -> Clock:
    """Seconds: those of this process on a CPU, which others may share; wall time, once a GPU has finished, on a GPU."""
    return time.process_time if device == "cpu" else _finished_wall_seconds


def take_turns(sides: dict[str, Callable[[], object]], turns: int, clock: Clock) -> dict[str, list[float]]:
    """Seconds of every side, ``turns`` each. The first turn of each doesn't count; who begins changes every turn."""
    names, seconds = list(sides), {name: [] for name in sides}
    for turn in range(turns + 1):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            begin = clock()
            sides[name]()
            seconds[name].append(clock() - begin)
    return {name: spent[1:] for name, spent in seconds.items()}


def ratio(numerator: list[float], denominator: list[float]) -> str:
    """Median over turns of the ratio, with a 95 % bootstrap interval."""
    ratios = np.array(numerator) / np.array(denominator)
    interval = bootstrap((ratios,), np.median, method="percentile", rng=np.random.default_rng(0)).confidence_interval
    return f"{np.median(ratios):.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def milliseconds(seconds: list[float]) -> str:
    """Median."""
    return f"{1000 * median(seconds):,.1f}"


def relative_error(found: list[torch.Tensor], expected: list[torch.Tensor]) -> float:
    """Norm of the difference over norm, of all tensors together, in float64."""
    difference = sum(float((a.double() - b.double()).square().sum()) for a, b in zip(found, expected, strict=True))
    return (difference / sum(float(b.double().square().sum()) for b in expected)) ** 0.5


def _finished_wall_seconds() -> float:
    torch.cuda.synchronize()
    return time.perf_counter()
