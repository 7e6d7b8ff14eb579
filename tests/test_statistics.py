"""Intervals against closed forms and simulation."""

import numpy as np
import pytest
from scipy import stats

from real.statistics import mean_half_width, pass_at_1


def test_one_seed_covers_problems_only():
    rates = np.array([[0.0, 1.0, 0.5, 0.5]])
    interval = pass_at_1([rates])
    expected = 1.959964 * rates.std(ddof=1) / 2
    assert interval.value == 0.5
    assert interval.half_width == pytest.approx(expected, rel=1e-6)
    assert interval.covers == "problems only"


def test_equal_seeds_add_nothing_to_the_problem_part():
    rates = np.array([[0.2, 0.4, 0.9]] * 3)
    assert pass_at_1([rates]).half_width == pytest.approx(pass_at_1([rates[:1]]).half_width)
    assert pass_at_1([rates]).covers == "problems and seeds"


def test_equal_problems_leave_students_t_over_seeds():
    rates = np.repeat(np.array([[0.4], [0.5], [0.6]]), 10, axis=1)
    assert pass_at_1([rates]).half_width == pytest.approx(stats.t.ppf(0.975, 2) * 0.1 / np.sqrt(3))
    assert mean_half_width(np.array([0.4, 0.5, 0.6])) == pytest.approx(stats.t.ppf(0.975, 2) * 0.1 / np.sqrt(3))


def test_mean_over_benchmarks_weighs_benchmarks_equally():
    small, large = np.full((2, 3), 0.2), np.full((2, 300), 0.6)
    assert pass_at_1([small, large]).value == pytest.approx(0.4)


def test_interval_is_cut_to_probabilities():
    interval = pass_at_1([np.array([[1.0, 1.0, 0.7]])])
    assert interval.high == 1.0
    assert interval.low == pytest.approx(interval.value - interval.half_width)


@pytest.mark.parametrize("rates", [[], [np.zeros((1, 2)), np.zeros((2, 2))]])
def test_wrong_shapes_are_named(rates):
    with pytest.raises(ValueError, match="rates_SP"):
        pass_at_1(rates)


@pytest.mark.parametrize(("seeds", "lowest"), [(1, 0.92), (3, 0.92)])
def test_the_interval_covers_the_truth_about_as_often_as_it_says(seeds, lowest):
    """Problems, seeds and samples drawn anew 1,000 times; the one-seed interval's truth is that seed's own mean."""
    rng = np.random.default_rng(0)
    problems, samples, hits = 80, 16, 0
    for _ in range(1000):
        difficulty = rng.normal(0.5, 0.15, problems)
        shift = rng.normal(0, 0.03, (seeds, 1))
        rate = np.clip(difficulty + shift, 0, 1)
        interval = pass_at_1([rng.binomial(samples, rate) / samples])
        truth = 0.5 + (shift[0, 0] if seeds == 1 else 0.0)
        hits += interval.low <= truth <= interval.high
    assert hits / 1000 >= lowest
