"""The claims table: what the paper claims, what this scale's own data say about it, and what it takes to find out.

A claim is judged only by data of its own scale, trained as that scale's file says. A trained scale of another name, or
one whose overlay trains another model, on other data or otherwise, fills a row of its own, the claim's analogue there.
Mathematical claims are checked everywhere.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from real.config import Experiment
from real.evidence.claims.controls import Controls, controls_of
from real.evidence.claims.measures import MEASURES, NotMeasuredError
from real.evidence.claims.page import page
from real.evidence.claims.places import Place, mathematical, places_of
from real.evidence.claims.plans import Power, printed_error
from real.evidence.claims.schema import Claim, ClaimsFile, load_claims
from real.evidence.claims.verdicts import CANT_CONFIRM, CHECKED, COUNTED, NOT_RUN, holm, size_word, word_of
from real.evidence.third_party import read_third_party
from real.records.consistent import EVALUATIONS, origin_notes
from real.statistics import power
from real.statistics.intervals import Interval
from real.system.files import write_text


@dataclass(frozen=True)
class ClaimRow:
    """One row of the claims table.

    Attributes:
        kind: ``claim``, ``mathematics`` (a check) or ``analogue``.
        primary: whether it is one of the family that is judged together (Holm).
        backbone: what is trained where the claim itself is judged.
        region: the ends [above, below], None where open.
        interval: ours; None where not run.
        verdict: its word; counted: whether it is counted as evidence.
        reason: why not run, or why no verdict; else empty.
        size: how our value compares with the published one; empty where there is nothing to compare.
        plan: what the shipped plan of the claim's own scale can confirm.
        controls: of an analogue with a value.
        resolution: what the paper's own numbers can resolve; printed: whether the claim is true as printed, and the
            word with the printed cells' sampling error. At the published scale only.
    """

    id: str
    kind: str
    primary: bool
    backbone: str
    statement: str
    source: str
    unit: str
    published: float | None
    region: tuple[float | None, float | None]
    interval: Interval | None
    verdict: str
    counted: bool
    reason: str
    size: str
    plan: Power | None
    controls: Controls | None
    resolution: power.Resolution | None
    printed: tuple[str, str] | None
    command: str
    cost: str
    note: str


def judge(experiment: Experiment, content: ClaimsFile) -> list[ClaimRow]:
    """The rows of the claims table of one scale, every claim followed by its analogue where there is one."""
    places = [place for name in content.claims for place in places_of(experiment, content, name)]
    rows = {
        place.fields["id"]: (place.claim, _row(experiment, place)) for place in tqdm(places, "claims", disable=None)
    }
    family = {
        name: partial(_word, experiment, claim)
        for name, (claim, row) in rows.items()
        if row.primary and row.verdict in COUNTED
    }
    words = {name: row.verdict for name, (_, row) in rows.items()} | holm(family)
    return [_finished(row, words[name]) for name, (_, row) in rows.items()]


def write_claims(experiment: Experiment, folder: Path) -> list[ClaimRow]:
    """Write ``claims.json`` and ``claims.html`` into a folder; returns the rows."""
    content = load_claims()
    rows = judge(experiment, content)
    scale = experiment.scale
    heading: dict[str, Any] = {"experiment": experiment.name, "scale": scale.scale, "evidence": scale.evidence}
    if scale.trains:
        evaluation = experiment.trained.evaluation
        heading |= {
            "seeds": scale.run_seeds,
            "samples": evaluation.samples,
            "benchmarks": evaluation.benchmarks,
        }
    if code := " ".join(filter(None, origin_notes(experiment, EVALUATIONS))):
        heading["code"] = code
    estimates = {facts.label: facts.cost for facts in content.scales.values() if facts.gpu_hours_per_run}
    others = [asdict(report) for report in read_third_party()]
    claims = _plain({**heading, "rows": [asdict(row) for row in rows], "estimates": estimates, "others": others})
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "claims.json", json.dumps(claims, indent=2, ensure_ascii=False) + "\n")
    write_text(folder / "claims.html", page(claims))
    return rows


def _row(experiment: Experiment, place: Place) -> ClaimRow:
    """A row, judged alone unless its data are elsewhere."""
    claim = place.claim
    interval, reason, seeds = None, claim.awaits or place.elsewhere, len(experiment.scale.run_seeds)
    if not reason:
        try:
            interval = _measured(experiment, claim)
        except NotMeasuredError as error:
            reason = str(error)
    analogue, check = interval is not None and claim.kind == "analogue", mathematical(claim)
    return ClaimRow(
        kind="mathematics" if check else claim.kind,
        primary=claim.primary,
        statement=claim.statement,
        source=claim.source,
        unit=claim.unit,
        published=claim.published,
        region=(claim.region.above, claim.region.below),
        interval=interval,
        verdict=word_of(interval, claim.region),
        counted=False,
        reason=reason,
        size="" if check else size_word(interval, claim, seeds, printed_error(claim, place.paper)),
        controls=controls_of(experiment, claim) if analogue else None,
        note=claim.note,
        **place.fields,
    )


def _finished(row: ClaimRow, word: str) -> ClaimRow:
    """A row with its last word: what its plan or its controls leave of that of its interval."""
    reason = row.reason
    if row.kind == "mathematics":
        word = CHECKED.get(word, word)
    elif row.controls:
        word = row.controls.word(word)
    elif row.plan and row.plan.too_low and word != NOT_RUN:
        word, reason = CANT_CONFIRM, f"this plan can't confirm it (power {row.plan.chance:.2f})"
    return replace(row, verdict=word, reason=reason, counted=word in COUNTED)


def _word(experiment: Experiment, claim: Claim, confidence: float) -> str:
    """The word of a row's interval of a confidence."""
    return word_of(_measured(experiment, claim, confidence=confidence), claim.region)


def _measured(experiment: Experiment, claim: Claim, **options: float) -> Interval:
    return MEASURES[str(claim.measure)].function(experiment, **claim.parameters, **options)


def _plain(value: Any) -> Any:
    """JSON has no infinity: an end about which nothing is known becomes null."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
