"""The policy that samples: the one that learns, or that one as it was some outer steps before.

Where sampling and learning run at the same time (asynchronous RL), rollouts come from a policy that is behind. Here one
process does both in turn, so that k outer steps of delay are exactly k, and a run repeats to the byte.
"""

import copy
from collections import deque
from collections.abc import Iterable
from typing import Any

from transformers import PreTrainedModel


class SamplingPolicy:
    """The policy that samples outer step t: the weights after step t − 1 − k, the first ones before that many steps.

    With k = 0 it is the model that learns itself, and nothing is kept.
    """

    def __init__(self, model: PreTrainedModel, behind: PreTrainedModel, staleness: int):
        """Start with nothing kept.

        Args:
            model: the one that learns, before its first step.
            behind: where k > 0, another instance, so that the optimizer never meets weights that were swapped under it.
                Loaded as ``model`` was and left as it was loaded: torch rounds by where in memory weights begin, and by
                whether they require gradients, even where none are taken. Where k = 0, ``model``.
            staleness: k, in outer steps.
        """
        self.model, self.behind, self.staleness = model, behind, staleness
        # state dicts from before each of the last k steps, oldest first
        self.past: deque[dict[str, Any]] = deque()

    def advance(self) -> PreTrainedModel:
        """The policy that samples the step that is about to begin; called once per outer step, before its updates."""
        if self.staleness:
            # copied, tied weights once: the optimizer changes the model's own tensors in place
            self.past.append(copy.deepcopy(self.model.state_dict()))
            # the first weights stay in front until k steps are done
            self.behind.load_state_dict(self.past.popleft() if len(self.past) > self.staleness else self.past[0])
        return self.behind

    def saved(self) -> dict[str, list[dict[str, Any]]]:
        """What a saved state holds of it, by key: up to k state dicts; nothing where k is 0."""
        return {"past": list(self.past)} if self.staleness else {}

    def resume(self, past: Iterable[dict[str, Any]]) -> None:
        """Go on from the state dicts that :meth:`saved` gave."""
        self.past = deque(past)
