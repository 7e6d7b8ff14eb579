"""Where the rows of the claims table stand: whose data judge them, what to type for them, and what that costs."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from real.config import Experiment, load
from real.config.schema import Scale
from real.evidence.claims.measures import MEASURES, methods_of
from real.evidence.claims.plans import Power, printed_cells, read_printed, row_power
from real.evidence.claims.schema import Analogue, Claim, ClaimsFile, ScaleFacts
from real.evidence.claims.verdicts import printed_words
from real.planning.needs import needs
from real.statistics import power
from real.statistics.planned import FEWEST_SEEDS

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
class Place:
    """What is known of a row before its data are read.

    Attributes:
        claim: or its analogue; elsewhere: why data of this scale don't judge it, or empty; paper: the printed scores
            that it compares; fields: of the row.
    """

    claim: Claim
    elsewhere: str
    paper: list[power.Cells]
    fields: dict[str, Any]


def places_of(experiment: Experiment, content: ClaimsFile, name: str) -> list[Place]:
    """The rows that a claim has at a scale."""
    claim = content.claims[name]
    facts = content.scales[claim.scale]
    elsewhere = _judged_elsewhere(experiment.scale, claim, facts)
    published, paper = experiment.scale.printed is not None, printed_cells(claim, facts, read_printed())
    own: dict[str, Any] = {
        "id": name,
        "backbone": facts.label,
        "plan": claim_power(content, name, experiment.scale if claim.scale == experiment.scale.scale else None),
        "resolution": published_resolution(claim, paper) if published else None,
        "printed": _printed(claim, paper) if published else None,
        "command": _command(claim.rule, [facts.config, *claim.overlays]),
        "cost": claim.cost or _cost(facts, claim),
    }
    places = [Place(claim, elsewhere, paper, own)]
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
        places.append(Place(_analogue(experiment, claim, claim.analogue), "", [], own | there))
    return places


def _printed(claim: Claim, paper: list[power.Cells]) -> tuple[str, str] | None:
    """What the paper's own numbers say of its claim; None of an identity, and where it prints no value."""
    return None if mathematical(claim) or claim.published is None else printed_words(claim, claim.published, paper)


def claim_power(content: ClaimsFile, name: str, scale: Scale | None = None) -> Power | None:
    """What the plan of a claim's own scale can confirm of it; None where nothing can be said.

    Args:
        scale: the claim's own, with the seeds and samples that are planned; None: as its file is shipped.
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


def _judged_elsewhere(scale: Scale, claim: Claim, facts: ScaleFacts) -> str:
    """Why data of this scale do not judge a claim; empty where they do."""
    if mathematical(claim):
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


def mathematical(claim: Claim) -> bool:
    """Whether it is an identity that needs no results."""
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
