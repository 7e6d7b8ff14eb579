"""Methods crossed with learning rates and staleness, and the hypotheses that such runs are to judge."""

from collections.abc import Sequence
from itertools import product
from typing import Annotated, Self

from pydantic import Field, model_validator

from real.config.labels import with_changes
from real.config.sections import Strict, Training, Variant
from real.system.names import EACH_ONCE, NOT_MANY, CountOrNone, Line, Name

Rate = Annotated[float, Field(gt=0)]


class TorchTraining(Training):
    """One RL run of the torch engine: what every engine takes, and rollouts that lag behind."""

    staleness: CountOrNone
    """outer steps by which the policy that samples is behind the one that learns; 0: on-policy, as in the paper"""


class Cross(Strict):
    """Some methods, each with every learning rate and staleness given."""

    methods: Annotated[list[Name], Field(min_length=1), EACH_ONCE]
    """methods of methods.yaml or of `variants`"""
    learning_rate: Annotated[list[Rate], Field(min_length=1), NOT_MANY, EACH_ONCE]
    """values of training.learning_rate"""
    staleness: Annotated[list[CountOrNone], Field(min_length=1), NOT_MANY, EACH_ONCE] | None = None
    """values of training.staleness; none: the scale's"""


class Hypothesis(Strict):
    """One comparison, written down before the runs."""

    statement: Line
    """what the paper says, in words"""
    better: Name
    """method of the grid that the paper predicts to score higher"""
    worse: Name
    """method of the grid that it is compared with"""
    smallest_difference: float = Field(ge=0, lt=1)
    """of pass@1, the smallest one of interest: at most as much refutes the hypothesis as a loss does"""

    @model_validator(mode="after")
    def _compares_two(self) -> Self:
        if self.better == self.worse:
            raise ValueError(f"better and worse are both {self.better!r}; name two methods of the grid")
        return self


class Mechanism(Strict):
    """What the runs of a grid are to show."""

    hypotheses: Annotated[dict[Name, Hypothesis], Field(min_length=1)]
    """comparisons by name, in the order of the table"""


def crossed(grid: list[Cross], variants: dict[str, Variant]) -> dict[str, tuple[str, Variant]]:
    """All methods of a grid by name: what each was crossed from, which may be a variant, and the variant that it is.

    Raises:
        ValueError: two of the same name.
    """
    found: dict[str, tuple[str, Variant]] = {}
    for cross in grid:
        lags: Sequence[int | None] = cross.staleness or [None]
        for staleness, rate, method in product(lags, cross.learning_rate, cross.methods):
            name = _name(method, rate, staleness)
            if name in found:
                raise ValueError(f"grid has {name} twice (rates are told apart by two digits); leave out one of them")
            changes: dict[str, bool | float | int] = {"learning_rate": rate}
            if staleness is not None:
                changes["staleness"] = staleness
            parent = variants.get(method, Variant(method=method))
            # of a parent without a label all changed keys stand together, in the label of the method that it changes
            label = parent.label and with_changes(parent.label, changes)
            update = {"training": {**parent.training, **changes}, "label": label}
            found[name] = method, parent.model_copy(update=update)
    return found


def _name(method: str, learning_rate: float, staleness: int | None) -> str:
    """``constant_ratio_lr3.0e-4_k8``, as tables and folders name it."""
    digits, exponent = f"{learning_rate:.1e}".split("e")
    rate = f"{method}_lr{digits}e{int(exponent)}"
    return rate if staleness is None else f"{rate}_k{staleness}"
