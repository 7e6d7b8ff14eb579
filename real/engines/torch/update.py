"""One optimizer update on one mini-batch, exact under any micro-batch size."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from real.config import Training
from real.engines.finite import require_finite
from real.engines.torch.policy import token_log_probs
from real.exact import surrogate, token_weights
from real.models.lean import Model
from real.objectives import Objective, group_advantage, sequence_score

# the released low_var_kl: the estimate is clamped to ±10, beyond which it has no gradient
KL_BOUND = 10.0


@dataclass
class Batch:
    """Rows of rollouts with what the update needs; n rows, T tokens.

    Attributes:
        prompts: n token lists.
        response, mask, old_log_prob: (n, T); reference_log_prob: (n, T), read only when a KL coefficient is set.
        group, reward: (n,).
    """

    prompts: list[list[int]]
    response: Tensor
    mask: Tensor
    old_log_prob: Tensor
    reference_log_prob: Tensor
    group: Tensor
    reward: Tensor

    def select(self, rows: Tensor) -> "Batch":
        """The rows with the given (k,) indices."""
        prompts, *tensors = (getattr(self, field.name) for field in fields(self))
        return Batch([prompts[row] for row in rows.tolist()], *(tensor[rows] for tensor in tensors))


@dataclass
class Gradient:
    """What one mini-batch's backward pass saw: (N, T) log-ratios and weights, and the global norm before clipping."""

    log_ratio: Tensor
    weights: Tensor
    norm: float = float("nan")  # known once the optimizer step clips


def kl_to_reference(log_prob: Tensor, reference_log_prob: Tensor, mask: Tensor) -> Tensor:
    """Σ over response tokens of the k3 estimate e^d − d − 1, d = log π_ref − log π_θ, clamped to ±10.

    Source: ``kl_penalty`` ("low_var_kl") of the authors' ``core_algos.py``. Args are (n, T); returns a scalar.
    """
    # |d| > 20 lies beyond the bound anyway; the inner clamp keeps exp() finite
    d = ((reference_log_prob - log_prob) * mask).clamp(-2 * KL_BOUND, 2 * KL_BOUND)
    return (d.exp() - d - 1).clamp(-KL_BOUND, KL_BOUND).sum()


def accumulate_gradient(
    model: Model,
    batch: Batch,
    objective: Objective,
    kl_coefficient: float,
    temperature: float,
    micro_batch_rows: int,
    as_sampled: bool = False,
) -> Gradient:
    """Add the gradient of the mini-batch objective (and KL term) to the model's parameters.

    Rows that can have no gradient (one-sided groups, where no KL term pulls on them) are run without one, and not at
    all where their log-ratio is known. Where the others fit one micro-batch, their log-probs serve both passes; else a
    pass without gradients comes first. Either way the gradient is that of the undivided mini-batch.

    Args:
        as_sampled: the model is still the one that sampled the rows: the log-ratio of rows without gradient is 0. Run
            again, it would be their forward's rounding, about 1e-6.

    Raises:
        FloatingPointError: log-probs, weights or a loss that are not finite.
    """
    live = objective.live_rows(batch.group, batch.reward) | (kl_coefficient > 0)
    micro_batches = [rows for rows in live.nonzero().squeeze(1).split(micro_batch_rows) if len(rows)]
    without_gradient = live.logical_not().nonzero().squeeze(1)

    def log_probs(rows: Tensor) -> Tensor:
        part = batch.select(rows)
        return token_log_probs(model, part.prompts, part.response, part.mask, temperature)

    single = log_probs(micro_batches[0]) if len(micro_batches) == 1 else None
    detached = torch.zeros(batch.mask.shape, dtype=model.dtype, device=batch.mask.device)
    with torch.no_grad():
        if as_sampled:
            detached[without_gradient] = batch.old_log_prob[without_gradient].to(model.dtype)
        elif len(without_gradient):
            detached[without_gradient] = log_probs(without_gradient)
        for rows in micro_batches:
            detached[rows] = log_probs(rows) if single is None else single
    log_ratio = detached - batch.old_log_prob
    require_finite("log-ratio of a response token", log_ratio[batch.mask == 1])
    weights = token_weights(objective, log_ratio, batch.mask, batch.group, batch.reward)
    require_finite("objective's weight", weights)
    for rows in micro_batches:
        log_prob = log_probs(rows) if single is None else single
        loss = surrogate(log_prob, weights[rows])
        if kl_coefficient > 0:
            penalty = kl_to_reference(log_prob, batch.reference_log_prob[rows], batch.mask[rows])
            loss = loss + kl_coefficient * penalty / batch.mask.sum().clamp(min=1)
        require_finite("loss", loss.item())  # a clamp hides NaN from the gradient
        loss.backward()
    return Gradient(log_ratio, weights)


def learning_rate_at(training: Training, step: int) -> float:
    """Linear warm-up from 0 in the first outer step, then constant; ``step`` counts from 1.

    Source: ``get_constant_schedule_with_warmup`` of the authors' code, which steps once per outer step.
    """
    return training.learning_rate * min(1.0, (step - 1) / max(1, training.warmup_steps))


def clipped_fraction(gradient: Gradient, batch: Batch) -> float:
    """Share of response tokens whose gradient a clip (or clamp) removed: an advantage, but no weight."""
    advantage = group_advantage(batch.group, batch.reward)[:, None]
    removed = (gradient.weights == 0) & (advantage != 0) & (batch.mask == 1)
    return float(removed.sum() / batch.mask.sum().clamp(min=1))


def scores(gradient: Gradient, batch: Batch) -> Tensor:
    """(N,) scores s̄ at which the mini-batch's weights were taken."""
    return sequence_score(gradient.log_ratio * batch.mask, batch.mask)
