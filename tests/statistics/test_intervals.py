"""pass@k, intervals, differences and verdicts against closed forms, enumeration and simulation."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmarks.coverage import Cell, former, paper_cell, simulate
from real.statistics.intervals import (
    Interval,
    mean_half_width,
    mean_limits,
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


def test_one_seed_covers_problems_only_and_far_from_the_ends_as_students_t_does():
    rates = np.random.default_rng(1).beta(0.5, 0.5, (1, 200))
    interval = pass_at_1([rates])
    half = stats.t.ppf(0.975, 199) * rates.std(ddof=1) / math.sqrt(200)
    assert interval.value == pytest.approx(rates.mean())
    assert (interval.low, interval.high) == pytest.approx((rates.mean() - half, rates.mean() + half), abs=0.02 * half)
    assert interval.covers == "problems only"


@pytest.mark.parametrize("problems", [30, 100, 700])
def test_what_never_failed_has_clopper_and_pearsons_limit(problems):
    """Of one benchmark by itself, as of six of them together; and twice the same answers differ by as much at most."""
    limit = 0.025 ** (1 / problems)
    always = np.ones((1, problems))
    interval = pass_at_1([always])
    assert (interval.value, interval.high) == (1.0, 1.0)
    assert 1 - interval.low == pytest.approx(1 - limit, rel=0.01)
    assert 1 - pass_at_1([always] * 6).low == pytest.approx(1 - 0.025 ** (1 / (6 * problems)), rel=0.02)
    same = paired_difference([always], [always])
    assert (same.low, same.value, same.high) == pytest.approx((limit - 1, 0, 1 - limit), abs=0.01 * (1 - limit))


@pytest.mark.parametrize("failed", [1, 2, 5, 20, 50])
def test_of_one_sample_each_the_limits_stay_within_clopper_and_pearsons(failed):
    """Theirs cover at least as often as they say; these lie inside, and outside Wilson's shrunk by a tenth."""
    rates = np.ones((1, 100))
    rates[0, :failed] = 0
    interval = pass_at_1([rates])
    exact = stats.binomtest(100 - failed, 100).proportion_ci(method="exact")
    assert exact.low <= interval.low < interval.value < interval.high <= exact.high + 2e-3
    wilson = stats.binomtest(100 - failed, 100).proportion_ci(method="wilson")
    assert interval.high - interval.low > 0.9 * (wilson.high - wilson.low)


def test_each_benchmarks_problems_vary_by_themselves():
    """Two benchmarks that differ in level alone tell less of spread than one of all their problems would."""
    low, high = np.tile([0.1, 0.3], (1, 100)), np.tile([0.8, 1.0], (1, 100))
    apart, together = pass_at_1([low, high]), pass_at_1([np.hstack([low, high])])
    assert apart.value == pytest.approx(together.value)
    assert apart.high - apart.low < 0.5 * (together.high - together.low)


coarse_rates = st.tuples(st.integers(1, 3), st.integers(2, 20), st.integers(0, 2**32 - 1)).map(
    lambda size: np.random.default_rng(size[2]).choice([0.0, 0.0, 0.25, 1.0, 1.0], size[:2])
)


@given(coarse_rates)
def test_no_interval_is_empty_and_all_hold_their_value(rates):
    for interval in (pass_at_1([rates]), pass_at_1([rates, rates]), paired_difference([rates], [rates])):
        assert interval.low <= interval.value <= interval.high
        assert interval.high - interval.low > 0.5 / rates.shape[1] ** 1.5


@given(coarse_rates, st.randoms(use_true_random=False))
def test_neither_complement_nor_order_nor_name_matters(rates, random):
    interval, mirrored = pass_at_1([rates]), pass_at_1([1 - rates])
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((interval.low, interval.high), abs=1e-9)
    order = random.sample(range(rates.shape[1]), rates.shape[1])
    shuffled = pass_at_1([rates[:, order]])
    assert (shuffled.low, shuffled.high) == pytest.approx((interval.low, interval.high), abs=1e-9)
    other = 1 - rates[:, order]
    forth, back = paired_difference([rates], [other]), paired_difference([other], [rates])
    assert (-back.high, -back.low) == pytest.approx((forth.low, forth.high), abs=1e-9)


def test_intervals_shrink_with_problems_and_widen_with_failures():
    def width(failed, problems):
        rates = np.ones((1, problems))
        rates[0, :failed] = 0.5
        interval = pass_at_1([rates])
        return interval.high - interval.low

    assert np.all(np.diff([width(0, problems) for problems in (1, 5, 30, 100, 700)]) < 0)
    assert np.all(np.diff([width(problems // 10, problems) for problems in (30, 100, 300, 700)]) < 0)
    assert np.all(np.diff([width(failed, 100) for failed in (0, 1, 2, 4, 8, 16, 32)]) > -1e-4)


def test_one_problem_tells_nothing_of_the_others():
    interval = pass_at_1([np.array([[0.5]])])
    assert interval.high - interval.low > 0.9


def test_leading_axes_are_simulations():
    values = np.random.default_rng(5).random((4, 3, 20))
    low, high = mean_limits([values, values[..., :7]], 0.0)
    for number, each in enumerate(values):
        interval = pass_at_1([each, each[:, :7]])
        assert (interval.low, interval.high) == pytest.approx((low[number], high[number]))


def test_equal_seeds_add_nothing_to_the_problem_part():
    rates = np.array([[0.2, 0.4, 0.9]] * 3)
    three, one = pass_at_1([rates]), pass_at_1([rates[:1]])
    assert (three.low, three.high) == pytest.approx((one.low, one.high))
    assert three.covers == "problems and seeds"


def test_many_equal_problems_leave_students_t_over_seeds():
    rates = np.repeat(np.array([[0.4], [0.5], [0.6]]), 700, axis=1)
    half = stats.t.ppf(0.975, 2) * 0.1 / math.sqrt(3)
    interval = pass_at_1([rates])
    assert (interval.low, interval.high) == pytest.approx((0.5 - half, 0.5 + half), rel=1e-3)
    assert mean_half_width(np.array([0.4, 0.5, 0.6])) == pytest.approx(half)
    assert mean_half_width(np.array([[0.4, 0.5, 0.6], [1.0, 1.0, 1.0]])) == pytest.approx(np.array([half, 0]))


def test_mean_over_benchmarks_weighs_benchmarks_equally():
    small, large = np.full((2, 3), 0.2), np.full((2, 300), 0.6)
    assert pass_at_1([small, large]).value == pytest.approx(0.4)


def test_intervals_are_cut_to_what_is_possible():
    rates = np.repeat(np.array([[0.9], [1.0]]), 2, axis=1)
    assert pass_at_1([rates]).high == 1.0
    ends = paired_difference([np.array([[1.0], [0.0]])], [np.array([[0.0], [1.0]])])
    assert (ends.low, ends.high) == (-1.0, 1.0)


@pytest.mark.parametrize("rates", [[], [np.zeros((1, 2)), np.zeros((2, 2))], [np.zeros((1, 0))]])
def test_wrong_shapes_are_named(rates):
    with pytest.raises(ValueError, match="rates_SP"):
        pass_at_1(rates)


def test_pairing_removes_what_both_methods_share():
    """Of a constant difference nothing varies but what was not seen; alone, problems and seeds move both methods."""
    rng = np.random.default_rng(3)
    shared = rng.uniform(0.1, 0.8, 500) + rng.normal(0, 0.02, (3, 1))
    interval = paired_difference([shared + 0.05], [shared])
    assert interval.value == pytest.approx(0.05)
    assert interval.high - interval.low == pytest.approx(2 * (1 - 0.025 ** (1 / 500)), rel=0.02)
    unpaired = pass_at_1([shared])
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
    assert alone.value == 0.3
    assert np.isnan([alone.low, alone.high]).all()
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


HARD = [
    Cell("rare half", 0.995, 0.0, 100, 16, 1),
    Cell("rare half", 0.995, 0.005, 100, 16, 3),
    Cell("0.4", 0.005, 0.0, 700, 64, 1),
    Cell("0.4", 0.97, 0.010, 30, 16, 3),
    Cell("1.0", 0.9, 0.0, 30, 16, 1),
    Cell("1.0", 0.995, 0.0, 100, 16, 1, k=4),
    Cell("1.0", 0.995, 0.0, 700, 16, 1, other=0.985),
    Cell("rare none", 0.99, 0.0, 100, 1, 1, other=1.0),
]


@pytest.mark.parametrize("cell", HARD, ids=str)
def test_near_the_ends_the_intervals_cover_where_a_bootstrap_does_not(cell):
    """Cells of the grid in docs/statistics.md, 1,000 repetitions: 93 % less two standard errors."""
    found = simulate(cell, 1000)
    assert found["coverage"] >= 0.93 - 2 * math.sqrt(0.93 * 0.07 / 1000)
    assert found["former_coverage"] < found["coverage"]


def test_the_yardstick_is_the_percentile_bootstrap():
    values = np.random.default_rng(6).beta(0.5, 0.5, (1, 2, 60))
    low, high = former(values, 0.0)
    ends = stats.bootstrap((values[0].mean(axis=0),), np.mean, method="percentile", rng=np.random.default_rng(0))
    seed_part = mean_half_width(values[0].mean(axis=1))
    below, above = values.mean() - ends.confidence_interval.low, ends.confidence_interval.high - values.mean()
    assert low[0] == pytest.approx(max(0, values.mean() - np.hypot(below, seed_part)), abs=0.01)
    assert high[0] == pytest.approx(min(1, values.mean() + np.hypot(above, seed_part)), abs=0.01)


def test_the_documented_simulation_shows_what_one_seed_leaves_out():
    """Runs deviate by a point: one seed's interval of a difference covers these two runs, not the methods."""
    share = paper_cell(seeds=1, run_deviation=0.01, repetitions=300)
    assert share["difference, problems"] >= 0.9
    assert share["difference, problems and seeds"] <= 0.8
    assert 6 < share["width of one method, points"] < 8
