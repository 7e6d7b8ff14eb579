"""The sections of a scale file as pydantic models: one doc line per key, no defaults, no conversions."""

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from real.config.labels import Label
from real.hyperparameters import RELEASED, complete
from real.system.names import (
    EACH_ONCE,
    LARGEST_COUNT,
    NOT_MANY,
    Count,
    CountOrNone,
    Few,
    Line,
    Name,
    Seed,
)
from real.system.sentences import unknown
from real.tasks.arithmetic import BENCHMARKS, FAMILIES
from real.tasks.problems import MATH_BENCHMARKS
from real.tasks.sources import SOURCES_FILE, benchmark_sources

# vLLM samples at this one where a lower is asked for, because logits divided by less overflow
LOWEST_TEMPERATURE = 0.01
# of a policy that is trained from nothing on one processor
MOST_PARAMETERS = 1_000_000_000
Width = Annotated[int, Field(ge=8, le=65_536)]


class Strict(BaseModel):
    """Base of all sections: unknown keys, NaN, infinity and silent type conversions are errors (1 is read as 1.0)."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class Method(Strict):
    """One row of methods.yaml: an objective with its hyper-parameters."""

    label: Label
    """name in tables and figures; it can be mended after the runs, which don't depend on it"""
    objective: str
    """one of real.objectives.OBJECTIVES, or counterfactual (real/counterfactual.py)"""
    hyperparameters: dict[str, float | str]
    """what the objective takes"""
    kl_coefficient: float = Field(ge=0)
    """weight of the k3 penalty to the base model (0: no reference model is loaded)"""
    source: Line
    """where the values come from"""

    @model_validator(mode="after")
    def _objective_accepts_hyperparameters(self) -> Self:
        if self.objective in RELEASED:
            taken = RELEASED[self.objective]
        else:
            # imported here: one added to the paper's is asked itself, and it alone costs torch's import
            from real.objectives import OBJECTIVES, make_objective

            if self.objective not in OBJECTIVES:
                known = dict.fromkeys((*OBJECTIVES, *RELEASED))
                raise ValueError(f"objective: {unknown('objective', self.objective, known)}")
            taken = make_objective(self.objective).hyperparameters
        try:
            complete(self.objective, taken, self.hyperparameters)
        except ValueError as error:
            raise ValueError(f"hyperparameters.{error}; correct it") from None
        if missing := taken.keys() - self.hyperparameters.keys():
            raise ValueError(
                f"hyperparameters.{min(missing)} is missing; objective {self.objective!r} takes it: add it"
            )
        return self


class Variant(Strict):
    """A further method declared by an overlay: a method with some keys changed."""

    method: Name
    """name of the method in methods.yaml"""
    hyperparameters: dict[str, float | str] = {}
    """hyper-parameters to change"""
    training: dict[str, bool | float | int] = {}
    """keys of the section `training` to change"""
    label: Label | None = None
    """name in tables and figures; none: the method's, with the changed keys"""


class Task(Strict):
    """Last-digit arithmetic (real/tasks/arithmetic.py)."""

    seed: Seed
    """fixes problems and splits"""
    training_families: Annotated[list[str], Field(min_length=1), EACH_ONCE]
    """families that training prompts are drawn from"""
    test_problems: int = Field(ge=1, le=400)
    """problems per benchmark for the tables"""
    validation_problems: int = Field(ge=1, le=400)
    """problems per benchmark for validation while training"""

    @model_validator(mode="after")
    def _families_exist(self) -> Self:
        for family in self.training_families:
            if family not in FAMILIES:
                raise ValueError(f"task.training_families: {unknown('family', family, FAMILIES)}")
        return self


class Policy(Strict):
    """Shape of the Qwen2 policy."""

    hidden_size: Width
    """width of the residual stream"""
    layers: Few
    """transformer blocks"""
    attention_heads: Few
    """heads; must divide hidden_size"""
    feed_forward_size: Width
    """width of the gated MLP"""

    @model_validator(mode="after")
    def _is_not_too_large(self) -> Self:
        # of each block: four projections of attention (at most), three of the gated MLP
        parameters = self.layers * self.hidden_size * (4 * self.hidden_size + 3 * self.feed_forward_size)
        if parameters > MOST_PARAMETERS:
            raise ValueError(
                f"policy.layers {self.layers} of policy.hidden_size {self.hidden_size} and policy.feed_forward_size "
                f"{self.feed_forward_size} have about {parameters:,} parameters, more than {MOST_PARAMETERS:,}; lower "
                "one of them"
            )
        return self

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.hidden_size % (2 * self.attention_heads):
            unit = 2 * self.attention_heads
            fitting = unit * -(-self.hidden_size // unit)
            raise ValueError(
                f"policy.hidden_size {self.hidden_size} must be an even multiple of policy.attention_heads "
                f"{self.attention_heads}; set it to a multiple of {unit}, for example {fitting}"
            )
        return self


class Phase(Strict):
    """One phase of supervised training on worked solutions."""

    steps: Count
    """optimizer steps"""
    learning_rate: float = Field(gt=0)
    """peak learning rate"""
    warmup_steps: CountOrNone
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

    @model_validator(mode="after")
    def _warms_up_within_the_phase(self) -> Self:
        check_warmup("phase", self.warmup_steps, self.steps)
        return self


class Base(Strict):
    """Supervised training of the base model."""

    seed: Seed
    """initialisation and data order"""
    further_seeds: Annotated[list[Seed], NOT_MANY, EACH_ONCE] = []
    """of overlays: further base models; RL seed k starts from number k modulo their count, `seed` being number 0"""
    batch_rows: Count
    """solutions per step"""
    phases: Annotated[list[Phase], Field(min_length=1), NOT_MANY]
    """run one after the other, each with a fresh optimizer"""

    @property
    def seeds(self) -> list[int]:
        """Of all base models."""
        return [self.seed, *self.further_seeds]

    def seed_of(self, run_seed: int) -> int:
        """Of the base model that RL seed ``run_seed`` starts from."""
        return self.seeds[run_seed % len(self.seeds)]

    def alone(self, seed: int | None) -> Self:
        """The one base model of a seed; None: of the first."""
        return self.model_copy(update={"seed": self.seed if seed is None else seed, "further_seeds": []})

    @model_validator(mode="after")
    def _seeds_differ(self) -> Self:
        if self.seed in self.further_seeds:
            raise ValueError(f"base.further_seeds has base.seed {self.seed}; name other seeds")
        return self


class Training(Strict):
    """One RL run; P prompts x G rollouts a step, cut into optimizer mini-batches of whole groups."""

    steps: Count
    """outer steps"""
    prompts: Count
    """P, prompts per step"""
    rollouts: Count
    """G, rollouts per prompt"""
    mini_batch_prompts: Count
    """prompts per optimizer update; divides P"""
    micro_batch_rows: Count
    """rows back-propagated at once; any value gives the same gradient (real.exact)"""
    temperature: float = Field(ge=LOWEST_TEMPERATURE)
    """of sampling, log-probs and entropy"""
    max_response_tokens: Count
    """response limit T"""
    learning_rate: float = Field(gt=0)
    """AdamW, constant after warm-up"""
    warmup_steps: CountOrNone
    """linear from 0 in the first outer step"""
    weight_decay: float = Field(ge=0)
    """AdamW"""
    gradient_clip: float = Field(gt=0)
    """global norm"""
    checkpoint_every: Count
    """outer steps between saved states to resume from"""
    validation_every: Count
    """outer steps between validations; step 0 and the last step are always validated"""
    validation_samples: Count
    """samples per validation problem"""
    gradient_sample_steps: Annotated[list[int], NOT_MANY, EACH_ONCE]
    """outer steps whose rollouts go to gradient_samples.parquet"""

    @model_validator(mode="after")
    def _geometry_fits(self) -> Self:
        if self.prompts % self.mini_batch_prompts:
            raise ValueError(
                f"training.mini_batch_prompts {self.mini_batch_prompts} must divide training.prompts {self.prompts}; "
                f"choose one of {divisors(self.prompts)}"
            )
        if self.prompts * self.rollouts > LARGEST_COUNT:
            raise ValueError(
                f"training.prompts {self.prompts} times training.rollouts {self.rollouts} are more than "
                f"{LARGEST_COUNT:,} responses a step; lower one of them"
            )
        for step in self.gradient_sample_steps:
            if not 1 <= step <= self.steps:
                raise ValueError(
                    f"training.gradient_sample_steps has {step}, outside 1 to training.steps {self.steps}; name "
                    "steps of the run"
                )
        check_warmup("training", self.warmup_steps, self.steps)
        return self


def check_warmup(section: str, warmup: int, steps: int) -> None:
    """Raise ValueError where the learning rate would never reach its peak."""
    if warmup > steps:
        raise ValueError(
            f"{section}.warmup_steps {warmup} must be at most {section}.steps {steps}, or the learning rate is never "
            "reached; lower it, or raise the steps"
        )


def divisors(number: int) -> str:
    """The whole numbers that divide one, for a sentence."""
    return ", ".join(str(candidate) for candidate in range(1, min(number, 10_000) + 1) if number % candidate == 0)


class Evaluation(Strict):
    """Sampling and grading of the test problems from the last checkpoint."""

    benchmarks: Annotated[list[str], Field(min_length=1), EACH_ONCE]
    """columns of the table, in order: families of the task, or test sets of datasets/sources.yaml"""
    samples: Count
    """samples per problem"""
    temperature: float = Field(ge=LOWEST_TEMPERATURE)
    """of sampling"""
    top_p: float = Field(gt=0, le=1)
    """nucleus of sampling"""
    max_response_tokens: Count
    """response limit"""
    chunk_problems: Count
    """problems sampled at once, all samples of each; what is saved and resumed (batch shapes change rounding)"""
    seed: Seed
    """of sampling; each (problem, sample) has a seed of its own derived from it"""
    strict_format: bool
    """true: the released grader's rules, </think> required; false: a response without </think> is read whole"""
    keep_responses: bool
    """false: the column `response` is null"""

    @model_validator(mode="after")
    def _benchmarks_exist(self) -> Self:
        for benchmark in self.benchmarks:
            check_benchmark("evaluation.benchmarks", benchmark, BENCHMARKS)
        return self


def check_benchmark(key: str, name: str, families: Sequence[str] = ()) -> None:
    """Raise ValueError unless a benchmark is one of the families, of the paper's or of datasets/sources.yaml."""
    known = [*families, *MATH_BENCHMARKS]
    if name not in known:
        # the paper's sets need no file
        further = benchmark_sources() if SOURCES_FILE.exists() else {}
        if name not in further:
            raise ValueError(f"{key}: {unknown('benchmark', name, dict.fromkeys([*known, *further]))}")


# for a checkpoint that no scale describes; source: the released scripts/eval/run_eval.sh, which has no seed and
# samples 1,024 prompts at once: eight problems, 128 rows, are our choice
PAPER_EVALUATION = Evaluation(
    benchmarks=list(MATH_BENCHMARKS),
    samples=16,
    temperature=0.6,
    top_p=0.95,
    max_response_tokens=8192,
    chunk_problems=8,
    seed=0,
    strict_format=True,
    keep_responses=True,
)


class Datasets(Strict):
    """Where the verified data comes from; nothing here changes a result, so nothing reruns when it changes."""

    mirror: Line | None
    """folder that holds the files of datasets/sources.yaml, tried before the network (REAL_DATASETS_MIRROR wins)"""


class Figures(Strict):
    """How the curves are drawn; nothing here changes a number in a table."""

    smoothing_steps: Count
    """window, in steps, of the centred moving average drawn strong"""


class Reported(Strict):
    """Numbers of the paper, copied as data."""

    benchmarks: Annotated[list[Line], Field(min_length=1), EACH_ONCE]
    """CSVs of printed tables, the paper's first"""
    training_dynamics: Line
    """CSV of the digitised curves"""
    prompts: Count
    """prompts per step, of which solve_all counts"""
