"""What is resolved from a scale file with its overlays: the experiment, and one run of it."""

from itertools import product
from typing import Any, Literal

from real.config.crossing import TorchTraining
from real.config.paper_scale import Cluster, Data, Model, VerlTraining
from real.config.schema import UNTRAINED, AnyScale, ReportedScale, TorchScale, VerlArithmeticScale, VerlScale
from real.config.sections import Method, Policy, Strict, Task
from real.system.sentences import ConfigError
from real.tasks.arithmetic import LONGEST_PROMPT

# a scale that trains, as far as readers tell them apart
Trained = TorchScale | VerlScale | VerlArithmeticScale


class Experiment(Strict):
    """A scale with its overlays and the methods it names.

    The methods are one list, whether methods.yaml, ``variants`` or ``grid`` declares them.
    """

    name: str
    """scale, or scale+overlay: the results folder"""
    files: list[str]
    """the YAML files that name it on a command line"""
    read_besides: list[str]
    """what was merged after them without being named: this machine's local.yaml, where it is there"""
    scale: AnyScale
    methods: dict[str, Method]
    """resolved methods by name, in the order of tables"""
    training: dict[str, TorchTraining | VerlTraining]
    """the section `training` of each method, and of the run that learns nothing; empty where nothing is trained"""
    parents: dict[str, str]
    """the method that each is a variant of, or was crossed from; of others their own name"""
    rule_labels: dict[str, str]
    """labels by name without the learning rate and the staleness that `grid` crossed, for what shows those apart"""

    place: str = "results"
    """folder of the results folder: another one where results are read that lie elsewhere (real/commands/redraw.py)"""

    @property
    def runs(self) -> list[tuple[str, int]]:
        """Method and seed of every run; the one that learns nothing, of the first seed, comes last."""
        seeds = self.scale.run_seeds
        return [*product(self.methods, seeds), *((UNTRAINED, seeds[0]) for name in self.training if name == UNTRAINED)]

    def settings(self, method: str) -> Method:
        """Objective and label of a run's method. A run that learns nothing takes the first method's objective."""
        if method != UNTRAINED:
            return self.methods[method]
        first = next(iter(self.methods.values()))
        return first.model_copy(update={"label": "untrained (learning rate 0)"})

    @property
    def results(self) -> str:
        """Folder of all outputs."""
        return f"{self.place}/{self.name}"

    @property
    def read_from(self) -> list[str]:
        """All files that it was read from, in the order in which they were merged."""
        return [*self.files, *self.read_besides]

    @property
    def trained(self) -> Trained:
        """The scale of an experiment that trains; ConfigError where it doesn't."""
        # isinstance, so that a type checker knows what is left
        if isinstance(self.scale, ReportedScale):
            raise ConfigError(
                f"{self.files[0]}: the scale '{self.scale.scale}' trains nothing; name one that does, for example "
                "paper_configs/laptop.yaml"
            )
        return self.scale


class Run(Strict):
    """Everything one training job needs; written beside its results as config.yaml."""

    experiment: str
    method: str
    seed: int
    settings: Method

    def learnt_from(self) -> dict[str, Any]:
        """What the results depend on, for digests: all but the label, which can be mended without a new run."""
        return self.model_dump(mode="json", exclude={"settings": {"label"}})


class TorchRun(Run):
    """A run of the torch engine."""

    device: Literal["cpu", "cuda"]
    task: Task
    policy: Policy
    training: TorchTraining


class VerlRun(Run):
    """A run of the verl engine, either from a published checkpoint (model, data) or on the laptop's task."""

    model: Model | None
    data: Data | None
    task: Task | None
    training: VerlTraining
    cluster: Cluster

    @property
    def max_prompt_tokens(self) -> int:
        """Longest prompt that is trained on."""
        return self.data.max_prompt_tokens if self.data else LONGEST_PROMPT
