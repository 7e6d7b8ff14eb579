"""The jobs that the workflow's rules start: what each takes of this machine, what it calls, and its provenance."""

import json
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import yaml

from real.config import (
    ArithmeticScale,
    ConfigError,
    Evaluation,
    Experiment,
    TorchRun,
    TorchScale,
    VerlArithmeticScale,
    VerlScale,
    resolve,
)
from real.gpus import default_device, lease
from real.identity import base_identity, run_identity
from real.preflight import require
from real.provenance import describe
from real.sampling import Sampler


def make_base(experiment: Experiment) -> None:
    """Train the base model of a scale, or link the checkpoint that it names.

    Raises:
        ExpectedError: with what to do.
    """
    started, scale = time.time(), experiment.trained
    folder, identity = Path(experiment.results), base_identity(experiment)
    announce("the base model", folder / "base", folder / "work" / "base")
    if isinstance(scale, ArithmeticScale):
        from real.torch_engine.supervised import train_base

        with gpus(scale.base_device):
            train_base(scale, folder)
    else:
        from real.checkpoints import link_checkpoint

        link_checkpoint(scale.model.name, scale.model.revision, folder / "base" / "model")
    write_provenance(folder / "base", started, experiment, identity)


def train(experiment: Experiment, method: str, seed: int, granted_gpus: int | None) -> None:
    """Train one method with one seed by the scale's engine.

    Args:
        granted_gpus: what the workflow gave the job, which may be less than it asked for; None: not under the workflow.

    Raises:
        ExpectedError: with what to do.
    """
    started, scale = time.time(), experiment.trained
    run = resolve(experiment, method, seed)
    identity = run_identity(experiment, method, seed)  # before, not after: the code may be edited meanwhile
    results, part = Path(experiment.results), Path(method) / f"seed{seed}"
    output = results / "runs" / part
    places = (results / "base" / "model", output, results / "work" / part)
    announce(f"training of {method}, seed {seed}", *places[1:])
    if isinstance(run, TorchRun):
        from real.torch_engine.train import train as train_torch

        with gpus(run.device):
            train_torch(run, *places, scale.protected)
    else:
        from real.verl_engine.train import train as train_verl

        # the nodes of an existing Ray cluster are shared out by whoever started it
        own = run.cluster.ray_address is None
        with gpus(scale.device if own else "cpu", run.cluster.gpus):
            require(experiment, granted_gpus, inputs=False)
            train_verl(run, *places, scale.protected)
    (output / "config.yaml").write_text(yaml.safe_dump(run.model_dump(mode="json"), sort_keys=False))
    write_provenance(output, started, experiment, identity)


def evaluate(
    model: str,
    settings: Evaluation,
    scale: TorchScale | VerlScale | VerlArithmeticScale | None,
    output: Path,
    work: Path | None,
    processes: int,
    library: str | None = None,
    device: str | None = None,
    count: int = 1,
) -> None:
    """Sample and grade any checkpoint.

    Args:
        scale: None for a checkpoint that no scale describes.
        processes: that grade at once.
        library: transformers or vllm; None: that of the scale's engine. device: None: the scale's, or what is there.
        count: GPUs, each with a copy of the model.

    Raises:
        ExpectedError: with what to do.
    """
    from real.evaluate import evaluate as evaluate_with
    from real.evaluate import problems_of

    work = work or output / ".partial"
    problems = problems_of(settings.benchmarks, scale.task if isinstance(scale, ArithmeticScale) else None)
    device = device or (scale.device if scale else default_device())
    library = library or ("vllm" if scale is not None and scale.engine == "verl" else "transformers")
    if count < 1:
        raise ConfigError(f"--gpus is {count}; give 1 or more")
    if count > 1 and library == "transformers":
        raise ConfigError(f"--gpus is {count}, but transformers samples on one; give --sampler vllm")
    with gpus(device, count), open_sampler(library, model, settings, device, count) as sampler:
        announce(f"evaluation of {model} on {', '.join(settings.benchmarks)}", output, work)
        evaluate_with(sampler, problems, settings, output, work, processes)


def open_sampler(
    library: str, model: str, settings: Evaluation, device: str, count: int
) -> AbstractContextManager[Sampler]:
    """The sampler, with what must be closed at its end."""
    if library == "vllm":
        from real.verl_engine.vllm_sampler import VllmSampler

        return VllmSampler(model, settings, device, count)
    from real.torch_engine.transformers_sampler import TransformersSampler

    return nullcontext(TransformersSampler(model, settings, device))


def gpus(device: str, count: int = 1) -> AbstractContextManager[object]:
    """GPUs of this job's own, where it needs any."""
    return lease(count) if device == "cuda" else nullcontext()


def announce(what: str, output: Path, work: Path) -> None:
    """One line that begins this attempt's part of a log, which holds those of earlier attempts too."""
    print(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} {what} begins: into {output}, its state in {work}", flush=True)


def write_provenance(folder: Path, started: float, experiment: Experiment, identity: dict[str, str]) -> None:
    """Write ``folder/provenance.json``."""
    description = describe(started, config=experiment.files, **identity)
    folder.joinpath("provenance.json").write_text(json.dumps(description, indent=2) + "\n")
