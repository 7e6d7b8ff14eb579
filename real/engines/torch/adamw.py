"""AdamW by torch's fused step, without torch.optim's class, which imports torch's compiler: a second and a half."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw

EPSILON = 1e-8


class AdamW:
    """AdamW of parameters that all have gradients; the same bytes as ``torch.optim.AdamW(..., fused=True)``.

    Attributes:
        learning_rate: of the next step.
    """

    def __init__(self, parameters: Iterable[Tensor], betas: tuple[float, float], weight_decay: float) -> None:
        self.parameters, self.betas, self.weight_decay = list(parameters), betas, weight_decay
        self.learning_rate = 0.0
        self.first, self.second = ([torch.zeros_like(one) for one in self.parameters] for _ in range(2))
        self.steps = [torch.zeros((), device=one.device) for one in self.parameters]

    def zero_grad(self) -> None:
        """Let gradients be zero, which moments go on from, rather than absent."""
        for parameter in self.parameters:
            parameter.grad = torch.zeros_like(parameter)

    @torch.no_grad()
    def step(self) -> None:
        """Move the parameters by their gradients."""
        gradients = [parameter.grad for parameter in self.parameters]
        beta1, beta2 = self.betas
        adamw(
            self.parameters,
            gradients,  # type: ignore[arg-type]
            self.first,
            self.second,
            [],
            self.steps,
            fused=True,
            amsgrad=False,
            beta1=beta1,
            beta2=beta2,
            lr=self.learning_rate,
            weight_decay=self.weight_decay,
            eps=EPSILON,
            maximize=False,
        )

    def state_dict(self) -> dict[str, list[Tensor]]:
        """Its moments and counts, which later steps change."""
        return {"first": self.first, "second": self.second, "steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from those of :meth:`state_dict`."""
        for name, mine in self.state_dict().items():
            for tensor, saved in zip(mine, state[name], strict=True):
                tensor.copy_(saved)
