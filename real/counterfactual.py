"""Gradient weights put together from parts: one rule for correct responses, another for wrong ones.

The paper explains its gains by the weight w that an objective gives to a token's log-probability: GRPO's |A| e^s
starves correct responses that have become unlikely (misassignment), and wrong ones that have become likely dominate by
it; REAL's is bounded. A rule here is such a w by itself, so that each explanation can be tried alone, on one label:

    constant   |A|
    ratio      |A| e^s
    clipped    |A| e^s, and 0 where PPO's clip removes it: above 1 + clip_high (correct), below 1 - clip_low (wrong)
    capped     |A| min(e^s, 1): the upper tail is cut
    floored    |A| max(e^s, 1): nothing is starved
    real       REAL's, Eq. 8: σ of the response's score s̄/τ in its group, times 1/τ
    frozen     REAL's at s̄ = 0: 1 / (τ (1 + number of responses of that label in the group))

s is a token's log-ratio and A the group's advantage. These are diagnostics, not methods of the paper: only the gradient
means something, and the value of the loss is 0 up to rounding. With the same rule for both labels, ``ratio`` is GRPO
without a clip, ``clipped`` GRPO, and ``real`` REAL; tests compare them.

The advantage's rules keep GRPO's normaliser (rows, token mean), REAL's keep REAL's (groups, 1/length).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from real.hyperparameters import COUNTERFACTUAL, RELEASED, complete
from real.objectives import TOKEN_LOG_RATIO_BOUND, Objective, group_advantage, make_objective, sequence_score

# rule -> the share of |A| that a token's ratio gives; the other rules need more than the ratio
_OF_ADVANTAGE: dict[str, Callable[[Tensor], Tensor]] = {
    "constant": torch.ones_like,
    "ratio": lambda ratio: ratio,
    "capped": lambda ratio: ratio.clamp(max=1.0),
    "floored": lambda ratio: ratio.clamp(min=1.0),
}


@dataclass(frozen=True)
class Counterfactual(Objective):
    """An objective of two rules; see :class:`real.objectives.Objective` for how it is called."""

    def live_rows(self, group: Tensor, reward: Tensor) -> Tensor:
        """(N,) boolean: rows that can have a gradient, those with an advantage."""
        return group_advantage(group, reward.double()) != 0


def make_any_objective(name: str, **hyperparameters: float | str) -> Objective:
    """One of the paper's objectives (:func:`real.objectives.make_objective`) or ``counterfactual``.

    Args:
        hyperparameters: of ``counterfactual``: ``positives`` and ``negatives``, each one of
            ``real.hyperparameters.RULES``; ``tau``, ``clip_low`` and ``clip_high`` for the rules that have one.

    Raises:
        ValueError: unknown name, a hyper-parameter the objective lacks, or a value out of range.
    """
    if name != COUNTERFACTUAL:
        return make_objective(name, **hyperparameters)
    return Counterfactual(name, complete(name, RELEASED[name], hyperparameters), "rows", counterfactual_loss)


def counterfactual_loss(
    log_ratio: Tensor,
    mask: Tensor,
    group: Tensor,
    reward: Tensor,
    positives: str,
    negatives: str,
    tau: float,
    clip_low: float,
    clip_high: float,
) -> Tensor:
    """A scalar whose gradient with respect to ``log_ratio`` is minus (correct) or plus (wrong) the rules' weights.

    Shapes as in :class:`real.objectives.Objective`.
    """
    settled = log_ratio.detach()
    positive = (reward == 1)[:, None]
    weight = torch.where(
        positive,
        token_weight(positives, True, settled, mask, group, reward, tau, clip_low, clip_high),
        token_weight(negatives, False, settled, mask, group, reward, tau, clip_low, clip_high),
    )
    sign = torch.where(positive, -1.0, 1.0)
    # the difference is 0, its gradient 1
    return (sign * weight * (log_ratio - settled) * mask).sum()


def token_weight(
    rule: str,
    positive: bool,
    log_ratio: Tensor,
    mask: Tensor,
    group: Tensor,
    reward: Tensor,
    tau: float,
    clip_low: float,
    clip_high: float,
) -> Tensor:
    """(N, T) weight of every token by one rule, as if its response had the label ``positive``; at least 0."""
    length = mask.sum(dim=1, keepdim=True).clamp(min=1)
    if rule in ("real", "frozen"):
        score = sequence_score(log_ratio, mask) if rule == "real" else torch.zeros_like(reward)
        return real_weight(score, positive, group, reward, tau)[:, None] / length
    ratio = log_ratio.clamp(-TOKEN_LOG_RATIO_BOUND, TOKEN_LOG_RATIO_BOUND).exp()
    if rule == "clipped":
        kept = ratio <= 1 + clip_high if positive else ratio >= 1 - clip_low
        share = ratio * kept
    else:
        share = _OF_ADVANTAGE[rule](ratio)
    return group_advantage(group, reward).abs()[:, None] * share / (length * len(reward))


def real_weight(score: Tensor, positive: bool, group: Tensor, reward: Tensor, tau: float) -> Tensor:
    """(N,) REAL's |dL/ds̄| at the given scores (N,) for the rows of one label in two-sided groups; 0 for the others.

    By the objective's own autograd. Source: Eq. 8 of the paper.
    """
    with torch.enable_grad():
        leaf = score[:, None].detach().clone().requires_grad_()
        loss = make_objective("real", tau=tau)(leaf, torch.ones_like(leaf), group, reward)
        (gradient,) = torch.autograd.grad(loss, leaf)
    return gradient[:, 0].abs() * (reward == float(positive))
