"""The rules that keep the value."""

from tests.support.restatements import (  # noqa: F401 - each registers its rules
    equal_formulas,
    equal_fractions,
    equal_numbers,
    equal_structures,
    equal_units,
    equal_wrappers,
)
from tests.support.restatements.rules import EQUAL

__all__ = ["EQUAL"]
