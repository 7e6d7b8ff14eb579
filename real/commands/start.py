"""The jobs that the workflow's rules start: what each takes of this machine, what it calls, and its provenance.

What a user can mend ends each by an ExpectedError.
"""

import time
from collections.abc import Collection
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from real.config import ArithmeticScale, ConfigError, Evaluation, Experiment, TorchRun, resolve
from real.planning.attempts import attempt
from real.planning.preflight import PreflightError, grant_problems, require
from real.planning.status import job_into, outlook, saved
from real.records.custody import forward_beside, in_custody
from real.records.jobs import base_folder, base_of_run, run_job
from real.records.made_from import LIBRARIES, base_origin, evaluation_origin, run_origin
from real.records.provenance import RECORD
from real.records.scale_file import require_own_results
from real.system.files import write_text
from real.system.gpus import lease
from real.tasks.arithmetic import FAMILIES

if TYPE_CHECKING:
    from real.models.chat import Sampler
    from real.models.forwards import Verdict


def make_base(experiment: Experiment, seed: int | None = None, snakemakes: int = 1) -> None:
    """Train the base model of one of base.seeds (None: of the first), or link the checkpoint that the scale names.

    Args:
        snakemakes: the number that Snakemake gives this attempt, as in all jobs; see :func:`attempt`.
    """
    scale, results, name = experiment.trained, Path(experiment.results), base_folder(experiment.trained, seed)
    output = results / name
    require_own_results(experiment)
    writes = (output / "model", output / "metrics.jsonl")
    with (
        attempting(experiment, output, snakemakes) as number,
        in_custody(output / RECORD, results, base_origin(experiment, seed), experiment.read_from, (), writes) as facts,
    ):
        announce("the base model", number, output, results / "work" / name, experiment)
        # isinstance: the two kinds of scale share no section that a base model is made from
        if isinstance(scale, ArithmeticScale):
            from real.engines.torch.supervised import train_base
            from real.models.forwards import compare_apart

            one = scale.model_copy(update={"base": scale.base.alone(seed)})
            with gpus(scale.base_device):
                facts["earlier_code"] = train_base(one, results, folder=name)
            facts["forward"] = asdict(compare_apart(output / "model"))
        else:
            from real.models.checkpoints import link_checkpoint

            # its forwards are not compared here: verl and vLLM, which run it, have their own
            model, trusted = scale.model, scale.cluster.trust_remote_code
            link_checkpoint(model.name, model.revision, output / "model", trusted)


def train_run(experiment: Experiment, method: str, seed: int, granted_gpus: int | None, snakemakes: int = 1) -> None:
    """Train one method with one seed by the scale's engine.

    Args:
        granted_gpus: what the workflow gave the job, which may be less than it asked for; None: not under the workflow.
    """
    scale, run = experiment.trained, resolve(experiment, method, seed)
    if problems := grant_problems(scale.gpus, granted_gpus):
        raise PreflightError("\n".join(problems))
    require_own_results(experiment)
    results, job = Path(experiment.results), run_job(method, seed)
    output = results / job.name
    base = results / base_of_run(scale, seed) / "model"
    places = (base, output, results / job.work)
    origin, data = run_origin(experiment, method, seed), scale.published_data
    writes = [results / name for name in job.outputs if name != job.record]
    prepared = (data.train, data.validation) if data else ()
    with (
        attempting(experiment, output, snakemakes) as number,
        in_custody(
            results / job.record,
            results,
            origin,
            experiment.read_from,
            [base],
            writes,
            prepared,
            method=method,
            seed=seed,
        ) as facts,
    ):
        announce(f"training of {method}, seed {seed}", number, *places[1:], experiment)
        if isinstance(run, TorchRun):
            from real.engines.torch.train import train as train_torch
            from real.models.forwards import settled

            # carried on, because the trained model's config.json is the base model's
            known = settled(base, verdict_beside(base))
            facts["forward"] = asdict(known)
            with gpus(run.device):
                facts["earlier_code"] = train_torch(run, *places, scale.protected, scale.accept_code, known)
        else:
            from real.engines.verl.train import train as train_verl

            # the nodes of an existing Ray cluster are shared out by whoever started it
            own = run.cluster.ray_address is None
            with gpus(scale.device if own else "cpu", run.cluster.gpus):
                require(experiment, granted_gpus, inputs=False)
                facts |= train_verl(run, *places, scale.protected, scale.accept_code)
        write_text(output / "config.yaml", yaml.safe_dump(run.model_dump(mode="json"), sort_keys=False))


def evaluate_checkpoint(
    model: str,
    settings: Evaluation,
    experiment: Experiment | None,
    output: Path,
    work: Path | None,
    processes: int,
    library: str | None = None,
    device: str | None = None,
    count: int = 1,
    accepted: Collection[str] = (),
    snakemakes: int = 1,
) -> None:
    """Sample and grade any checkpoint.

    Args:
        experiment: whose scale it is; None for a checkpoint that no scale describes.
        processes: that grade at once.
        library: torch, transformers or vllm (see --sampler); None: the scale's.
        device: None: the scale's, or what is there.
        count: GPUs, each with a copy of the model.
        accepted: digests of other code whose chunks and rows are used.
    """
    # imported here, as the engines are: they bring torch, which most commands need not wait for
    from real.evaluation.evaluate import ABOUT, problems_of
    from real.evaluation.evaluate import evaluate as evaluate_with
    from real.models.device import default_device

    scale = experiment.trained if experiment else None
    # elsewhere it writes over nobody's
    if experiment and output.resolve().is_relative_to(Path(experiment.results).resolve()):
        require_own_results(experiment)
    work = work or output / ".partial"
    problems = problems_of(settings.benchmarks, scale.own_task if scale else None)
    device = device or (scale.device if scale else default_device())
    library = library or (LIBRARIES[scale.engine] if scale else "torch")
    if count < 1:
        raise ConfigError(f"--gpus is {count}; give 1 or more")
    if count > 1 and library != "vllm":
        raise ConfigError(f"--gpus is {count}, but {library} samples on one; give --sampler vllm")
    trusted = bool(scale and scale.verl_cluster and scale.verl_cluster.trust_remote_code)
    given = {"evaluation": settings.model_dump(mode="json"), "library": library, "device": device}
    origin = evaluation_origin(experiment, **given)
    versions = origin.identity["code_digest"], scale is not None and scale.protected, accepted
    writes = [*(output / f"{benchmark}.parquet" for benchmark in problems), output / ABOUT]
    with (
        attempting(experiment, output, snakemakes) as number,
        in_custody(
            output / RECORD,
            Path(experiment.results) if experiment else output,
            origin,
            experiment.read_from if experiment else (),
            [Path(model)],
            writes,
            sorted({problem.benchmark for asked in problems.values() for problem in asked} - FAMILIES.keys()),
        ) as facts,
        gpus(device, count),
        open_sampler(library, model, settings, device, count, trusted) as sampler,
    ):
        announce(f"evaluation of {model} on {', '.join(settings.benchmarks)}", number, output, work, experiment)
        facts["earlier_code"] = evaluate_with(sampler, problems, settings, output, work, processes, *versions)


def open_sampler(
    library: str, model: str, settings: Evaluation, device: str, count: int, trust_remote_code: bool
) -> AbstractContextManager["Sampler"]:
    """The sampler, with what must be closed at its end."""
    if library == "vllm":
        from real.models.vllm_sampler import VllmSampler

        return closing(VllmSampler(model, settings, device, count, trust_remote_code))
    from real.models.torch_sampler import TorchSampler

    known = verdict_beside(Path(model))
    return nullcontext(TorchSampler(model, settings, device, trust_remote_code, known, library == "torch"))


def verdict_beside(model: Path) -> "Verdict | None":
    """Which forward the record beside a checkpoint says that it is run by."""
    from real.models.forwards import Verdict

    found = forward_beside(model)
    return Verdict(**{field.name: found[field.name] for field in fields(Verdict)}) if found else None


def gpus(device: str, count: int = 1) -> AbstractContextManager[object]:
    """GPUs of this job's own, where it needs any."""
    return lease(count) if device == "cuda" else nullcontext()


def attempting(experiment: Experiment | None, output: Path, snakemakes: int) -> AbstractContextManager[int]:
    """One attempt at a job, with its number, which is recorded if the job is the scale's; see :func:`attempt`."""
    if experiment and (job := job_into(experiment, output)) and (done := saved(experiment, job)) is not None:
        return attempt(Path(experiment.results) / job.work, done, snakemakes)
    return nullcontext(1)


def announce(what: str, number: int, output: Path, work: Path, experiment: Experiment | None) -> None:
    """One line that begins the part of attempt ``number`` in a log, which holds those of earlier attempts too."""
    before_it = outlook(experiment, output) if experiment else ""
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    again = f"attempt {number} at " if number > 1 else ""
    print(f"--- {now} {again}{what} begins: into {output}, its state in {work}{before_it}", flush=True)
