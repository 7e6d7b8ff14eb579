# What the rules share: the checked experiment, where its files lie, and what a job is given.

import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from real.commands.exhibits import all_jobs, exhibits
from real.config import ConfigError, digest, load
from real.planning.needs import needs
from real.records.made_from import base_origin, evaluation_origin, run_origin
from real.records.recorded import read_about, recorded_names
from real.system.code import DATA, EVIDENCE, code_digest
from real.system.files import file_digest
from real.tasks.corrections import corrections_digest, read_corrections
from real.tasks.sources import MIRROR_VARIABLE, read_sources

CONFIG_FILES = [os.path.relpath(file) for file in workflow.configfiles]

try:
    experiment = load(CONFIG_FILES)
    sources = read_sources()
    corrections = read_corrections()
    declared = all_jobs(experiment)
    # what every exhibit is made from, so that an edit makes it again: digests of settings, printed numbers and code
    MADE_FROM = {
        job.name: job.origin(experiment).identity
        for job in declared
        if job.kind == "drawn"
    }
except ConfigError as error:
    raise WorkflowError(str(error))

# the rules' `python` is the one that runs Snakemake, activated or not; conda, where asked for, puts its own before it
os.environ.update(
    PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()])
)

scale = experiment.scale
# the environment wins; and through it, not through params, so that another mirror reruns nothing
if scale.datasets.mirror:
    os.environ.setdefault(MIRROR_VARIABLE, scale.datasets.mirror)
trains = scale.trains
TRAINS_BASE = scale.own_base is not None
RESULTS = experiment.results
BENCHMARKS = scale.evaluated_on
DATASETS = [name for name in BENCHMARKS if name in sources]
TEST_SETS = [name for name, source in sources.items() if source.split == "test"]
TRAINING_SETS = [name for name, source in sources.items() if source.split == "train"]
NEEDS = needs(scale)
# vLLM's own data parallelism, by which evaluations sample, stays on one machine
EVALUATION_NEEDS = needs(scale, one_node=True)
CLUSTER = scale.verl_cluster
ENGINE_ENV = "../envs/gpu.yaml" if CLUSTER and NEEDS.gpus else "../envs/real.yaml"


wildcard_constraints:
    method="[A-Za-z0-9_.+-]+",
    seed="[0-9]+",
    base_seed="[0-9]+",
    dataset="|".join(sources),
    train="|".join(TRAINING_SETS),
    form="parquet|jsonl",


def prepared(*names):
    """Prepared files of datasets."""
    return expand("datasets/prepared/{name}.parquet", name=names)


def this_attempt(wildcards, attempt):
    """Resource: which attempt at the job Snakemake makes, above 1 by `retries` of a profile."""
    return attempt


def again(wildcards, resources):
    """Tells a job that Snakemake starts it again by itself.

    A function of resources, so Snakemake doesn't compare it with the last run's.
    """
    return f"--attempt {resources.attempt}" if resources.attempt > 1 else ""


def granted(wildcards, resources):
    """GPUs that a job was given, where its scale asks for any: Snakemake may give it fewer, so the job compares.

    With the attempt, and as that of resources.
    """
    gpus = f"--gpus {resources.gpu}" if NEEDS.gpus else ""
    return f"{gpus} {again(wildcards, resources)}".strip()


def sampler(wildcards, resources):
    """As granted, with the engine's sampler and the processes that grade."""
    engine, graders = ("--sampler vllm", CLUSTER.reward_workers) if CLUSTER else ("", 1)
    return f"--processes {graders} {engine} {granted(wildcards, resources)}"


def results_for(exhibit):
    """Input function: the results that an exhibit is made from, or a sentence why this scale doesn't have it."""

    def inputs(wildcards):
        if reason := exhibit.absent(experiment):
            raise WorkflowError(f"{exhibit.name}: {reason}")
        return [f"{RESULTS}/{path}" for path in exhibit.reads(experiment)]

    return inputs


def redrawn_from(name):
    """What the exhibits of a recorded scale are drawn from: digests of settings, printed numbers, code and results."""
    recorded = read_about(name)
    configured = load(recorded.config_files)
    drawn = [job for job in all_jobs(configured) if job.kind == "drawn"]
    return [
        recorded.archive_sha256,
        {job.name: job.origin(configured).identity for job in drawn},
    ]


def beside(exhibit):
    """Param: digests of what it shows of other targets; as inputs, these would be made up to date for it."""
    return lambda wildcards: {
        str(path): file_digest(path) for path in exhibit.beside(experiment)
    }


def in_report(path):
    """An output, which Snakemake's own report shows too if it is for reading, with the caption that ours has."""
    place, stem, kind = Path(path).parent.name, Path(path).stem, Path(path).suffix
    shown = kind in (".html", ".png") or path == "tables/training_curves.csv"
    if not shown or stem == "report":
        return f"<results>/{path}"
    category, word = {
        "tables": ("Tables", "table"),
        "figures": ("Figures", "figure"),
    }.get(place, ("Claims", "table"))
    return report(
        f"<results>/{path}",
        caption=workflow.source_path(f"../report/{stem}.rst"),
        category=category,
        labels={word: f"{stem.replace('_', ' ')}, {experiment.name} scale"},
    )
