"""pass@k, intervals, differences and verdicts against closed forms, enumeration and simulation."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmarks.coverage import coverage
from real.statistics.intervals import (
    MANY_SEEDS,
    Interval,
    mean_half_width,
    mean_interval,
    paired_difference,
    pass_at_1,
    pass_at_k,
    seed_mean,
    verdict,
)

NORMAL = stats.norm.ppf(0.975)


@pytest.mark.parametrize(("correct", "k"), [(0, 3), (1, 1), (1, 3), (2, 3), (4, 2), (6, 6)])
def test_pass_at_k_is_the_share_of_subsets_with_a_correct_sample(correct, k):
    samples = [1] * correct + [0] * (6 - correct)
    subsets = list(itertools.combinations(samples, k))
    expected = sum(any(subset) for subset in subsets) / len(subsets)
    assert pass_at_k(np.array([correct]), 6, k)[0] == pytest.approx(expected, abs=1e-15)


@given(st.integers(1, 64).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_never_falls_with_k_and_is_exact_at_both_ends(case):
    samples, correct, k = case
    value = pass_at_k(np.array([0, correct, samples]), samples, k)
    assert (value[0], value[2]) == (0.0, 1.0)
    assert pass_at_k(np.array([correct]), samples, 1)[0] == pytest.approx(correct / samples)
    assert value[1] >= correct / samples - 1e-12
    if k < samples:
        assert pass_at_k(np.array([correct]), samples, k + 1)[0] >= value[1] - 1e-12


@pytest.mark.parametrize(
    ("correct", "k", "sentence"), [(1, 5, "1 <= k <= 4"), (1, 0, "1 <= k <= 4"), (5, 1, "counts from 0")]
)
def test_pass_at_k_refuses_what_has_no_meaning(correct, k, sentence):
    with pytest.raises(ValueError, match=sentence):
        pass_at_k(np.array([correct]), 4, k)


def test_one_seed_covers_problems_only_with_the_bootstraps_width():
    rates = np.random.default_rng(1).beta(0.5, 0.5, (1, 200))
    interval = pass_at_1([rates])
    half = NORMAL * rates.std() / math.sqrt(200)
    assert interval.value == pytest.approx(rates.mean())
    assert (interval.low, interval.high) == pytest.approx((rates.mean() - half, rates.mean() + half), abs=0.05 * half)
    assert interval.covers == "problems only"


def test_the_bootstrap_resamples_each_benchmark_by_itself():
    """Two benchmarks that differ in level alone have no spread; pooled they would."""
    interval = pass_at_1([np.full((1, 20), 0.2), np.full((1, 50), 0.9)])
    assert (interval.low, interval.high) == (pytest.approx(0.55), pytest.approx(0.55))


def test_intervals_are_the_same_every_time():
    rates = [np.random.default_rng(2).random((3, 40))]
    assert pass_at_1(rates) == pass_at_1(rates)


def test_equal_seeds_add_nothing_to_the_problem_part():
    rates = np.array([[0.2, 0.4, 0.9]] * 3)
    three, one = pass_at_1([rates]), pass_at_1([rates[:1]])
    assert (three.low, three.high) == pytest.approx((one.low, one.high))
    assert three.covers == "problems and seeds"


def test_equal_problems_leave_students_t_over_seeds():
    rates = np.repeat(np.array([[0.4], [0.5], [0.6]]), 10, axis=1)
    half = stats.t.ppf(0.975, 2) * 0.1 / math.sqrt(3)
    interval = pass_at_1([rates])
    assert (interval.low, interval.high) == pytest.approx((0.5 - half, 0.5 + half))
    assert mean_half_width(np.array([0.4, 0.5, 0.6])) == pytest.approx(half)


def test_the_seed_part_is_students_t_below_ten_seeds_and_normal_from_ten_on():
    values = np.linspace(0, 1, 10)
    standard_error = values.std(ddof=1) / math.sqrt(10)
    assert mean_half_width(values, MANY_SEEDS) == pytest.approx(NORMAL * standard_error)
    nine = values[:9].std(ddof=1) / 3
    assert mean_half_width(values[:9], MANY_SEEDS) == pytest.approx(stats.t.ppf(0.975, 8) * nine)


def test_mean_over_benchmarks_weighs_benchmarks_equally():
    small, large = np.full((2, 3), 0.2), np.full((2, 300), 0.6)
    assert pass_at_1([small, large]).value == pytest.approx(0.4)


def test_intervals_are_cut_to_what_is_possible():
    rates = np.repeat(np.array([[0.9], [1.0]]), 2, axis=1)
    assert pass_at_1([rates]).high == 1.0
    ends = paired_difference([np.array([[1.0], [0.0]])], [np.array([[0.0], [1.0]])])
    assert (ends.low, ends.high) == (-1.0, 1.0)


@pytest.mark.parametrize("rates", [[], [np.zeros((1, 2)), np.zeros((2, 2))]])
def test_wrong_shapes_are_named(rates):
    with pytest.raises(ValueError, match="rates_SP"):
        pass_at_1(rates)


def test_pairing_removes_what_both_methods_share():
    """Problems and seeds that move both methods alike leave a constant difference without spread."""
    rng = np.random.default_rng(3)
    shared = rng.uniform(0.1, 0.8, 50) + rng.normal(0, 0.02, (3, 1))
    interval = paired_difference([shared + 0.05], [shared])
    assert interval.value == pytest.approx(0.05)
    assert interval.high - interval.low < 1e-12
    unpaired = mean_interval([shared])
    assert unpaired.high - unpaired.low > 0.05


def test_a_fixed_checkpoint_is_subtracted_from_every_seed():
    rates, base = np.array([[0.5, 0.7], [0.7, 0.9]]), np.array([[0.1, 0.3]])
    assert paired_difference([rates], [base]) == paired_difference([rates], [np.repeat(base, 2, axis=0)])
    assert paired_difference([base], [rates]).value == pytest.approx(-0.5)


@pytest.mark.parametrize("shape", [(2, 4), (3, 5)])
def test_unpairable_rates_are_refused(shape):
    with pytest.raises(ValueError, match="can't be paired"):
        paired_difference([np.zeros((3, 4))], [np.zeros(shape)])
    with pytest.raises(ValueError, match="expected 1 benchmarks"):
        paired_difference([np.zeros((3, 4))], [])


def test_one_seed_says_nothing_about_runs_and_ratios_are_averaged_on_the_logarithm():
    alone = seed_mean(np.array([0.3]))
    assert (alone.value, alone.low, alone.high) == (0.3, -math.inf, math.inf)
    assert verdict(alone, above=0.0) == "unresolved"
    ratio = seed_mean(np.array([0.5, 2.0]), positive=True)
    assert ratio.value == pytest.approx(1.0)
    assert ratio.low * ratio.high == pytest.approx(1.0)
    with pytest.raises(ValueError, match="positive"):
        seed_mean(np.array([0.0, 1.0]), positive=True)


@pytest.mark.parametrize(
    ("low", "high", "above", "below", "expected"),
    [
        (0.1, 0.2, 0.0, math.inf, "reproduced"),
        (-0.2, -0.1, 0.0, math.inf, "contradicted"),
        (-0.1, 0.1, 0.0, math.inf, "unresolved"),
        (0.0, 0.0, 0.0, math.inf, "unresolved"),
        (0.3, 0.4, 0.25, 2.0, "reproduced"),
        (0.1, 0.2, 0.25, 2.0, "contradicted"),
        (2.1, 2.2, 0.25, 2.0, "contradicted"),
        (0.2, 2.1, 0.25, 2.0, "unresolved"),
    ],
)
def test_verdicts_follow_from_interval_and_region(low, high, above, below, expected):
    assert verdict(Interval((low + high) / 2, low, high, "problems only"), above, below) == expected


ends = st.tuples(st.floats(-1, 1), st.floats(-1, 1)).map(sorted)


@given(ends, ends, st.floats(-1, 1))
def test_a_shorter_interval_never_turns_a_verdict_round(outer, inner, edge):
    wide = Interval(0.0, min(outer[0], inner[0]), max(outer[1], inner[1]), "problems only")
    narrow = Interval(0.0, *inner, "problems only")
    before = verdict(wide, above=edge)
    assert before == "unresolved" or verdict(narrow, above=edge) == before


@pytest.mark.parametrize(("seeds", "lowest"), [(1, 0.91), (3, 0.93)])
def test_the_interval_covers_the_truth_about_as_often_as_it_says(seeds, lowest):
    """Problems, seeds and samples drawn anew 250 times; the one-seed interval's truth is that seed's own mean."""
    rng = np.random.default_rng(0)
    problems, samples, hits = 60, 16, 0
    for _ in range(250):
        difficulty = rng.normal(0.5, 0.15, problems)
        shift = rng.normal(0, 0.03, (seeds, 1))
        rate = np.clip(difficulty + shift, 0, 1)
        interval = pass_at_1([rng.binomial(samples, rate) / samples])
        truth = 0.5 + (shift[0, 0] if seeds == 1 else 0.0)
        hits += interval.low <= truth <= interval.high
    assert lowest <= hits / 250 <= 0.995


@pytest.mark.slow
def test_the_documented_simulation_shows_what_one_seed_leaves_out():
    """Runs deviate by a point: one seed's interval of a difference covers these two runs, not the methods."""
    share = coverage(seeds=1, run_deviation=0.01, repetitions=25)
    assert share["difference, problems"] >= 0.8
    assert share["difference, problems and seeds"] <= 0.8
    assert 0.05 < share["width of one method, points"] < 0.09
