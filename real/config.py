"""The experiment's configuration: one complete YAML per scale, overlays, methods, resolved to one run.

    experiment = load(["paper_configs/laptop.yaml"])                  # a scale, then overlays
    run = resolve(experiment, method="real", seed=0)                  # everything one training job needs

Every scale file states every key: no default, no inheritance. An unknown key, a wrong type or a number written as
text is an error of one sentence that names file and key. ``python -m real schema`` writes the JSON schema.
"""

import difflib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from real.arithmetic import BENCHMARKS, FAMILIES, longest_solution

METHODS_FILE = Path("paper_configs/methods.yaml")
LOCAL_FILE = Path("paper_configs/local.yaml")


class ConfigError(ValueError):
    """A configuration that can't be used; the message is one sentence per problem."""


class Strict(BaseModel):
    """Base of all sections: unknown keys and silent type conversions are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


class Method(Strict):
    """One row of methods.yaml: an objective with its hyper-parameters."""

    label: str
    """name in tables and figures"""
    objective: str
    """one of real.objectives.OBJECTIVES"""
    hyperparameters: dict[str, float | str]
    """what make_objective takes"""
    kl_coefficient: float = Field(ge=0)
    """weight of the k3 penalty to the base model (0: no reference model is loaded)"""
    source: str
    """where the values come from"""

    @model_validator(mode="after")
    def _objective_accepts_hyperparameters(self) -> Self:
        # imported here: an edit of an objective must rerun training, not everything that reads a config
        from real.objectives import make_objective

        make_objective(self.objective, **self.hyperparameters)
        return self


class Variant(Strict):
    """A further method declared by an overlay: a method with some keys changed."""

    method: str
    """name of the method in methods.yaml"""
    hyperparameters: dict[str, float | str] = {}
    """hyper-parameters to change"""
    training: dict[str, float | int] = {}
    """keys of the section `training` to change"""


class Task(Strict):
    """Last-digit arithmetic (real/arithmetic.py)."""

    seed: int = Field(ge=0)
    """fixes problems and splits"""
    training_families: list[str] = Field(min_length=1)
    """families that training prompts are drawn from"""
    test_problems: int = Field(ge=1, le=400)
    """problems per benchmark for the tables"""
    validation_problems: int = Field(ge=1, le=400)
    """problems per benchmark for validation while training"""

    @model_validator(mode="after")
    def _families_exist(self) -> Self:
        for family in self.training_families:
            _require_known("task.training_families", family, FAMILIES)
        return self


class Policy(Strict):
    """Shape of the Qwen2 policy."""

    hidden_size: int = Field(ge=8)
    """width of the residual stream"""
    layers: int = Field(ge=1)
    """transformer blocks"""
    attention_heads: int = Field(ge=1)
    """heads; must divide hidden_size"""
    feed_forward_size: int = Field(ge=8)
    """width of the gated MLP"""

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.hidden_size % (2 * self.attention_heads):
            raise ValueError(
                f"policy.hidden_size {self.hidden_size} must be an even multiple of "
                f"policy.attention_heads {self.attention_heads}"
            )
        return self


class Phase(Strict):
    """One phase of supervised training on worked solutions."""

    steps: int = Field(ge=1)
    """optimizer steps"""
    learning_rate: float = Field(gt=0)
    """peak learning rate"""
    warmup_steps: int = Field(ge=0)
    """linear warm-up"""
    final_fraction: float = Field(ge=0, le=1)
    """cosine decay ends at this fraction of the peak"""
    easy_fraction: float = Field(ge=0, le=1)
    """first share of the steps, drawn from families of at most three operands"""
    direct: float = Field(ge=0, le=1)
    """share of solutions without a derivation"""
    skip: float = Field(ge=0, le=1)
    """share of solutions with one step left out"""
    left_to_right: float = Field(ge=0, le=1)
    """share of solutions that ignore precedence"""
    misconception: float = Field(ge=0, le=1)
    """scale of the fixed errors per operation"""


class Base(Strict):
    """Supervised training of the base model."""

    seed: int = Field(ge=0)
    """initialisation and data order"""
    batch_rows: int = Field(ge=1)
    """solutions per step"""
    phases: list[Phase] = Field(min_length=1)
    """run one after the other, each with a fresh optimizer"""


class Training(Strict):
    """One RL run; P prompts x G rollouts a step, cut into optimizer mini-batches of whole groups."""

    steps: int = Field(ge=1)
    """outer steps"""
    prompts: int = Field(ge=1)
    """P, prompts per step"""
    rollouts: int = Field(ge=1)
    """G, rollouts per prompt"""
    mini_batch_prompts: int = Field(ge=1)
    """prompts per optimizer update; divides P"""
    micro_batch_rows: int = Field(ge=1)
    """rows back-propagated at once; any value gives the same gradient (real.exact)"""
    temperature: float = Field(gt=0)
    """of sampling, log-probs and entropy"""
    max_response_tokens: int = Field(ge=1)
    """response limit T"""
    learning_rate: float = Field(gt=0)
    """AdamW, constant after warm-up"""
    warmup_steps: int = Field(ge=0)
    """linear from 0 in the first outer step"""
    weight_decay: float = Field(ge=0)
    """AdamW"""
    gradient_clip: float = Field(gt=0)
    """global norm"""
    checkpoint_every: int = Field(ge=1)
    """outer steps between saved states to resume from"""
    validation_every: int = Field(ge=1)
    """outer steps between validations; step 0 and the last step are always validated"""
    validation_samples: int = Field(ge=1)
    """samples per validation problem"""
    gradient_sample_steps: list[int]
    """outer steps whose rollouts go to gradient_samples.parquet"""

    @model_validator(mode="after")
    def _geometry_fits(self) -> Self:
        if self.prompts % self.mini_batch_prompts:
            raise ValueError(
                f"training.mini_batch_prompts {self.mini_batch_prompts} must divide training.prompts {self.prompts}"
            )
        for step in self.gradient_sample_steps:
            if not 1 <= step <= self.steps:
                raise ValueError(f"training.gradient_sample_steps has {step}, outside 1 to training.steps {self.steps}")
        return self


class Evaluation(Strict):
    """Sampling of the test problems from the last checkpoint."""

    benchmarks: list[str] = Field(min_length=1)
    """columns of the table, in order"""
    samples: int = Field(ge=1)
    """samples per problem"""
    temperature: float = Field(gt=0)
    """of sampling"""
    top_p: float = Field(gt=0, le=1)
    """nucleus of sampling"""
    max_response_tokens: int = Field(ge=1)
    """response limit"""
    chunk_problems: int = Field(ge=1)
    """problems sampled at once"""
    seed: int = Field(ge=0)
    """of sampling"""

    @model_validator(mode="after")
    def _benchmarks_exist(self) -> Self:
        for benchmark in self.benchmarks:
            _require_known("evaluation.benchmarks", benchmark, BENCHMARKS)
        return self


class Figures(Strict):
    """How the curves are drawn; nothing here changes a number in a table."""

    smoothing_steps: int = Field(ge=1)
    """window, in steps, of the centred moving average drawn strong"""


class Scale(Strict):
    """What every scale has."""

    scale: str
    """name of the scale and of its results folder"""
    evidence: str
    """evidence level, printed on every table and figure"""
    protected: bool
    """true: a finished run is never retrained implicitly"""
    methods: list[str] = Field(min_length=1)
    """methods of methods.yaml or of `variants`"""
    variants: dict[str, Variant]
    """further methods"""
    figures: Figures


class TorchScale(Scale):
    """A scale trained by real.torch_engine in one process per run."""

    engine: Literal["torch"]
    """which engine trains"""
    device: Literal["cpu", "cuda"]
    """where tensors live; results are byte-identical from run to run on cpu"""
    seeds: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)
    """one run per method and seed"""
    task: Task
    policy: Policy
    base: Base
    training: Training
    evaluation: Evaluation

    @model_validator(mode="after")
    def _responses_fit(self) -> Self:
        for key, limit in (
            ("training", self.training.max_response_tokens),
            ("evaluation", self.evaluation.max_response_tokens),
        ):
            families = {*self.task.training_families, *self.evaluation.benchmarks}
            if limit < longest_solution(families):
                raise ValueError(
                    f"{key}.max_response_tokens is {limit}, but the longest correct answer of the task has "
                    f"{longest_solution(families)} tokens; raise it to at least that"
                )
        return self


class Reported(Strict):
    """Numbers of the paper, copied as data."""

    benchmarks: str
    """CSV of the paper's tables"""
    training_dynamics: str
    """CSV of the digitised curves"""
    prompts: int = Field(ge=1)
    """prompts per step, of which solve_all counts"""


class ReportedScale(Scale):
    """A scale that trains nothing: the paper's printed numbers through the same rules."""

    engine: Literal["reported"]
    """nothing is trained"""
    reported: Reported


AnyScale = Annotated[TorchScale | ReportedScale, Field(discriminator="engine")]
_SCALE: TypeAdapter[TorchScale | ReportedScale] = TypeAdapter(AnyScale)


class Experiment(Strict):
    """A scale with its overlays and the methods it names."""

    name: str
    """scale, or scale+overlay: the results folder"""
    files: list[str]
    """the YAML files it was read from"""
    scale: TorchScale | ReportedScale
    methods: dict[str, Method]
    """resolved methods by name"""

    @property
    def results(self) -> str:
        """Folder of all outputs."""
        return f"results/{self.name}"


class Run(Strict):
    """Everything one training job of the torch engine needs; written beside its results as config.yaml."""

    experiment: str
    method: str
    seed: int
    device: Literal["cpu", "cuda"]
    settings: Method
    task: Task
    policy: Policy
    training: Training


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
    scale = _check(_SCALE, merged, source)
    known = _check(TypeAdapter(dict[str, Method]), _read_yaml(methods_file), str(methods_file))
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
        content = _read_yaml(path)
        if place == 0 and "scale" not in content:
            raise ConfigError(f"{path}: has no key 'scale', so it is no scale file; name a scale first, overlays after")
        if place > 0 and "scale" in content:
            raise ConfigError(f"{path}: is a scale file, but {files[0]} is one already; give one scale, then overlays")
        merged = _merge(merged, content)
    return merged


def resolve(experiment: Experiment, method: str, seed: int) -> Run:
    """The one run (method, seed) of an experiment.

    Raises:
        ConfigError: unknown method, or a scale that trains nothing.
    """
    scale = experiment.scale
    if not isinstance(scale, TorchScale):
        raise ConfigError(f"{experiment.files[0]}: the scale '{scale.scale}' trains nothing, so it has no runs")
    if method not in experiment.methods:
        raise ConfigError(_unknown("method", method, experiment.methods))
    training = scale.training
    if method in scale.variants:
        training = _merged_training(training, scale.variants[method], f"variants.{method}")
    return Run(
        experiment=experiment.name,
        method=method,
        seed=seed,
        device=scale.device,
        settings=experiment.methods[method],
        task=scale.task,
        policy=scale.policy,
        training=training,
    )


def digest(*parts: Any) -> str:
    """Short sha256 of configuration values: equal values, equal digest."""
    plain = [part.model_dump(mode="json") if isinstance(part, BaseModel) else part for part in parts]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def json_schema() -> dict[str, Any]:
    """JSON schema of a scale file with its overlays merged, for validate() in the Snakefile and for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_SCALE.json_schema()}


def _method(name: str, scale: Scale, known: dict[str, Method], source: str) -> Method:
    if name in known:
        return known[name]
    if name not in scale.variants:
        raise ConfigError(f"{source}: {_unknown('method', name, [*known, *scale.variants])}")
    variant = scale.variants[name]
    if variant.method not in known:
        raise ConfigError(f"{source}: variants.{name}: {_unknown('method', variant.method, known)}")
    base = known[variant.method].model_dump()
    base["hyperparameters"] |= variant.hyperparameters
    if isinstance(scale, TorchScale):
        _merged_training(scale.training, variant, f"{source}: variants.{name}")
    return _check(TypeAdapter(Method), base, f"{source}: variants.{name}")


def _merged_training(training: Training, variant: Variant, source: str) -> Training:
    return _check(TypeAdapter(Training), {**training.model_dump(), **variant.training}, f"{source}.training")


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; run from the root of the repository and check the name") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not valid YAML ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected a mapping of keys to values, found {type(content).__name__}")
    return content


def _merge(base: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    both = {k: _merge(base[k], v) for k, v in overlay.items() if isinstance(v, dict) and isinstance(base.get(k), dict)}
    return {**base, **overlay, **both}


def _check(adapter: TypeAdapter, content: Any, source: str) -> Any:
    try:
        return adapter.validate_python(content)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{source}: {_sentence(problem)}" for problem in error.errors())) from None


def _sentence(problem: Any) -> str:
    """One pydantic error as a sentence that names the key and the remedy."""
    # the discriminator's value ("torch") heads each location of a scale
    key = ".".join(str(part) for part in problem["loc"] if part not in ("torch", "reported"))
    value, kind = problem["input"], problem["type"]
    if kind == "extra_forbidden":
        names = {field for model in Strict.__subclasses__() + Scale.__subclasses__() for field in model.model_fields}
        return f"{key} is not a known key{_did_you_mean(key.rpartition('.')[2], names)}"
    if kind == "missing":
        return f"{key} is missing; every scale file states every key"
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        return (
            f"engine must be 'torch' or 'reported', found {value.get('engine') if isinstance(value, dict) else value!r}"
        )
    if isinstance(value, str) and _is_number(value):
        return (
            f"{key} is the text {value!r}, not a number; write it as {yaml.safe_dump(float(value)).split()[0]} "
            "(YAML reads 2e-6 as text, 2.0e-6 as a number)"
        )
    message = problem["msg"].removeprefix("Value error, ")
    if kind == "value_error":
        return f"{key}: {message}" if key and key.split(".")[0] not in message else message
    return f"{key} is {value!r}; {message[0].lower()}{message[1:]}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _require_known(key: str, name: str, known: Sequence[str] | dict[str, Any]) -> None:
    if name not in known:
        raise ValueError(f"{key}: {_unknown('name', name, known)}")


def _unknown(kind: str, name: str, known: Sequence[str] | dict[str, Any]) -> str:
    return f"unknown {kind} {name!r}; choose from {', '.join(known)}{_did_you_mean(name, known)}"


def _did_you_mean(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
