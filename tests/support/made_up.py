"""Made-up results (test data, no results) with the provenance that real jobs would have left."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from real.config import Experiment, TorchRun, VerlRun, resolve
from real.engines.run_files import METRICS, samples_frame, samples_table
from real.evaluation.evaluate import ABOUT, COLUMNS, summary
from real.records.custody import written
from real.records.jobs import MODEL, Job, trained_jobs
from real.records.provenance import place_of
from real.system.files import write_json, write_json_lines

PROBLEMS = 3
GIT = {"commit": "0123456789abcdef", "modified_files": 0}


def with_steps(experiment: Experiment, steps: int) -> Experiment:
    """The experiment with runs of so many steps."""
    return with_training(experiment, steps=steps, gradient_sample_steps=[steps])


def with_training(experiment: Experiment, **changes: Any) -> Experiment:
    """The experiment with keys of `training` changed, for all its methods."""
    scale = experiment.scale.model_copy(update={"training": experiment.scale.training.model_copy(update=changes)})
    training = {name: of_one.model_copy(update=changes) for name, of_one in experiment.training.items()}
    return experiment.model_copy(update={"scale": scale, "training": training})


def with_samples(experiment: Experiment, samples: int) -> Experiment:
    """The experiment with evaluations of so many samples."""
    evaluation = experiment.scale.evaluation.model_copy(update={"samples": samples})
    return experiment.model_copy(update={"scale": experiment.scale.model_copy(update={"evaluation": evaluation})})


def write_metrics(folder: Path, columns: Mapping[str, list[Any]]) -> None:
    """metrics.jsonl of a run: a line per step, null where a column isn't given."""
    folder.mkdir(parents=True, exist_ok=True)
    steps = len(next(iter(columns.values())))
    absent = {key: [None] * steps for key in METRICS}
    rows = {**absent, "step": list(range(steps)), **columns}
    write_json_lines(folder / "metrics.jsonl", [{key: rows[key][step] for key in rows} for step in range(steps)])


def write_correct(folder: Path, correct_PS: Mapping[str, np.ndarray]) -> None:
    """Rows of an evaluation from (problems, samples) of correctness per benchmark, and evaluation.json beside them."""
    if not correct_PS:
        return
    folder.mkdir(parents=True, exist_ok=True)
    benchmarks = {}
    for benchmark, correct in correct_PS.items():
        rows = pd.DataFrame(
            {
                "problem_id": np.repeat([f"{benchmark}-{p}" for p in range(len(correct))], correct.shape[1]),
                "sample": np.tile(np.arange(correct.shape[1]), len(correct)),
                "response": "</think> 4",
                "answer": "4",
                "correct": correct.ravel(),
                "status": np.where(correct.ravel(), "correct", "wrong"),
                "tokens": 5,
                "truncated": False,
            }
        ).astype(COLUMNS)
        rows.to_parquet(folder / f"{benchmark}.parquet")
        benchmarks[benchmark] = {"digest": "0" * 16, "code": ["0" * 16], **summary(rows)}
    about = {
        "model": str(folder),
        "sampler": {"checkpoint": "0" * 64},
        "settings": {},
        "grading": {},
        "benchmarks": benchmarks,
    }
    write_json(folder / ABOUT, about)


def write_results(experiment: Experiment) -> None:
    """Every file of the base model, the runs and the evaluations, as far as the jobs of a scale declare them."""
    results, rng = Path(experiment.results), np.random.default_rng(0)
    evaluation = experiment.trained.evaluation
    for job in trained_jobs(experiment):
        folder = results / job.name
        folder.mkdir(parents=True, exist_ok=True)
        if job.kind != "evaluate":
            (folder / MODEL).mkdir()
            (folder / MODEL / "config.json").write_text("{}")
        if job.kind == "base" and experiment.trained.own_base:
            write_json_lines(folder / "metrics.jsonl", [{"step": 1, "loss": 1.0}])
        if job.kind == "train":
            write_run(folder, resolve(experiment, str(job.method), int(str(job.seed))), rng)
        if job.kind == "evaluate":
            correct_PS = rng.random((len(evaluation.benchmarks), PROBLEMS, evaluation.samples)) < rng.random()
            write_correct(folder, dict(zip(evaluation.benchmarks, correct_PS, strict=True)))
        record(experiment, job)


def write_run(folder: Path, run: TorchRun | VerlRun, rng: np.random.Generator) -> None:
    """What a run leaves beside its model and its provenance."""
    training, steps = run.training, range(1, run.training.steps + 1)
    measured = {key: [None, *rng.random(len(steps))] for key in METRICS if key != "step"}
    write_metrics(folder, {**measured, "val_pass_at_1": [0.0, *rng.random(len(steps))]})
    write_json_lines(folder / "timings.jsonl", [{"step": step, "step_seconds": 2.0} for step in steps])
    rows = training.prompts * training.rollouts
    samples = [
        samples_frame(step, run.method, rng.normal(size=rows), np.arange(rows) % 2, rng.random(rows) + 0.1)
        for step in training.gradient_sample_steps
    ]
    samples_table(samples).to_parquet(folder / "gradient_samples.parquet")
    (folder / "config.yaml").write_text(yaml.safe_dump(run.model_dump(mode="json"), sort_keys=False))


def record(experiment: Experiment, job: Job, **changes: Any) -> None:
    """provenance.json of a job, as the present code and configuration would have left it, but for some changes."""
    results = Path(experiment.results)
    path = results / job.record
    path.parent.mkdir(parents=True, exist_ok=True)
    outputs = [results / output for output in job.outputs if output != job.record]
    facts = {
        **job.origin(experiment).identity,
        "git": GIT,
        "config": job.origin(experiment).settings,
        "read": {},
        "wrote": written(outputs, place_of(path)),
        "wall_seconds": 1.0,
    }
    write_json(path, {**facts, **changes})


def record_all(experiment: Experiment) -> None:
    """provenance.json of the base model and of every run and evaluation."""
    for job in trained_jobs(experiment):
        record(experiment, job)
