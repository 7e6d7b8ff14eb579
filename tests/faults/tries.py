"""What a try is: one fault, one check of what is promised, one line of the log."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tests.faults.place import LostError, Place, SkippedError


@dataclass(frozen=True)
class Tried:
    """One try of a fault."""

    what: str
    """was done, where and when"""
    lost: str = ""
    """the evidence that a promise did not hold"""
    skipped: str = ""
    """why it isn't counted"""

    @property
    def outcome(self) -> str:
        return "lost" if self.lost else "not counted" if self.skipped else "survived"


def share_verdict(series: Iterable[str], check: Callable[[], None]) -> Iterator[Tried]:
    """Tries whose promise shows at the end of the series, so that one verdict holds for all of them."""
    done: list[str] = []
    lost = skipped = ""
    try:
        try:
            done.extend(series)
        except SkippedError as reason:
            skipped = str(reason)
        check()
    except LostError as evidence:
        lost = str(evidence)
    if skipped:
        yield Tried("the rest of the series", skipped=skipped)
    if lost and not done:
        done.append("the first try of the series")
    yield from (Tried(what, lost=lost) for what in done)


def judged(place: Place, what: str, check: Callable[[], str | None]) -> Tried:
    """One try; ``check`` raises what did not hold, and may say more about what it did.

    After one that did not survive, ``place`` is the undisturbed reference again; a lost one is kept beside it.
    """
    try:
        return Tried(f"{what}{check() or ''}")
    except LostError as evidence:
        return Tried(what, lost=f"{evidence} (kept: {place.begin_anew(keep=True)})")
    except SkippedError as reason:
        place.begin_anew(keep=False)
        return Tried(what, skipped=str(reason))
