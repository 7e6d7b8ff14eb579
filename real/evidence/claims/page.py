"""The claims table, as one self-contained HTML page and as a part of the report: page.html.j2 and table.html.j2."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from real.statistics import power


def page(claims: Mapping[str, Any]) -> str:
    """The page.

    Args:
        claims: the content of claims.json.
    """
    return TEMPLATES.get_template("claims/page.html.j2").render(claims=claims)


def amount(value: float | None, unit: str) -> str:
    """A value in its unit; a dash where there is none."""
    if value is None:
        return "–"
    if unit == "points":
        return f"{100 * value:+.1f} points"
    return {"ratio": f"× {value:.3f}", "prompts": f"{value:+.1f} prompts", "plain": f"{value:.3f}"}[unit]


def ends(interval: Mapping[str, Any], unit: str) -> str:
    """Both ends of an interval of claims.json, whose ends are null where nothing is known of the spread."""
    if interval["low"] is None:
        return "none"
    scale, form = {"points": (100, "+.1f"), "prompts": (1, "+.1f")}.get(unit, (1, ".3f"))
    return f"[{scale * interval['low']:{form}}, {scale * interval['high']:{form}}]"


def spread_of(value: float, unit: str) -> str:
    """A deviation of one run's value, in the row's unit; of a ratio a factor."""
    return {"points": f"{100 * value:.1f} points", "ratio": f"a factor of {value:.2f}"}.get(unit, f"{value:.2g}")


def reported(row: Mapping[str, Any]) -> str:
    """The value of a row of others' reports; a dash where there is none."""
    if row["value"] is None:
        return "–"
    return f"{100 * row['value']:.2f} points" if row["kind"] == "deviation" else f"{row['value']:.3f}"


def spread(ends: Sequence[float]) -> str:
    """Both ends of the range of a standard deviation, in points."""
    return f"[{100 * ends[0]:.2f}, {100 * ends[1]:.2f}]"


# of this page and of the report
TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1]),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters |= {"amount": amount, "ends": ends, "reported": reported, "spread": spread, "spread_of": spread_of}
TEMPLATES.globals |= {
    "deviations": " / ".join(f"{100 * deviation:.2f}" for deviation in power.RUN_DEVIATIONS if deviation > 0),
    "concentration": f"{power.CONCENTRATION:g}",
    "correlation": f"{power.CORRELATION:g}",
}
