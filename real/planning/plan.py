"""What a scale costs before, while and after it runs: steps, tokens, device-hours, wall time, disk.

Estimates come from costs.py; what a run measured replaces them (taken.py). Every amount is a range. Disk is counted
twice: what a job holds at its peak, and what of that stays when it is done.

    plan(load(["paper_configs/1.5b.yaml"]))        # rows; text.py prints them
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from real.config import (
    Experiment,
    TorchRun,
    TorchScale,
    VerlArithmeticScale,
    VerlRun,
    VerlScale,
    resolve,
)
from real.planning.costs import (
    Costs,
    ModelCosts,
    Range,
    evaluation_batches,
    facts_of,
    load_costs,
    mean_tokens,
    rollouts_per_step,
    sampling_seconds,
    step_seconds,
)
from real.planning.taken import Amount, Kind, Taken, base_taken, evaluation_taken, run_taken
from real.records.jobs import BASE, Job, base_jobs
from real.tasks.sources import read_sources

# scales that train: one of the two engines, on published prompts or on the laptop's task
Trained = TorchScale | VerlScale | VerlArithmeticScale
SECONDS_PER_HOUR = 3600


@dataclass(frozen=True)
class PlannedJob:
    """One job.

    Attributes:
        name: what it does.
        devices: GPUs that it holds (on a CPU: processes).
        steps: outer steps; None of what doesn't train.
        steps_done: of a run in progress.
        tokens: sampled; None where unknown, as the others.
        seconds: wall.
        peak: bytes on disk while it runs.
        kept: bytes that stay.
        held: bytes on disk now.
    """

    name: str
    devices: int
    steps: int | None = None
    steps_done: int | None = None
    tokens: Amount | None = None
    seconds: Amount | None = None
    peak: Amount | None = None
    kept: Amount | None = None
    held: int = 0

    @property
    def device_hours(self) -> Amount | None:
        """Devices times wall hours."""
        return self.seconds and Amount(self.seconds.range * (self.devices / SECONDS_PER_HOUR), self.seconds.kind)

    @property
    def finished(self) -> bool:
        """Whether its results are there."""
        return self.kept is not None and self.kept.kind == "measured"


@dataclass(frozen=True)
class Plan:
    """All jobs of a scale that cost something, and what their estimates come from."""

    experiment: Experiment
    rows: list[PlannedJob]
    costs: Costs

    @property
    def total(self) -> PlannedJob:
        """All jobs one after the other; unknown amounts are left out."""
        kept = _total([row.kept for row in self.rows])
        spare = [Range(p.range.low - k.range.low, p.range.high - k.range.high) for p, k in _disk(self.rows)]
        peak = kept and Amount(kept.range + Range(0, 0).at_least(_largest(spare)), kept.kind)
        return PlannedJob(
            "total",
            max(row.devices for row in self.rows),
            tokens=_total([row.tokens for row in self.rows]),
            seconds=_total([row.seconds for row in self.rows]),
            peak=peak,
            kept=kept,
        )

    @property
    def device_hours(self) -> Amount | None:
        """Of all jobs."""
        return _total([row.device_hours for row in self.rows])

    @property
    def bytes_needed(self) -> float:
        """High end of the disk that unfinished jobs still need, one at a time, less what they hold already."""
        rows = [row for row in self.rows if not row.finished]
        kept = sum(row.kept.range.high for row in rows if row.kept)
        spare = max((p.range.high - k.range.high for p, k in _disk(rows)), default=0.0)
        return max(0.0, kept + spare - sum(row.held for row in rows))


def plan(experiment: Experiment, costs: Costs | None = None, results: Path | None = None) -> Plan:
    """What every job of a scale costs: measured where it is done, extrapolated where it runs, else estimated.

    Args:
        costs: facts to estimate from; default: those of paper_configs/reported/costs.yaml.
        results: folder of the scale's results; default: the experiment's.

    Raises:
        ConfigError: a scale that trains nothing.
        CostError: no facts about the scale's model.
    """
    scale, costs = experiment.trained, costs or load_costs()
    folder = results or Path(experiment.results)
    runs = [resolve(experiment, method, seed) for method in experiment.methods for seed in scale.seeds]
    benchmarks = scale.evaluation.benchmarks
    rows = [
        *(_measured(_base_row(scale, costs, job), base_taken(folder / job.name)) for job in base_jobs(scale)),
        _measured(_evaluation_row(scale, BASE, costs), evaluation_taken(folder, Path(BASE), benchmarks)),
    ]
    for run in runs:
        part = Path(run.method) / f"seed{run.seed}"
        done = run_taken(folder, run.method, run.seed, run.training.steps, run.training.rollouts)
        rows.append(_measured(_run_row(scale, run, costs), done))
        evaluated = evaluation_taken(folder, part, benchmarks)
        rows.append(_measured(_evaluation_row(scale, f"{run.method}, seed {run.seed}", costs), evaluated))
    return Plan(experiment, rows, costs)


def _base_row(scale: Trained, costs: Costs, job: Job) -> PlannedJob:
    """Trained at the laptop's task, otherwise downloaded: bfloat16, into the hub's cache."""
    if isinstance(scale, VerlScale):
        downloaded = Range(1, 1) * (facts_of(scale.model, costs).parameters * costs.checkpoint_bytes.merged[0])
        return PlannedJob("base model", 0, peak=_estimate(downloaded), kept=_estimate(downloaded))
    stated = costs.stated.get(scale.scale)
    name = "base model" if job.name == BASE else f"base model, seed {job.seed}"
    return PlannedJob(name, 1, seconds=_estimate(Range(*stated.base)) if stated else None)


def _run_row(scale: Trained, run: TorchRun | VerlRun, costs: Costs) -> PlannedJob:
    name, training = f"train {run.method}, seed {run.seed}", run.training
    if isinstance(scale, VerlScale) and isinstance(run, VerlRun):
        facts = facts_of(scale.model, costs)
        tokens = rollouts_per_step(run.training, costs) * training.steps
        merged = Range(*costs.checkpoint_bytes.merged) * facts.parameters
        state = costs.checkpoint_bytes.per_parameter * facts.parameters
        kept_states = scale.cluster.keep_checkpoints
        return PlannedJob(
            name,
            max(1, scale.gpus),
            training.steps,
            tokens=_estimate(tokens * mean_tokens(training.max_response_tokens, costs.response_tokens)),
            seconds=_estimate(_run_seconds(scale, run, facts, costs)),
            peak=_estimate(merged + Range(kept_states * state, (kept_states + 1) * state)),
            kept=_estimate(merged),
        )
    stated = costs.stated.get(scale.scale)
    rollouts = training.steps * training.prompts * training.rollouts
    seconds = _estimate(Range(*stated.train) * (rollouts / stated.rollouts)) if stated else None
    return PlannedJob(name, max(1, scale.gpus), training.steps, seconds=seconds)


def _run_seconds(scale: VerlScale, run: VerlRun, facts: ModelCosts, costs: Costs) -> Range:
    """Wall seconds of all steps and validations."""
    training, gpus = run.training, scale.cluster.gpus
    steps = step_seconds(run.training, gpus, facts, costs) * training.steps
    # step 0 and the last step are always validated
    validations = 1 + -(-training.steps // training.validation_every)
    responses = validations * problem_counts([scale.data.validation])[0] * training.validation_samples
    return steps + sampling_seconds(responses, training.max_response_tokens, validations, gpus, facts, costs)


def _evaluation_row(scale: Trained, whose: str, costs: Costs) -> PlannedJob:
    name, evaluation = f"evaluate {whose}", scale.evaluation
    if not isinstance(scale, VerlScale):
        stated = costs.stated.get(scale.scale)
        return PlannedJob(name, max(1, scale.gpus), seconds=_estimate(Range(*stated.evaluate)) if stated else None)
    problems = problem_counts(evaluation.benchmarks)
    responses, batches = sum(problems) * evaluation.samples, evaluation_batches(problems, evaluation)
    limit, gpus = evaluation.max_response_tokens, scale.cluster.gpus
    tokens = mean_tokens(limit, costs.response_tokens) * responses
    stored = tokens * Range(*costs.response_bytes.per_token) if evaluation.keep_responses else Range(0, 0)
    seconds = sampling_seconds(responses, limit, batches, gpus, facts_of(scale.model, costs), costs)
    # finished chunks are stored once more until all of a checkpoint's benchmarks are done
    return PlannedJob(
        name,
        gpus,
        tokens=_estimate(tokens),
        seconds=_estimate(seconds),
        peak=_estimate(stored * 2),
        kept=_estimate(stored),
    )


def problem_counts(benchmarks: Sequence[str]) -> list[int]:
    """Problems of each of the paper's benchmarks."""
    sources = read_sources()
    return [sources[name].rows or 0 for name in benchmarks]


def _measured(row: PlannedJob, taken: Taken | None) -> PlannedJob:
    """The row with what is known of its job by now in place of estimates."""
    if taken is None:
        return row
    running = taken.steps_done is not None
    size = Amount(Range(taken.bytes, taken.bytes), "measured")
    return PlannedJob(
        row.name,
        row.devices,
        row.steps,
        taken.steps_done,
        taken.tokens or row.tokens,
        taken.seconds or row.seconds,
        row.peak if running else size,
        row.kept if running else size,
        taken.bytes,
    )


def _estimate(amount: Range) -> Amount:
    return Amount(amount, "estimated")


def _total(amounts: Sequence[Amount | None]) -> Amount | None:
    known = [amount for amount in amounts if amount]
    if not known:
        return None
    kind: Kind = "measured" if all(amount.kind == "measured" for amount in known) else "estimated"
    return Amount(sum((amount.range for amount in known), Range(0, 0)), kind)


def _disk(rows: Sequence[PlannedJob]) -> list[tuple[Amount, Amount]]:
    """(peak, kept) of the rows that have both."""
    return [(row.peak, row.kept) for row in rows if row.peak and row.kept]


def _largest(ranges: Sequence[Range]) -> Range:
    return Range(max((part.low for part in ranges), default=0.0), max((part.high for part in ranges), default=0.0))
