"""What a report says of its results besides showing them: what the jobs took, and what made them."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from real.config import Experiment
from real.evidence.scores import NONE
from real.records.consistent import EVALUATIONS, code_note, custody_note
from real.records.jobs import BASE, Job, trained_jobs
from real.records.provenance import Record, read_record, this_process
from real.records.recorded import RECORDED, read_about, recorded_names
from real.system.code import commit_of, git_state
from real.system.files import file_digest, read_json
from real.tasks.corrections import NOTHING_CORRECTED, corrections_digest, read_corrections
from real.tasks.problems import MATH_BENCHMARKS
from real.tasks.sources import labels, read_sources


def stage_times(experiment: Experiment, jobs: Iterable[Job]) -> pd.DataFrame:
    """A row per stage: jobs, wall and CPU seconds summed over them, largest memory, and GPU-hours where GPUs were lent.

    Raises:
        DamagedError: a job's record is damaged.
    """
    results = Path(experiment.results)
    taken = [
        {"stage": _stage(experiment, job), **_taken(path)} for job in jobs if (path := results / job.record).exists()
    ]
    columns = ["stage", "wall", "cpu", "memory", "gpu"]
    stages = pd.DataFrame(taken, columns=columns).groupby("stage", sort=False)
    sums = stages[["wall", "cpu", "gpu"]].sum(min_count=1)
    table = {
        "stage": sums.index,
        "jobs": [str(count) for count in stages.size()],
        "wall, s": sums["wall"].map(_number),
        "CPU, s": sums["cpu"].map(_number),
        "largest memory, MB": stages["memory"].max().map(_number),
    }
    if sums["gpu"].any():
        table["GPU-hours"] = [f"{seconds / 3600:,.1f}" for seconds in sums["gpu"]]
    return pd.DataFrame(table)


def _stage(experiment: Experiment, job: Job) -> str:
    if job.kind == "train":
        return f"training, {experiment.settings(str(job.method)).label}"
    return {"base": "base model", "evaluate": "evaluation", "drawn": "tables, claims and figures"}[job.kind]


def _taken(path: Path) -> dict[str, float]:
    """wall, cpu (seconds), memory (MB) and gpu (GPU-seconds) of a job by its record; NaN where it noted none."""
    record = read_record(path)
    wall, command = record.get("wall_seconds", math.nan), record.get("command", [])
    gpus = int(command[command.index("--gpus") + 1]) if "--gpus" in command else 0
    cpu = record.get("cpu_seconds", math.nan) + record.get("cpu_seconds_children", math.nan)
    return {"wall": wall, "cpu": cpu, "memory": record.get("peak_memory_bytes", math.nan) / 1e6, "gpu": gpus * wall}


def _number(value: float) -> str:
    return NONE if pd.isna(value) else f"{value:,.0f}"


def origins(experiment: Experiment) -> pd.DataFrame:
    """Facts about what made the results, a row each: of runs and evaluations from their records, then of the rest."""
    scale, records = experiment.scale, _records(experiment)
    rows = [("configuration", ", ".join(experiment.read_from))]
    if scale.trains:
        rows.append(("seeds", ", ".join(map(str, scale.run_seeds))))
    if code := code_note(experiment, EVALUATIONS):
        rows.append(("versions of the code", code))
    if custody := custody_note(experiment, EVALUATIONS):
        rows.append(("chain of custody", custody))
    for what, fact in FACTS.items():
        counts = Counter(map(fact, records))
        rows += [
            (
                f"{what} of base model, runs and evaluations",
                f"{value} ({count} job{'s' if count > 1 else ''})" if len(counts) > 1 else value,
            )
            for value, count in counts.items()
        ]
    for name in records_shown(experiment):
        about = read_about(name)
        rows.append((f"{name}, recorded in git", f"{RECORDED / name}: {about.commit}, {about.date}, {about.processor}"))
    report = {"git": git_state(), **this_process()}
    rows += [(f"{what} of tables, figures and this page", fact(report)) for what, fact in FACTS.items()]
    return pd.DataFrame(rows, columns=["what", "which"])


def records_shown(experiment: Experiment) -> list[str]:
    """What is recorded in git, where nothing is trained; a trained scale's own record is made after its report."""
    return [] if experiment.scale.trains else recorded_names()


def _records(experiment: Experiment) -> list[Record]:
    """Of the base model, the runs and the evaluations, as far as they are there."""
    paths = [Path(experiment.results, job.record) for job in trained_jobs(experiment)]
    return [read_record(path) for path in paths if path.exists()]


def _machine(record: Record) -> str:
    if "machine" not in record:
        return "not recorded"
    machine = record["machine"]
    gpus = Counter(gpu["name"] for gpu in machine["gpus"])
    memory = f"{machine['memory_bytes'] / 1e9:.0f} GB"
    facts = [f"{machine['processor']}, {machine['cores']} cores, {memory}", machine["system"]]
    facts += [f"rounding: {machine['arithmetic']}"] if "arithmetic" in machine else []
    return "; ".join([*facts, *(f"{count} × {name}" for name, count in gpus.items())])


def _packages(record: Record) -> str:
    named = [("python", record.get("python", "not recorded")), *record.get("packages", {}).items()]
    return ", ".join(f"{name} {version}" for name, version in named)


FACTS: Mapping[str, Callable[[Record], str]] = {
    "commit": commit_of,
    "machine": _machine,
    "packages": _packages,
}


def data_hashes(experiment: Experiment) -> pd.DataFrame:
    """Columns data, hash: of what was read, whatever its kind; files as sha256."""
    return pd.DataFrame([*_data(experiment)], columns=["data", "hash"])


def _data(experiment: Experiment) -> Iterator[tuple[str, str]]:
    scale = experiment.scale
    if printed := scale.printed:
        for file in (*printed.benchmarks, printed.training_dynamics):
            yield file, f"sha256 {file_digest(Path(file))}"
        return
    sources = read_sources()
    used = [scale.published_data.train, scale.published_data.validation] if scale.published_data else []
    for name in dict.fromkeys([*used, *scale.evaluated_on]):
        if name in sources:
            yield sources[name].label, sources[name].identity
    if evaluated := _base_evaluation(experiment):
        yield "base model's checkpoint", evaluated["sampler"]["checkpoint"]
        for name, facts in evaluated["benchmarks"].items():
            if name not in MATH_BENCHMARKS:
                yield f"{name}, {facts['problems']} generated problems", f"digest {facts['digest']}"


def _base_evaluation(experiment: Experiment) -> dict[str, Any]:
    """evaluation.json of the base model, which is asked what the runs are; empty where there is none yet."""
    about = Path(experiment.results, "evaluations", BASE, "evaluation.json")
    return read_json(about, keys=("sampler", "benchmarks")) if about.exists() else {}


def ground_truths(experiment: Experiment) -> dict[str, pd.DataFrame]:
    """Tables of the ground truths that were corrected and of those that the grader doesn't understand; no empty one.

    Raises:
        ConfigError: a mistake in datasets/corrections.yaml. DamagedError: a record or evaluation.json is damaged.
    """
    tables = {
        "Ground truths that were corrected": _corrected(experiment),
        "Ground truths that the grader doesn't understand": _not_understood(experiment),
    }
    return {heading: table for heading, table in tables.items() if len(table)}


def _corrected(experiment: Experiment) -> pd.DataFrame:
    """A row per correction in a dataset that jobs read, with how many of them read it so corrected."""
    corrections, label = read_corrections(), labels()
    read = [pair for record in _records(experiment) for pair in record.get("data", {}).items()]
    rows = []
    for name in [name for name in corrections if name in dict(read)]:
        digests = [identity.get("corrections", NOTHING_CORRECTED) for of, identity in read if of == name]
        jobs = f"{digests.count(corrections_digest(corrections, name))} of {len(digests)}"
        for row, one in corrections[name].items():
            rows.append((label[name], row, one.found, one.corrected, one.reason, jobs))
    return pd.DataFrame(rows, columns=["data", "row", "found", "corrected", "reason", "jobs that read it so"])


def _not_understood(experiment: Experiment) -> pd.DataFrame:
    """A row per benchmark that has some, by the base model's evaluation: how many, and ids of their problems."""
    benchmarks = _base_evaluation(experiment).get("benchmarks", {})
    found = {name: facts.get("ground_truths_not_understood", []) for name, facts in benchmarks.items()}
    rows = [(name, len(ids), ", ".join(ids)) for name, ids in found.items() if ids]
    return pd.DataFrame(rows, columns=["benchmark", "count", "problems"])


def job_digests(experiment: Experiment, jobs: Iterable[Job]) -> pd.DataFrame:
    """A row per job: digests of configuration and code, as manifest.json has them, and its commit."""
    rows = []
    for job in jobs:
        path = Path(experiment.results) / job.record
        if path.exists():
            made = read_record(path)
            rows.append([job.name, made["config_digest"], made["code_digest"], commit_of(made)])
    return pd.DataFrame(rows, columns=["job", "configuration", "code", "made by"])
