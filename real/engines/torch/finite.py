"""Whether the numbers of training are numbers, asked before the optimizer steps with them and before they are saved."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from real.engines.torch.policy import BUCKET_ROWS, token_log_probs


def require_finite(name: str, values: Tensor | float) -> None:
    """Raise FloatingPointError, which names the first value that is not finite, if there is one."""
    flat = torch.as_tensor(values).flatten()
    wrong = flat[flat.isfinite().logical_not()]
    if len(wrong):
        share = f" ({len(wrong)} of {len(flat)} values)" if len(flat) > 1 else ""
        raise FloatingPointError(f"the {name} is {float(wrong[0])}{share}")


def require_sound(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], response: Tensor, mask: Tensor, temperature: float
) -> None:
    """Raise FloatingPointError for a model whose parameters, or log-probs of the first rows, are not finite.

    Without it a model that an update has broken would show only at the next rollouts, and be saved before. Args as for
    :func:`real.engines.torch.policy.token_log_probs`.
    """
    for name, parameter in model.named_parameters():
        require_finite(f"updated parameter {name}", parameter.detach())
    rows = slice(BUCKET_ROWS)
    with torch.no_grad():
        log_prob = token_log_probs(model, prompts[rows], response[rows], mask[rows], temperature)
    require_finite("updated policy's log-prob", log_prob)
