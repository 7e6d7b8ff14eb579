"""Checkpoints of the lean forward (lean.py) in Hugging Face format, by safetensors alone."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from real.models.checkpoints import COMPLETE, CheckpointError
from real.models.lean import LeanModel
from real.models.shapes import read_shape
from real.system.files import read_json

CONFIG, GENERATION = "config.json", "generation_config.json"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
EMBEDDING = "model.embed_tokens.weight"


def read_lean(folder: Path, dtype: torch.dtype | None = None) -> LeanModel | None:
    """The model of a checkpoint folder on the CPU; None: only the library can read it, or say what it lacks.

    Args:
        dtype: of its weights; None: the stored one.

    Raises:
        CheckpointError: a weight of another shape than config.json asks for. DamagedError: files that are no JSON.
        SafetensorError: damaged weights.
    """
    config = read_json(folder / CONFIG, COMPLETE)
    shape = read_shape(config)
    files = _weight_files(folder)
    if shape is None or files is None:
        return None
    generation = read_json(folder / GENERATION, COMPLETE) if (folder / GENERATION).exists() else {}
    # without memory, which the weights bring
    with torch.device("meta"):
        model = LeanModel(shape, config, generation)
    stored = {name: weight for file in files for name, weight in _weights(file)}
    wanted = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    if not wanted.keys() <= stored.keys():
        return None
    if shape.tied and not torch.equal(stored[EMBEDDING], stored.get("lm_head.weight", stored[EMBEDDING])):
        return None
    for name, expected in wanted.items():
        if tuple(stored[name].shape) != expected:
            raise CheckpointError(
                f"{folder}: {name} has the shape {tuple(stored[name].shape)}, but {CONFIG} asks for {expected}; "
                f"{COMPLETE}"
            )
    dtype = dtype or _dtype(config) or stored[EMBEDDING].dtype
    # copied, so that rounding doesn't depend on where in its file a weight begins
    weights = {name: stored[name].to(dtype, copy=True) for name in wanted}
    # not strict, which would ask for a tied head too
    model.load_state_dict(weights, strict=False, assign=True)
    model.tie()
    return model


def write_lean(model: LeanModel, folder: Path) -> None:
    """Write the model's files as transformers would; a tied head is not stored twice."""
    dtype = str(model.dtype).removeprefix("torch.")
    for name, content in (
        (CONFIG, {**vars(model.config), "dtype": dtype}),
        (GENERATION, vars(model.generation_config)),
    ):
        text = json.dumps(content, indent=2, sort_keys=True) + "\n"
        (folder / name).write_text(text, encoding="utf-8")
    weights = {name: parameter.detach().contiguous() for name, parameter in model.named_parameters()}
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


def _weight_files(folder: Path) -> list[Path] | None:
    """The files that hold the weights, by the names that the library reads; None: there are none."""
    if (folder / WEIGHTS).exists():
        return [folder / WEIGHTS]
    if not (folder / INDEX).exists():
        return None
    names = read_json(folder / INDEX, COMPLETE, keys=["weight_map"])["weight_map"].values()
    return [folder / name for name in sorted(set(names))]


def _weights(file: Path) -> Iterator[tuple[str, Tensor]]:
    with safe_open(file, framework="pt") as weights:
        for name in weights.keys():  # noqa: SIM118 (it is no mapping)
            yield name, weights.get_tensor(name)


def _dtype(config: dict[str, Any]) -> torch.dtype | None:
    """The precision that config.json names."""
    found = getattr(torch, str(config.get("dtype") or config.get("torch_dtype")), None)
    return found if isinstance(found, torch.dtype) else None
