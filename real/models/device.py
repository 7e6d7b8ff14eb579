"""Where tensors live: the device of a job, and torch set up so that a run repeats."""

from functools import cache
from typing import TypeVar

import torch

from real.config import ConfigError
from real.models.products import take_openblas
from real.system.gpus import visible
from real.system.portable import not_portable_because

Module = TypeVar("Module", bound=torch.nn.Module)


def prepare_torch(device: str) -> torch.device:
    """One thread and deterministic kernels, so that a run doesn't depend on the machine's load or core count.

    On a CPU products are numpy's, so that it doesn't depend on the processor either (real/system/portable.py).

    Raises:
        ConfigError: ``cuda`` asked for where torch finds none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device: 'cuda' is configured, but torch finds no CUDA device; set device: cpu")
    torch.set_num_threads(1)
    if device == "cpu":
        take_openblas()
        _say_what_bytes_depend_on()
    # what use_deterministic_algorithms does, but for importing torch's compiler, which takes a second and a half
    torch.set_deterministic_debug_mode("error" if device == "cpu" else "default")
    return torch.device(device)


@cache
def _say_what_bytes_depend_on() -> None:
    """Once per process, where results are this processor's own."""
    if reason := not_portable_because():
        print(f"{reason}: compare intervals with other machines' results, not bytes", flush=True)


def move(model: Module, device: torch.device) -> Module:
    """The model on ``device``."""
    return torch.nn.Module.to(model, device)  # that of transformers' models is untyped


def default_device() -> str:
    """``cuda`` where torch is built for it and a GPU is visible, else ``cpu``; without initialising CUDA."""
    return "cuda" if torch.backends.cuda.is_built() and visible() else "cpu"
