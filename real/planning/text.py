"""A plan as text: one table, what its marks mean, where its estimates come from."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from real.config import VerlScale, VerlTraining
from real.planning.costs import COSTS_FILE, Amount, Fact, TimeFact, exact_pass_share, lengths_of
from real.planning.kernels import chosen, slow
from real.planning.plan import Plan
from real.planning.taken import PlannedJob

MARKS = {"estimated": "", "extrapolated": " →", "measured": " ✓"}
UNKNOWN = "–"
PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
# upper end of a wall time in seconds -> its unit
UNITS = ((120, 1, "s"), (7200, 60, "min"), (72 * 3600, 3600, "h"), (float("inf"), 86400, "d"))


def plan_text(plan: Plan, rate: float | None = None) -> str:
    """The plan for a terminal.

    Args:
        rate: price of a GPU-hour, in any currency; None: no column of costs.
    """
    scale = plan.experiment.trained
    on_gpus = scale.device == "cuda"
    hours = "GPU-hours" if on_gpus else "CPU-hours"
    rows = [_cells(row, row.device_hours, hours, rate if on_gpus else None) for row in plan.rows]
    rows.append(_cells(plan.total, plan.device_hours, hours, rate if on_gpus else None))
    table = pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)
    return "\n".join([f"{plan.experiment.name}: {scale.evidence}", "", table, "", *_notes(plan, rate, on_gpus)])


def _cells(row: PlannedJob, device_hours: Amount | None, hours: str, rate: float | None) -> dict[str, str]:
    steps = UNKNOWN if row.steps is None else f"{row.steps:,}"
    cells = {
        "job": row.name,
        "steps": steps if row.steps_done is None else f"{row.steps_done:,} of {steps}",
        "tokens": _cell(row.tokens, _count),
        hours: _cell(device_hours, plain),
        "wall time": _cell(row.seconds, duration),
        "disk": _cell(row.peak, _bytes),
        "stays": _cell(row.kept, _bytes),
    }
    if rate is not None:
        cells["cost"] = _cell(device_hours, lambda amount: plain(amount * rate))
    return cells


def _notes(plan: Plan, rate: float | None, on_gpus: bool) -> list[str]:
    untimed = [row.name for row in plan.rows if row.seconds is None and row.devices]
    lines = [
        "low–high; ✓ measured, → extrapolated from the run's own steps, no mark: estimated",
        "disk: the most that a job holds while it runs; stays: what it leaves; total: one job after the other",
    ]
    if on_gpus:
        lines.append(
            "no cost: name a price per GPU-hour with --rate" if rate is None else f"cost: at {rate:g} per GPU-hour"
        )
    if unknown := not_estimated(plan):
        lines.append(f"{UNKNOWN}: {unknown}; no total counts them")
    elif untimed:
        lines.append(f"{UNKNOWN}: nobody has measured it; the time of {len(untimed)} jobs is unknown and in no total")
    amounts = [amount for row in plan.rows for amount in (row.seconds, row.tokens, row.kept) if amount]
    if any(amount.kind != "measured" for amount in amounts) and (sources := estimate_sources(plan)):
        lines += ["", f"Estimated from ({COSTS_FILE}):", *(f"  {line}" for line in sources)]
    timed = any(row.seconds and row.seconds.kind != "measured" for row in plan.rows)
    if len(plan.experiment.trained.seeds) == 1:
        lines.append(
            "One seed: claims will say what was seen in one run; a verdict on a method needs two seeds or more "
            "(`seeds`), and each one costs what this plan does but for the base model."
        )
    return [*lines, *_kernels(plan), *([_not_counted(plan)] if on_gpus and timed else [])]


def _kernels(plan: Plan) -> list[str]:
    """Which kernels the trainer takes, and what slow ones would add; none where nothing is known of a step."""
    scale, facts = plan.experiment.trained, plan.known.model
    # isinstance: as in _not_counted
    if not isinstance(scale, VerlScale) or facts is None:
        return []
    costs = plan.known.costs
    found = slow(scale.training, scale, facts, costs)
    return [
        f"Kernels: {chosen(scale.cluster)}. As measured on {costs.kernels.hardware}, a step takes {plain(found.mask)} "
        f"s longer with sdpa ({found.pack:,} tokens at once), and {plain(found.loop)} s longer with the head logits "
        "where flash-attn is missing; what `cluster` asks for is counted."
    ]


def not_estimated(plan: Plan) -> str | None:
    """Which of time, disk and money can't be estimated for want of facts about the scale's checkpoint, and what to do.

    Returns:
        a sentence without its full stop; None where nothing is wanting.
    """
    name = plan.known.name
    if name is None or plan.known.model is not None:
        return None
    time = ["time"] if any(row.seconds is None for row in plan.rows if row.devices) else []
    disk = ["disk of checkpoints"] if any(row.kept is None for row in plan.rows) else []
    lacking = [*time, *disk, *(["money (device-hours)"] if time else [])]
    if not lacking:
        return None
    return (
        f"{' and '.join(', '.join(lacking).rsplit(', ', 1))} can't be estimated, because {COSTS_FILE} has no facts "
        f"about model.name {name}; for estimates add facts there, with their sources, under the key "
        f"models.{Path(name).name}"
    )


def _not_counted(plan: Plan) -> str:
    scale = plan.experiment.trained
    forward_pass = ""
    # isinstance: its section `training` cuts a step into updates over the cluster
    if isinstance(scale, VerlScale):
        percent = exact_pass_share(scale.training, scale.cluster.gradient_checkpointing, plan.known.costs) * 100
        forward_pass = (
            f"REAL's forward pass without gradients, {percent.low:.1f} to {percent.high:.1f} % of a step by arithmetic "
            "(benchmarks/README.md); "
        )
    return (
        f"Not counted: start-up, weight transfer and checkpointing beyond what the facts hold; {forward_pass}GRPO's "
        "reference model where a fact has none; failed and repeated jobs."
    )


def estimate_sources(plan: Plan) -> list[str]:
    """Where the estimates of a plan come from, one line each; none where nothing could be estimated."""
    costs, facts, stated = plan.known.costs, plan.known.model, plan.known.stated
    if plan.known.name is None:
        of_jobs = (stated.base, stated.train, stated.evaluate) if stated else ()
        return [f"jobs: {source}" for source in dict.fromkeys(fact.source for fact in of_jobs)]
    found: list[tuple[str, Fact]] = []
    if facts:
        found += [(f"steps: {_geometry(fact)}", fact) for fact in facts.steps]
        found.append((f"evaluation and validation: {_geometry(facts.evaluation)}", facts.evaluation))
        found.append((f"one response: {plain(facts.one_response.amount)} tokens per second", facts.one_response))
    found.append(("tokens", lengths_of(facts, costs)))
    if any(isinstance(one, VerlTraining) and one.dynamic_sampling for one in plan.experiment.training.values()):
        found.append(("dynamic sampling", costs.dynamic_sampling))
    if plan.known.parameters:
        found += [("states to resume from", costs.state_bytes), ("models", costs.model_bytes)]
    return [f"{what}: {fact.source}" for what, fact in [*found, ("stored responses", costs.response_bytes)]]


def _geometry(fact: TimeFact) -> str:
    kernels = f" ({fact.kernels})" if fact.kernels else ""
    return (
        f"{plain(fact.amount)} s on {fact.hardware} for {fact.responses:,} responses of at most "
        f"{fact.max_response_tokens:,} tokens{kernels}"
    )


def _cell(amount: Amount | None, form: Callable[[Amount], str]) -> str:
    return UNKNOWN if amount is None else f"{form(amount)}{MARKS[amount.kind]}"


def plain(amount: Amount) -> str:
    """Both ends, or the one where they are equal."""
    low, high = three_digits(amount.low), three_digits(amount.high)
    return low if low == high else f"{low}–{high}"


def _bytes(amount: Amount) -> str:
    return f"{_count(amount)}B"


def _count(amount: Amount) -> str:
    """With the prefix that suits the high end, after a space that is there without a prefix too."""
    size, prefix = next(((size, prefix) for size, prefix in PREFIXES if amount.high >= size), (1, ""))
    return f"{plain(amount * (1 / size))} {prefix}"


def duration(amount: Amount) -> str:
    """Wall seconds in the unit that suits the high end."""
    length, name = next((length, name) for below, length, name in UNITS if amount.high < below)
    return f"{plain(amount * (1 / length))} {name}"


def three_digits(value: float) -> str:
    """About three significant digits, without an exponent: 1,240, 12.3, 0.0056."""
    if value == 0:
        return "0"
    if value >= 1000:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{float(f'{value:.3g}'):.10f}".rstrip("0").rstrip(".") if value < 1 else f"{value:.3g}"
