"""The grader on restated answers: other spellings of every ground truth are right, other answers are wrong.

The rules (tests/support/restatements) and their seeds were committed before the grammar that is judged here;
benchmarks/grading.py grades more than 20,000 pairs of both kinds, of both seeds.
"""

import json
from collections import Counter

import pytest

from real.grading import Grade, grade_many
from real.tasks.corrections import read_corrections
from tests.support.paths import ROOT
from tests.support.restatements.equal import EQUAL
from tests.support.restatements.golds import read_golds
from tests.support.restatements.pairs import SEEDS, Pair, pairs

DATA = ROOT / "tests" / "data"
PER_RULE = 30


def lines(name: str) -> list[dict]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def graded(answers: list[str], truths: list) -> list[Grade]:
    return grade_many([f"</think>\\boxed{{{answer}}}" for answer in answers], truths)


@pytest.fixture(scope="module")
def restated() -> list[tuple[Pair, Grade]]:
    made = pairs(SEEDS[0], read_golds(case["gold"] for case in lines("grading_cases.jsonl")), PER_RULE)
    return list(zip(made, graded([one.answer for one in made], [one.gold.text for one in made]), strict=True))


def test_restated_answers_are_right(restated):
    """One in a hundred at most is refused, and one in twenty of any rule."""
    equal = [(pair, found) for pair, found in restated if pair.equal]
    refused = Counter(pair.rule for pair, found in equal if not found.correct)
    assert len(equal) > 4000
    assert refused.total() <= 0.01 * len(equal), refused
    assert {rule: count for rule, count in refused.items() if count > 0.05 * PER_RULE} == {}


def test_changed_answers_are_wrong(restated):
    different = [(pair, found) for pair, found in restated if not pair.equal]
    assert len(different) > 4000
    accepted = [(pair.rule, pair.gold.text, pair.answer) for pair, found in different if found.correct]
    assert accepted == []


def test_the_reported_cases_are_graded_right():
    """The 76 answers that graders in the field were seen to get wrong; one has a misprint for its ground truth."""
    cases = lines("grading_cases_round2.jsonl")
    misprints = {one.found: one.corrected for rows in read_corrections().values() for one in rows.values()}
    truths = [misprints.get(str(case["gold"]), case["gold"]) for case in cases]
    found = grade_many([case["response"] for case in cases], truths)
    assert [case["id"] for case, one in zip(cases, found, strict=True) if one.correct != case["label"]] == []


def test_every_ground_truth_equals_its_own_text():
    truths = list({json.dumps(case["gold"]): case["gold"] for case in lines("grading_cases.jsonl")}.values())
    texts = [truth[0] if isinstance(truth, list) else str(truth) for truth in truths]
    refused = [text for text, one in zip(texts, graded(texts, truths), strict=True) if not one.correct]
    assert len(texts) > 600
    assert refused == []


SYMMETRIC = ("value", "typography", "list", "polynomial", "matrix", "interval", "union", "fn-unicode")


def test_equality_of_values_has_no_direction(restated):
    """Where no convention forgives the answer alone something, the answer as ground truth has the truth as answer."""
    chosen = [one for one, found in restated if one.equal and found.correct and EQUAL[one.rule].kind in SYMMETRIC]
    chosen = [one for one in chosen if not one.second]
    found = graded([one.gold.bare for one in chosen], [one.answer for one in chosen])
    refused = [(one.rule, one.gold.bare, one.answer) for one, g in zip(chosen, found, strict=True) if not g.correct]
    assert len(chosen) > 1000
    assert refused == []
