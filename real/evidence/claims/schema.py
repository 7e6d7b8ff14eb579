"""The paper's claims as data: the models of paper_configs/claims.yaml."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from real.config import ConfigError, load, read_checked
from real.config.loading import METHODS_FILE
from real.config.schema import Strict
from real.evidence.claims import CLAIMS_FILE
from real.evidence.claims.measures import MEASURES, methods_of
from real.statistics.planned import FEWEST_SEEDS
from real.system.names import EACH_ONCE, Line, Name
from real.system.sentences import one_per_key, sentence, unknown
from real.system.yaml_files import read_yaml


class Region(Strict):
    """The values that confirm a claim: an open interval."""

    above: float | None = None
    """lower end; none: no lower end"""
    below: float | None = None
    """upper end; none: no upper end"""

    @model_validator(mode="after")
    def _has_an_end(self) -> Self:
        if self.above is None and self.below is None:
            raise ValueError("region has neither end; give above, below or both")
        if self.above is not None and self.below is not None and self.above >= self.below:
            raise ValueError(f"region is empty: above {self.above} must be less than below {self.below}; correct them")
        return self


class Spread(Strict):
    """How a row's value varies from run to run, for the power of its plan, as somebody measured it."""

    deviation: float = Field(gt=0)
    """standard deviation of one seed's value; of its logarithm where the unit is a ratio"""
    source: Line
    """who measured it"""


class Planned(Strict):
    """The experiment that a row awaits or needs, where no scale file tells its seeds and no paper its effect."""

    seeds: int = Field(ge=FEWEST_SEEDS)
    """runs of each method"""
    effect: float
    """value that the row is to be confirmed at"""
    deviation: float | None = Field(default=None, gt=0)
    """of one seed's value, of its logarithm where the unit is a ratio; none: nobody has measured it"""
    source: Line
    """where effect and deviation are from"""
    control: Line
    """what its positive control is to be: a run in which the effect is known to be there"""


class Analogue(Strict):
    """A claim's statement at other trained scales."""

    statement: Line
    """what is judged there"""
    parameters: dict[str, Any] = Field(default={})
    """parameters that differ from the claim's"""
    region: Region | None = None
    """default: the claim's"""
    primary: bool = False
    """one of the few rows of a scale that are judged as a family (Holm); the others describe"""
    control: dict[str, Any] | None = None
    """parameters of the positive control, in which the effect is known to be there; none: nobody has made one"""


class Claim(Strict):
    """One claim of the paper."""

    statement: Line
    """in words"""
    source: Line
    """where the paper makes it"""
    published: float | None
    """the value the paper prints; null where it prints none"""
    unit: Literal["points", "ratio", "prompts", "plain"]
    """how values are printed; points are hundredths"""
    measure: str | None = None
    """a function of real/evidence/claims/measures.py; none: it awaits an experiment"""
    parameters: dict[str, Any] = Field(default={})
    """its arguments"""
    awaits: Line | None = None
    """what is measured by which experiment, where no measure exists yet"""
    region: Region = Region(above=0.0)
    """what confirms the claim"""
    scale: Line
    """whose data judge it: a key of `scales`"""
    primary: bool = False
    """one of the few rows of its scale that are judged as a family (Holm); the others describe"""
    spread: Spread | None = None
    """of a curve's measure, which no model tells"""
    planned: Planned | None = None
    """for the power of a row whose plan is no scale's"""
    control: dict[str, Any] | None = None
    """of an analogue: parameters of its positive control; none: nobody has made one"""
    isolates: bool = False
    """its two methods differ in one part alone, so that no other method can stand in the place of either"""
    kind: Literal["claim", "analogue"] = "claim"
    """analogue: the paper states it of its own models, and only its analogue at `scale` can be measured"""
    rule: Line
    """the rule whose table or figure shows it"""
    overlays: Annotated[list[Line], EACH_ONCE] = Field(default=[])
    """further config files, where the scale's own methods don't include the claim's"""
    cost: Line | None = None
    """what it takes, where overlays make that another than the scale's"""
    note: str = ""
    """what a reader must know besides"""
    analogue: Analogue | None = None
    """the statement at other trained scales"""

    @model_validator(mode="after")
    def _parameters_fit_the_measure(self) -> Self:
        if (self.measure is None) == (self.awaits is None):
            raise ValueError("has neither measure nor awaits, or both; give one of them")
        if self.measure is None:
            return self
        if self.measure not in MEASURES:
            raise ValueError(f"measure: {unknown('measure', self.measure, MEASURES)}")
        model = MEASURES[self.measure].parameters
        changes = [{}, self.control, *([self.analogue.parameters, self.analogue.control] if self.analogue else [])]
        for parameters in ({**self.parameters, **change} for change in changes if change is not None):
            try:
                model.model_validate(parameters)
            except ValidationError as error:
                # a misspelt key is missing too: name the misspelling
                first = max(one_per_key(error.errors()), key=lambda problem: problem["type"] == "extra_forbidden")
                problem = sentence(first, model.model_fields, if_missing="add it")
                raise ValueError(f"parameters.{problem}") from None
        return self


class ScaleFacts(Strict):
    """How a scale's claims are reproduced, and what that costs."""

    label: Line
    """what is trained"""
    config: Line
    """its scale file"""
    base: Name | None
    """row of the base model in the printed tables"""
    gpu_hours_per_run: list[float] | None = Field(min_length=2, max_length=2)
    """estimate, from and to; null where nothing needs a GPU"""
    cost: Line
    """where the estimate comes from, or the cost itself"""


class ClaimsFile(Strict):
    """The content of claims.yaml."""

    scales: dict[Name, ScaleFacts]
    """facts by name of the scale"""
    claims: dict[Name, Claim]
    """claims by id, in the order of the table"""

    @model_validator(mode="after")
    def _scales_exist(self) -> Self:
        for name, facts in self.scales.items():
            hours = facts.gpu_hours_per_run
            if hours and not 0 <= hours[0] <= hours[1]:
                raise ValueError(
                    f"scales.{name}.gpu_hours_per_run is {hours}; must be from and to: write the less first"
                )
        for name, claim in self.claims.items():
            if claim.scale not in self.scales:
                raise ValueError(f"claims.{name}.scale: {unknown('scale', claim.scale, self.scales)}")
        return self


def load_claims(path: str | Path = CLAIMS_FILE) -> ClaimsFile:
    """Read and check the claims.

    Raises:
        ConfigError: one sentence per problem, naming file and key.
    """
    content = read_checked(Path(path), TypeAdapter(ClaimsFile))
    _require_methods(content, Path(path))
    return content


def _require_methods(content: ClaimsFile, path: Path) -> None:
    """Refuse a method that neither methods.yaml nor a claim's own files declare: it would be asked after the runs."""
    known = read_yaml(path.with_name(METHODS_FILE.name))
    for name, claim in content.claims.items():
        files = [content.scales[claim.scale].config, *claim.overlays]
        of_analogue = claim.analogue.parameters if claim.analogue else {}
        for method in {*methods_of(claim.parameters), *methods_of(of_analogue)} - known.keys():
            # files that this version doesn't have yet are named beside the claim
            if all(Path(file).exists() for file in files) and method not in (methods := load(files).methods):
                raise ConfigError(
                    f"{path}: claims.{name}.parameters: {unknown('method', method, dict.fromkeys([*known, *methods]))}"
                )
