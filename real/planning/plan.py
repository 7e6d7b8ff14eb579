"""What a scale costs before, while and after it runs: steps, tokens, device-hours, wall time, disk.

Estimates come from costs.py; what a run measured replaces them (taken.py). Every amount is a range. Disk is counted
twice: what a job holds at its peak, and what of that stays when it is done. What no fact tells is left open: costs
advise, and nothing waits for them.

    plan(load(["paper_configs/1.5b.yaml"]))        # rows; text.py prints them
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from real.config import UNTRAINED, Experiment, TorchTraining, Trained, VerlScale, VerlTraining
from real.planning.costs import (
    Amount,
    Costs,
    ModelFacts,
    StatedFacts,
    evaluation_batches,
    facts_of,
    lengths_of,
    load_costs,
    mean_tokens,
    rollouts_per_step,
    sampling_seconds,
    step_seconds,
    stored_parameters,
    total,
)
from real.planning.kernels import slow
from real.planning.taken import PlannedJob, measured
from real.records.jobs import BASE, Job, base_jobs, evaluation_job, run_job
from real.tasks.sources import read_sources

NOTHING = Amount(0, 0)


@dataclass(frozen=True)
class Known:
    """What a scale's costs are estimated from.

    Attributes:
        name: of the published checkpoint that RL starts from; None: the scale trains its own.
        model: facts about that checkpoint; None: there are none.
        parameters: of that checkpoint, by its own files where it is a folder; None where unknown.
        stated: about whole jobs of the scale.
    """

    costs: Costs
    name: str | None = None
    model: ModelFacts | None = None
    parameters: int | None = None
    stated: StatedFacts | None = None


@dataclass(frozen=True)
class Plan:
    """All jobs of a scale that cost something, and what their estimates come from."""

    experiment: Experiment
    rows: list[PlannedJob]
    known: Known

    @property
    def total(self) -> PlannedJob:
        """All jobs one after the other; unknown amounts are left out."""
        kept = total(row.kept for row in self.rows)
        return PlannedJob(
            "total",
            max(row.devices for row in self.rows),
            tokens=total(row.tokens for row in self.rows),
            seconds=total(row.seconds for row in self.rows),
            peak=kept and replace(kept + _spare(self.rows), kind=kept.kind),
            kept=kept,
        )

    @property
    def device_hours(self) -> Amount | None:
        """Of all jobs."""
        return total(row.device_hours for row in self.rows)

    @property
    def bytes_needed(self) -> float | None:
        """High end of the disk that unfinished jobs still need, one at a time, less what they hold; None: unknown."""
        rows = [row for row in self.rows if not row.finished]
        if any(row.kept is None or row.peak is None for row in rows):
            return None
        kept = sum(row.kept.high for row in rows if row.kept)
        return max(0.0, kept + _spare(rows).high - sum(row.held for row in rows))

    def fewest_bytes(self, folders: Collection[str]) -> float:
        """Low end of the disk that some unfinished jobs still need, one at a time; unknown amounts are left out."""
        rows = [row for row in self.rows if row.folder in folders and not row.finished]
        kept = sum(row.kept.low for row in rows if row.kept)
        return max(0.0, kept + _spare(rows).low - sum(row.held for row in rows))


def plan(experiment: Experiment, costs: Costs | None = None, results: Path | None = None) -> Plan:
    """What every job of a scale costs: measured where it is done, extrapolated where it runs, else estimated.

    Args:
        costs: facts to estimate from; default: those of paper_configs/reported/costs.yaml.
        results: folder of the scale's results; default: the experiment's.

    Raises:
        ConfigError: a scale that trains nothing, or facts that can't be read.
        DamagedError: a file that a job left.
    """
    scale, folder = experiment.trained, results or Path(experiment.results)
    known = _known(scale, costs or load_costs())
    rows = [measured(_base_row(known, job), folder, job, scale.training) for job in base_jobs(scale)]
    row, job = _evaluation_row(scale, known, BASE), evaluation_job(scale.evaluated_on, BASE, None)
    rows.append(measured(row, folder, job, scale.training))
    for method, seed in experiment.runs:
        whose, training = f"{method}, seed {seed}", experiment.training[method]
        rows.append(measured(_run_row(scale, known, whose, training), folder, run_job(method, seed), training))
        if method == UNTRAINED:  # it has the base model's weights, and so its evaluation
            continue
        row, job = _evaluation_row(scale, known, whose), evaluation_job(scale.evaluated_on, method, seed)
        rows.append(measured(row, folder, job, training))
    return Plan(experiment, rows, known)


def _known(scale: Trained, costs: Costs) -> Known:
    model = scale.published_model
    if model is None:
        return Known(costs, stated=costs.stated.get(scale.scale))
    facts = facts_of(model, costs)
    parameters = facts.parameters if facts else stored_parameters(Path(model.name))
    return Known(costs, model.name, facts, parameters)


def _base_row(known: Known, job: Job) -> PlannedJob:
    """Trained at the laptop's task; else linked where it is a folder, and downloaded into the hub's cache otherwise."""
    name = "base model" if job.name == BASE else f"base model, seed {job.seed}"
    if known.name is None:
        return PlannedJob(name, 1, seconds=known.stated.base.amount if known.stated else None)
    size = None
    if Path(known.name).is_dir():
        size = NOTHING
    elif known.parameters:
        size = Amount(1, 1) * (known.parameters * known.costs.model_bytes.low)
    return PlannedJob(name, 0, peak=size, kept=size)


def _run_row(scale: Trained, known: Known, whose: str, training: TorchTraining | VerlTraining) -> PlannedJob:
    costs, row = known.costs, PlannedJob(f"train {whose}", max(1, scale.gpus), training.steps)
    # isinstance: the facts about published checkpoints are of the verl engine's steps
    if not isinstance(scale, VerlScale) or not isinstance(training, VerlTraining):
        if known.stated is None:
            return row
        rollouts = training.steps * training.prompts * training.rollouts
        return replace(row, seconds=known.stated.train.amount * (rollouts / known.stated.rollouts))
    tokens = mean_tokens(training.max_response_tokens, lengths_of(known.model, costs))
    row = replace(row, tokens=rollouts_per_step(training, costs) * training.steps * tokens)
    if known.model:
        row = replace(row, seconds=_run_seconds(scale, training, known.model, costs))
    if known.parameters:
        merged, state = (fact.amount * known.parameters for fact in (costs.model_bytes, costs.state_bytes))
        states = Amount(scale.cluster.keep_checkpoints, scale.cluster.keep_checkpoints + 1)
        row = replace(row, peak=merged + state * states, kept=merged)
    return row


def _run_seconds(scale: VerlScale, training: VerlTraining, facts: ModelFacts, costs: Costs) -> Amount:
    """Wall seconds of all steps and validations."""
    gpus = scale.cluster.gpus
    one = step_seconds(training, gpus, facts, costs) + slow(training, scale, facts, costs).of(scale.cluster)
    steps = one * training.steps
    # step 0 and the last step are always validated
    validations = 1 + -(-training.steps // training.validation_every)
    responses = validations * problem_counts([scale.data.validation])[0] * training.validation_samples
    return steps + sampling_seconds(responses, training.max_response_tokens, validations, gpus, facts, costs)


def _evaluation_row(scale: Trained, known: Known, whose: str) -> PlannedJob:
    name, evaluation, costs = f"evaluate {whose}", scale.evaluation, known.costs
    cluster = scale.verl_cluster
    if scale.published_model is None or cluster is None:
        return PlannedJob(name, max(1, scale.gpus), seconds=known.stated.evaluate.amount if known.stated else None)
    problems = problem_counts(evaluation.benchmarks)
    responses, batches = sum(problems) * evaluation.samples, evaluation_batches(problems, evaluation)
    limit, gpus = evaluation.max_response_tokens, cluster.gpus
    tokens = mean_tokens(limit, lengths_of(known.model, costs)) * responses
    seconds = sampling_seconds(responses, limit, batches, gpus, known.model, costs) if known.model else None
    stored = tokens * costs.response_bytes.amount if evaluation.keep_responses else NOTHING
    # finished chunks are stored once more until all of a checkpoint's benchmarks are done
    return PlannedJob(name, gpus, tokens=tokens, seconds=seconds, peak=stored * 2, kept=stored)


def problem_counts(benchmarks: Sequence[str]) -> list[int]:
    """Problems of each of the paper's benchmarks."""
    sources = read_sources()
    return [sources[name].rows or 0 for name in benchmarks]


def _spare(rows: Sequence[PlannedJob]) -> Amount:
    """Bytes that the job with the largest peak holds beyond what it leaves."""
    spare = [(row.peak.low - row.kept.low, row.peak.high - row.kept.high) for row in rows if row.peak and row.kept]
    return Amount(max((low for low, _ in spare), default=0.0), max((high for _, high in spare), default=0.0))
