"""REAL, rewards as labels: exact RLVR objectives and the experiments of arXiv 2602.05630.

What a training of your own needs stands here by name: objectives, their exact gradients under any split, and grades of
mathematical answers. Everything else reproduces the paper.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from real.exact import surrogate, token_weights
    from real.grading import Grade, grade, grade_many
    from real.objectives import OBJECTIVES, Objective, make_objective

__all__ = ["OBJECTIVES", "Grade", "Objective", "grade", "grade_many", "make_objective", "surrogate", "token_weights"]
HOMES = ("real.objectives", "real.exact", "real.grading")


def __getattr__(name: str) -> Any:
    """A public name, from the module that defines it: imported when it is used, since most commands need no torch."""
    if name in __all__:
        for module in map(importlib.import_module, HOMES):
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
