"""The generator of restatements: enough rules, enough pairs of each, the same by the same seed, and true labels."""

import json
import random
import re
from collections import Counter

import pytest
import sympy

from tests.support.paths import ROOT
from tests.support.restatements.different import DIFFERENT
from tests.support.restatements.equal import EQUAL
from tests.support.restatements.golds import FAMILIES, NUMBERS, Gold, classify, read_golds
from tests.support.restatements.pairs import RULES, SEEDS, Pair, pairs
from tests.support.restatements.synthetic import MAKERS, synthetic

DATA = ROOT / "tests" / "data"
PER_RULE = 12


def lines(name: str) -> list[dict]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def golds() -> list[Gold]:
    return read_golds(case["gold"] for case in lines("grading_cases.jsonl"))


@pytest.fixture(scope="module")
def made(golds) -> list[Pair]:
    return pairs(SEEDS[0], golds, PER_RULE)


def test_there_are_enough_rules_of_both_sorts_and_each_says_why():
    assert len(EQUAL) >= 75
    assert len(DIFFERENT) >= 75
    assert [name for name, rule in RULES.items() if not rule.why.endswith((".", ")"))] == []


def test_every_rule_gives_as_many_pairs_as_are_asked_for(made):
    assert Counter(pair.rule for pair in made) == dict.fromkeys(RULES, PER_RULE)
    assert len({(pair.rule, pair.gold.text, pair.answer) for pair in made}) == len(made)


def test_a_third_is_composed_with_a_rule_that_keeps_the_value(made):
    composed = Counter(pair.rule for pair in made if pair.second)
    assert composed == dict.fromkeys(RULES, PER_RULE // 3)
    assert all(EQUAL[pair.second].rewrap for pair in made if pair.second)


def test_the_seed_decides_the_pairs(golds, made):
    assert pairs(SEEDS[0], golds, PER_RULE) == made
    assert pairs(SEEDS[0] + 1, golds, 2) != pairs(SEEDS[0], golds, 2)


def test_every_kind_of_reported_fault_has_a_rule():
    kinds = {case["kind"] for case in lines("grading_cases_round2.jsonl")}
    assert {kind for kind in kinds if kind.startswith("fp")} <= {rule.kind for rule in DIFFERENT.values()}
    assert {kind for kind in kinds if kind.startswith("fn")} <= {rule.kind for rule in EQUAL.values()}


@pytest.mark.parametrize(
    ("text", "family"),
    [
        *(("025", "integer"), (r"10,\!080", "integer"), ("142.0", "decimal"), (r"\frac 34", "fraction")),
        *((r"137 \frac{1}{2}", "fraction"), ("4.5e33\n", "scientific"), (r"11\sqrt2", "root")),
        *((r"\sqrt{8}", "expression"), (r"$t(0,4]$", "expression"), (r"\text{(C)}", "choice"), (r"\alpha", "greek")),
        *((r"$\frac{3 \pi}{4}$", "pi"), ("6 - 5i", "complex"), ("4210_{5}", "based"), ("17.5%", "percent")),
        *((r"864 \mbox{ inches}^2", "unit"), (r"\$32,\!348", "money"), ("-2,-2", "expression")),
        *(("1,234", "expression"), ("1,2", "list"), (r"\{1,2\}", "list"), (r"\text{east}", "word")),
        *((r"\left( \frac{3}{2}, -13 \right)", "tuple"), ("$(2,32), (8,18)$", "tuples"), (r"(2,\infty)", "ray")),
        *((r"(2,12) \cup (12,102)", "union"), (r"$[-1,-\frac{1}{2}]$", "interval"), ("(-1,6)", "tuple")),
        *(("$2 n^{2}-2 n+1$", "polynomial"), ("$f(n)=n^{2}$", "function"), ("$k=1$", "labelled"), ("y = -2x", "line")),
    ],
)  # fmt: skip
def test_golds_are_read_into_families(text, family):
    assert classify(text).family == family


def test_golds_that_a_change_could_turn_into_an_alternative_are_left_out():
    truths = [["0.01\n", "0.02\n"], ["8\n", "8"], "$221,$8$", "$f(x)=a x$, where $a$ is an integer", 70]
    assert [gold.bare for gold in read_golds(truths)] == ["8", "70"]


@pytest.mark.parametrize("family", sorted(MAKERS))
def test_made_up_golds_are_of_their_family(family):
    rng = random.Random(family)
    assert {synthetic(family, rng).family for _ in range(50)} == {family}
    assert set(MAKERS) == set(FAMILIES) - {"expression"}


REWRITES = [
    (r"\\displaystyle|\\left|\\right|[$]", ""),
    (r"^[\s~]+|^\\[,;! ]|(?:\\[,;! ]|[\s~])+$", ""),
    (r"^[NkxnAr] ?= ?|\.\s*$", ""),
    (r" *(\\(?:cdot|times|div)|[-+*/]) *", r"\1"),
    (r"\\[dtc]?frac\{([^{}]*)\}\{([^{}]*)\}", r"((\1)/(\2))"),
    (r"\\sqrt\{([^{}]*)\}", r"sqrt(\1)"),
    (r"\\[dtc]?frac\{([^{}]*)\}\{([^{}]*)\}", r"((\1)/(\2))"),
    (r"(\d+) ?\(\((\d+)\)/\((\d+)\)\)", r"(\1+\2/\3)"),
    (r"\\cdot|\\times", "*"),
    (r"\\div", "/"),
    (r"\^\{([^{}]*)\}", r"**(\1)"),
    (r"\^", "**"),
    (r"(?<![\d.])0+(?=\d)", ""),
    (r" ?(?:\\pi|π)", "pi"),
    (r"(?<=[\d)]) ?(?=sqrt|pi|\()", "*"),
]


def worked_out(text: str) -> sympy.Expr | None:
    """The value of plain arithmetic with fractions, roots and pi, where an answer is no more than that."""
    for pattern, by in REWRITES:
        text = re.sub(pattern, by, text, flags=re.ASCII)
    plain = re.fullmatch(r"(?:sqrt|pi|[-+*/().0-9])+", text) and not re.search(
        r"/0|\*\*\(?\d{3}|//|\*{3}|\.\D|\.$", text
    )
    return sympy.sympify(text, rational=True) if plain else None


def true_value(gold: Gold) -> sympy.Expr | None:
    """The gold's value from its parts."""
    if gold.family in NUMBERS:
        return sympy.Rational(gold["value"].numerator, gold["value"].denominator)
    if gold.family in ("root", "pi"):
        a = sympy.Rational(gold["a"].numerator, gold["a"].denominator)
        return a * (sympy.pi if gold.family == "pi" else sympy.sqrt(gold["b"]))
    return None


def same(a: sympy.Expr, b: sympy.Expr) -> bool:
    """Exactly for rational numbers, and to sixty places for others (no rule rounds to more than forty-one)."""
    return a == b if a.is_Rational and b.is_Rational else bool(abs(sympy.N(a - b, 90)) < sympy.Float("1e-60", 90))


def test_answers_that_can_be_worked_out_have_the_value_that_their_label_says(made):
    worked = [(pair, worked_out(pair.answer), true_value(pair.gold)) for pair in made]
    worked = [(pair, value, truth) for pair, value, truth in worked if None not in (value, truth)]
    wrong = [pair for pair, value, truth in worked if same(value, truth) != pair.equal]
    assert wrong == []
    assert min(Counter(pair.equal for pair, _, _ in worked).values()) > 200
