"""Every file that a scale declares, by the job that makes it: for the workflow, the manifest and the readers alike.

What is trained and evaluated is listed here; the jobs of tables, figures and pages are those of their declarations
(real/evidence/exhibit.py), and real/commands/exhibits.py puts both together.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Literal

from real.config import Experiment, Trained
from real.records.made_from import Origin, base_origin, evaluation_origin, run_origin
from real.records.provenance import DRAWN, RECORD

BASE = "base"
MODEL = "model"
Kind = Literal["base", "train", "evaluate", "drawn"]


@dataclass(frozen=True)
class Job:
    """One job of a scale.

    Attributes:
        kind: what it does; ``drawn``: a table, a figure or a page, made from the others' results in seconds.
        rule: the workflow's, which makes it.
        name: its folder below the scale's results, or its rule.
        outputs: paths below the scale's results, the job's record last; ``…/model`` is a folder, the others are files.
        origin: what it would be made from now.
        optional: made by a target of its own, not by the default one.
    """

    kind: Kind
    rule: str
    name: str
    outputs: tuple[str, ...]
    origin: Callable[[Experiment], Origin] = field(compare=False)
    method: str | None = None
    seed: int | None = None
    optional: bool = False

    @property
    def work(self) -> str:
        """Folder of its state while it runs, of what is trained or evaluated."""
        return f"work/{self.name.removeprefix('runs/')}"

    @property
    def record(self) -> str:
        """Its provenance, written last."""
        return f"{DRAWN}/{self.name}.json" if self.kind == "drawn" else f"{self.name}/{RECORD}"


def trained_jobs(experiment: Experiment) -> list[Job]:
    """The base model, the runs and the evaluations; none at a scale that trains nothing."""
    if not experiment.scale.trains:
        return []
    scale = experiment.trained
    evaluated, benchmarks = product(experiment.methods, scale.seeds), scale.evaluated_on
    return [
        *base_jobs(scale),
        *(run_job(method, seed) for method, seed in experiment.runs),
        evaluation_job(benchmarks, BASE, None),
        *(evaluation_job(benchmarks, method, seed) for method, seed in evaluated),
    ]


def base_jobs(scale: Trained) -> list[Job]:
    """The base model, and the further ones of a scale that trains several."""
    # a published checkpoint is only linked
    files = (MODEL, "metrics.jsonl", RECORD) if scale.own_base else (MODEL, RECORD)
    jobs = []
    for seed in scale.own_base.seeds if scale.own_base else [None]:
        name = base_folder(scale, seed)
        rule = "base" if name == BASE else "further_base"
        jobs.append(Job("base", rule, name, _below(name, *files), partial(base_origin, seed=seed), seed=seed))
    return jobs


def base_folder(scale: Trained, seed: int | None) -> str:
    """Folder of the base model of one of base.seeds; None: of the first, or of the only one."""
    first = seed is None or scale.own_base is None or seed == scale.own_base.seed
    return BASE if first else f"{BASE}-seed{seed}"


def base_of_run(scale: Trained, run_seed: int) -> str:
    """Folder of the base model that RL seed ``run_seed`` starts from."""
    return base_folder(scale, scale.own_base.seed_of(run_seed) if scale.own_base else None)


def run_job(method: str, seed: int) -> Job:
    """The training of one run."""
    name = f"runs/{method}/seed{seed}"
    files = (MODEL, "metrics.jsonl", "timings.jsonl", "gradient_samples.parquet", "config.yaml", RECORD)
    origin = partial(run_origin, method=method, seed=seed)
    return Job("train", "train", name, _below(name, *files), origin, method, seed)


def evaluation_job(benchmarks: Iterable[str], method: str, seed: int | None) -> Job:
    """The evaluation of one run, or of the base model."""
    rule, name = "evaluate", f"evaluations/{method}/seed{seed}"
    if seed is None:
        rule, name = "evaluate_base", f"evaluations/{method}"
    files = [f"{benchmark}.parquet" for benchmark in benchmarks]
    return Job("evaluate", rule, name, _below(name, *files, "evaluation.json", RECORD), evaluation_origin, method, seed)


def in_the_way(results: Path, jobs: Iterable[Job]) -> Path | None:
    """What stands where a folder of the jobs' outputs belongs and is none: a file, or a link to nothing."""
    for job in jobs:
        for output in job.outputs:
            for folder in reversed((results / output).parents):
                if os.path.lexists(folder) and not folder.is_dir():
                    return folder
    return None


def workflow_owns(path: Path) -> bool:
    """Whether Snakemake, not a job, wrote a file: it marks folders that way."""
    return path.name == ".snakemake_timestamp"


def _below(folder: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}" for name in names)
