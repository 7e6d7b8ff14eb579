"""Facts that costs are estimated from (paper_configs/reported/costs.yaml), and the arithmetic that scales them.

A fact about time is a wall time at a known geometry: responses sampled (of a step P prompts times G rollouts), their
limit, so many GPUs. It becomes GPU-seconds per response and is scaled in proportion to expected tokens:

    GPU-seconds of a step = the fact's GPU-seconds per response * P*G * mean(limit) / mean(the fact's limit)

The mean response length is an assumption with a range. At another limit L lengths are taken as exponentially
distributed: the mean of min(length, L) is mu (1 - exp(-L/mu)), with mu fitted at the limit where the mean is known. No
step can end before its longest response, L / (tokens per second of one response). Everything is a range.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, TypeAdapter, model_validator

from real.config import Evaluation, VerlTraining, read_checked
from real.config.paper_scale import Model
from real.config.sections import Strict
from real.system.names import Line

COSTS_FILE = Path("paper_configs/reported/costs.yaml")
# a local folder is taken for the model whose parameter count lies this near
PARAMETERS_TOLERANCE = 0.1
Kind = Literal["estimated", "extrapolated", "measured"]


@dataclass(frozen=True)
class Amount:
    """An amount with its ends, ``low <= high``, and how it is known."""

    low: float
    high: float
    kind: Kind = "estimated"

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.low + other.low, self.high + other.high, self._kind_with(other))

    def __mul__(self, other: "Amount | float") -> "Amount":
        """Product of amounts that are not negative."""
        if isinstance(other, Amount):
            return Amount(self.low * other.low, self.high * other.high, self._kind_with(other))
        return Amount(self.low * other, self.high * other, self.kind)

    def at_least(self, other: "Amount") -> "Amount":
        """Each end no smaller than the other's."""
        return Amount(max(self.low, other.low), max(self.high, other.high), self._kind_with(other))

    def _kind_with(self, other: "Amount") -> Kind:
        return "measured" if self.kind == other.kind == "measured" else "estimated"


def total(amounts: Iterable[Amount | None]) -> Amount | None:
    """Sum of the known ones; None where none is known."""
    known = [amount for amount in amounts if amount]
    return sum(known, Amount(0, 0, "measured")) if known else None


class Fact(Strict):
    """An amount, low to high, and where it comes from."""

    low: float = Field(gt=0)
    """the least that was seen or is assumed"""
    high: float = Field(gt=0)
    """the most"""
    source: Line
    """who saw it; what nobody measured says "assumption" """

    @model_validator(mode="after")
    def _ends_are_in_order(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low is {self.low}, above high {self.high}; write the less as low")
        return self

    @property
    def amount(self) -> Amount:
        """Its range."""
        return Amount(self.low, self.high)


class LengthFact(Fact):
    """Mean tokens of a response."""

    max_response_tokens: int = Field(ge=1)
    """limit under which it is the mean"""

    @model_validator(mode="after")
    def _mean_lies_below_the_limit(self) -> Self:
        if self.high >= self.max_response_tokens:
            raise ValueError(
                f"high is {self.high}, but a mean lies below max_response_tokens {self.max_response_tokens}; lower it"
            )
        return self


class TimeFact(Fact):
    """Wall seconds of one outer step, or of sampling alone."""

    hardware: Line
    """for the reader"""
    gpus: int = Field(ge=1)
    """of all nodes"""
    responses: int = Field(ge=1)
    """sampled; of a step, prompts times rollouts"""
    max_response_tokens: int = Field(ge=1)
    """their limit"""
    kernels: Line | None = None
    """of a step: attention and head of the trainer"""

    @property
    def each(self) -> Amount:
        """GPU-seconds per response."""
        return self.amount * (self.gpus / self.responses)


class ModelFacts(Strict):
    """What is known of one model."""

    parameters: int = Field(ge=1)
    """weights"""
    layers: int = Field(ge=1)
    """of attention"""
    attention_width: int = Field(ge=1)
    """heads times the width of each"""
    steps: list[TimeFact] = Field(min_length=1)
    """of one outer step each; the range of estimates spans them"""
    evaluation: TimeFact
    """of sampling without training"""
    one_response: Fact
    """tokens per second of one response in a full batch"""
    response_tokens: LengthFact | None = None
    """mean tokens of a response, where they are not those of all models"""


class StatedFacts(Strict):
    """Wall seconds of whole jobs of one scale, on one core."""

    rollouts: int = Field(ge=1)
    """of the run"""
    base: Fact
    """training the base model"""
    train: Fact
    """one run"""
    evaluate: Fact
    """one evaluation"""


class KernelFacts(Strict):
    """What slow kernels take more than fast ones: dense masks over a pack, a loop over the head's tokens."""

    hardware: Line
    """for the reader"""
    pack_tokens: int = Field(ge=1)
    """of the pack that the mask was measured over"""
    pack_width: int = Field(ge=1)
    """its heads times the width of each"""
    mask_forward: Fact
    """seconds of one layer, without gradients"""
    mask_both: Fact
    """seconds of one layer, forward and backward"""
    loop_forward: Fact
    """seconds of one token, without gradients"""
    loop_both: Fact
    """seconds of one token, forward and backward"""


class Costs(Strict):
    """The content of costs.yaml."""

    response_tokens: LengthFact
    """mean tokens of a response"""
    dynamic_sampling: Fact
    """rollouts sampled per rollout trained on; 1: none is replaced"""
    update_share: Fact
    """of a step's wall time, without REAL's pass without gradients"""
    response_bytes: Fact
    """of a stored response, per token"""
    state_bytes: Fact
    """of a state to resume from, per parameter"""
    model_bytes: Fact
    """of a Hugging Face checkpoint, per parameter"""
    kernels: KernelFacts
    """beyond what facts about steps hold"""
    models: dict[str, ModelFacts]
    """by the last part of model.name"""
    stated: dict[str, StatedFacts]
    """by scale"""


def load_costs(path: Path = COSTS_FILE) -> Costs:
    """Read and check the facts.

    Raises:
        ConfigError: one sentence per problem, naming file and key.
    """
    return read_checked(path, TypeAdapter(Costs))


def facts_of(model: Model, costs: Costs) -> ModelFacts | None:
    """Facts about a model, by its name or, for a folder, by its number of parameters; None: there are none."""
    if facts := costs.models.get(Path(model.name).name):
        return facts
    stored = stored_parameters(Path(model.name)) or 0
    near = (facts for facts in costs.models.values() if abs(stored / facts.parameters - 1) < PARAMETERS_TOLERANCE)
    return next(near, None)


def lengths_of(facts: ModelFacts | None, costs: Costs) -> LengthFact:
    """What is known of the length of a model's responses."""
    return (facts and facts.response_tokens) or costs.response_tokens


def stored_parameters(folder: Path) -> int | None:
    """Weights that the safetensors files of a folder hold, by their headers; None: no such file, or a damaged one."""
    from safetensors import SafetensorError, safe_open

    count = 0
    try:
        for path in folder.glob("*.safetensors"):
            with safe_open(path, framework="numpy") as file:
                count += sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    except (OSError, SafetensorError):
        return None
    return count or None


def mean_tokens(limit: int, known: LengthFact) -> Amount:
    """Expected mean response length, in tokens, under a response limit."""
    low, high = (_mean_under(limit, mean, known.max_response_tokens) for mean in (known.low, known.high))
    return Amount(low, high)


def rollouts_per_step(training: VerlTraining, costs: Costs) -> Amount:
    """Responses that one outer step samples."""
    rollouts = Amount(1, 1) * (training.prompts * training.rollouts)
    return rollouts * costs.dynamic_sampling.amount if training.dynamic_sampling else rollouts


def step_seconds(training: VerlTraining, gpus: int, facts: ModelFacts, costs: Costs) -> Amount:
    """Wall seconds of one outer step on ``gpus`` GPUs."""
    limit, rollouts = training.max_response_tokens, rollouts_per_step(training, costs)
    scaled = [
        rollouts * _length_ratio(limit, fact.max_response_tokens, lengths_of(facts, costs)) * fact.each * (1 / gpus)
        for fact in facts.steps
    ]
    spanned = Amount(min(part.low for part in scaled), max(part.high for part in scaled))
    return spanned.at_least(longest_response_seconds(limit, facts))


def exact_pass_share(training: VerlTraining, gradient_checkpointing: bool, costs: Costs) -> Amount:
    """What REAL's pass without gradients adds to a step, as a share of the step without it.

    Every mini-batch but the first of a step needs it. An update is one forward pass and a backward pass of twice its
    FLOPs, with gradient checkpointing another forward pass besides: the pass is a third or a quarter of the update.
    Where every mini-batch fits one micro-batch there is none; this counts it.
    """
    updates = training.prompts // training.mini_batch_prompts
    of_an_update = 1 / 4 if gradient_checkpointing else 1 / 3
    return costs.update_share.amount * ((updates - 1) / updates * of_an_update)


def sampling_seconds(responses: float, limit: int, batches: int, gpus: int, facts: ModelFacts, costs: Costs) -> Amount:
    """Wall seconds of sampling ``responses`` in ``batches``, one after the other, without training.

    Low: throughput alone, or every batch's longest response if that takes longer. High: slower by as much as the
    slowest step fact is slower than the fastest, and every batch waits for its longest response besides.
    """
    fact = facts.evaluation
    slower = max(step.each.high for step in facts.steps) / min(step.each.low for step in facts.steps)
    each = Amount(1, slower) * fact.each * (1 / gpus)
    throughput = each * _length_ratio(limit, fact.max_response_tokens, lengths_of(facts, costs)) * responses
    waiting = longest_response_seconds(limit, facts) * batches
    return Amount(max(throughput.low, waiting.low), throughput.high + waiting.high)


def evaluation_batches(problems: list[int], evaluation: Evaluation) -> int:
    """Chunks that an evaluation samples one after the other, from the number of problems of each benchmark."""
    return sum(math.ceil(count / evaluation.chunk_problems) for count in problems)


def longest_response_seconds(limit: int, facts: ModelFacts) -> Amount:
    """Wall seconds until a response at the limit is sampled."""
    return Amount(limit / facts.one_response.high, limit / facts.one_response.low)


def _length_ratio(limit: int, known_limit: int, lengths: LengthFact) -> Amount:
    """Expected tokens at one limit over those at another; its ends come from the same mean length."""
    at, known = mean_tokens(limit, lengths), mean_tokens(known_limit, lengths)
    ratios = at.low / known.low, at.high / known.high
    return Amount(min(ratios), max(ratios))


def _mean_under(limit: int, mean: float, known_limit: int) -> float:
    """Mean of min(length, limit) where lengths are exponential and the mean of min(length, known_limit) is ``mean``.

    With x = known_limit/mu and r = mean/known_limit, r x = 1 - exp(-x), which Lambert's W solves.
    """
    # imported here: it takes half a second, and whoever only counts needs none of it
    from scipy.special import lambertw

    r = mean / known_limit
    x = 1 / r + lambertw(-math.exp(-1 / r) / r).real
    return known_limit / x * -math.expm1(-x * limit / known_limit)
