"""The six training objectives of the paper, as pure functions of tensors.

Every objective maps one optimizer mini-batch to one scalar. The axes are N sequences (P prompts times G
rollouts) and T response tokens; a *group* is the set of rollouts of one prompt, in any row order.

    loss = make_objective("real", tau=0.5)(log_ratio, mask, group, reward)

Three of them couple the rollouts of a group (``real``, ``real_bce``, ``real_product``): applied to a part of a
group they are different losses. ``real.exact`` evaluates any of them exactly under micro-batches and ranks.

Source: arXiv 2602.05630, Eq. 8 and the gradient weights that follow it; normalisers and constants are those of
the authors' ``core_algos.py`` (functions named in each docstring). Departures: Q counts the groups of the whole
mini-batch, where the released code counts those of one gather of 32 rows; DAPO's token mean runs over the whole
mini-batch, where the released code averages it over cells of four sequences.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from real.hyperparameters import RELEASED, complete

Unit = Literal["groups", "rows"]

# exp() of a clamped log-ratio stays finite in float32; the released code and verl use the same two bounds
TOKEN_LOG_RATIO_BOUND = 40.0
SEQUENCE_LOG_RATIO_BOUND = 10.0
ADVANTAGE_EPSILON = 1e-6


def sequence_score(log_ratio: Tensor, mask: Tensor) -> Tensor:
    """Length-normalised relative log-probability s̄ of each response.

    Args:
        log_ratio: (N, T), log π_θ − log π_old, in nats; zero where ``mask`` is 0.
        mask: (N, T), 1 on response tokens.

    Returns:
        (N,) mean log-ratio over the tokens of each row; 0 for an empty row.
    """
    return log_ratio.sum(dim=1) / mask.sum(dim=1).clamp(min=1)


def group_advantage(group: Tensor, reward: Tensor) -> Tensor:
    """Group-relative advantage (r − mean) / (std + 1e-6) with the unbiased std; a group of one keeps its reward.

    Args:
        group: (N,) integer group ids; reward: (N,) 0 or 1.

    Returns:
        (N,) advantages, exactly 0 in one-sided groups of two or more.

    Source: ``compute_grpo_outcome_advantage`` of the authors' ``core_algos.py``.
    """
    member_QN = _membership(group)
    size_Q = member_QN.sum(dim=1).to(reward.dtype)
    mean_Q = (member_QN * reward).sum(dim=1) / size_Q
    deviation_QN = member_QN * (reward - mean_Q[:, None])
    std_Q = (deviation_QN.square().sum(dim=1) / (size_Q - 1).clamp(min=1)).sqrt()
    advantage_QN = deviation_QN / (std_Q[:, None] + ADVANTAGE_EPSILON)
    single = (member_QN * size_Q[:, None]).sum(dim=0) == 1
    return torch.where(single, reward, advantage_QN.sum(dim=0))


def grpo_loss(
    log_ratio: Tensor, mask: Tensor, group: Tensor, reward: Tensor, clip_low: float, clip_high: float
) -> Tensor:
    """Mean over the N sequences of the token mean of the clipped policy-gradient loss.

    Source: ``compute_policy_loss_grpo``. Shapes as in :class:`Objective`.
    """
    token_loss = _clipped_token_loss(log_ratio, group, reward, clip_low, clip_high)
    return ((token_loss * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)).mean()


def dapo_loss(
    log_ratio: Tensor, mask: Tensor, group: Tensor, reward: Tensor, clip_low: float, clip_high: float
) -> Tensor:
    """Token mean over the whole mini-batch of the clipped loss, with the higher upper clip.

    Source: ``compute_policy_loss_dapo``; neither dynamic sampling nor over-long shaping, as in the released script.
    """
    token_loss = _clipped_token_loss(log_ratio, group, reward, clip_low, clip_high)
    return (token_loss * mask).sum() / mask.sum().clamp(min=1)


def gspo_loss(
    log_ratio: Tensor, mask: Tensor, group: Tensor, reward: Tensor, clip_low: float, clip_high: float
) -> Tensor:
    """Mean over sequences of the clipped loss at the sequence ratio exp(s̄).

    The released code writes the ratio per token, exp(log π − sg[log π] + sg[s̄]); its token mean has the value and
    the gradient of this form.

    Source: ``compute_policy_loss_gspo``.
    """
    ratio = sequence_score(log_ratio, mask).clamp(max=SEQUENCE_LOG_RATIO_BOUND).exp()
    advantage = group_advantage(group, reward)
    loss = -torch.minimum(advantage * ratio, advantage * ratio.clamp(1 - clip_low, 1 + clip_high))
    return (loss * (mask.sum(dim=1) > 0)).mean()


def real_loss(log_ratio: Tensor, mask: Tensor, group: Tensor, reward: Tensor, tau: float, one_sided: str) -> Tensor:
    """REAL, Eq. 8: log(1 + Σ₊ e^(−s̄/τ)) + log(1 + Σ₋ e^(s̄/τ)), summed over groups, divided by all groups.

    Source: ``compute_policy_loss_real``, which drops one-sided groups from the sum and keeps them in the divisor.
    """
    logit = sequence_score(log_ratio, mask) / tau
    member_QN = _membership(group)
    positive_QN, negative_QN = member_QN & (reward == 1), member_QN & (reward == 0)
    loss_Q = _log_one_plus_sum_exp(-logit, positive_QN) + _log_one_plus_sum_exp(logit, negative_QN)
    if one_sided == "drop":
        loss_Q = loss_Q * (positive_QN.any(dim=1) & negative_QN.any(dim=1))
    return loss_Q.mean()


def real_product_loss(
    log_ratio: Tensor, mask: Tensor, group: Tensor, reward: Tensor, tau: float, one_sided: str
) -> Tensor:
    """Ablation "product-style": log(1 + Σ₋ e^(s̄/τ) · Σ₊ e^(−s̄/τ)), summed over groups, divided by all groups.

    A one-sided group has an empty factor, so it contributes exactly 0 under either setting of ``one_sided``.

    Source: ``compute_policy_loss_real_product_style`` with its misspelt variable (``lse_1neg``) read as ``lse_neg``.
    """
    logit = sequence_score(log_ratio, mask) / tau
    member_QN = _membership(group)
    positive_QN, negative_QN = member_QN & (reward == 1), member_QN & (reward == 0)
    two_sided = positive_QN.any(dim=1) & negative_QN.any(dim=1)
    log_product = _log_sum_exp(-logit, positive_QN[two_sided]) + _log_sum_exp(logit, negative_QN[two_sided])
    # + 0 * Σ logit keeps the graph when every group is one-sided, so that backward still runs
    # torch's default threshold of 20 drops e^-20 from the gradient; beyond 40 nothing is left to drop in float64
    return F.softplus(log_product, threshold=40.0).sum() / len(member_QN) + 0.0 * logit.sum()


def real_bce_loss(log_ratio: Tensor, mask: Tensor, group: Tensor, reward: Tensor, tau: float, one_sided: str) -> Tensor:
    """Ablation "BCE": binary cross-entropy of s̄/τ against the label, mean over the rows of two-sided groups.

    ``one_sided="train"`` averages over all rows.

    Source: ``compute_policy_loss_bce``, with targets in the dtype of the scores (the released code casts to float32).
    """
    logit = sequence_score(log_ratio, mask) / tau
    row_loss = F.binary_cross_entropy_with_logits(logit, reward, reduction="none")
    kept = _rows_in_two_sided_groups(group, reward) if one_sided == "drop" else torch.ones_like(reward)
    return (row_loss * kept).sum() / kept.sum().clamp(min=1)


@dataclass(frozen=True)
class Objective:
    """An objective with its hyper-parameters fixed; call it on one whole mini-batch.

    Attributes:
        name: one of :data:`OBJECTIVES`.
        hyperparameters: ``tau``, ``one_sided`` for the REAL family; ``clip_low``, ``clip_high`` for the others.
        unit: what the objective averages over, ``"groups"`` or ``"rows"``.
    """

    name: str
    hyperparameters: dict[str, float | str]
    unit: Unit
    loss: Callable[..., Tensor] = field(repr=False)

    def __call__(self, log_ratio: Tensor, mask: Tensor, group: Tensor, reward: Tensor) -> Tensor:
        """Loss of the mini-batch.

        Args:
            log_ratio: (N, T) log π_θ − log π_old in nats. Never read where ``mask`` is 0 (NaN or −inf may stand there).
                Objectives of scores alone also take (N, 1): the score itself, with ``mask = (length > 0)[:, None]``.
            mask: (N, T), 1 on response tokens and 0 elsewhere. An all-zero row is an empty response: score 0, no
                gradient, counted in every normaliser.
            group: (N,) integer ids, any values, any order.
            reward: (N,) 0 or 1; the label is ``reward == 1``.

        Returns:
            Scalar with a gradient with respect to ``log_ratio``.

        Raises:
            ValueError: naming the argument whose shape, type or value is wrong.
        """
        check_batch(log_ratio, mask, group, reward)
        clean = log_ratio.masked_fill(mask == 0, 0.0)
        return self.loss(clean, mask.to(clean.dtype), group, reward.to(clean.dtype), **self.hyperparameters)

    def live_rows(self, group: Tensor, reward: Tensor) -> Tensor:
        """(N,) boolean: rows that can have a gradient. The others, known from rewards alone, have exactly none."""
        if self.hyperparameters.get("one_sided") == "train" and self.name != "real_product":
            return torch.ones_like(group, dtype=torch.bool)
        if "tau" in self.hyperparameters:
            return _rows_in_two_sided_groups(group, reward).bool()
        return group_advantage(group, reward.double()) != 0

    def normaliser(self, group: Tensor, reward: Tensor) -> int:
        """What the sum in the loss is divided by: groups, or rows (BCE: rows of two-sided groups unless trained)."""
        if self.unit == "groups":
            return len(torch.unique(group))
        if self.hyperparameters.get("one_sided") == "drop":
            return int(_rows_in_two_sided_groups(group, reward).sum())
        return len(group)


# name -> (function, what it averages over, the hyper-parameters it takes with their defaults)
_TABLE: dict[str, tuple[Callable[..., Tensor], Unit, dict[str, float | str]]] = {
    "real": (real_loss, "groups", RELEASED["real"]),
    "grpo": (grpo_loss, "rows", RELEASED["grpo"]),
    "dapo": (dapo_loss, "rows", RELEASED["dapo"]),
    "gspo": (gspo_loss, "rows", RELEASED["gspo"]),
    "real_bce": (real_bce_loss, "rows", RELEASED["real_bce"]),
    "real_product": (real_product_loss, "groups", RELEASED["real_product"]),
}
OBJECTIVES: tuple[str, ...] = tuple(_TABLE)


def make_objective(name: str, **hyperparameters: float | str) -> Objective:
    """Objective ``name`` with the released hyper-parameters, changed where given.

    Args:
        name: one of :data:`OBJECTIVES`.
        hyperparameters: ``tau`` > 0 and ``one_sided`` ("drop" or "train") for the REAL family; ``clip_low`` in
            [0, 1] and ``clip_high`` >= 0 for GRPO, DAPO and GSPO.

    Raises:
        ValueError: unknown name, a hyper-parameter the objective lacks, or a value out of range.
    """
    if name not in _TABLE:
        raise ValueError(f"name: unknown objective {name!r}; choose one of {', '.join(OBJECTIVES)}")
    loss, unit, taken = _TABLE[name]
    return Objective(name, complete(name, taken, hyperparameters), unit, loss)


def check_batch(log_ratio: Tensor, mask: Tensor, group: Tensor, reward: Tensor) -> None:
    """Raise ValueError, naming the argument, unless the four tensors describe one mini-batch."""
    if log_ratio.dim() != 2 or not log_ratio.is_floating_point() or log_ratio.shape[0] == 0:
        raise ValueError(
            f"log_ratio: expected a floating-point (N, T) tensor with N > 0, "
            f"got {tuple(log_ratio.shape)} of {log_ratio.dtype}"
        )
    if mask.shape != log_ratio.shape:
        raise ValueError(f"mask: expected the shape of log_ratio {tuple(log_ratio.shape)}, got {tuple(mask.shape)}")
    if not bool(((mask == 0) | (mask == 1)).all()):
        raise ValueError("mask: expected only 0 and 1")
    rows = (log_ratio.shape[0],)
    if group.shape != rows or group.is_floating_point() or group.is_complex() or group.dtype == torch.bool:
        raise ValueError(f"group: expected {rows} integer ids, got {tuple(group.shape)} of {group.dtype}")
    if reward.shape != rows:
        raise ValueError(f"reward: expected shape {rows}, got {tuple(reward.shape)}")
    if not bool(((reward == 0) | (reward == 1)).all()):
        wrong = reward[(reward != 0) & (reward != 1)][0].item()
        raise ValueError(f"reward: expected only 0 and 1, found {wrong}; map shaped rewards to labels first")


def _membership(group: Tensor) -> Tensor:
    """(Q, N) boolean: row n belongs to the q-th distinct group."""
    ids, inverse = torch.unique(group, return_inverse=True)
    return inverse[None, :] == torch.arange(len(ids), device=group.device)[:, None]


def _rows_in_two_sided_groups(group: Tensor, reward: Tensor) -> Tensor:
    """(N,) 1 where the row's group holds both labels, in the dtype of ``reward``."""
    member_QN = _membership(group)
    two_sided_Q = (member_QN & (reward == 1)).any(dim=1) & (member_QN & (reward == 0)).any(dim=1)
    return (member_QN & two_sided_Q[:, None]).any(dim=0).to(reward.dtype)


def _log_sum_exp(value: Tensor, member_QN: Tensor) -> Tensor:
    """(Q,) log Σ e^value over the members of each row of ``member_QN``, each of which has at least one."""
    return torch.where(member_QN, value, -torch.inf).logsumexp(dim=1)


def _log_one_plus_sum_exp(value: Tensor, member_QN: Tensor) -> Tensor:
    """(Q,) log(1 + Σ e^value); an empty sum gives 0. The 1 enters as e^0, so that nothing overflows."""
    one_N1 = F.pad(value, (1, 0))
    always_Q1 = torch.ones_like(member_QN[:, :1])
    return _log_sum_exp(one_N1, torch.cat([always_Q1, member_QN], dim=1))


def _clipped_token_loss(log_ratio: Tensor, group: Tensor, reward: Tensor, clip_low: float, clip_high: float) -> Tensor:
    """(N, T) −min(A r, A clip(r, 1 − clip_low, 1 + clip_high)) at the token ratio r."""
    ratio = log_ratio.clamp(-TOKEN_LOG_RATIO_BOUND, TOKEN_LOG_RATIO_BOUND).exp()
    advantage = group_advantage(group, reward)[:, None]
    return -torch.minimum(advantage * ratio, advantage * ratio.clamp(1 - clip_low, 1 + clip_high))
