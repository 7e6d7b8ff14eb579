"""The words of the claims table: what an interval says of a region, of a family of rows, and of the published size."""

import math
from collections.abc import Callable, Mapping, Sequence

from scipy import special

from real.evidence.claims.schema import Claim, Region
from real.statistics import power
from real.statistics.intervals import CONFIDENCE, NOTHING, PROBLEMS, Interval, verdict

NOT_RUN = "not run"
DECIDED = ("reproduced", "contradicted")
COUNTED = (*DECIDED, "unresolved")
# where one run per method is all there is: another run may differ, and nothing here says by how much
IN_ONE_RUN = {"reproduced": "seen in one run", "contradicted": "not seen in one run"}
PASSES = ("reproduced", "seen in one run")
# of identities of the mathematics
CHECKED = {"reproduced": "holds", "contradicted": "fails"}
CANT_CONFIRM, CANT_DISCRIMINATE, NO_CONTROL = "can't confirm", "can't discriminate", "no control yet"


def word_of(interval: Interval | None, region: Region) -> str:
    """What an interval says of a region; of one run by its value, where no interval is known."""
    if interval is None:
        return NOT_RUN
    above, below = ends_of(region)
    if interval.covers == NOTHING:
        interval = Interval(interval.value, interval.value, interval.value, NOTHING)
    word = verdict(interval, above, below)
    return IN_ONE_RUN.get(word, word) if interval.covers in (PROBLEMS, NOTHING) else word


def holm(family: Mapping[str, Callable[[float], str]]) -> dict[str, str]:
    """Words of a family of rows, so that in one of twenty families at most any of them is decided wrongly.

    Holm's procedure with intervals in place of p-values: what is decided at 1 − 0.05/m, m rows being left, is decided,
    and the others are tried again with those that are left.

    Args:
        family: by row, the word of its interval of a confidence.
    """
    words: dict[str, str] = {}
    while left := family.keys() - words.keys():
        confidence = 1 - (1 - CONFIDENCE) / len(left)
        found = {name: word for name in left if (word := family[name](confidence)) in DECIDED}
        if not found:
            return words | dict.fromkeys(left, "unresolved")
        words |= found
    return words


def size_word(interval: Interval | None, claim: Claim, seeds: int, printed_error: float | None) -> str:
    """How our value compares with the published one: ``as printed``, ``smaller``, ``larger`` or ``opposite``.

    As printed: our interval, widened by the printed value's own standard error, holds it. A curve's printed value is
    one run, which varies as our own S runs do, so that Student's interval of a mean of S is widened by √(1 + S).

    Args:
        seeds: S; printed_error: standard error of a printed difference of scores; None of a curve.

    Returns:
        empty where there is nothing to compare, and with one seed.
    """
    if interval is None or claim.published is None or not math.isfinite(interval.low) or interval.covers == PROBLEMS:
        return ""
    ratio = claim.unit == "ratio"
    value, low, high, published = (
        math.log(end) if ratio else end for end in (interval.value, interval.low, interval.high, claim.published)
    )
    if printed_error is None:
        widening = math.sqrt(1 + seeds)
        below, above = widening * (value - low), widening * (high - value)
    else:
        error = _quantile(CONFIDENCE) * printed_error
        below, above = math.hypot(value - low, error), math.hypot(high - value, error)
    if value - below <= published <= value + above:
        return "as printed"
    if value * published < 0:
        return "opposite"
    return "larger" if abs(value) > abs(published) else "smaller"


def printed_words(claim: Claim, published: float, rows: Sequence[power.Cells]) -> tuple[str, str]:
    """Of the paper's own numbers: whether the claim is true as printed, and the word with the cells' sampling error.

    The error is that of drawing problems and samples; another training run is not in it.
    """
    above, below = ends_of(claim.region)
    as_printed = "as printed" if above < published < below else "not as printed"
    if not rows:
        return as_printed, ""
    if claim.measure == "smallest_difference":
        one_by_one = [one for row in rows for one in row.each()]
        each = [(one.difference, math.sqrt(one.decoding(power.SAMPLES) + one.drawing())) for one in one_by_one]
        among_all = _quantile(1 - (1 - CONFIDENCE) / len(each))
        low = min(value - _quantile(CONFIDENCE) * error for value, error in each)
        high = min(value + among_all * error for value, error in each)
    else:
        error = _quantile(CONFIDENCE) * math.sqrt(rows[0].decoding(power.SAMPLES) + rows[0].drawing())
        low, high = published - error, published + error
    return as_printed, verdict(Interval(published, low, high, PROBLEMS), above, below)


def _quantile(confidence: float) -> float:
    """Of the normal distribution, for a two-sided interval."""
    return float(special.ndtri((1 + confidence) / 2))


def ends_of(region: Region) -> tuple[float, float]:
    """above and below, infinite where open."""
    return (
        -math.inf if region.above is None else region.above,
        math.inf if region.below is None else region.below,
    )
