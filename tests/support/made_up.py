"""Made-up results (test data, no results) with the provenance that real jobs would have left."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from real.config import Experiment
from real.engines.run_files import METRICS
from real.records.jobs import Job, trained_jobs
from real.system.files import write_json, write_json_lines

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
    """Rows of an evaluation from (problems, samples) of correctness per benchmark, and evaluation.json's counts."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = {
        name: {"problems": len(correct), "samples": correct.size, "pass_at_1": float(correct.mean())}
        for name, correct in correct_PS.items()
    }
    if counts:
        write_json(folder / "evaluation.json", {"benchmarks": counts})
    for benchmark, correct in correct_PS.items():
        rows = [(f"{benchmark}-{p}", s, bool(value)) for (p, s), value in np.ndenumerate(correct)]
        pd.DataFrame(rows, columns=["problem_id", "sample", "correct"]).to_parquet(folder / f"{benchmark}.parquet")


def record(experiment: Experiment, job: Job, **changes: Any) -> None:
    """provenance.json of a job, as the present code and configuration would have left it, but for some changes."""
    path = Path(experiment.results) / job.record
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {
        **job.origin(experiment).identity,
        "git": GIT,
        "config": job.origin(experiment).settings,
        "read": {},
        "wrote": {},
        "wall_seconds": 1.0,
    }
    write_json(path, {**facts, **changes})


def record_all(experiment: Experiment) -> None:
    """provenance.json of the base model and of every run and evaluation."""
    for job in trained_jobs(experiment):
        record(experiment, job)
