"""Gradient weights as functions of scores: what the paper's gradient figure draws and its theorems bound.

A weight is |dL/ds̄| of one response times the objective's normaliser, by autograd through real.objectives; those of
GRPO, DAPO and GSPO are divided by |A|, as in the paper. Responses have one token, so that token and sequence ratio
are the same.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import optimize
from torch import Tensor

from real.exact import sequence_weights
from real.objectives import Objective, Unit, group_advantage

# a group in which C₊ = C₋ = 4 while the other scores are 0, as in the paper's figure
POSITIVES = NEGATIVES = 4
# objectives hold every row against every group, so few groups at a time take less time and memory
SCORES_AT_ONCE = 50
# in τ either way: there 1/(1 + e^-16) still differs visibly from its limit 1
SEARCH_RANGE = 16.0
SEARCH_STARTS = 3


def weight_curve(objective: Objective, score: NDArray[np.float64], positive: bool) -> NDArray[np.float64]:
    """Weight of one response at each score (K,), the other scores of its group being 0.

    Args:
        positive: whether the moving response is correct.
    """
    parts = np.array_split(score, -(-len(score) // SCORES_AT_ONCE))
    return np.concatenate([_weights(objective, part, positive) for part in parts])


def largest_weight(objective: Objective, group_size: int = 8) -> float:
    """The largest weight that any response of any two-sided group can have, in units of 1/τ.

    Every composition of the group and, within it, a response of either label is maximised over all scores of the group
    by L-BFGS from fixed random starts. Scores are kept within ±16 τ.

    Raises:
        ValueError: an objective without τ.
    """
    if "tau" not in objective.hyperparameters:
        raise ValueError(f"objective: {objective.name!r} has no tau to measure its weights by")
    settings = tuple(objective.hyperparameters.items())
    return _largest_weight(objective.name, settings, objective.unit, objective.loss, group_size)


@cache
def _largest_weight(
    name: str, settings: tuple[tuple[str, float | str], ...], unit: Unit, loss: Callable[..., Tensor], group_size: int
) -> float:
    """The search of :func:`largest_weight`, which takes a second: once for each objective, here by its parts."""
    objective = Objective(name, dict(settings), unit, loss)
    tau, rng = float(objective.hyperparameters["tau"]), np.random.default_rng(0)
    starts = rng.uniform(-1, 1, (SEARCH_STARTS, group_size))
    return tau * max(
        _maximised(objective, positives, moving, start, SEARCH_RANGE * tau)
        for positives in range(1, group_size)
        for moving in (0, positives)
        for start in starts
    )


def _maximised(objective: Objective, positives: int, moving: int, start: NDArray[np.float64], limit: float) -> float:
    """Largest weight of response ``moving`` over the scores of one group whose first ``positives`` are correct."""
    group = torch.zeros(len(start), dtype=torch.long)
    reward = (torch.arange(len(start)) < positives).double()

    def negative_log_weight(score: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        leaf = torch.from_numpy(score).requires_grad_()
        loss = objective(leaf[:, None], torch.ones(len(score), 1), group, reward)
        # sequence_weights, with a graph to differentiate once more
        (gradient,) = torch.autograd.grad(loss, leaf, create_graph=True)
        value = -(gradient[moving].abs() * objective.normaliser(group, reward)).log()
        (slope,) = torch.autograd.grad(value, leaf)
        return value.item(), slope.numpy()

    found = optimize.minimize(
        negative_log_weight, start, jac=True, method="L-BFGS-B", bounds=[(-limit, limit)] * len(start)
    )
    return float(np.exp(-found.fun))


def _weights(objective: Objective, score: NDArray[np.float64], positive: bool) -> NDArray[np.float64]:
    """:func:`weight_curve` of few scores."""
    size, count = POSITIVES + NEGATIVES, len(score)
    # one group per grid point: groups don't interact, and the normaliser cancels their number
    scores = torch.zeros(count, size, dtype=torch.float64)
    moving = 0 if positive else POSITIVES
    scores[:, moving] = torch.from_numpy(score)
    reward = torch.tensor([1.0] * POSITIVES + [0.0] * NEGATIVES, dtype=torch.float64).repeat(count)
    group = torch.arange(count).repeat_interleave(size)
    weight = sequence_weights(objective, scores.reshape(-1, 1), torch.ones(count * size, 1), group, reward)
    return _per_advantage(objective, weight, group, reward).reshape(count, size)[:, moving].numpy()


def _per_advantage(objective: Objective, weight: Tensor, group: Tensor, reward: Tensor) -> Tensor:
    """GRPO's, DAPO's and GSPO's weights divided by |A|; the REAL family has no advantage."""
    return weight if "tau" in objective.hyperparameters else weight / group_advantage(group, reward).abs()
