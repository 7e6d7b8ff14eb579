"""Where training meets NaN or infinity: one sentence for every engine, before anything is updated or saved with it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from real.system.errors import ExpectedError


class NotFiniteError(ExpectedError):
    """A run that met a number that is none; the message says where, what is kept, and what to change."""


def not_finite(run: str, step: int, what: str, saved: int | None, remedy: str) -> NotFiniteError:
    """The error of a run that stops.

    Args:
        what: what is not finite, for example "the gradient's norm is nan".
        saved: the last step whose state is on disk; None if no step's is.
        remedy: what to do if it happens again.
    """
    kept = (
        "no step was saved yet, and the same command starts anew"
        if saved is None
        else f"the state after step {saved} is kept, and the same command goes on from it"
    )
    return NotFiniteError(f"{run}: step {step}: {what}, so the run stops; {kept}; should it end here again, {remedy}")


@contextmanager
def explained(run: str, step: int, saved: int | None, remedy: str) -> Iterator[None]:
    """Turn a FloatingPointError of the body, whose message says what is not finite, into :func:`not_finite`."""
    try:
        yield
    except FloatingPointError as error:
        raise not_finite(run, step, str(error), saved, remedy) from None


def require_finite(name: str, values: Tensor | float) -> None:
    """Raise FloatingPointError, which names the first value that is not finite, if there is one."""
    flat = torch.as_tensor(values).flatten()
    wrong = flat[flat.isfinite().logical_not()]
    if len(wrong):
        share = f" ({len(wrong)} of {len(flat)} values)" if len(flat) > 1 else ""
        raise FloatingPointError(f"the {name} is {float(wrong[0])}{share}")
