# Helpers only: the checked experiment, and what rules ask of it.

import os
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

from real.config import ConfigError, TorchScale, digest, load, read, resolve
from real.problems import MATH_BENCHMARKS
from real.provenance import code_digest
from real.sources import MIRROR_VARIABLE, read_sources

CONFIG_FILES = [os.path.relpath(file) for file in workflow.configfiles]

try:
    experiment = load(CONFIG_FILES)
    sources = read_sources()
except ConfigError as error:
    raise WorkflowError(str(error))

if read(CONFIG_FILES) != dict(config):
    raise WorkflowError(
        "--config is not read; write an overlay file (paper_configs/variants) and name it after the scale's"
    )

validate(config, workflow.source_path("../schemas/config.schema.json"))

scale = experiment.scale
# the environment wins; and through it, not through params, so that another mirror reruns nothing
if scale.datasets.mirror:
    os.environ.setdefault(MIRROR_VARIABLE, scale.datasets.mirror)
trains = isinstance(scale, TorchScale)
BASE = "base"
WORK = os.path.join(experiment.results, "work")
SEEDS = scale.seeds if trains else []
BENCHMARKS = scale.evaluation.benchmarks if trains else []
DATASETS = [name for name in BENCHMARKS if name in MATH_BENCHMARKS]
CONFIG_OPTION = f"--config {' '.join(CONFIG_FILES)}"
TEST_SETS = [name for name, source in sources.items() if source.split == "test"]
TRAINING_SETS = [name for name, source in sources.items() if source.split == "train"]
CLAIMS_FILE = "paper_configs/claims.yaml"
PRINTED_TABLES = [] if trains else scale.reported.benchmarks
LABELS = {name: method.label for name, method in experiment.methods.items()}


wildcard_constraints:
    method="[A-Za-z0-9_.+-]+",
    seed="[0-9]+",
    dataset="|".join(sources),
    train="|".join(TRAINING_SETS),


def all_targets(wildcards):
    """What the default target makes at this scale."""
    figures = [
        "training_dynamics",
        "gradient_magnitude",
        *(["gradient_measured"] if trains else []),
    ]
    tables = ["benchmarks", *(["differences", "pass_at_k"] if trains else [])]
    return [
        *expand(
            "<results>/tables/{table}.{kind}",
            table=tables,
            kind=["csv", "html", "md", "tex"],
        ),
        *expand("<results>/claims.{kind}", kind=["json", "html"]),
        *expand(
            "<results>/figures/{figure}.{kind}", figure=figures, kind=["pdf", "png"]
        ),
    ]


def runs(pattern):
    """Input function: `pattern` for every (method, seed) of the scale."""
    return lambda wildcards: (
        expand(pattern, method=scale.methods, seed=SEEDS) if trains else []
    )


def run_digest(wildcards):
    """Digest of the one resolved run, so that a config edit retrains only the runs it changes."""
    return digest(resolve(experiment, wildcards.method, int(wildcards.seed)))


def evaluations(wildcards):
    """One parquet per benchmark for the base model and for every run."""
    if not trains:
        return []
    return [
        *expand("<results>/evaluations/base/{benchmark}.parquet", benchmark=BENCHMARKS),
        *expand(
            "<results>/evaluations/{method}/seed{seed}/{benchmark}.parquet",
            method=scale.methods,
            seed=SEEDS,
            benchmark=BENCHMARKS,
        ),
    ]


def reported(name):
    """The paper's numbers as inputs, at the published scale."""
    return [] if trains else ancient(getattr(scale.reported, name))


def text_digest(files):
    """Digest of files' contents, for inputs whose times say nothing after a clone."""
    return digest([Path(file).read_text() for file in files])


def sweep_runs(wildcards):
    """The sweep's metrics, or a sentence that says which overlay it needs."""
    if not trains or not scale.variants:
        raise WorkflowError(
            "learning_rate_sweep needs its overlay: snakemake learning_rate_sweep --cores all "
            "--configfile paper_configs/laptop.yaml paper_configs/variants/learning_rate_sweep.yaml"
        )
    return runs("<results>/runs/{method}/seed{seed}/metrics.jsonl")(wildcards)


def evidence_line():
    """What is printed on figures of training: evidence level, seeds, samples."""
    if not trains:
        return scale.evidence
    training = scale.training
    problems = len(BENCHMARKS) * scale.task.validation_problems
    return (
        f"{scale.evidence}; seeds {', '.join(map(str, SEEDS))}; {training.prompts} × {training.rollouts} rollouts a step; "
        f"validation: {problems} problems × {training.validation_samples} samples"
    )
