"""What the plan of a claim's own scale can confirm: the power of each row, before anything is run.

The spreads are others' (real/statistics/power.py, and `spread` in claims.yaml). The shipped plan is the seeds and
samples of the scale's file.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache

import pandas as pd

from real.evidence.claims import PRINTED
from real.evidence.claims.measures import BENCHMARKS
from real.evidence.claims.schema import Claim, ScaleFacts
from real.evidence.claims.verdicts import ends_of
from real.evidence.printed import MEAN, benchmarks, cells, read_benchmarks
from real.records.jobs import BASE
from real.statistics import power
from real.statistics.intervals import CONFIDENCE
from real.statistics.planned import (
    FEWEST_SEEDS,
    MOST_SEEDS,
    Chances,
    benchmark_precision,
    chances,
    consistent_chances,
    curve_precision,
    tolerated_deviation,
)

# ReSPO's two deviations, of three seeds each, pooled
RUN_DEVIATION = math.sqrt(sum(r**2 for r in power.RUN_DEVIATIONS) / 2)
CAN_CONFIRM = 0.5
# points by which REAL is put above every baseline on every benchmark, beside the printed cells
EVERYWHERE = (0.01, 0.03)


@dataclass(frozen=True)
class Power:
    """What the shipped plan can say of a row, if the published effect is true.

    Attributes:
        seeds, samples: of the plan; confidence: of the row's interval in its verdict.
        chance: that it is reproduced; None where no spread is known, and with one seed, which has no verdict.
        opposite: that it is contradicted, if the opposite of the effect is true.
        needed: fewest seeds with a chance of 0.8; None where 30 are too few, or no spread is known.
        tolerated: where no spread is known, the largest deviation of one run's value with a chance of 0.8.
        others: the same chance for other effects, by what they are.
        spread: whose spread was taken; control: what the positive control of a planned experiment is to be.
    """

    seeds: int
    samples: int
    confidence: float
    chance: float | None = None
    opposite: float | None = None
    needed: int | None = None
    tolerated: float | None = None
    others: dict[str, float] = field(default_factory=dict)
    spread: str = ""
    control: str = ""

    @property
    def too_low(self) -> bool:
        """Whether the plan can't confirm the row: it counts nowhere then."""
        return self.chance is not None and self.chance < CAN_CONFIRM


def row_power(claim: Claim, facts: ScaleFacts, seeds: int, samples: int, family: int) -> Power | None:
    """The power of a claim's row at its own scale.

    Args:
        family: number of the scale's primary rows, over which a primary row is corrected.

    Returns:
        None of mathematics, of an analogue, and of what the paper prints no value of.
    """
    if planned := claim.planned:
        plan = Power(planned.seeds, 0, CONFIDENCE, control=planned.control)
        return _of_curve(claim, plan, planned.effect, planned.deviation, planned.source)
    if claim.published is None or facts.gpu_hours_per_run is None:
        return None
    confidence = 1 - (1 - CONFIDENCE) / (family if claim.primary else 1)
    plan = Power(seeds, samples, confidence)
    if claim.measure in BENCHMARKS:
        return _of_benchmarks(claim, facts, plan, claim.published)
    deviation, source = (claim.spread.deviation, claim.spread.source) if claim.spread else (None, "")
    return _of_curve(claim, plan, claim.published, deviation, source)


def _of_benchmarks(claim: Claim, facts: ScaleFacts, plan: Power, published: float) -> Power | None:
    rows = printed_cells(claim, facts, read_printed())
    if not rows:
        return None
    fixed = claim.parameters.get("baseline") == BASE
    spread = (
        f"runs deviate by {100 * RUN_DEVIATION:.2f} points (ReSPO's two deviations, pooled), rates of problems as "
        "sober-reasoning's where measured"
    )

    def at(seeds: int, effect: float | None = None) -> Chances:
        if claim.measure == "smallest_difference":
            moved = rows if effect is None else [row.moved(effect) for row in rows]
            return consistent_chances(moved, plan.samples, seeds, RUN_DEVIATION)
        precision = benchmark_precision(rows[0], plan.samples, seeds, RUN_DEVIATION, fixed)
        value = published if effect is None else effect
        return chances(value, precision, *ends_of(claim.region), plan.confidence)

    if claim.measure == "smallest_difference":
        names = {f"{100 * effect:+.0f} points everywhere": effect for effect in EVERYWHERE}
        several = plan.seeds >= FEWEST_SEEDS
        others = {name: at(plan.seeds, one).reproduced for name, one in names.items() if several}
        opposite = -max(EVERYWHERE)
    else:
        others, opposite = {}, -published
    return _filled(plan, at, opposite, others, spread)


def _of_curve(claim: Claim, plan: Power, value: float, deviation: float | None, source: str) -> Power:
    of_ratio = claim.unit == "ratio"
    above, below = (_scaled(end, of_ratio) for end in ends_of(claim.region))
    effect = _scaled(value, of_ratio)
    if deviation is None:
        if plan.seeds < FEWEST_SEEDS:
            return plan
        tolerated = tolerated_deviation(effect, plan.seeds, above, below, plan.confidence)
        return replace(plan, tolerated=math.exp(tolerated) if of_ratio else tolerated, spread=source)

    def at(seeds: int, truth: float = effect) -> Chances:
        return chances(truth, curve_precision(deviation, seeds), above, below, plan.confidence)

    return _filled(plan, at, -effect, {}, source)


def _filled(plan: Power, at: Callable[..., Chances], opposite: float, others: dict[str, float], spread: str) -> Power:
    enough = (seeds for seeds in range(FEWEST_SEEDS, MOST_SEEDS + 1) if at(seeds).reproduced >= power.POWER)
    several = plan.seeds >= FEWEST_SEEDS
    return replace(
        plan,
        chance=at(plan.seeds).reproduced if several else None,
        opposite=at(plan.seeds, opposite).contradicted if several else None,
        needed=next(enough, None),
        others=others,
        spread=spread,
    )


def printed_error(claim: Claim, rows: list[power.Cells]) -> float | None:
    """Standard error of a printed difference on its own problems: 16 samples of each, and one run per method.

    None of a curve, which prints no cells.
    """
    if not rows:
        return None
    runs = len([name for name in (claim.parameters["method"], claim.parameters.get("baseline")) if name != BASE])
    return math.sqrt(min(row.decoding(power.SAMPLES) for row in rows) + runs * RUN_DEVIATION**2)


def printed_cells(claim: Claim, facts: ScaleFacts, scores: pd.DataFrame) -> list[power.Cells]:
    """The printed scores that a benchmark claim compares: one pair for each of its baselines, all of its benchmarks.

    A method whose cells are not printed takes the other's, on which the variance hardly depends. Empty where neither
    method's are, and of a claim about something else than benchmarks.
    """
    if claim.measure not in BENCHMARKS:
        return []
    benchmark = claim.parameters.get("benchmark", MEAN)
    names_B = list(benchmarks()) if benchmark == MEAN else [benchmark]
    measured = power.MEASURED_CONCENTRATION.get(facts.label, {})
    found = []
    for baseline in claim.parameters.get("baselines") or [claim.parameters["baseline"]]:
        names = [facts.base if name == BASE else name for name in (claim.parameters["method"], baseline)]
        printed = [row for name in names if name and (row := cells(scores, facts.label, name))]
        if not printed:
            return []
        a_B, b_B = ([row[name] for name in names_B] for row in (printed[0], printed[-1]))
        problems_B = [rows for name in names_B if (rows := benchmarks()[name].rows)]
        concentration_B = [measured.get(name, power.CONCENTRATION) for name in names_B]
        found.append(power.Cells(a_B, b_B, problems_B, concentration_B))
    return found


@cache
def read_printed() -> pd.DataFrame:
    """The scores that the papers print."""
    return read_benchmarks(PRINTED)


def _scaled(value: float, of_ratio: bool) -> float:
    """On the scale on which the interval is symmetric: the logarithm of a ratio."""
    return math.log(value) if of_ratio and math.isfinite(value) else value
