"""What each objective takes: its hyper-parameters, their released values, and what values they can have.

Without torch, so that what reads a configuration need not wait for torch's import.
"""

from collections.abc import Mapping
from math import inf

COUNTERFACTUAL = "counterfactual"
# by which real.counterfactual weights the responses of one label
RULES = ("constant", "ratio", "capped", "floored", "clipped", "real", "frozen")

_CLIP: dict[str, float | str] = {"clip_low": 0.2, "clip_high": 0.2}
_REAL: dict[str, float | str] = {"tau": 0.5, "one_sided": "drop"}
# objective -> what it takes, with the values of the released scripts; those of counterfactual are GRPO's and REAL's
RELEASED: dict[str, dict[str, float | str]] = {
    "real": _REAL,
    "grpo": _CLIP,
    "dapo": {**_CLIP, "clip_high": 0.28},
    "gspo": {"clip_low": 3e-4, "clip_high": 4e-4},
    "real_bce": _REAL,
    "real_product": _REAL,
    COUNTERFACTUAL: {"positives": "ratio", "negatives": "ratio", "tau": 0.5, **_CLIP},
}
_CHOICES = {"one_sided": ("drop", "train"), "positives": RULES, "negatives": RULES}
# lowest and highest of the numbers; any other number need only be finite
_RANGES = {"tau": (0.0, inf), "clip_low": (0.0, 1.0), "clip_high": (0.0, inf)}


def complete(
    objective: str, taken: Mapping[str, float | str], given: Mapping[str, float | str]
) -> dict[str, float | str]:
    """The hyper-parameters that an objective takes, changed where ``given``.

    Raises:
        ValueError: naming the hyper-parameter that the objective lacks, or whose value it can't have.
    """
    for key, value in given.items():
        if key not in taken:
            raise ValueError(f"{key}: objective {objective!r} has no such hyper-parameter; it takes {', '.join(taken)}")
        _check(key, value)
    return {**taken, **given}


def _check(key: str, value: float | str) -> None:
    if key in _CHOICES:
        if value not in _CHOICES[key]:
            raise ValueError(f"{key}: expected one of {', '.join(map(repr, _CHOICES[key]))}, got {value!r}")
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{key}: expected a number, got {value!r}")
    low, high = _RANGES.get(key, (-inf, inf))
    if not (low <= value <= high and abs(value) < inf) or (key == "tau" and value == 0):
        expected = "> 0" if key == "tau" else f"{low} to {high}" if key in _RANGES else "a finite number"
        raise ValueError(f"{key}: {value!r} is out of range; expected {expected}")
