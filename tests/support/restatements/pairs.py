"""Pairs of a ground truth and an answer, the same number from each rule, deterministic by the seed."""

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from tests.support.restatements.different import DIFFERENT
from tests.support.restatements.equal import EQUAL
from tests.support.restatements.golds import Gold, number
from tests.support.restatements.rules import Rule
from tests.support.restatements.synthetic import MAKERS, synthetic

SEEDS = (17, 2602)  # the second is used in no debugging
RULES = {**EQUAL, **DIFFERENT}
WRAPPERS = [rule for rule in EQUAL.values() if rule.rewrap]
ATTEMPTS = 4000


@dataclass(frozen=True)
class Pair:
    """An answer, whether it equals the gold, and the rules that made it."""

    gold: Gold
    answer: str
    equal: bool
    rule: str
    second: str | None


def simple_number(text: str) -> Fraction | None:
    """The value of an answer that is an integer, a decimal or a fraction and nothing else."""
    text = re.sub(r"\\displaystyle|^\$+|\$+$|\.$", "", text).strip()
    plain = re.fullmatch(r"-?\d+(?:\.\d+)?|-?\d+/[1-9]\d*|-?\\[dt]?frac\{-?\d+\}\{[1-9]\d*\}", text)
    return number(text) if plain else None


def _squeezed(text: str) -> str:
    """The text without brackets' sizes, braces and the spaces that don't part two numbers."""
    one_space = re.sub(r"\s+", " ", text)
    return re.sub(r"(?<!\d) | (?!\d)|\\left|\\right|\\!|[{}$]", "", one_space)


def _degenerate(gold: Gold, answer: str, rule: Rule) -> bool:
    """Whether an equal answer is the gold itself, or a different one says the gold's value after all."""
    if rule.equal:
        return answer == gold.bare and rule.name != "own_text"
    same = gold.parts.get("value") is not None and simple_number(answer) == gold["value"]
    return same or _squeezed(answer) == _squeezed(gold.bare)


def _golds(rule: Rule, golds: list[Gold], rng: random.Random) -> Iterator[Gold]:
    """The real golds of the rule's families in random order, then made-up ones; real ones again where none are made."""
    real = [gold for gold in golds if gold.family in rule.families]
    yield from rng.sample(real, len(real))
    made = [family for family in rule.families if family in MAKERS]
    for _ in range(ATTEMPTS):
        if made:
            yield synthetic(rng.choice(made), rng)
        elif real:
            yield rng.choice(real)


def _composed(gold: Gold, answer: str, rule: Rule, rng: random.Random) -> tuple[str, str] | None:
    """The answer in one more wrapper, and that wrapper's name."""
    for wrapper in rng.sample(WRAPPERS, len(WRAPPERS)):
        if wrapper.name != rule.name and gold.family in wrapper.families and wrapper.rewrap:
            wrapped = wrapper.rewrap(answer, rng)
            if wrapped is not None and wrapped != answer:
                return wrapped, wrapper.name
    return None


def _of_a_rule(rule: Rule, golds: list[Gold], count: int, composed: float, rng: random.Random) -> list[Pair]:
    found: dict[tuple[str, str], Pair] = {}
    for gold in _golds(rule, golds, rng):
        if len(found) == count:
            break
        answer = rule.restate(gold, rng)
        if answer is None or _degenerate(gold, answer, rule):
            continue
        second = None
        if int((len(found) + 1) * composed) > int(len(found) * composed):
            wrapped = _composed(gold, answer, rule, rng)
            if wrapped is None:
                continue
            answer, second = wrapped
        found.setdefault((gold.text, answer), Pair(gold, answer, rule.equal, rule.name, second))
    return list(found.values())


def pairs(seed: int, golds: Iterable[Gold], per_rule: int, composed: float = 1 / 3) -> list[Pair]:
    """As many pairs of each rule as are asked for; a share of them is composed with a second, equal rule."""
    golds = list(golds)
    return [
        pair
        for rule in RULES.values()
        for pair in _of_a_rule(rule, golds, per_rule, composed, random.Random(f"{seed}/{rule.name}"))
    ]
