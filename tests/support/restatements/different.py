"""The rules that change the value."""

from tests.support.restatements import (  # noqa: F401 - each registers its rules
    different_formulas,
    different_numbers,
    different_structures,
    different_units,
    different_words,
)
from tests.support.restatements.rules import DIFFERENT

__all__ = ["DIFFERENT"]
