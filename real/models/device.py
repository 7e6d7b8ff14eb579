"""Where tensors live: the device of a job, and torch set up so that a run repeats."""

import torch
from transformers import PreTrainedModel

from real.config import ConfigError
from real.system.gpus import visible


def prepare_torch(device: str) -> torch.device:
    """One thread and deterministic kernels, so that a run doesn't depend on the machine's load or core count.

    Raises:
        ConfigError: ``cuda`` asked for where torch finds none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device: 'cuda' is configured, but torch finds no CUDA device; set device: cpu")
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(device == "cpu")
    return torch.device(device)


def move(model: PreTrainedModel, device: torch.device) -> PreTrainedModel:
    """The model on ``device``."""
    return torch.nn.Module.to(model, device)  # PreTrainedModel.to is untyped


def default_device() -> str:
    """``cuda`` where torch is built for it and a GPU is visible, else ``cpu``; without initialising CUDA."""
    return "cuda" if torch.backends.cuda.is_built() and visible() else "cpu"
