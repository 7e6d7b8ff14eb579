"""Exact gradients of any objective under any split into micro-batches or ranks.

The objectives of ``real.objectives`` couple the rows of a mini-batch through a few numbers. So the gradient is taken
in two passes (the idea of GradCache, arXiv 2101.06983): a pass without gradients gives the log-ratios of the whole
mini-batch, the objective's own autograd gives dL/dlog_prob for every token, and a second pass, split at will,
back-propagates those as fixed weights:

    weights = token_weights(objective, log_ratio, mask, group, reward)      # whole mini-batch, no model graph
    for rows in any_split:                                                  # micro-batches, ranks
        surrogate(policy(rows), weights[rows]).backward()                   # gradients add up to L's
"""

import torch
from torch import Tensor

from real.objectives import Objective, sequence_score


def token_weights(objective: Objective, log_ratio: Tensor, mask: Tensor, group: Tensor, reward: Tensor) -> Tensor:
    """dL/dlog_prob of every token of a mini-batch.

    Args:
        objective: from :func:`real.objectives.make_objective`.
        log_ratio: (N, T); mask: (N, T); group: (N,); reward: (N,), as the objective takes them.

    Returns:
        (N, T) detached gradient, exactly 0 where ``mask`` is 0. With one column (T = 1, the score itself) it is
        dL/ds̄; dL/dlog_prob of each token is that divided by the row's length.

    Raises:
        ValueError: from the objective, naming the argument.
    """
    with torch.enable_grad():
        leaf = log_ratio.detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(objective(leaf, mask, group, reward), leaf)
    return gradient


def surrogate(log_prob: Tensor, weights: Tensor) -> Tensor:
    """Scalar whose gradient with respect to the model is exactly the objective's.

    Args:
        log_prob: (n, T) log-probabilities, with graph, of any rows of the mini-batch. Not read where the weight is 0.
        weights: (n, T) the same rows of :func:`token_weights`.

    Returns:
        Σ weight · log_prob. Its value is not the loss; its gradients over any row split add up to the loss's.

    Raises:
        ValueError: if the shapes differ.
    """
    if log_prob.shape != weights.shape:
        raise ValueError(f"weights: expected the shape of log_prob {tuple(log_prob.shape)}, got {tuple(weights.shape)}")
    return (log_prob.masked_fill(weights == 0, 0.0) * weights).sum()


def sequence_weights(objective: Objective, log_ratio: Tensor, mask: Tensor, group: Tensor, reward: Tensor) -> Tensor:
    """Gradient magnitude of each response: |Σ_t dL/dlog_prob_t| times the objective's normaliser, (N,).

    The quantity on the vertical axis of the paper's gradient figure (there GRPO's is further divided by |A|).
    """
    weights = token_weights(objective, log_ratio, mask, group, reward)
    return weights.sum(dim=1).abs() * objective.normaliser(group, reward)


def of_scores(objective: Objective) -> bool:
    """Whether scores s̄ alone decide the weights: each token's is dL/ds̄ over its response's length. Tried on a batch."""
    length = torch.tensor([1, 2, 3, 4, 4, 3, 2, 1])
    mask = (torch.arange(4) < length[:, None]).double()
    log_ratio = 0.1 * torch.randn(mask.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * mask
    group, reward = torch.arange(8) // 4, torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0], dtype=torch.float64)
    score = sequence_score(log_ratio, mask)[:, None]
    of_score = token_weights(objective, score, torch.ones_like(score), group, reward)
    weights = token_weights(objective, log_ratio, mask, group, reward)
    return torch.allclose(weights, mask * of_score / length[:, None], rtol=1e-9, atol=1e-12)
