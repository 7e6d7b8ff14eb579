"""Facts that costs are estimated from (paper_configs/reported/costs.yaml), and the arithmetic that scales them.

A fact is a wall time at a known geometry: P prompts, G rollouts, a response limit, so many GPUs. It becomes GPU-seconds
per rollout and is scaled in proportion to expected tokens:

    GPU-seconds of a step = GPU-seconds of the fact * (P*G / the fact's P*G) * mean(limit) / mean(the fact's limit)

The mean response length is an assumption with a range. At another limit L lengths are taken as exponentially
distributed: the mean of min(length, L) is mu (1 - exp(-L/mu)), with mu fitted at the limit where the mean is known. No
step can end before its longest response, L / (tokens per second of one response). Everything is a range.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import Field, TypeAdapter, model_validator

from real.config import Evaluation, VerlTraining, read_checked
from real.config.paper_scale import Model
from real.config.sections import Strict
from real.system.errors import ExpectedError

COSTS_FILE = Path("paper_configs/reported/costs.yaml")
# a local folder is taken for the model whose parameter count lies this near
PARAMETERS_TOLERANCE = 0.1
BYTES_PER_STORED_PARAMETER = 2


class CostError(ExpectedError):
    """Costs that can't be estimated; the message says what is missing."""


@dataclass(frozen=True)
class Range:
    """An amount with its ends, ``low <= high``."""

    low: float
    high: float

    def __add__(self, other: "Range") -> "Range":
        return Range(self.low + other.low, self.high + other.high)

    def __mul__(self, other: "Range | float") -> "Range":
        """Product of amounts that are not negative."""
        low, high = (other.low, other.high) if isinstance(other, Range) else (other, other)
        return Range(self.low * low, self.high * high)

    def at_least(self, other: "Range") -> "Range":
        """Each end no smaller than the other's."""
        return Range(max(self.low, other.low), max(self.high, other.high))


class Ends(Strict):
    """A section with a source."""

    source: str
    """where it comes from"""


def _range(ends: list[float]) -> Range:
    return Range(*ends)


class ResponseTokens(Ends):
    """Mean response length at one limit."""

    max_response_tokens: int
    """the limit"""
    mean: list[float] = Field(min_length=2, max_length=2)
    """tokens"""

    @model_validator(mode="after")
    def _mean_lies_below_the_limit(self) -> Self:
        if not 0 < self.mean[0] <= self.mean[1] < self.max_response_tokens:
            raise ValueError("response_tokens.mean must be two rising numbers below max_response_tokens")
        return self


class DynamicSampling(Ends):
    """Rollouts sampled per rollout trained on."""

    factor: list[float] = Field(min_length=2, max_length=2)
    """1: none is replaced"""


class Updates(Ends):
    """The updates of a step, without REAL's pass without gradients."""

    share: list[float] = Field(min_length=2, max_length=2)
    """of a step's wall time"""


class ResponseBytes(Ends):
    """What a stored response takes."""

    per_token: list[float] = Field(min_length=2, max_length=2)
    """bytes"""


class CheckpointBytes(Ends):
    """What weights take."""

    per_parameter: float
    """of a state to resume from"""
    merged: list[float] = Field(min_length=2, max_length=2)
    """of a Hugging Face checkpoint, per parameter"""


class StepFact(Ends):
    """Wall time of one outer step somewhere else."""

    hardware: str
    """for the reader"""
    gpus: int = Field(ge=1)
    """of all nodes"""
    seconds: float = Field(gt=0)
    """wall"""
    prompts: int = Field(ge=1)
    """P"""
    rollouts: int = Field(ge=1)
    """G"""
    max_response_tokens: int = Field(ge=1)
    """limit"""


class EvaluationFact(Ends):
    """Wall time of sampling many responses."""

    hardware: str
    """for the reader"""
    gpus: int = Field(ge=1)
    """of all nodes"""
    seconds: float = Field(gt=0)
    """wall"""
    responses: int = Field(ge=1)
    """sampled"""
    max_response_tokens: int = Field(ge=1)
    """limit"""


class OneResponse(Ends):
    """Speed of one response in a full batch."""

    tokens_per_second: list[float] = Field(min_length=2, max_length=2)
    """slow and fast"""


class ModelCosts(Strict):
    """Facts about one model."""

    parameters: int = Field(ge=1)
    """weights"""
    steps: list[StepFact] = Field(min_length=1)
    """the range of estimates spans them"""
    evaluation: EvaluationFact
    one_response: OneResponse


class Stated(Ends):
    """Wall seconds of whole jobs that we measured on one core."""

    base: list[float] = Field(min_length=2, max_length=2)
    """base model"""
    train: list[float] = Field(min_length=2, max_length=2)
    """one run"""
    rollouts: int = Field(ge=1)
    """rollouts of that run"""
    evaluate: list[float] = Field(min_length=2, max_length=2)
    """one evaluation"""


class Costs(Strict):
    """The content of costs.yaml."""

    response_tokens: ResponseTokens
    dynamic_sampling: DynamicSampling
    updates: Updates
    response_bytes: ResponseBytes
    checkpoint_bytes: CheckpointBytes
    models: dict[str, ModelCosts]
    stated: dict[str, Stated]


def load_costs(path: Path = COSTS_FILE) -> Costs:
    """Read and check the facts.

    Raises:
        ConfigError: one sentence per problem, naming file and key.
    """
    return read_checked(path, TypeAdapter(Costs))


def facts_of(model: Model, costs: Costs) -> ModelCosts:
    """Facts about a model, by its hub name or, for a folder, by its number of parameters.

    Raises:
        CostError: no facts about such a model.
    """
    if (name := Path(model.name).name) in costs.models:
        return costs.models[name]
    stored = sum(path.stat().st_size for path in Path(model.name).glob("*.safetensors"))
    for facts in costs.models.values():
        if abs(stored / BYTES_PER_STORED_PARAMETER / facts.parameters - 1) < PARAMETERS_TOLERANCE:
            return facts
    raise CostError(
        f"{COSTS_FILE}: has no facts about model.name {model.name}, only about {', '.join(costs.models)}; add what a "
        "step of it costs, with the source"
    )


def mean_tokens(limit: int, known: ResponseTokens) -> Range:
    """Expected mean response length, in tokens, under a response limit."""
    return Range(*(_mean_under(limit, mean, known.max_response_tokens) for mean in known.mean))


def rollouts_per_step(training: VerlTraining, costs: Costs) -> Range:
    """Responses that one outer step samples."""
    rollouts = Range(1, 1) * (training.prompts * training.rollouts)
    return rollouts * _range(costs.dynamic_sampling.factor) if training.dynamic_sampling else rollouts


def step_seconds(training: VerlTraining, gpus: int, facts: ModelCosts, costs: Costs) -> Range:
    """Wall seconds of one outer step on ``gpus`` GPUs."""
    rollouts = rollouts_per_step(training, costs)
    limit = training.max_response_tokens
    scaled = [
        rollouts * _length_ratio(limit, fact.max_response_tokens, costs) * (fact.seconds * fact.gpus / gpus / rows)
        for fact in facts.steps
        if (rows := fact.prompts * fact.rollouts)
    ]
    spanned = Range(min(part.low for part in scaled), max(part.high for part in scaled))
    return spanned.at_least(longest_response_seconds(limit, facts))


def exact_pass_share(training: VerlTraining, gradient_checkpointing: bool, costs: Costs) -> Range:
    """What REAL's pass without gradients adds to a step, as a share of the step without it.

    Every mini-batch but the first of a step needs it. An update is one forward pass and a backward pass of twice its
    FLOPs, with gradient checkpointing another forward pass besides: the pass is a third or a quarter of the update.
    Where every mini-batch fits one micro-batch there is none; this counts it.
    """
    updates = training.prompts // training.mini_batch_prompts
    of_an_update = 1 / 4 if gradient_checkpointing else 1 / 3
    return _range(costs.updates.share) * ((updates - 1) / updates * of_an_update)


def sampling_seconds(responses: float, limit: int, batches: int, gpus: int, facts: ModelCosts, costs: Costs) -> Range:
    """Wall seconds of sampling ``responses`` in ``batches``, one after the other, without training.

    Low: throughput alone, or every batch's longest response if that takes longer. High: slower by as much as the
    slowest step fact is slower than the fastest, and every batch waits for its longest response besides.
    """
    fact = facts.evaluation
    rates = [step.seconds * step.gpus / (step.prompts * step.rollouts) for step in facts.steps]
    each = Range(1, max(rates) / min(rates)) * (fact.seconds * fact.gpus / gpus / fact.responses)
    throughput = each * _length_ratio(limit, fact.max_response_tokens, costs) * responses
    waiting = longest_response_seconds(limit, facts) * batches
    return Range(max(throughput.low, waiting.low), throughput.high + waiting.high)


def evaluation_batches(problems: list[int], evaluation: Evaluation) -> int:
    """Chunks that an evaluation samples one after the other, from the number of problems of each benchmark."""
    return sum(math.ceil(count / evaluation.chunk_problems) for count in problems)


def longest_response_seconds(limit: int, facts: ModelCosts) -> Range:
    """Wall seconds until a response at the limit is sampled."""
    slow, fast = facts.one_response.tokens_per_second
    return Range(limit / fast, limit / slow)


def _length_ratio(limit: int, known_limit: int, costs: Costs) -> Range:
    """Expected tokens at one limit over those at another; its ends come from the same mean length."""
    at, known = mean_tokens(limit, costs.response_tokens), mean_tokens(known_limit, costs.response_tokens)
    ratios = at.low / known.low, at.high / known.high
    return Range(min(ratios), max(ratios))


def _mean_under(limit: int, mean: float, known_limit: int) -> float:
    def truncated(scale: float, at: int) -> float:
        return -scale * math.expm1(-at / scale)

    # the truncated mean rises with the scale from 0 to the limit
    # imported here: it takes half a second, and whoever only counts needs none of it
    from scipy.optimize import brentq

    scale = brentq(lambda scale: truncated(scale, known_limit) - mean, mean / 2, known_limit * 1e6)
    return truncated(scale, limit)
