"""Scale files as pydantic models; sections.py, crossing.py and paper_scale.py hold the parts."""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, TypeAdapter, model_validator

from real.config.crossing import Cross, Hypothesis, Mechanism, TorchTraining, crossed
from real.config.paper_scale import Cluster, Data, Model, VerlTraining
from real.config.sections import Base, Datasets, Evaluation, Figures, Policy, Reported, Strict, Task, Training, Variant
from real.system.names import EACH_ONCE, NOT_MANY, CodeDigest, ExperimentName, Line, Name, Seed
from real.system.sentences import unknown
from real.tasks.arithmetic import FAMILIES, LONGEST_PROMPT, longest_solution
from real.tasks.problems import MATH_BENCHMARKS

FORMAT_VERSION = 1
VLLM_HIGHEST_TEMPERATURE = 2.0
# folders of results/ that belong to no scale, and of a scale that belong to no method
TAKEN_SCALES = ("datasets", "evaluations")
# the method whose learning rate is 0 (TorchScale.untrained)
UNTRAINED = "untrained"
TAKEN_METHODS = {"base": "the base model", UNTRAINED: "the run that learns nothing"}


class Scale(Strict):
    """What every scale has."""

    version: Literal[1]
    """version of the configuration's format; 1 is the only one so far"""
    scale: Name
    """name of the scale and of its results folder"""
    evidence: Line
    """evidence level, printed on every table and figure"""
    protected: bool
    """true: a finished run is never retrained implicitly"""
    methods: Annotated[list[Name], Field(min_length=1), EACH_ONCE]
    """methods of methods.yaml or of `variants`"""
    variants: dict[Name, Variant]
    """further methods"""
    datasets: Datasets
    figures: Figures
    accept_code: Annotated[list[CodeDigest], EACH_ONCE] = Field(default=[])
    """of local.yaml: digests of other code; its unfinished work is continued, and its results are tabulated"""

    meant_for: Annotated[list[ExperimentName], EACH_ONCE] = Field(default=[])
    """of overlays: the experiments that it is laid on, which the tests run it with; others may take it too"""

    # sections that only some kinds of scale have, for readers that serve all kinds: None where there is none
    @property
    def printed(self) -> Reported | None:
        """The printed numbers that it shows."""
        return getattr(self, "reported", None)

    @property
    def own_task(self) -> Task | None:
        """The generated task that it trains on, in place of published prompts."""
        return getattr(self, "task", None)

    @property
    def own_base(self) -> Base | None:
        """How it trains the base models that RL starts from, in place of a published checkpoint."""
        return getattr(self, "base", None)

    @property
    def published_model(self) -> Model | None:
        """The published checkpoint that RL starts from."""
        return getattr(self, "model", None)

    @property
    def published_data(self) -> Data | None:
        """The published prompts that it trains and validates on."""
        return getattr(self, "data", None)

    @property
    def verl_cluster(self) -> Cluster | None:
        """What the verl engine runs on."""
        return getattr(self, "cluster", None)

    @property
    def hypotheses(self) -> dict[str, Hypothesis]:
        """What the runs of its grid are to judge."""
        mechanism: Mechanism | None = getattr(self, "mechanism", None)
        return mechanism.hypotheses if mechanism else {}

    @property
    def trains(self) -> bool:
        """Whether it trains and evaluates, rather than showing printed numbers."""
        return self.printed is None

    @property
    def run_seeds(self) -> list[int]:
        """Seeds of the runs of each method."""
        return getattr(self, "seeds", [])

    @property
    def evaluated_on(self) -> list[str]:
        """Benchmarks that its checkpoints are evaluated on."""
        evaluation: Evaluation | None = getattr(self, "evaluation", None)
        return evaluation.benchmarks if evaluation else []

    @property
    def gpus(self) -> int:
        """GPUs of one run, over all nodes."""
        if getattr(self, "device", None) != "cuda":
            return 0
        return self.verl_cluster.gpus if self.verl_cluster else 1

    @model_validator(mode="after")
    def _folders_are_free(self) -> Self:
        if self.scale in TAKEN_SCALES:
            raise ValueError(f"scale is {self.scale!r}, but results/{self.scale} has another use; choose another name")
        for name, owner in TAKEN_METHODS.items():
            if name in self.variants:
                raise ValueError(f"variants.{name}: the name belongs to {owner}; choose another name")
        return self


class ReportedScale(Scale):
    """A scale that trains nothing: the paper's printed numbers through the same rules."""

    engine: Literal["reported"]
    """nothing is trained"""
    reported: Reported


class TrainedScale(Scale):
    """A scale that trains and evaluates; what is common to the engines."""

    seeds: Annotated[list[Seed], Field(min_length=1), NOT_MANY, EACH_ONCE]
    """one run per method and seed"""
    training: Training
    evaluation: Evaluation
    grid: list[Cross] = Field(default=[])
    """of overlays: methods crossed with learning rates, in place of `methods`"""

    @model_validator(mode="after")
    def _grid_names_each_once(self) -> Self:
        crossed(self.grid, self.variants)
        return self


class ArithmeticScale(TrainedScale):
    """A scale on last-digit arithmetic, whose base model it trains itself."""

    task: Task
    policy: Policy
    base: Base

    @property
    def base_device(self) -> Literal["cpu", "cuda"]:
        """Where the base model is trained."""
        return "cpu"

    @model_validator(mode="after")
    def _responses_fit(self) -> Self:
        families = {*self.task.training_families, *self.evaluation.benchmarks} & FAMILIES.keys()
        for key in ("training", "evaluation"):
            limit = getattr(self, key).max_response_tokens
            if limit < longest_solution(families):
                raise ValueError(
                    f"{key}.max_response_tokens is {limit}, but the longest correct answer of the task has "
                    f"{longest_solution(families)} tokens; raise it to at least that"
                )
        return self


class TorchScale(ArithmeticScale):
    """A scale trained by real.engines.torch in one process per run."""

    engine: Literal["torch"]
    """which engine trains"""
    device: Literal["cpu", "cuda"]
    """where tensors live; results are byte-identical from run to run on cpu"""
    untrained: bool
    """whether one more run, with learning rate 0, shows what curves do where nothing is learnt (no table shows it)"""
    training: TorchTraining
    mechanism: Mechanism | None = None
    """of overlays: the hypotheses that the grid's runs are to judge"""

    @property
    def base_device(self) -> Literal["cpu", "cuda"]:
        return self.device

    @model_validator(mode="after")
    def _hypotheses_are_tried(self) -> Self:
        tried = {method for cross in self.grid for method in cross.methods}
        for name, hypothesis in self.hypotheses.items():
            for side in ("better", "worse"):
                if (method := getattr(hypothesis, side)) not in tried:
                    raise ValueError(f"mechanism.hypotheses.{name}.{side}: {unknown('method', method, tried)}")
        return self


class OnCluster(TrainedScale):
    """A scale of the verl engine, whatever it trains."""

    engine: Literal["verl"]
    """which engine trains"""
    training: VerlTraining
    cluster: Cluster

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        """Where tensors live."""
        return self.cluster.device

    @model_validator(mode="after")
    def _vllm_takes_the_temperatures(self) -> Self:
        for key in ("training", "evaluation"):
            temperature = getattr(self, key).temperature
            if temperature > VLLM_HIGHEST_TEMPERATURE:
                raise ValueError(
                    f"{key}.temperature is {temperature}, but vLLM samples at {VLLM_HIGHEST_TEMPERATURE} at most; "
                    "lower it"
                )
        return self

    @model_validator(mode="after")
    def _rows_fit(self) -> Self:
        training, cluster = self.training, self.cluster
        rows = training.mini_batch_prompts * training.rollouts
        if rows % cluster.gpus:
            raise ValueError(
                f"training.mini_batch_prompts {training.mini_batch_prompts} times training.rollouts "
                f"{training.rollouts} must be a multiple of the run's {cluster.gpus} GPUs (cluster.nodes times "
                "cluster.gpus_per_node); change one of them"
            )
        if cluster.micro_batch_tokens is None and rows // cluster.gpus % training.micro_batch_rows:
            raise ValueError(
                f"training.micro_batch_rows {training.micro_batch_rows} must divide the {rows // cluster.gpus} rows "
                "that each GPU has of a mini-batch; or set cluster.micro_batch_tokens, which cuts them by length"
            )
        prompt = self.published_data.max_prompt_tokens if self.published_data else LONGEST_PROMPT
        longest = prompt + training.max_response_tokens
        if cluster.micro_batch_tokens is not None and cluster.micro_batch_tokens < longest:
            raise ValueError(
                f"cluster.micro_batch_tokens {cluster.micro_batch_tokens} can't hold the longest row of {longest} "
                "tokens (prompt and response limits); raise it to at least that"
            )
        return self


class VerlScale(OnCluster):
    """A scale trained by real.engines.verl from a published checkpoint on published prompts."""

    model: Model
    data: Data

    @model_validator(mode="after")
    def _benchmarks_have_data(self) -> Self:
        for benchmark in self.evaluation.benchmarks:
            if benchmark in FAMILIES:
                raise ValueError(
                    f"evaluation.benchmarks: {benchmark} belongs to the laptop's task, which this scale lacks; "
                    f"choose from {', '.join(MATH_BENCHMARKS)}"
                )
        return self


class VerlArithmeticScale(OnCluster, ArithmeticScale):
    """A scale trained by real.engines.verl on the laptop's task: proves that both engines run one experiment."""

    @model_validator(mode="before")
    @classmethod
    def _starts_from_one_thing(cls, content: Any) -> Any:
        if isinstance(content, dict) and {"model", "data"} & content.keys():
            raise ValueError(
                "task stands beside model or data; a scale of the verl engine has either a checkpoint (model, data) or "
                "the laptop's task (task, policy, base): remove one of the two"
            )
        return content


def _kind(content: Any) -> str | None:
    """Which model a scale file is: its engine, and for verl whether it brings the laptop's task."""
    read = content.get if isinstance(content, dict) else lambda key: getattr(content, key, None)
    engine = read("engine")
    if engine == "verl":
        return "verl_arithmetic" if read("task") is not None else "verl"
    return engine if engine in ("torch", "reported") else None


AnyScale = Annotated[
    Annotated[TorchScale, Tag("torch")]
    | Annotated[ReportedScale, Tag("reported")]
    | Annotated[VerlScale, Tag("verl")]
    | Annotated[VerlArithmeticScale, Tag("verl_arithmetic")],
    Discriminator(_kind),
]
SCALE: TypeAdapter[TorchScale | ReportedScale | VerlScale | VerlArithmeticScale] = TypeAdapter(AnyScale)


# sections that only some scales have or extend: (section, where it stands in the file, what has it)
_OF_SOME = (
    (TrainedScale, "", "a scale that trains"),
    (ArithmeticScale, "", "a scale on last-digit arithmetic"),
    (TorchScale, "", "the torch engine"),
    (TorchTraining, "training.", "the torch engine"),
    (OnCluster, "", "the verl engine"),
    (VerlScale, "", "the verl engine on a published checkpoint"),
    (VerlTraining, "training.", "the verl engine"),
    (ReportedScale, "", "a scale of printed numbers"),
)
# every key that not all scales have, by what has it: a scale of another kind gets a sentence of its own about it
KEYS_OF_SOME = {f"{place}{key}": who for section, place, who in reversed(_OF_SOME) for key in section.__annotations__}


def known_keys() -> set[str]:
    """All keys of all sections."""

    def below(section: type[Strict]) -> set[type[Strict]]:
        return {section, *(model for child in section.__subclasses__() for model in below(child))}

    return {key for section in below(Strict) for key in section.model_fields}


def json_schema() -> dict[str, Any]:
    """JSON schema of a scale file with its overlays merged, for validate() in the Snakefile and for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **SCALE.json_schema()}
