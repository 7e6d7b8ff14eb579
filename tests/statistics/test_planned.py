"""Stated chances against closed forms and against simulated experiments that know nothing of them."""

import math

import numpy as np
import pytest
from scipy import special, stats

from benchmarks.power import curve_outcome, score_outcome, truths
from real.evidence.claims.plans import printed_cells, read_printed
from real.evidence.claims.schema import load_claims
from real.statistics.planned import (
    benchmark_precision,
    chances,
    consistent_chances,
    curve_precision,
    tolerated_deviation,
)
from real.statistics.power import Cells
from tests.support.paths import ROOT


@pytest.fixture(scope="module")
def content():
    return load_claims(ROOT / "paper_configs" / "claims.yaml")


@pytest.fixture
def printed(content, monkeypatch):
    """The printed cells of a claim at 1.5B."""
    monkeypatch.chdir(ROOT)
    return lambda name: printed_cells(content.claims[name], content.scales["1.5b"], read_printed())


@pytest.mark.parametrize("seeds", [2, 3, 10])
def test_the_chance_of_a_curve_is_the_power_of_students_t(seeds):
    """Of a one-sided region, by the noncentral distribution of Student's t."""
    effect, deviation = 0.02, 0.011
    found = chances(effect, curve_precision(deviation, seeds), above=0.0).reproduced
    shift = effect / deviation * math.sqrt(seeds)
    exact = stats.nct.sf(special.stdtrit(seeds - 1, 0.975), seeds - 1, shift)
    assert found == pytest.approx(exact, abs=2e-3)


def test_the_tolerated_deviation_has_a_chance_of_eight_in_ten():
    above, below, effect = math.log(0.25), math.log(2.0), math.log(1.1)
    found = tolerated_deviation(effect, 3, above, below, 0.95)
    assert chances(effect, curve_precision(found, 3), above, below).reproduced == pytest.approx(0.8, abs=1e-6)
    assert tolerated_deviation(math.log(2.5), 3, above, below, 0.95) == 0.0, "outside the region nothing is confirmed"


def test_chances_of_opposite_effects_mirror_each_other():
    precision = benchmark_precision(Cells([0.5, 0.6], [0.45, 0.5], [30, 200]), 16, 3, 0.008)
    up, down = (chances(effect, precision, above=0.0) for effect in (0.075, -0.075))
    assert (up.reproduced, up.contradicted) == pytest.approx((down.contradicted, down.reproduced), abs=1e-12)


def test_more_runs_and_wider_regions_never_lower_a_chance():
    cells = Cells([0.5], [0.46], [100])
    by_seeds = [chances(0.04, benchmark_precision(cells, 16, seeds, 0.008), 0.0).reproduced for seeds in range(2, 12)]
    assert by_seeds == sorted(by_seeds)
    precision = curve_precision(0.02, 4)
    by_end = [chances(0.04, precision, above=end).reproduced for end in (0.03, 0.01, 0.0, -0.05)]
    assert by_end == sorted(by_end)


# kind of row -> the claim, the confidence of its interval, and whether its baseline is a checkpoint
SCORES = {
    "difference of means": ("real_over_dapo_1_5b", 0.975, False),
    "difference on one benchmark": ("real_over_gspo_aime24_1_5b", 0.95, False),
    "difference to a checkpoint": ("real_over_base_1_5b", 0.95, True),
}


@pytest.mark.parametrize("kind", SCORES)
def test_a_difference_of_scores_comes_out_as_often_as_stated(printed, kind):
    """Short form of benchmarks/power.py: 300 simulated experiments for each truth, so shares within 5 + 6 points."""
    name, confidence, fixed = SCORES[kind]
    for truth, cells_M in truths(printed(name)).items():
        found = score_outcome(cells_M, 300, confidence, fixed)
        assert found.simulated.reproduced == pytest.approx(found.stated.reproduced, abs=0.11), truth
        assert found.simulated.contradicted == pytest.approx(found.stated.contradicted, abs=0.11), truth
        if truth == "border":
            assert found.simulated.reproduced <= 0.05 + 0.025


def test_the_smallest_of_many_differences_comes_out_as_often_as_stated(printed):
    """At the published cells never, at −3 points everywhere about one time in three; at the border hardly ever."""
    cells_M = printed("real_consistent_1_5b")
    truth = truths(cells_M)
    assert score_outcome(truth["published"], 100, 0.95, False).simulated.reproduced == 0
    assert consistent_chances(cells_M, 16, 3, 0.0077).reproduced == 0
    assert score_outcome(truth["border"], 200, 0.95, False).simulated.reproduced <= 0.05 + 0.03
    opposite = score_outcome([cells.moved(-0.03) for cells in cells_M], 200, 0.95, False)
    assert 0.25 < opposite.stated.contradicted < 0.45
    assert opposite.simulated.contradicted == pytest.approx(opposite.stated.contradicted, abs=0.11)


@pytest.mark.parametrize(
    ("name", "deviation", "opposite"),
    [("real_validation_over_gspo", 0.0109, -0.019), ("grpo_entropy_collapses", 0.3, 1 / 0.09)],
)
def test_a_curve_comes_out_as_often_as_stated(content, name, deviation, opposite):
    claim = content.claims[name]
    border = claim.region.above if claim.region.above is not None else claim.region.below
    for truth in (claim.published, border, opposite):
        found = curve_outcome(claim, truth, deviation, 600)
        assert found.simulated.reproduced == pytest.approx(found.stated.reproduced, abs=0.08)
        assert found.simulated.contradicted == pytest.approx(found.stated.contradicted, abs=0.08)
    assert curve_outcome(claim, border, deviation, 600).simulated.reproduced <= 0.05 + 0.02


def test_the_chances_of_several_differences_are_those_of_one_where_there_is_one():
    """M = 1 and B = 1: drawn runs and half-widths give what the integral gives, but for the tails."""
    cells = Cells([0.5], [0.45], [400])
    drawn = consistent_chances([cells], 16, 4, 0.008, repetitions=20_000)
    integral = chances(0.05, benchmark_precision(cells, 16, 4, 0.008), 0.0)
    assert drawn.reproduced == pytest.approx(integral.reproduced, abs=0.015)
    assert np.isclose(drawn.contradicted, integral.contradicted, atol=0.005)
