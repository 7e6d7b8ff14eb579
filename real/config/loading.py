"""Reading scale files and overlays, and resolving them to one run."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from real.config.files import read_yaml
from real.config.schema import (
    SCALE,
    Experiment,
    Scale,
    TorchRun,
    TorchScale,
    TrainedScale,
    VerlRun,
    VerlScale,
    known_keys,
)
from real.config.sections import Evaluation, Method, Training, Variant
from real.config.sentences import ConfigError, sentence, unknown

METHODS_FILE = Path("paper_configs/methods.yaml")
LOCAL_FILE = Path("paper_configs/local.yaml")


def load(files: Sequence[str | Path], methods_file: Path = METHODS_FILE, local_file: Path = LOCAL_FILE) -> Experiment:
    """Read a scale file, merge overlays and this machine's local.yaml into it, and check everything.

    Args:
        files: a scale file first, then overlays. Mappings are merged, everything else is replaced.

    Raises:
        ConfigError: one sentence per problem, naming file and key.
    """
    paths = [Path(file) for file in files]
    merged = read([*paths, local_file] if local_file.exists() else paths)
    source = ", ".join(str(path) for path in paths)
    scale = _check(SCALE, merged, source)
    known = _check(TypeAdapter(dict[str, Method]), read_yaml(methods_file), str(methods_file))
    methods = {name: _method(name, scale, known, source) for name in scale.methods}
    name = "+".join([scale.scale, *(path.stem for path in paths[1:])])
    return Experiment(name=name, files=[str(path) for path in paths], scale=scale, methods=methods)


def read(files: Sequence[str | Path]) -> dict[str, Any]:
    """The merged, unchecked content of a scale file and its overlays.

    Raises:
        ConfigError: a file that is missing, is no YAML mapping, or stands in the wrong place.
    """
    if not files:
        raise ConfigError("no config file given; name a scale, for example paper_configs/laptop.yaml")
    merged: dict[str, Any] = {}
    for place, path in enumerate(map(Path, files)):
        content = read_yaml(path)
        if place == 0 and "scale" not in content:
            raise ConfigError(f"{path}: has no key 'scale', so it is no scale file; name a scale first, overlays after")
        if place > 0 and "scale" in content:
            raise ConfigError(f"{path}: is a scale file, but {files[0]} is one already; give one scale, then overlays")
        merged = _merge(merged, content)
    return merged


def resolve(experiment: Experiment, method: str, seed: int) -> TorchRun | VerlRun:
    """The one run (method, seed) of an experiment.

    Raises:
        ConfigError: unknown method, or a scale that trains nothing.
    """
    scale = experiment.trained
    if method not in experiment.methods:
        raise ConfigError(unknown("method", method, experiment.methods))
    training: Any = scale.training
    if method in scale.variants:
        training = _merged_training(training, scale.variants[method], f"variants.{method}")
    common: dict[str, Any] = {
        "experiment": experiment.name,
        "method": method,
        "seed": seed,
        "settings": experiment.methods[method],
        "training": training,
    }
    if isinstance(scale, TorchScale):
        return TorchRun(**common, device=scale.device, task=scale.task, policy=scale.policy)
    if isinstance(scale, VerlScale):
        return VerlRun(**common, model=scale.model, data=scale.data, task=None, cluster=scale.cluster)
    return VerlRun(**common, model=None, data=None, task=scale.task, cluster=scale.cluster)


def changed(settings: Evaluation, changes: dict[str, Any], source: str) -> Evaluation:
    """``settings`` with some keys changed, and checked again.

    Args:
        source: where the changes come from, for the sentence about a mistake in them.

    Raises:
        ConfigError: a value that the schema refuses.
    """
    return _check(TypeAdapter(Evaluation), {**settings.model_dump(), **changes}, source)


def read_checked(path: Path, model: TypeAdapter) -> Any:
    """A YAML file's content, checked by a pydantic model.

    Raises:
        ConfigError: one sentence per problem, naming file and key.
    """
    return _check(model, read_yaml(path), str(path), if_missing="add it")


def digest(*parts: Any) -> str:
    """Short sha256 of configuration values: equal values, equal digest."""
    plain = [part.model_dump(mode="json") if isinstance(part, BaseModel) else part for part in parts]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def _method(name: str, scale: Scale, known: dict[str, Method], source: str) -> Method:
    if name in known:
        return known[name]
    if name not in scale.variants:
        raise ConfigError(f"{source}: {unknown('method', name, [*known, *scale.variants])}")
    variant = scale.variants[name]
    if variant.method not in known:
        raise ConfigError(f"{source}: variants.{name}: {unknown('method', variant.method, known)}")
    base = known[variant.method].model_dump()
    base["hyperparameters"] |= variant.hyperparameters
    if isinstance(scale, TrainedScale):
        _merged_training(scale.training, variant, f"{source}: variants.{name}")
    return _check(TypeAdapter(Method), base, f"{source}: variants.{name}")


def _merged_training(training: Training, variant: Variant, source: str) -> Training:
    return _check(TypeAdapter(type(training)), {**training.model_dump(), **variant.training}, f"{source}.training")


def _merge(base: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    both = {k: _merge(base[k], v) for k, v in overlay.items() if isinstance(v, dict) and isinstance(base.get(k), dict)}
    return {**base, **overlay, **both}


def _check(adapter: TypeAdapter, content: Any, source: str, **remedy: str) -> Any:
    try:
        return adapter.validate_python(content)
    except ValidationError as error:
        raise ConfigError(
            "\n".join(f"{source}: {sentence(problem, known_keys(), **remedy)}" for problem in error.errors())
        ) from None
