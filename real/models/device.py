"""Where tensors live: the device of a job, and torch set up so that a run repeats."""

from typing import TypeVar

import torch

from real.config import ConfigError
from real.system.gpus import visible

Module = TypeVar("Module", bound=torch.nn.Module)


def prepare_torch(device: str) -> torch.device:
    """One thread and deterministic kernels, so that a run doesn't depend on the machine's load or core count.

    Raises:
        ConfigError: ``cuda`` asked for where torch finds none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device: 'cuda' is configured, but torch finds no CUDA device; set device: cpu")
    torch.set_num_threads(1)
    # what use_deterministic_algorithms does, but for importing torch's compiler, which takes a second and a half
    torch.set_deterministic_debug_mode("error" if device == "cpu" else "default")
    return torch.device(device)


def move(model: Module, device: torch.device) -> Module:
    """The model on ``device``."""
    return torch.nn.Module.to(model, device)  # that of transformers' models is untyped


def default_device() -> str:
    """``cuda`` where torch is built for it and a GPU is visible, else ``cpu``; without initialising CUDA."""
    return "cuda" if torch.backends.cuda.is_built() and visible() else "cpu"
