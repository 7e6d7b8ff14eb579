"""Which loss of verl trains which objective; imports nothing of verl, so that a configuration is checked without it."""

import torch

from real.exact import token_weights
from real.objectives import Objective, sequence_score

# registered with verl by losses.py
SURROGATE = "real_surrogate"
# objectives that verl has itself -> (its policy loss, how that is averaged); the averages of real.objectives
OWN_LOSSES = {
    "grpo": ("vanilla", "seq-mean-token-mean"),
    "dapo": ("vanilla", "token-mean"),
    "gspo": ("gspo", "seq-mean-token-mean"),
}


def loss_of(objective: str) -> tuple[str, str]:
    """verl's policy loss for an objective, and how it is averaged: verl's own, else the surrogate of exact weights."""
    return OWN_LOSSES.get(objective, (SURROGATE, "token-mean"))


def can_train(objective: Objective) -> bool:
    """Whether this engine trains an objective: by verl's own loss, or by the scores that ranks exchange (worker.py)."""
    return objective.name in OWN_LOSSES or of_scores(objective)


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
