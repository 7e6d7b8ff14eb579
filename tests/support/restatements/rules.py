"""What a rule is, and the two registries that the decorators fill."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.support.restatements.golds import FAMILIES, Gold

Restate = Callable[[Gold, random.Random], str | None]
Rewrap = Callable[[str, random.Random], str | None]


@dataclass(frozen=True)
class Rule:
    """One rewrite; `why` says why the value is kept or changed; `rewrap` is there where it works on any text."""

    name: str
    kind: str
    families: tuple[str, ...]
    equal: bool
    why: str
    restate: Restate
    rewrap: Rewrap | None = None


EQUAL: dict[str, Rule] = {}
DIFFERENT: dict[str, Rule] = {}


def _register(rule: Rule) -> None:
    assert rule.name not in {**EQUAL, **DIFFERENT}, rule.name
    assert rule.families, rule.name
    assert set(rule.families) <= set(FAMILIES), rule.name
    (EQUAL if rule.equal else DIFFERENT)[rule.name] = rule


def equal(kind: str, *families: str) -> Callable[[Restate], Restate]:
    """Registers a rewrite that keeps the value of golds of these families."""

    def add(function: Restate) -> Restate:
        _register(Rule(function.__name__, kind, families, True, function.__doc__ or "", function))
        return function

    return add


def wrapper(kind: str, *families: str) -> Callable[[Rewrap], Rewrap]:
    """Registers a rewrite of any text that keeps what it says, or of the texts of golds of these families."""

    def add(function: Rewrap) -> Rewrap:
        def restate(gold: Gold, rng: random.Random) -> str | None:
            return function(gold.bare, rng)

        _register(Rule(function.__name__, kind, families or FAMILIES, True, function.__doc__ or "", restate, function))
        return function

    return add


def different(kind: str, *families: str) -> Callable[[Restate], Restate]:
    """Registers a rewrite that changes the value of golds of these families."""

    def add(function: Restate) -> Restate:
        _register(Rule(function.__name__, kind, families, False, function.__doc__ or "", function))
        return function

    return add
