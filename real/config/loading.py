"""Reading scale files and overlays, and resolving them to one run."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from real.config.crossing import TorchTraining, crossed
from real.config.labels import with_changes
from real.config.paper_scale import VERL_OBJECTIVES, VerlTraining
from real.config.runs import Experiment, TorchRun, VerlRun
from real.config.schema import FORMAT_VERSION, KEYS_OF_SOME, SCALE, UNTRAINED, Scale, TorchScale, known_keys
from real.config.sections import Evaluation, Method, Training, Variant
from real.hyperparameters import COUNTERFACTUAL, RELEASED
from real.system.names import LARGEST_SEED, NAME, NAME_REMEDY, Name
from real.system.sentences import ConfigError, one_per_key, sentence, shown, unknown
from real.system.yaml_files import read_yaml

METHODS_FILE = Path("paper_configs/methods.yaml")
# folders of results/ that are no scale's
TAKEN_FOLDERS = {
    "datasets": "what is made of the data",
    "evaluations": "evaluations of single checkpoints",
    "recorded": "what finished scales measured, in git",
}
LOCAL_FILE = Path("paper_configs/local.yaml")
Contents = dict[str, dict[str, Any]]  # by file
Place = tuple[str | int, ...]


def load(files: Sequence[str | Path], methods_file: Path = METHODS_FILE, local_file: Path = LOCAL_FILE) -> Experiment:
    """Read a scale file, merge overlays and this machine's local.yaml into it, and check everything.

    Args:
        files: a scale file first, then overlays. Mappings are merged, everything else is replaced.

    Raises:
        ConfigError: one sentence per problem, naming file and key.
    """
    paths, besides = [Path(file) for file in files], [local_file] if local_file.exists() else []
    contents = _contents([*paths, *besides])
    scale = _check(SCALE, _merged(contents), partial(_stating, contents), elsewhere=KEYS_OF_SOME)
    shared = _check(TypeAdapter(dict[Name, Method]), read_yaml(methods_file), str(methods_file), if_missing="add it")
    for name in scale.variants.keys() & shared.keys():
        source = _stating(contents, ("variants", name))
        raise ConfigError(f"{source}: variants.{name} has the name of a method of {methods_file}; choose another name")
    training, grid = (scale.training, crossed(scale.grid, scale.variants)) if scale.trains else (None, {})
    known = {name: _Declared(method, training, name, f"{methods_file}: {name}") for name, method in shared.items()}
    variants = {name: (variant.method, variant) for name, variant in scale.variants.items()}
    # those that no method list names are checked too, so that a mistake in them is found now
    declared = known | {name: _variant(name, *parts, known, contents) for name, parts in variants.items()}
    key, asked = ("grid", [parent for parent, _ in grid.values()]) if grid else ("methods", scale.methods)
    for name in asked:
        if name not in declared:
            raise ConfigError(f"{_stating(contents, (key,))}: {key}: {unknown('method', name, declared)}")
    declared |= {name: _variant(name, *parts, known, contents) for name, parts in grid.items()}
    named = {name: declared[name] for name in grid or scale.methods}
    for called in ({name: declared[name] for name in dict.fromkeys(asked)}, named):
        _refuse_equal_labels(called)
    if scale.verl_cluster:
        _refuse_untrainable(named, contents)
    return Experiment(
        name=_name(scale, paths),
        files=[str(path) for path in paths],
        read_besides=[str(path) for path in besides],
        scale=scale,
        methods={name: one.settings for name, one in named.items()},
        training={**{name: one.training for name, one in named.items() if one.training}, **_untrained(scale)},
        parents={name: one.parent for name, one in named.items()},
        rule_labels={name: declared[one.parent if grid else name].settings.label for name, one in named.items()},
    )


def _untrained(scale: Scale) -> dict[str, TorchTraining]:
    """The section `training` of the run that learns nothing, at a scale that has one; a grid has none."""
    # isinstance: only the torch engine's runs are cheap enough for one that learns nothing
    if not isinstance(scale, TorchScale) or not scale.untrained or scale.grid:
        return {}
    return {UNTRAINED: scale.training.model_copy(update={"learning_rate": 0.0})}


@dataclass(frozen=True)
class _Declared:
    """A method as its file declares it: its settings, its section `training`, what it is a variant of, file and key."""

    settings: Method
    training: TorchTraining | VerlTraining | None
    parent: str
    source: str


def read(files: Sequence[str | Path]) -> dict[str, Any]:
    """The merged, unchecked content of a scale file and its overlays.

    Raises:
        ConfigError: a file that is missing, is no YAML mapping, stands in the wrong place, or has another version.
    """
    return _merged(_contents(files))


def resolve(experiment: Experiment, method: str, seed: int) -> TorchRun | VerlRun:
    """The one run (method, seed) of an experiment.

    Raises:
        ConfigError: unknown method, a seed that no generator takes, or a scale that trains nothing.
    """
    scale = experiment.trained
    if method not in experiment.training:
        raise ConfigError(unknown("method", method, experiment.training))
    if not 0 <= seed <= LARGEST_SEED:
        raise ConfigError(f"seed is {seed}; must be 0 to {LARGEST_SEED}: choose one between")
    common: dict[str, Any] = {
        "experiment": experiment.name,
        "method": method,
        "seed": seed,
        "settings": experiment.settings(method),
        "training": experiment.training[method],
    }
    if scale.engine == "torch":
        return TorchRun(**common, device=scale.device, task=scale.task, policy=scale.policy)
    common |= {"model": scale.published_model, "data": scale.published_data, "task": scale.own_task}
    return VerlRun(**common, cluster=scale.cluster)


def changed(settings: Evaluation, changes: dict[str, Any], source: str) -> Evaluation:
    """``settings`` with some keys changed, and checked again.

    Raises:
        ConfigError: a value that the schema refuses; the sentence names ``source``, where the changes come from.
    """
    return _check(TypeAdapter(Evaluation), {**settings.model_dump(), **changes}, source)


def read_checked(path: Path, model: TypeAdapter) -> Any:
    """A YAML file's content, checked by a pydantic model; ConfigError as :func:`load` raises it."""
    return _check(model, read_yaml(path), str(path), if_missing="add it")


def digest(*parts: Any) -> str:
    """Short sha256 of configuration values: equal values, equal digest."""
    plain = [part.model_dump(mode="json") if isinstance(part, BaseModel) else part for part in parts]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def _contents(files: Sequence[str | Path]) -> Contents:
    """Each file's content, in the order of the files; see :func:`read`."""
    if not files:
        raise ConfigError("no config file given; name a scale, for example paper_configs/laptop.yaml")
    contents: Contents = {}
    for place, path in enumerate(map(Path, files)):
        content = read_yaml(path)
        if place == 0 and "scale" not in content:
            raise ConfigError(f"{path}: has no key 'scale', so it is no scale file; name a scale first, overlays after")
        if place > 0 and "scale" in content:
            raise ConfigError(f"{path}: is a scale file, but {files[0]} is one already; give one scale, then overlays")
        if place == 0 or "version" in content:
            _check_version(path, content)
        if str(path) in contents:
            raise ConfigError(f"{path}: is named twice; name each overlay once")
        contents[str(path)] = content
    return contents


def _check_version(path: Path, content: dict[str, Any]) -> None:
    """A file of another version has its own sentence, rather than one for each key that changed since."""
    remedy = f"write its values into a copy of a scale file of this package, which has version: {FORMAT_VERSION}"
    if "version" not in content:
        raise ConfigError(f"{path}: has no key 'version', so it was made for an earlier form of this package; {remedy}")
    if type(content["version"]) is not int or content["version"] != FORMAT_VERSION:
        raise ConfigError(
            f"{path}: version is {shown(content['version'])}, but this package reads version {FORMAT_VERSION} of the "
            f"configuration's format; take the package that the file was made for, or {remedy}"
        )


def _name(scale: Scale, paths: Sequence[Path]) -> str:
    """Name of the results folder: the scale's, with the overlays' file names."""
    overlays = [path.stem for path in paths[1:]]
    if scale.scale in TAKEN_FOLDERS:
        raise ConfigError(
            f"{paths[0]}: scale is '{scale.scale}', but results/{scale.scale} holds {TAKEN_FOLDERS[scale.scale]}; "
            "choose another name"
        )
    for path in paths[1:]:
        if not NAME.fullmatch(path.stem):
            raise ConfigError(f"{path}: {shown(path.stem)} can't name results; {NAME_REMEDY}: rename the file")
        if overlays.count(path.stem) > 1:
            raise ConfigError(f"{path}: another overlay has the file name {path.stem} too; rename one of them")
    return "+".join([scale.scale, *overlays])


def _stating(contents: Contents, place: Place) -> str:
    """The file that states a key; of a section, or of a key that none states, the files whose mappings were merged."""
    for depth in range(len(place), -1, -1):
        stated = {
            path: value for path, content in contents.items() if (value := _at(content, place[:depth])) is not ...
        }
        if stated:
            break
    files = list(stated)
    # what is no mapping replaces what the files before it say
    replaced = [number for number, path in enumerate(files) if not isinstance(stated[path], dict)]
    if replaced:
        files = files[replaced[-1] + (replaced[-1] < len(files) - 1) :]
    return ", ".join(files)


def _at(content: Any, place: Place) -> Any:
    """What stands at a place of a file; ``...`` where nothing does."""
    for key in place:
        if not isinstance(content, dict) or key not in content:
            return ...
        content = content[key]
    return content


def _refuse_untrainable(methods: Mapping[str, _Declared], contents: Contents) -> None:
    """verl trains neither the diagnostic objective nor those that need more than scores and that it hasn't itself."""
    for name, method in methods.items():
        if not trained_by_verl(method.settings):
            raise ConfigError(
                f"{_stating(contents, ('methods',))}: methods: {name} has the objective "
                f"{method.settings.objective!r}, which the torch engine alone trains; remove it"
            )


def trained_by_verl(method: Method) -> bool:
    """Whether the verl engine trains a method: by verl's own loss, or by the scores that ranks exchange."""
    if method.objective in RELEASED:
        return method.objective != COUNTERFACTUAL
    if method.objective in VERL_OBJECTIVES:
        return True
    # imported here: one that was added goes by the scores that ranks exchange, and trying it out costs torch's import
    from real.exact import of_scores
    from real.objectives import make_objective

    return of_scores(make_objective(method.objective, **method.hyperparameters))


def _refuse_equal_labels(methods: Mapping[str, _Declared]) -> None:
    """Tables and figures tell methods apart by their labels alone."""
    by_label: dict[str, str] = {}
    for name, method in methods.items():
        other = by_label.setdefault(method.settings.label, name)
        if other != name:
            # a variant first, which is the user's own
            one, two = sorted((name, other), key=lambda each: methods[each].parent == each)
            raise ConfigError(
                f"{methods[one].source}.label: {one} and {two} ({methods[two].source}) would both be called "
                f"{shown(method.settings.label)} in tables and figures; give one of them a label of its own"
            )


def _variant(name: str, parent: str, variant: Variant, known: Mapping[str, _Declared], contents: Contents) -> _Declared:
    """The method that a variant declares, with its keys of ``training`` checked too."""
    source = f"{_stating(contents, ('variants', name))}: variants.{name}"
    if variant.method not in known:
        raise ConfigError(f"{source}: {unknown('method', variant.method, known)}")
    base = known[variant.method]
    settings = base.settings.model_dump()
    settings["hyperparameters"] |= variant.hyperparameters
    changes = {**variant.hyperparameters, **variant.training}
    settings["label"] = variant.label or with_changes(settings["label"], changes)
    training = base.training and _merged_training(base.training, variant, source)
    return _Declared(_check(TypeAdapter(Method), settings, source), training, parent, source)


def _merged_training(training: Training, variant: Variant, source: str) -> Any:
    content = {**training.model_dump(), **variant.training}
    elsewhere = {key.removeprefix("training."): who for key, who in KEYS_OF_SOME.items() if "." in key}
    return _check(TypeAdapter(type(training)), content, f"{source}.training", elsewhere=elsewhere)


def _merged(contents: Contents) -> dict[str, Any]:
    return reduce(_merge, contents.values(), {})


def _merge(base: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    both = {k: _merge(base[k], v) for k, v in overlay.items() if isinstance(v, dict) and isinstance(base.get(k), dict)}
    return {**base, **overlay, **both}


def _check(adapter: TypeAdapter, content: Any, source: str | Callable[[Place], str], **options: Any) -> Any:
    """The content, validated.

    Args:
        source: the file, or a function that gives the file of a key.
        options: of :func:`real.system.sentences.sentence`.
    """
    try:
        return adapter.validate_python(content)
    except ValidationError as error:
        sentences = [
            f"{source if isinstance(source, str) else source(problem['loc'])}: "
            f"{sentence(problem, known_keys(), **options)}"
            for problem in one_per_key(error.errors())
        ]
        raise ConfigError("\n".join(sentences)) from None
