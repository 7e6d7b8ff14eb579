"""What an evaluation asks of a sampler, so that one library can take another's place."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from real.tasks.problems import Problem


@dataclass(frozen=True)
class Response:
    """One sampled answer.

    Attributes:
        text: without padding and end tokens, but with every other special token, such as ``</think>``.
        tokens: sampled tokens, the end token included.
        truncated: the limit was reached without an end token.
    """

    text: str
    tokens: int
    truncated: bool


class Sampler(Protocol):
    """A model with the settings it is sampled by.

    Attributes:
        name: of the model, as it was asked for.
        identity: everything besides problem, settings and this repository's code that a response depends on
            (checkpoint, library, versions), as JSON can hold it: responses of another identity are never mixed in.
    """

    name: str
    identity: dict[str, Any]

    def check(self, problems: Sequence[Problem]) -> None:
        """Raise ConfigError or CheckpointError, before any sampling, if one of the problems can't be asked."""
        ...

    def sample(self, problems: Sequence[Problem], samples: int) -> list[Response]:
        """``samples`` responses to each problem, side by side in the problems' order.

        Response k to a problem is drawn by :func:`sample_seed`, so it doesn't depend on the problems beside it but for
        rounding, which may depend on the batch.
        """
        ...


def sample_seed(seed: int, problem_id: str, sample: int) -> int:
    """Seed (63 bits) of one sample of one problem."""
    return random.Random(f"evaluate {seed} {problem_id} {sample}").getrandbits(63)
