"""Methods crossed with learning rates and staleness, and the hypotheses that such runs are to judge."""

from collections.abc import Sequence
from itertools import product
from typing import Annotated, Self

from pydantic import Field, model_validator

from real.config.sections import Strict, Training, Variant
from real.system.names import EACH_ONCE, Line, Name

Rate = Annotated[float, Field(gt=0)]
Steps = Annotated[int, Field(ge=0)]


class TorchTraining(Training):
    """One RL run of the torch engine: what every engine takes, and rollouts that lag behind."""

    staleness: Steps
    """outer steps by which the policy that samples is behind the one that learns; 0: on-policy, as in the paper"""


class Cross(Strict):
    """Some methods, each with every learning rate and staleness given."""

    methods: Annotated[list[Name], Field(min_length=1), EACH_ONCE]
    """methods of methods.yaml or of `variants`"""
    learning_rate: Annotated[list[Rate], Field(min_length=1), EACH_ONCE]
    """values of training.learning_rate"""
    staleness: Annotated[list[Steps], Field(min_length=1), EACH_ONCE] | None = None
    """values of training.staleness; none: the scale's"""


class Crossed(Strict):
    """What one method of a grid is made of."""

    method: Name
    """the method that was crossed"""
    learning_rate: float
    """its learning rate"""
    staleness: int | None
    """its staleness; none: the scale's"""

    @property
    def name(self) -> str:
        """``constant_ratio_lr3.0e-4_k8``, as tables and folders name it."""
        digits, exponent = f"{self.learning_rate:.1e}".split("e")
        rate = f"{self.method}_lr{digits}e{int(exponent)}"
        return rate if self.staleness is None else f"{rate}_k{self.staleness}"


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


def crossed(grid: list[Cross]) -> dict[str, Crossed]:
    """All methods of a grid by name.

    Raises:
        ValueError: two of the same name.
    """
    found: dict[str, Crossed] = {}
    for cross in grid:
        lags: Sequence[int | None] = cross.staleness or [None]
        for staleness, rate, method in product(lags, cross.learning_rate, cross.methods):
            one = Crossed(method=method, learning_rate=rate, staleness=staleness)
            if one.name in found:
                raise ValueError(
                    f"grid has {one.name} twice (rates are told apart by two digits); leave out one of them"
                )
            found[one.name] = one
    return found


def crossed_variant(one: Crossed, variants: dict[str, Variant]) -> Variant:
    """The method of a grid as a variant of what it was crossed from."""
    parent = variants.get(one.method, Variant(method=one.method))
    changes: dict[str, bool | float | int] = {"learning_rate": one.learning_rate}
    if one.staleness is not None:
        changes["staleness"] = one.staleness
    return parent.model_copy(update={"training": {**parent.training, **changes}})
