"""How methods are called in tables and figures: labels that can be drawn, and those of variants without one."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator

from real.system.names import Line

# of the row beside the methods' in tables
BASE_LABEL = "Base model"
# smaller numbers are written with an exponent
SMALLEST_PLAIN = 0.01


def with_changes(label: str, changes: Mapping[str, bool | float | int | str]) -> str:
    """``REAL (tau 0.1)``: a label that tells a method from the one that it is with some keys changed."""
    return f"{label} ({', '.join(f'{key} {_plain(value)}' for key, value in changes.items())})" if changes else label


def _plain(value: bool | float | int | str) -> str:
    """A value as a configuration file has it, every digit of it: other values, other text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and 0 < abs(value) < SMALLEST_PLAIN:
        return f"{Decimal(repr(value)).normalize():e}"
    return str(value)


def _can_be_shown(text: str) -> str:
    """Refuse what matplotlib can't draw, or leaves out of a legend, and what tables call the base model."""
    if text == BASE_LABEL:
        raise ValueError("so tables call the base model: choose another label")
    if text.startswith("_"):
        raise ValueError("figures leave a label that begins with '_' out of their legends: begin it otherwise")
    if "$" in text:
        # imported here: it takes its time, and a label seldom holds a formula
        from matplotlib.mathtext import MathTextParser

        if text.replace(r"\$", "").count("$") % 2:
            raise ValueError(r"a formula that begins with '$' doesn't end: write $…$, or \$ for the sign itself")
        try:
            MathTextParser("path").parse(text)
        except ValueError:
            raise ValueError("figures can't typeset the formula between its '$': correct it, or use words") from None
    return text


Label = Annotated[Line, AfterValidator(_can_be_shown)]
"""A method's name in tables and figures."""
