"""One optimizer update on one mini-batch, exact under any micro-batch size."""

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from real.exact import surrogate, token_weights
from real.objectives import Objective, group_advantage, sequence_score
from real.torch_engine.policy import token_log_probs

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

    def rows(self, start: int, stop: int) -> "Batch":
        """Rows ``start`` to ``stop``."""
        cut = slice(start, stop)
        return Batch(
            self.prompts[cut],
            self.response[cut],
            self.mask[cut],
            self.old_log_prob[cut],
            self.reference_log_prob[cut],
            self.group[cut],
            self.reward[cut],
        )


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
    model: PreTrainedModel,
    batch: Batch,
    objective: Objective,
    kl_coefficient: float,
    temperature: float,
    micro_batch_rows: int,
) -> Gradient:
    """Add the gradient of the mini-batch objective (and KL term) to the model's parameters.

    Where the mini-batch fits one micro-batch, its log-probs serve both passes; else a pass without gradients comes
    first. Either way the gradient is that of the undivided mini-batch.
    """
    total = len(batch.prompts)
    tokens = batch.mask.sum().clamp(min=1)

    def log_probs(part: Batch) -> Tensor:
        return token_log_probs(model, part.prompts, part.response, part.mask, temperature)

    micro_batches = [(i, min(i + micro_batch_rows, total)) for i in range(0, total, micro_batch_rows)]
    single = log_probs(batch) if len(micro_batches) == 1 else None
    if single is None:
        with torch.no_grad():
            detached = torch.cat([log_probs(batch.rows(*cut)) for cut in micro_batches])
    else:
        detached = single.detach()
    log_ratio = detached - batch.old_log_prob
    weights = token_weights(objective, log_ratio, batch.mask, batch.group, batch.reward)
    for start, stop in micro_batches:
        part = batch.rows(start, stop)
        log_prob = log_probs(part) if single is None else single
        loss = surrogate(log_prob, weights[start:stop])
        if kl_coefficient > 0:
            loss = loss + kl_coefficient * kl_to_reference(log_prob, part.reference_log_prob, part.mask) / tokens
        loss.backward()
    return Gradient(log_ratio, weights)


def clipped_fraction(gradient: Gradient, batch: Batch) -> float:
    """Share of response tokens whose gradient a clip (or clamp) removed: an advantage, but no weight."""
    advantage = group_advantage(batch.group, batch.reward)[:, None]
    removed = (gradient.weights == 0) & (advantage != 0) & (batch.mask == 1)
    return float(removed.sum() / batch.mask.sum().clamp(min=1))


def scores(gradient: Gradient, batch: Batch) -> Tensor:
    """(N,) scores s̄ at which the mini-batch's weights were taken."""
    return sequence_score(gradient.log_ratio * batch.mask, batch.mask)
