# Helpers only: the checked experiment, and what rules ask of it.

import errno
import os
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

from real.records.jobs import base_of_run, in_the_way, jobs
from real.config import (
    ArithmeticScale,
    ConfigError,
    TorchScale,
    TrainedScale,
    digest,
    load,
    read,
)
from real.system.files import file_digest
from real.records.made_from import (
    base_identity,
    drawn_identity,
    evaluation_identity,
    run_identity,
)
from real.planning.needs import needs
from real.system.code import DATA, EVIDENCE, code_digest
from real.evidence.report.parts import (
    foreign_inputs,
    mechanism_command,
    own_inputs,
    sweep_command,
)
from real.evidence.printed import evidence_line
from real.tasks.sources import MIRROR_VARIABLE, read_sources

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

# no defaults are set: a scale's class would get those of the others, which it doesn't know
validate(
    config, workflow.source_path("../schemas/config.schema.json"), set_default=False
)

scale = experiment.scale
# the environment wins; and through it, not through params, so that another mirror reruns nothing
if scale.datasets.mirror:
    os.environ.setdefault(MIRROR_VARIABLE, scale.datasets.mirror)
trains = isinstance(scale, TrainedScale)
RESULTS = experiment.results
WORK = os.path.join(RESULTS, "work")
# Snakemake itself would end in a traceback
if obstacle := in_the_way(Path(RESULTS), jobs(experiment)):
    raise WorkflowError(
        f"{obstacle}: is no folder, but results belong below it; move it away and run the same command again"
    )
SEEDS = scale.seeds if trains else []
BENCHMARKS = scale.evaluation.benchmarks if trains else []
DATASETS = [name for name in BENCHMARKS if name in sources]
CONFIG_OPTION = f"--config {' '.join(CONFIG_FILES)}"
TEST_SETS = [name for name, source in sources.items() if source.split == "test"]
TRAINING_SETS = [name for name, source in sources.items() if source.split == "train"]
BASE_MODEL = f"{RESULTS}/base/model"
RUN_MODEL = f"{RESULTS}/runs/{{method}}/seed{{seed}}/model"
# written last
RUN_DONE = f"{RESULTS}/runs/{{method}}/seed{{seed}}/provenance.json"
BASE_EVALUATED = f"{RESULTS}/evaluations/base/provenance.json"
RUN_EVALUATED = f"{RESULTS}/evaluations/{{method}}/seed{{seed}}/provenance.json"
# for whose loss alone a run or an evaluation of a protected scale is repeated
READ_FILES = ("metrics.jsonl", *(f"{name}.parquet" for name in BENCHMARKS))

NEEDS = needs(scale)
# vLLM's own data parallelism, by which evaluations sample, stays on one machine
EVALUATION_NEEDS = needs(scale, one_node=True)
CLUSTER = scale.cluster if trains and scale.engine == "verl" else None
ENGINE_ENV = "../envs/gpu.yaml" if CLUSTER and NEEDS.gpus else "../envs/real.yaml"


wildcard_constraints:
    method="[A-Za-z0-9_.+-]+",
    seed="[0-9]+",
    base_seed="[0-9]+",
    dataset="|".join(sources),
    train="|".join(TRAINING_SETS),


def in_report(path, category, kind):
    """An output that `snakemake --report` shows, with the caption that our own report has."""
    stem = Path(path).stem
    caption = workflow.source_path(f"../report/{stem}.rst")
    label = f"{stem.replace('_', ' ')}, {experiment.name} scale"
    return report(path, caption=caption, category=category, labels={kind: label})


def all_targets(wildcards):
    """Every declared file, so that a deleted one is made again although what is made from it is there.

    At protected scales a run or an evaluation is repeated for what is read from it alone: the loss of a file of timings
    is reported by `verify`, not answered by weeks of training.
    """
    targets = []
    for job in jobs(experiment):
        dear = scale.protected and job.kind in ("train", "evaluate")
        for output in job.outputs:
            asked = not job.optional and (not dear or output.endswith(READ_FILES))
            if asked or os.path.exists(f"{RESULTS}/{output}"):
                targets.append(f"{RESULTS}/{output}")
    return targets


def tracked(value):
    """A param that reruns finished jobs when it changes; at protected scales a constant, so that it never does."""
    return "protected scale: nothing is tracked" if scale.protected else value


def made_from(files, user, done, makers=(), optional=True):
    """Input function: what a job is made from, so that at protected scales nothing but force reruns a finished job.

    A finished job's inputs are ancient, and those that are gone are left out: were one of them made again for another
    job, Snakemake would rerun this one too.

    Args:
        files: paths; done: the file that the job writes last; both may hold wildcards.
        user: name of what has these inputs.
        makers: names of what reruns it when forced, by name or by a file beside an input.
        optional: whether an input that is gone may be left out; a deleted run must be evaluated again.
    """

    def inputs(wildcards):
        values = dict(wildcards.items())
        paths, last = [file.format(**values) for file in files], done.format(**values)
        if not scale.protected:
            return paths
        forced = workflow.dag_settings.forcerun
        folders = {os.path.dirname(path) for path in paths} if makers else set()
        if not forced.isdisjoint(makers) or folders & set(map(os.path.dirname, forced)):
            return paths
        if optional and os.path.exists(last) and user not in forced:
            paths = [path for path in paths if os.path.exists(path)]
        return [ancient(path) for path in paths]

    return inputs


def base_model_of_run(wildcards):
    """The base model that a run starts from."""
    model = f"{RESULTS}/{base_of_run(experiment, int(wildcards.seed))}/model"
    makers = ["base", "further_base"]
    return made_from([model], "train", done=RUN_DONE, makers=makers)(wildcards)


def prepared(*names):
    """Prepared files of datasets."""
    return expand("datasets/prepared/{name}.parquet", name=names)


def trainer_options(wildcards, resources):
    """GPUs that a job was given, where its scale asks for any: Snakemake may give it fewer, so the job compares.

    A function of resources, so Snakemake doesn't compare it with the last run's.
    """
    return f"--gpus {resources.gpu}" if NEEDS.gpus else ""


def sampler_options(wildcards, resources):
    """As trainer_options, with the engine's sampler and the processes that grade."""
    sampler, graders = (
        ("--sampler vllm", CLUSTER.reward_workers) if CLUSTER else ("", 1)
    )
    return f"--processes {graders} {sampler} {trainer_options(wildcards, resources)}"


def training_problems():
    """Prepared training and validation set, where problems aren't generated."""
    return (
        prepared(scale.training_set, scale.data.validation)
        if scale.training_set
        else []
    )


def runs(pattern):
    """Input function: `pattern` for every (method, seed) of the scale."""
    return lambda wildcards: (
        expand(pattern, method=scale.methods, seed=SEEDS) if trains else []
    )


def identity_of_run(wildcards):
    """Both digests of the one run, so that a config edit retrains only the runs it changes."""
    return tracked(run_identity(experiment, wildcards.method, int(wildcards.seed)))


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


def identity_of_drawn(rule):
    """Both digests of a table, a figure or the claims; their inputs count by their times."""
    return drawn_identity(experiment, rule)


def sweep_runs(wildcards):
    """The sweep's metrics, or a sentence that says which overlay it needs."""
    if not trains or not scale.variants:
        raise WorkflowError(
            f"learning_rate_sweep needs its overlay: {sweep_command(experiment)}"
        )
    return runs("<results>/runs/{method}/seed{seed}/metrics.jsonl")(wildcards)


def mechanism_runs(pattern):
    """Input function: `pattern` for the runs of the mechanism, or a sentence that says which overlay they need."""

    def inputs(wildcards):
        if not isinstance(scale, TorchScale) or not scale.mechanism:
            raise WorkflowError(f"mechanism needs its overlay: {mechanism_command()}")
        return runs(pattern)(wildcards)

    return inputs


def beside_the_scale(wildcards):
    """Digests of what a report shows of other targets, by path; as inputs, these would be made up to date for it."""
    return {str(path): file_digest(path) for path in foreign_inputs(experiment)}


onstart:
    # before the first job, where Snakemake itself would end in a traceback; a dry run may read what it can't write
    place = Path(RESULTS)
    folder = next(path for path in [place, *place.parents] if path.exists())
    if not os.access(folder, os.W_OK | os.X_OK):
        read_only = os.statvfs(folder).f_flag & os.ST_RDONLY
        reason = os.strerror(errno.EROFS if read_only else errno.EACCES)
        raise WorkflowError(
            f"{folder}: can't be written ({reason}), but results belong there; mend that and run the same command again"
        )
