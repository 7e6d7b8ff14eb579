"""What others measured of the same methods, models and curves: shown beside the claims, not judged and not counted."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special

from real.config import ConfigError
from real.evidence.claims import THIRD_PARTY
from real.statistics.intervals import CONFIDENCE
from real.system.files import read_csv
from real.system.sentences import unknown

COLUMNS = ["id", "who", "source", "measured", "kind", "value", "n", "resolves"]
KINDS = ("score", "deviation", "direction")


@dataclass(frozen=True)
class Report:
    """What one source says.

    Attributes:
        measured: what was measured of what, in words.
        kind: ``score``, ``deviation`` (the standard deviation of a score) or ``direction``, which has no value.
        value: a fraction, not points; None of a direction.
        n: runs or seeds behind the value; None where they are not stated.
        ends: of a deviation over n seeds, the ends of its 95 % range; else None.
        resolves: what follows from it, and what doesn't.
    """

    id: str
    who: str
    source: str
    measured: str
    kind: str
    value: float | None
    n: int | None
    ends: tuple[float, float] | None
    resolves: str


def read_third_party(file: str = THIRD_PARTY) -> list[Report]:
    """The reports, in the order of the file.

    Raises:
        ConfigError: naming the file and the row: other columns, an id given twice, an unknown kind, a missing text, a
            value that its kind can't have, or an n that is no whole number of 1 or more.
    """
    table = read_csv(Path(file), remedy="restore it from the repository", comment="#")
    if list(table.columns) != COLUMNS:
        raise ConfigError(f"{file}: expected the columns {', '.join(COLUMNS)}, found {', '.join(table.columns)}")
    for name in table["id"][table["id"].duplicated()]:
        raise ConfigError(f"{file}: {name} is given twice; remove one row")
    return [_report(row, f"{file}: {row['id']}") for _, row in table.iterrows()]


def deviation_factors(n: int) -> tuple[float, float]:
    """Ends of the 95 % range of a standard deviation, as multiples of the one that n normal values have.

    The range divides (n − 1)·s² by the quantiles of chi-square with n − 1 degrees of freedom.

    Raises:
        ValueError: n below 2.
    """
    if n < 2:
        raise ValueError(f"n is {n}; a deviation needs 2 values or more")
    tail = (1 - CONFIDENCE) / 2
    low, high = ((n - 1) / special.chdtri(n - 1, share) for share in (tail, 1 - tail))
    return float(np.sqrt(low)), float(np.sqrt(high))


def _report(row: pd.Series, where: str) -> Report:
    for column in ("who", "source", "measured", "resolves"):
        if pd.isna(row[column]):
            raise ConfigError(f"{where}: {column} is empty; write it")
    kind, value, n = row["kind"], _number(row, "value", where), _number(row, "n", where)
    if kind not in KINDS:
        raise ConfigError(f"{where}: {unknown('kind', kind, KINDS)}")
    if (value is None) != (kind == "direction"):
        has = "has no" if kind == "direction" else "needs a"
        raise ConfigError(f"{where}: a {kind} {has} value; correct one of them")
    if value is not None and not 0 <= value <= 1:
        raise ConfigError(f"{where}: value is {value:g}; write a fraction of 0 to 1")
    if n is not None and not (n >= 1 and n.is_integer()):
        raise ConfigError(f"{where}: n is {n:g}; write a whole number of 1 or more, or nothing")
    ends = None
    if kind == "deviation" and value is not None and n is not None and n > 1:
        low, high = deviation_factors(int(n))
        ends = value * low, value * high
    texts = {column: str(row[column]) for column in ("id", "who", "source", "measured", "kind", "resolves")}
    return Report(**texts, value=value, n=None if n is None else int(n), ends=ends)


def _number(row: pd.Series, column: str, where: str) -> float | None:
    """A cell as a number; None where it is empty."""
    try:
        return None if pd.isna(row[column]) else float(row[column])
    except ValueError:
        raise ConfigError(f"{where}: {column} is {row[column]!r}; write a number, or nothing") from None
