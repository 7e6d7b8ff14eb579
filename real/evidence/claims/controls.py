"""What tells an analogue's row from nothing: a run that learns nothing, other methods, and a positive control.

A row that a run with learning rate 0 would pass, or another method in the place of the row's subject, says nothing of
the subject. One whose effect has not been seen where it is known to be there says nothing by missing it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from real.config import UNTRAINED, Experiment
from real.evidence.claims.measures import BENCHMARKS, MEASURES, NotMeasuredError, methods_of
from real.evidence.claims.schema import Claim
from real.evidence.claims.verdicts import CANT_DISCRIMINATE, NO_CONTROL, PASSES, word_of
from real.records.jobs import BASE


@dataclass(frozen=True)
class Controls:
    """The three columns of an analogue.

    Attributes:
        untrained: whether the row passes with the run that learns nothing as its subject; None: there is no such run.
        others: methods that pass in the subject's place; tried: how many were tried.
        control: whether the positive control was seen; None: there is none yet.
    """

    untrained: bool | None
    others: list[str]
    tried: int
    control: bool | None

    @property
    def discriminates(self) -> bool:
        """Whether neither an untrained policy nor another method passes."""
        return not self.untrained and not self.others

    def word(self, word: str) -> str:
        """What is left of a verdict."""
        if not self.discriminates:
            return CANT_DISCRIMINATE
        if word in ("contradicted", "not seen in one run") and not self.control:
            return NO_CONTROL
        return word


def controls_of(experiment: Experiment, claim: Claim) -> Controls:
    """The columns of an analogue's row whose own measure could be taken."""
    # a checkpoint of a run that learns nothing is the base model's
    untrained = BASE if claim.measure in BENCHMARKS else UNTRAINED
    others = [name for name in experiment.methods if name not in methods_of(claim.parameters)]
    tried = [] if claim.isolates else others
    return Controls(
        untrained=_passes(experiment, claim, {"method": untrained}),
        others=[name for name in tried if _passes(experiment, claim, {"method": name})],
        tried=len(tried),
        control=None if claim.control is None else bool(_passes(experiment, claim, claim.control)),
    )


def _passes(experiment: Experiment, claim: Claim, change: Mapping[str, Any]) -> bool | None:
    """Whether the row is confirmed with other parameters; None where there are no data for them."""
    try:
        interval = MEASURES[str(claim.measure)].function(experiment, **{**claim.parameters, **change})
    except NotMeasuredError:
        return None
    return word_of(interval, claim.region) in PASSES
