"""Matrix products by numpy's OpenBLAS, whose kernel can be chosen: the same sums on every processor.

torch's own, MKL, adds in another order on another processor (real/system/portable.py). The four operators below are
what all products of a model on a CPU become, forward and backward. Replaced where torch looks them up, they are
replaced for every model, the library's too. A call costs about 7 microseconds more.

Source: https://docs.pytorch.org/docs/stable/library.html#torch.library.Library.impl
"""

import warnings

import numpy as np
import torch
from torch import Tensor

# BLAS doesn't multiply these; torch's kernels for them add in float32 too
REDUCED = (torch.bfloat16, torch.float16)


class _Taken:
    library: torch.library.Library | None = None


def take_openblas() -> None:
    """Let this process's matrix products on the CPU be numpy's from now on."""
    if _Taken.library is None:
        _Taken.library = torch.library.Library("aten", "IMPL")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="(?s).*Overriding a previously registered kernel")
            for name, kernel in {"mm": product, "bmm": product, "addmm": added, "baddbmm": added}.items():
                _Taken.library.impl(name, kernel, "CPU")


def give_back_mkl() -> None:
    """Let them be torch's again."""
    _Taken.library = None


def product(a: Tensor, b: Tensor) -> Tensor:
    """(..., m, n) from (..., m, k) and (..., k, n)."""
    if a.dtype in REDUCED:
        return product(a.float(), b.float()).to(a.dtype)
    out = a.new_empty((*a.shape[:-1], b.shape[-1]))
    np.matmul(a.detach().numpy(), b.detach().numpy(), out=out.numpy())
    return out


def added(x: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta · x + alpha · a b; with beta 0 nothing of x counts, NaN neither."""
    out = product(a, b)
    if alpha != 1:
        out.mul_(alpha)
    return out.add_(x, alpha=beta) if beta else out
