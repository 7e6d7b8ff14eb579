"""The claims table: what the paper claims, what this scale's own data say about it, and what it takes to find out.

A claim is judged only by data of its own scale, trained as that scale's file says. A trained scale of another name, or
one whose overlay trains another model, on other data or otherwise, fills a row of its own, the claim's analogue there.
Mathematical claims are checked everywhere.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from real.config import Experiment, load
from real.config.schema import Scale
from real.evidence.claims.measures import MEASURES, NotMeasuredError, methods_of
from real.evidence.claims.page import page
from real.evidence.claims.schema import Analogue, Claim, ClaimsFile, Region, ScaleFacts, load_claims
from real.evidence.printed import MEAN, benchmarks, cells, read_benchmarks
from real.evidence.third_party import read_third_party
from real.planning.needs import needs
from real.records.consistent import EVALUATIONS, origin_notes
from real.records.jobs import BASE
from real.statistics import power
from real.statistics.intervals import NOTHING, PROBLEMS, Interval, verdict
from real.system.files import write_text

NOT_RUN = "not run"
# where one run per method is all there is: another run may differ, and nothing here says by how much
IN_ONE_RUN = {"reproduced": "seen in one run", "contradicted": "not seen in one run"}
FEWEST_SEEDS = 2
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
        kind: ``claim``, ``mathematics`` or ``analogue``.
        backbone: what is trained where the claim itself is judged.
        region: the ends [above, below], None where open.
        interval: ours; None where not run.
        reason: why not run, else empty.
        resolution: what the paper's own numbers can resolve; at the published scale only.
    """

    id: str
    kind: str
    backbone: str
    statement: str
    source: str
    unit: str
    published: float | None
    region: tuple[float | None, float | None]
    interval: Interval | None
    verdict: str
    reason: str
    resolution: power.Resolution | None
    command: str
    cost: str
    note: str


def judge(experiment: Experiment, content: ClaimsFile) -> list[ClaimRow]:
    """The rows of the claims table of one scale, every claim followed by its analogue where there is one."""
    printed = experiment.scale.printed
    scores = read_benchmarks(printed.benchmarks) if printed else None
    rows = []
    for name, claim in tqdm(content.claims.items(), "claims", disable=None):
        facts = content.scales[claim.scale]
        elsewhere = _judged_elsewhere(experiment.scale, claim, facts)
        rows.append(
            _row(
                experiment,
                claim,
                elsewhere,
                id=name,
                backbone=facts.label,
                resolution=None if scores is None else published_resolution(claim, facts, scores),
                command=_command(claim.rule, [facts.config, *claim.overlays]),
                cost=claim.cost or _cost(facts, claim),
            )
        )
        if elsewhere and claim.analogue and experiment.scale.trains:
            here = content.scales.get(experiment.scale.scale)
            rows.append(
                _row(
                    experiment,
                    _analogue(experiment, claim, claim.analogue),
                    id=f"{name}@{experiment.name}",
                    backbone=facts.label,
                    resolution=None,
                    command=_command(claim.rule, experiment.files, experiment.scale),
                    cost=_cost(here, claim) if here else "",
                )
            )
    return rows


def published_resolution(claim: Claim, facts: ScaleFacts, scores: pd.DataFrame) -> power.Resolution | None:
    """What the paper's printed scores can resolve of a benchmark claim; None for curves and mathematics.

    A method whose cells are not printed takes the other's, on which the variance hardly depends, and the difference is
    the published one.
    """
    if claim.measure not in ("benchmark_difference", "smallest_difference"):
        return None
    benchmark = claim.parameters.get("benchmark", MEAN)
    parts = [list(benchmarks()) if benchmark == MEAN else [benchmark]]
    if claim.measure == "smallest_difference":
        parts = [[name] for name in benchmarks()]
    found = []
    for baseline, part in product(claim.parameters.get("baselines") or [claim.parameters["baseline"]], parts):
        names = [facts.base if name == BASE else name for name in (claim.parameters["method"], baseline)]
        printed = [row for name in names if name and (row := cells(scores, facts.label, name))]
        if not printed:
            return None
        a_B, b_B = ([row[name] for name in part] for row in (printed[0], printed[-1]))
        problems_B = [rows for name in part if (rows := benchmarks()[name].rows)]
        found.append(power.resolution(a_B, b_B, problems_B, None if len(printed) == 2 else claim.published))
    return min(found, key=lambda result: result.difference)


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
    if MEASURES[claim.measure].mathematical:
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


def _row(experiment: Experiment, claim: Claim, elsewhere: str = "", **others: Any) -> ClaimRow:
    """The row of a claim, judged unless its data are elsewhere; ``others`` are fields that the claim doesn't tell."""
    interval, reason = None, elsewhere
    if not elsewhere:
        try:
            interval = MEASURES[claim.measure].function(experiment, **claim.parameters)
        except NotMeasuredError as error:
            reason = str(error)
    return ClaimRow(
        kind="mathematics" if MEASURES[claim.measure].mathematical else claim.kind,
        statement=claim.statement,
        source=claim.source,
        unit=claim.unit,
        published=claim.published,
        region=(claim.region.above, claim.region.below),
        interval=interval,
        verdict=_verdict(interval, claim.region),
        reason=reason,
        note=claim.note,
        **others,
    )


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
            "note": "",
        }
    )


def _verdict(interval: Interval | None, region: Region) -> str:
    if interval is None:
        return NOT_RUN
    above = -np.inf if region.above is None else region.above
    below = np.inf if region.below is None else region.below
    if interval.covers == NOTHING:
        interval = Interval(interval.value, interval.value, interval.value, NOTHING)
    word = verdict(interval, above, below)
    return IN_ONE_RUN.get(word, word) if interval.covers in (PROBLEMS, NOTHING) else word


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
    runs = len(set(methods_of(claim.parameters)))
    low, high = (hours * runs for hours in facts.gpu_hours_per_run)
    hours = f"estimate: {low:,.0f} to {high:,.0f} GPU-hours per seed, {runs} run{'s' if runs > 1 else ''}"
    return f"{hours}; a verdict on the method needs {FEWEST_SEEDS} seeds or more"


def _plain(value: Any) -> Any:
    """JSON has no infinity: an end about which nothing is known becomes null."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
