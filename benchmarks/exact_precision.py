"""The objectives and their weights in bfloat16 and float32 on a device, against float64 on the CPU."""

from collections.abc import Iterator

import torch

from real.exact import token_weights
from real.objectives import OBJECTIVES, Objective, make_objective

GROUPS, ROLLOUTS = 32, 8  # the paper's mini-batch

Inputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def some_inputs(tokens: int) -> Inputs:
    """Log-ratios (N, T), mask, group, reward: scores of standard deviation 0.3, tokens of 0.1 around them."""
    generator = torch.Generator().manual_seed(0)
    rows = GROUPS * ROLLOUTS
    lengths = torch.randint(tokens // 4, tokens + 1, (rows, 1), generator=generator)
    mask = (torch.arange(tokens)[None, :] < lengths).double()
    score = 0.3 * torch.randn(rows, 1, generator=generator, dtype=torch.float64)
    log_ratio = score + 0.1 * torch.randn(rows, tokens, generator=generator, dtype=torch.float64)
    reward = torch.randint(0, 2, (rows,), generator=generator).double()
    return log_ratio * mask, mask, torch.arange(GROUPS).repeat_interleave(ROLLOUTS), reward


def loss_and_weights(objective: Objective, inputs: Inputs, dtype: torch.dtype, device: str) -> list[torch.Tensor]:
    """The scalar and its (N, T) gradient, in float64 on the CPU."""
    log_ratio, mask, group, reward = (
        tensor.to(device, dtype if tensor.is_floating_point() else None) for tensor in inputs
    )
    loss = objective(log_ratio, mask, group, reward)
    return [part.cpu().double() for part in (loss, token_weights(objective, log_ratio, mask, group, reward))]


def precision(device: str, tokens: int) -> Iterator[dict[str, str]]:
    """Relative errors, an objective at a time. Inputs are rounded to the format first, for both sides: the error is the
    arithmetic's.

    The engines take scores and weights in float32 or float64, whatever the model computes in; the columns of bfloat16
    say why.
    """
    inputs = some_inputs(tokens)
    for objective in map(make_objective, OBJECTIVES):
        row = {"objective": objective.name}
        for dtype in (torch.float32, torch.bfloat16):
            rounded = tuple(t.to(dtype).double() if t.is_floating_point() else t for t in inputs)
            found = loss_and_weights(objective, rounded, dtype, device)
            exact = loss_and_weights(objective, rounded, torch.float64, "cpu")
            for what, a, b in zip(("loss", "weights"), found, exact, strict=True):
                row[f"{what}, {str(dtype).removeprefix('torch.')}"] = f"{float((a - b).norm() / b.norm()):.1e}"
        yield row


def print_precision(device: str, tokens: int) -> None:
    """Print the table."""
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}: {GROUPS} x {ROLLOUTS} rows of up to {tokens:,} tokens, relative errors")
    for at, row in enumerate(precision(device, tokens)):
        if at == 0:
            print(*row, sep=" | ")
        print(*row.values(), sep=" | ", flush=True)
