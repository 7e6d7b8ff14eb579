"""The measures that a claim can name: small functions from an experiment to a value with its interval.

Each function's keyword parameters are what a claim in paper_configs/claims.yaml gives; their types are checked when the
file is read. Measures of results need finished runs; measures of weights need the objectives alone.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, Field, create_model

from real.config import UNTRAINED, Experiment
from real.config.schema import Strict
from real.evidence.printed import MEAN
from real.evidence.results import curve, problem_rates
from real.records.jobs import BASE
from real.statistics.intervals import CONFIDENCE, Interval, paired_difference, seed_mean

if TYPE_CHECKING:
    from real.objectives import Objective

Metric = Literal["entropy", "val_pass_at_1", "reward_mean", "solve_all"]
Label = Literal["positive", "negative"]
# from and to, as fractions of a run's last step
Window = Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(min_length=2, max_length=2)]
# measures of pass@1, whose runs are checkpoints
BENCHMARKS = ("benchmark_difference", "smallest_difference")
MONOTONE_RANGE = np.linspace(-2.5, 2.5, 401)  # the axis of the paper's figure


class NotMeasuredError(Exception):
    """The experiment has no data for a measure; the message says what is missing."""


@dataclass(frozen=True)
class Measure:
    """A registered measure.

    Attributes:
        parameters: model of the keyword parameters, unknown ones refused.
        mathematical: needs no results.
    """

    function: Callable[..., Interval]
    parameters: type[BaseModel]
    mathematical: bool


MEASURES: dict[str, Measure] = {}


def register(mathematical: bool = False) -> Callable[[Callable[..., Interval]], Callable[..., Interval]]:
    """Decorator: make a function of (experiment, **parameters) a measure of its name.

    A measure of results takes the confidence of its interval besides, which no claim gives.
    """

    def add(function: Callable[..., Interval]) -> Callable[..., Interval]:
        _, *arguments = inspect.signature(function).parameters.values()
        fields: dict[str, Any] = {
            argument.name: (argument.annotation, ... if argument.default is argument.empty else argument.default)
            for argument in arguments
            if argument.name != "confidence"
        }
        model = create_model(function.__name__, __base__=Strict, **fields)
        MEASURES[function.__name__] = Measure(function, model, mathematical)
        return function

    return add


def methods_of(parameters: Mapping[str, Any]) -> list[str]:
    """The trained methods that a claim's parameters name."""
    named = [parameters.get("method"), parameters.get("baseline"), *parameters.get("baselines", [])]
    return [name for name in named if name not in (None, BASE)]


@register()
def benchmark_difference(
    experiment: Experiment, method: str, baseline: str, benchmark: str = MEAN, confidence: float = CONFIDENCE
) -> Interval:
    """pass@1 of a method minus a baseline's on one benchmark or on their mean, paired by problem and seed."""
    a, b = _rates(experiment, method, baseline)
    if benchmark == MEAN:
        return paired_difference(list(a.values()), list(b.values()), confidence)
    if benchmark not in a:
        raise NotMeasuredError(f"{benchmark} is no benchmark of this scale")
    return paired_difference([a[benchmark]], [b[benchmark]], confidence)


@register()
def smallest_difference(
    experiment: Experiment, method: str, baselines: list[str], confidence: float = CONFIDENCE
) -> Interval:
    """The smallest of a method's differences to any baseline on any benchmark.

    Its lower end is the smallest of theirs at 95 %: above 0 only if each difference is, which needs no correction for
    their number (an intersection–union test). Its upper end is the smallest of theirs at 1 − 0.05/their number: below 0
    only if, among all of them, one lies below 0 (Holm's first step).
    """
    a, *others = _rates(experiment, method, *baselines)
    pairs = [([a[benchmark]], [b[benchmark]]) for b in others for benchmark in a]
    each = [paired_difference(*pair, confidence) for pair in pairs]
    among_all = [paired_difference(*pair, 1 - (1 - confidence) / len(pairs)) for pair in pairs]
    return Interval(
        value=min(interval.value for interval in each),
        low=min(interval.low for interval in each),
        high=min(interval.high for interval in among_all),
        covers=each[0].covers,
    )


@register()
def curve_ratio(
    experiment: Experiment, method: str, metric: Metric, start: Window, end: Window, confidence: float = CONFIDENCE
) -> Interval:
    """A curve's mean over the window ``end`` divided by that over ``start``, geometric mean over seeds."""
    curves = _curve(experiment, method, metric)
    ratio_S = window_mean(curves, end) / window_mean(curves, start)
    if not (ratio_S > 0).all():
        raise NotMeasuredError(f"{metric} of {method} is 0 somewhere, so it has no ratio")
    return seed_mean(ratio_S, positive=True, confidence=confidence)


@register()
def curve_change(
    experiment: Experiment, method: str, metric: Metric, start: Window, end: Window, confidence: float = CONFIDENCE
) -> Interval:
    """A curve's mean over the window ``end`` minus that over ``start``, mean over seeds."""
    curves = _curve(experiment, method, metric)
    return seed_mean(window_mean(curves, end) - window_mean(curves, start), confidence=confidence)


@register()
def curve_difference(
    experiment: Experiment, method: str, baseline: str, metric: Metric, window: Window, confidence: float = CONFIDENCE
) -> Interval:
    """A method's curve minus a baseline's, both averaged over a window, paired by seed."""
    a, b = (window_mean(_curve(experiment, name, metric), window) for name in (method, baseline))
    return seed_mean(a - b, confidence=confidence)


@register(mathematical=True)
def weight_supremum(experiment: Experiment, method: str) -> Interval:
    """The largest weight any response can have, in units of 1/τ, by a search over scores and group compositions."""
    # imported here, as below: it brings torch, which nobody needs who only reads the claims
    from real.weights import largest_weight

    value = largest_weight(_objective(experiment, method))
    return Interval(value, value, value, "all two-sided groups of 8, scores within ±16 τ")


@register(mathematical=True)
def weight_at(experiment: Experiment, method: str, label: Label, score: float) -> Interval:
    """The weight of one response at a score, the seven others of its group at 0."""
    return _exact(_weight(experiment, method, label, score))


@register(mathematical=True)
def weight_ratio(experiment: Experiment, method: str, label: Label, score: float, reference: float) -> Interval:
    """The weight at a score divided by that at a reference score."""
    return _exact(_weight(experiment, method, label, score) / _weight(experiment, method, label, reference))


@register(mathematical=True)
def weight_growth(experiment: Experiment, method: str, label: Label, start: float, end: float) -> Interval:
    """Growth of the weight's logarithm per nat of score between two scores: 1 for e^s, 0 for a bounded weight."""
    low, high = (_weight(experiment, method, label, score) for score in (start, end))
    return _exact(float(np.log(high / low)) / (end - start))


@register(mathematical=True)
def weight_slope(experiment: Experiment, method: str, label: Label) -> Interval:
    """Slope of the weight against the score: its mean and its extremes over the axis of the paper's figure."""
    weight = _weights(experiment, method, label, MONOTONE_RANGE)
    slope = np.diff(weight) / np.diff(MONOTONE_RANGE)
    return Interval(float(slope.mean()), float(slope.min()), float(slope.max()), "scores from -2.5 to 2.5")


def window_mean(curves: pd.DataFrame, window: list[float]) -> NDArray[np.float64]:
    """(S,) mean of each run's curve over the steps in a window.

    Args:
        curves: rows are steps, columns runs; window: from and to, as fractions of the last step.

    Raises:
        NotMeasuredError: a run has no value there.
    """
    last = curves.index.max()
    part = curves.loc[(curves.index >= window[0] * last) & (curves.index <= window[1] * last)]
    mean_S = part.mean().to_numpy(float)
    if np.isnan(mean_S).any():
        raise NotMeasuredError(f"nothing was measured between {window[0]:.0%} and {window[1]:.0%} of the steps")
    return mean_S


def _rates(experiment: Experiment, *methods: str) -> list[dict[str, NDArray[np.float64]]]:
    """(S, P) by benchmark of each method, on the same problems."""
    rates = problem_rates(experiment, [_trained(experiment, name) for name in methods])
    return [rates[name] for name in methods]


def _curve(experiment: Experiment, method: str, metric: str) -> pd.DataFrame:
    curves = curve(experiment, _trained(experiment, method), metric)
    if curves.empty:
        raise NotMeasuredError(f"{metric} of {method} was never measured")
    return curves


def _trained(experiment: Experiment, method: str) -> str:
    learns_nothing = [UNTRAINED] if UNTRAINED in experiment.training else []
    if method not in (BASE, *experiment.methods, *learns_nothing):
        raise NotMeasuredError(f"{method} is no method of this scale")
    return method


def _objective(experiment: Experiment, method: str) -> "Objective":
    from real.counterfactual import make_any_objective

    settings = experiment.methods[_trained(experiment, method)]
    return make_any_objective(settings.objective, **settings.hyperparameters)


def _weights(experiment: Experiment, method: str, label: str, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    from real.weights import weight_curve

    return weight_curve(_objective(experiment, method), scores, label == "positive")


def _weight(experiment: Experiment, method: str, label: str, score: float) -> float:
    return float(_weights(experiment, method, label, np.array([score]))[0])


def _exact(value: float) -> Interval:
    return Interval(value, value, value, "exact")
