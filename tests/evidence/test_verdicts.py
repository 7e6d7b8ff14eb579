"""The words of the claims table: families by Holm's procedure, sizes, and "consistently", by construction."""

import math

import numpy as np
import pytest

from real.evidence.claims import measures
from real.evidence.claims.measures import MEASURES
from real.evidence.claims.schema import load_claims
from real.evidence.claims.verdicts import holm, size_word
from real.statistics.intervals import PROBLEMS, Interval, seed_mean, verdict
from tests.support.paths import ROOT


@pytest.fixture(scope="module")
def content():
    return load_claims(ROOT / "paper_configs" / "claims.yaml")


def test_holm_takes_the_rows_left_at_the_level_of_their_number():
    """Rows that are decided at 0.99, 0.96 and 0.95: at 1 - 0.05 / 3 the first, at 0.975 none of the others."""
    reach = {"first": 0.99, "second": 0.96, "third": 0.95}

    def family(names):
        return {name: (lambda c, at=reach[name]: "reproduced" if c <= at else "unresolved") for name in names}

    assert holm(family(reach)) == {"first": "reproduced", "second": "unresolved", "third": "unresolved"}
    assert holm(family(["first", "third"])) == {"first": "reproduced", "third": "reproduced"}, "then one is left"
    assert holm(family(["second", "third"])) == {"second": "unresolved", "third": "unresolved"}
    assert holm({}) == {}


def test_a_family_that_is_true_of_nothing_is_decided_in_at_most_five_percent():
    rng, wrong = np.random.default_rng(4), 0
    for _ in range(400):
        values = rng.normal(0, 1, (3, 6))
        family = {
            str(at): (lambda confidence, one=one: verdict(seed_mean(one, confidence=confidence), 0.0))
            for at, one in enumerate(values)
        }
        wrong += bool({"reproduced", "contradicted"} & set(holm(family).values()))
    assert wrong <= 20 + 9  # 5 % and two standard errors


@pytest.mark.parametrize(
    ("value", "half", "word"),
    [(0.067, 0.02, "as printed"), (0.03, 0.02, "smaller"), (0.12, 0.02, "larger"), (-0.02, 0.015, "opposite")],
)
def test_a_size_is_compared_with_the_printed_one_and_its_error(content, value, half, word):
    claim = content.claims["real_over_dapo_1_5b"]
    interval = Interval(value, value - half, value + half, "problems and seeds")
    assert size_word(interval, claim, 3, printed_error=0.01) == word
    assert size_word(interval, claim, 3, printed_error=1.0) == "as printed", (
        "a printed value without worth is met by all"
    )
    assert size_word(Interval(value, value - half, value + half, PROBLEMS), claim, 1, 0.01) == ""


def test_a_curves_printed_run_varies_as_ours_do_and_a_ratio_on_its_logarithm(content):
    """Three runs' interval is widened twofold, by the square root of 1 + 3; 0.18 lies log 2 = 0.693 above 0.09."""
    claim = content.claims["grpo_entropy_collapses"]
    for half, word in ((0.35, "as printed"), (0.34, "smaller")):
        interval = Interval(0.18, 0.18 * math.exp(-half), 0.18 * math.exp(half), "seeds only")
        assert size_word(interval, claim, 3, None) == word


def smallest(offsets, seeds, monkeypatch, problems=200):
    """smallest_difference of a method to three baselines on six benchmarks, from which it differs by the offsets."""
    rng = np.random.default_rng(3)
    rates = {"real": {f"b{at}": rng.uniform(0.3, 0.7, (seeds, problems)) for at in range(6)}}
    for number, baseline in enumerate(("grpo", "dapo", "gspo")):
        noise = {name: rng.normal(0, 0.05, (seeds, problems)) for name in rates["real"]}
        rates[baseline] = {
            name: np.clip(rates["real"][name] - offsets[number][at] + noise[name], 0, 1)
            for at, name in enumerate(rates["real"])
        }
    monkeypatch.setattr(measures, "_rates", lambda _, *methods: [rates[method] for method in methods])
    return MEASURES["smallest_difference"].function(None, method="real", baselines=["grpo", "dapo", "gspo"])


def test_consistently_needs_every_difference_and_is_contradicted_by_one_among_all_of_them(monkeypatch):
    """Lower ends at 95 % each; upper ends at 1 - 0.05 / 18, so that one of 18 is contradicted by chance in 5 %."""
    above = [[0.03] * 6] * 3
    assert verdict(smallest(above, 3, monkeypatch), 0.0) == "reproduced"
    one_below = [[0.03] * 6, [0.03] * 6, [0.03] * 5 + [-0.05]]
    assert verdict(smallest(one_below, 3, monkeypatch), 0.0) == "contradicted"
    equal = [[0.03] * 6, [0.03] * 6, [0.03] * 5 + [0.0]]
    assert verdict(smallest(equal, 3, monkeypatch), 0.0) == "unresolved"


def test_where_all_differences_are_0_consistently_is_contradicted_in_at_most_5_percent(monkeypatch):
    rng, contradicted = np.random.default_rng(0), 0
    for _ in range(200):
        rates = {
            method: {f"b{at}": (rng.random((1, 60, 16)) < 0.5).mean(axis=-1) for at in range(6)}
            for method in ("real", "grpo", "dapo", "gspo")
        }
        monkeypatch.setattr(measures, "_rates", lambda _, *methods, rates=rates: [rates[name] for name in methods])
        found = MEASURES["smallest_difference"].function(None, method="real", baselines=["grpo", "dapo", "gspo"])
        contradicted += verdict(found, 0.0) == "contradicted"
    assert contradicted <= 16  # 5 % and two standard errors
