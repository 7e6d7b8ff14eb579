"""Whether a row of the claims comes out as often as its plan states, by simulation.

    python -m benchmarks.power [--repetitions 2000]

One row of each kind: a difference of means of benchmarks, of one benchmark, to a fixed checkpoint, the smallest of 18
differences, a curve's difference and a curve's ratio. Problems, runs and samples are drawn anew in every repetition
(benchmarks/simulated.py), and judged by the intervals and words of the claims page. Three truths: the published effect,
the border of the region (``reproduced`` is an error there), and the opposite effect. ``stated`` is what
real/statistics/planned.py says; it knows nothing of this simulation. The table is the one in docs/statistics.md.
"""

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from tqdm import tqdm

from benchmarks.simulated import Method, rates
from real.evidence.claims.plans import RUN_DEVIATION, printed_cells, read_printed
from real.evidence.claims.schema import Claim, load_claims
from real.evidence.claims.verdicts import ends_of, word_of
from real.statistics.intervals import CONFIDENCE, Interval, mean_limits, seed_mean
from real.statistics.planned import Chances, benchmark_precision, chances, consistent_chances, curve_precision
from real.statistics.power import SAMPLES, Cells

SEEDS = 3
BATCH = 100
PLAN = "1.5b"


@dataclass(frozen=True)
class Outcome:
    """Shares of the two verdicts that decide, in simulated experiments and as stated."""

    simulated: Chances
    stated: Chances


def score_outcome(cells_M: Sequence[Cells], repetitions: int, confidence: float, fixed: bool, seed: int = 0) -> Outcome:
    """Of a difference to one baseline, or of the smallest to several; truths are the cells'.

    Args:
        fixed: the baseline is one checkpoint.
    """
    if len(cells_M) > 1:
        stated = consistent_chances(cells_M, SAMPLES, SEEDS, RUN_DEVIATION)
    else:
        precision = benchmark_precision(cells_M[0], SAMPLES, SEEDS, RUN_DEVIATION, fixed)
        stated = chances(cells_M[0].difference, precision, 0.0, confidence=confidence)
    first, rng, found = cells_M[0], np.random.default_rng(seed), []
    method = _method(first.a_B, first, RUN_DEVIATION)
    baselines = [_method(cells.b_B, cells, 0.0 if fixed else RUN_DEVIATION) for cells in cells_M]
    for _ in range(math.ceil(repetitions / BATCH)):
        problem_XP = [rng.normal(size=(BATCH, problems)) for problems in first.problems_B]
        a, _ = method.draw(rng, problem_XP, SEEDS, SAMPLES)
        others = [one.draw(rng, problem_XP, 1 if fixed else SEEDS, SAMPLES)[0] for one in baselines]
        differences = [[x - y for x, y in zip(a, b, strict=True)] for b in others]
        if len(cells_M) == 1:
            low, high = mean_limits(differences[0], -1.0, confidence)
        else:
            each = [[one] for b in differences for one in b]
            low = np.min([mean_limits(one, -1.0, confidence)[0] for one in each], axis=0)
            among_all = 1 - (1 - confidence) / len(each)
            high = np.min([mean_limits(one, -1.0, among_all)[1] for one in each], axis=0)
        found.append([low > 0, high < 0])
    reproduced, contradicted = np.mean(found, axis=(0, 2))
    return Outcome(Chances(reproduced, contradicted), stated)


def curve_outcome(
    claim: Claim, truth: float, deviation: float, repetitions: int, confidence: float = CONFIDENCE, seed: int = 0
) -> Outcome:
    """Of a curve's measure, whose seeds' values are normal about the truth; of a ratio, their logarithms."""
    rng, ratio = np.random.default_rng(seed), claim.unit == "ratio"
    above, below = (math.log(end) if ratio and math.isfinite(end) else end for end in ends_of(claim.region))
    value = math.log(truth) if ratio else truth
    drawn = rng.normal(value, deviation, (repetitions, SEEDS))
    intervals: list[Interval] = [seed_mean(np.exp(one) if ratio else one, ratio, confidence) for one in drawn]
    words = [word_of(interval, claim.region) for interval in intervals]
    shares = (sum(word == wanted for word in words) / repetitions for wanted in ("reproduced", "contradicted"))
    return Outcome(Chances(*shares), chances(value, curve_precision(deviation, SEEDS), above, below, confidence))


def outcomes(repetitions: int) -> Iterator[dict[str, object]]:
    """The rows of the table."""
    content = load_claims()
    facts, scores = content.scales[PLAN], read_printed()
    family = sum(claim.primary for claim in content.claims.values() if claim.scale == PLAN)
    names = {
        "real_over_dapo_1_5b": "difference of means, primary",
        "real_over_bce_1_5b": "difference of means, descriptive",
        "real_over_gspo_aime24_1_5b": "difference on one benchmark",
        "real_over_base_1_5b": "difference to a checkpoint",
        "real_consistent_1_5b": "smallest of 18 differences",
    }
    for name, kind in names.items():
        claim = content.claims[name]
        cells_M = printed_cells(claim, facts, scores)
        if cells_M[0].difference == 0:
            cells_M = [cells_M[0].moved(claim.published or 0.0)]
        confidence = 1 - (1 - CONFIDENCE) / (family if claim.primary else 1)
        fixed = claim.parameters.get("baseline") == "base"
        for truth, true_M in truths(cells_M).items():
            yield _row(kind, truth, score_outcome(true_M, repetitions, confidence, fixed))
    for name, deviation in (("real_validation_over_gspo", None), ("grpo_entropy_collapses", 0.3)):
        claim = content.claims[name]
        spread = deviation or (claim.spread.deviation if claim.spread else math.nan)
        border = claim.region.above if claim.region.above is not None else claim.region.below
        published = claim.published or math.nan
        opposite = 1 / published if claim.unit == "ratio" else -published
        for truth, value in (("published", published), ("border", border or 0.0), ("opposite", opposite)):
            outcome = curve_outcome(claim, value, spread, repetitions)
            yield _row(f"curve, {claim.unit}", truth, outcome)


def truths(cells_M: Sequence[Cells]) -> dict[str, list[Cells]]:
    """The published effect, the border and the opposite effect; of several differences also larger effects."""
    if len(cells_M) == 1:
        one = cells_M[0]
        equal, swapped = (
            Cells(one.a_B, one.a_B, one.problems_B, one.concentration_B),
            Cells(one.b_B, one.a_B, one.problems_B, one.concentration_B),
        )
        return {"published": [one], "border": [equal], "opposite": [swapped]}
    # the border: equal to one baseline on MATH500, far above everywhere else
    far = [cells.moved(0.2) for cells in cells_M]
    equal_B = [a if number == 2 else b for number, (a, b) in enumerate(zip(far[0].a_B, far[0].b_B, strict=True))]
    border = [Cells(far[0].a_B, equal_B, far[0].problems_B, far[0].concentration_B), *far[1:]]
    found = {"published": list(cells_M), "border": border}
    for effect in (0.01, 0.03, 0.15, -0.03, -0.10):
        found[f"{100 * effect:+.0f} points everywhere"] = [cells.moved(effect) for cells in cells_M]
    return found


def _method(score_B: Sequence[float], cells: Cells, run_deviation: float) -> Method:
    rates_B = [rates(str(v), score) for v, score in zip(cells.concentration_B, score_B, strict=True)]
    return Method(rates_B, float(np.mean(score_B)), run_deviation)


def _row(kind: str, truth: str, outcome: Outcome) -> dict[str, object]:
    simulated, stated = outcome.simulated, outcome.stated
    return {
        "row": kind,
        "truth": truth,
        "reproduced": simulated.reproduced,
        "stated": stated.reproduced,
        "contradicted": simulated.contradicted,
        "stated ": stated.contradicted,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=2000)
    repetitions = parser.parse_args().repetitions
    table = pd.DataFrame(list(tqdm(outcomes(repetitions), disable=None)))
    print(table.round(3).to_markdown(index=False))
    print(f"\n{repetitions} repetitions, {SEEDS} seeds, {SAMPLES} samples per problem")


if __name__ == "__main__":
    main()
