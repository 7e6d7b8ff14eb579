"""The claims table: what the paper claims, what this scale's own data say about it, and what it takes to find out.

A claim is judged only by data of its own scale, trained as that scale's file says. A trained scale of another name, or
one whose overlay trains another model, on other data or otherwise, fills a row of its own, the claim's analogue there.
Mathematical claims are checked everywhere.
"""

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from real.config import Experiment, load
from real.config.schema import Scale
from real.evidence.claims.controls import Controls, controls_of
from real.evidence.claims.measures import MEASURES, NotMeasuredError, methods_of
from real.evidence.claims.page import page
from real.evidence.claims.plans import Power, printed_cells, printed_error, read_printed, row_power
from real.evidence.claims.schema import Analogue, Claim, ClaimsFile, ScaleFacts, load_claims
from real.evidence.claims.verdicts import (
    CANT_CONFIRM,
    CHECKED,
    COUNTED,
    NOT_RUN,
    holm,
    printed_words,
    size_word,
    word_of,
)
from real.evidence.third_party import read_third_party
from real.planning.needs import needs
from real.records.consistent import EVALUATIONS, origin_notes
from real.statistics import power
from real.statistics.intervals import Interval
from real.statistics.planned import FEWEST_SEEDS
from real.system.files import write_text

OTHER_SCALE = "data of another scale do not judge this claim"
# of model, data and training: what changes no policy
NOT_LEARNT_FROM = {
    "micro_batch_rows",
    "checkpoint_every",
    "validation_every",
    "validation_samples",
    "gradient_sample_steps",
}


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


@dataclass(frozen=True)
class _Place:
    """What is known of a row before its data are read.

    Attributes:
        claim: or its analogue; elsewhere: why data of this scale don't judge it, or empty; paper: the printed scores
            that it compares; fields: of the row.
    """

    claim: Claim
    elsewhere: str
    paper: list[power.Cells]
    fields: dict[str, Any]


def judge(experiment: Experiment, content: ClaimsFile) -> list[ClaimRow]:
    """The rows of the claims table of one scale, every claim followed by its analogue where there is one."""
    places = [place for name in content.claims for place in _places(experiment, content, name)]
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


def _places(experiment: Experiment, content: ClaimsFile, name: str) -> list[_Place]:
    """The rows that a claim has at a scale."""
    claim = content.claims[name]
    facts = content.scales[claim.scale]
    elsewhere = _judged_elsewhere(experiment.scale, claim, facts)
    published, paper = experiment.scale.printed is not None, printed_cells(claim, facts, read_printed())
    own: dict[str, Any] = {
        "id": name,
        "backbone": facts.label,
        "plan": claim_power(content, name),
        "resolution": published_resolution(claim, paper) if published else None,
        "printed": printed_words(claim, paper) if published and not _mathematical(claim) else None,
        "command": _command(claim.rule, [facts.config, *claim.overlays]),
        "cost": claim.cost or _cost(facts, claim),
    }
    places = [_Place(claim, elsewhere, paper, own)]
    if elsewhere and claim.analogue and experiment.scale.trains:
        here = content.scales.get(experiment.scale.scale)
        there = {
            "id": f"{name}@{experiment.name}",
            "plan": None,
            "resolution": None,
            "printed": None,
            "command": _command(claim.rule, experiment.files, experiment.scale),
            "cost": _cost(here, claim) if here else "",
        }
        places.append(_Place(_analogue(experiment, claim, claim.analogue), "", [], own | there))
    return places


def claim_power(content: ClaimsFile, name: str, scale: Scale | None = None) -> Power | None:
    """What the plan of a claim's own scale can confirm of it; None where nothing can be said.

    Args:
        scale: whose seeds and samples are planned; None: as the scale's file is shipped.
    """
    claim = content.claims[name]
    facts = content.scales[claim.scale]
    if not claim.planned and (facts.gpu_hours_per_run is None or not Path(facts.config).exists()):
        return None
    planned = scale or _read_scale(facts.config)
    evaluation = getattr(planned, "evaluation", None)
    family = sum(other.primary for other in content.claims.values() if other.scale == claim.scale)
    return row_power(claim, facts, len(planned.run_seeds), evaluation.samples if evaluation else 0, family)


def published_resolution(claim: Claim, rows: list[power.Cells]) -> power.Resolution | None:
    """What the paper's printed scores can resolve of a benchmark claim; None for curves and mathematics.

    A claim about several differences has that of the smallest.
    """
    if not rows:
        return None
    if claim.measure == "smallest_difference":
        return min((power.resolution(one) for row in rows for one in row.each()), key=lambda found: found.difference)
    # where a method's cells are not printed, the difference is printed by itself
    both = rows[0].difference != 0
    return power.resolution(rows[0], None if both else claim.published)


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


def _judged_elsewhere(scale: Scale, claim: Claim, facts: ScaleFacts) -> str:
    """Why data of this scale do not judge a claim; empty where they do."""
    if _mathematical(claim):
        return ""
    if not scale.trains:
        return "nothing is trained at this scale"
    if claim.scale != scale.scale:
        return OTHER_SCALE
    if scale.published_model and (changed := _trained_otherwise(scale, _read_scale(facts.config))):
        return f"these runs are trained otherwise than the claim's: {', '.join(changed)} not as in {facts.config}"
    return ""


def _trained_otherwise(scale: Scale, claimed: Scale) -> list[str]:
    """The keys by which a scale trains another policy than the scale that a claim is about."""
    return [
        f"{section}.{key}"
        for section in ("model", "data", "training")
        for key, value in getattr(scale, section)
        if key not in NOT_LEARNT_FROM and value != getattr(getattr(claimed, section), key)
    ]


def _row(experiment: Experiment, place: _Place) -> ClaimRow:
    """A row, judged alone unless its data are elsewhere."""
    claim = place.claim
    interval, reason, seeds = None, claim.awaits or place.elsewhere, len(experiment.scale.run_seeds)
    if not reason:
        try:
            interval = _measured(experiment, claim)
        except NotMeasuredError as error:
            reason = str(error)
    analogue = interval is not None and claim.kind == "analogue"
    return ClaimRow(
        kind="mathematics" if _mathematical(claim) else claim.kind,
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
        size=size_word(interval, claim, seeds, printed_error(claim, place.paper)),
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


def _mathematical(claim: Claim) -> bool:
    return claim.measure is not None and MEASURES[claim.measure].mathematical


def _analogue(experiment: Experiment, claim: Claim, analogue: Analogue) -> Claim:
    """A claim's statement at this scale."""
    return claim.model_copy(
        update={
            "kind": "analogue",
            "statement": analogue.statement,
            "source": f"analogue at {experiment.name} scale",
            "published": None,
            "parameters": {**claim.parameters, **analogue.parameters},
            "region": analogue.region or claim.region,
            "primary": analogue.primary,
            "control": analogue.control,
            "isolates": False,
            "note": "",
        }
    )


def _command(rule: str, files: Sequence[str], scale: Scale | None = None) -> str:
    """What to type, or which config file is missing for it.

    Args:
        scale: what the files hold; None: read them.
    """
    missing = [file for file in files if not Path(file).exists()]
    if missing and scale is None:
        return f"needs {', '.join(missing)}, which this version does not have yet"
    # without a limit Snakemake would start all jobs at once
    gpus = needs(scale or _read_scale(*files)).gpus
    lent = f" --resources gpu={gpus}" if gpus else ""
    return f"snakemake {rule} claims --cores all{lent} --configfile {shlex.join(files)}"


@lru_cache
def _read_scale(*files: str) -> Scale:
    return load(files).scale


def _cost(facts: ScaleFacts, claim: Claim) -> str:
    if facts.gpu_hours_per_run is None:
        return facts.cost
    methods, seeds = len(set(methods_of(claim.parameters))), len(_read_scale(facts.config).run_seeds)
    low, high = (hours * methods * seeds for hours in facts.gpu_hours_per_run)
    whose = f"{methods} method{'s' if methods > 1 else ''} of {seeds} seed{'s' if seeds > 1 else ''} each"
    more = "" if seeds >= FEWEST_SEEDS else f"; a verdict on the method needs {FEWEST_SEEDS} seeds or more"
    return f"estimate: {low:,.0f} to {high:,.0f} GPU-hours, {whose}{more}"


def _plain(value: Any) -> Any:
    """JSON has no infinity: an end about which nothing is known becomes null."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
