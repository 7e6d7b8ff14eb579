"""The beta-binomial model against simulation and against an independent evaluation of the paper's numbers."""

import math

import numpy as np
import pytest

from real.statistics.power import (
    decoding_variance,
    needed_for_power,
    problem_variance,
    rate_quantile,
    resolution,
)

PROBLEMS = [30, 30, 500, 83, 272, 675]  # AIME24, AIME25, MATH500, AMC23, Minerva, OlympiadBench
SCORES = {
    "real": [0.406, 0.321, 0.877, 0.734, 0.310, 0.508],
    "gspo": [0.377, 0.296, 0.877, 0.730, 0.326, 0.506],
    "grpo": [0.235, 0.229, 0.824, 0.600, 0.264, 0.435],
    "dapo": [0.298, 0.215, 0.837, 0.663, 0.295, 0.448],
    "disco_log_l": [0.404, 0.317, 0.876, 0.758, 0.333, 0.509],
    "disco_grpo": [0.277, 0.242, 0.838, 0.647, 0.276, 0.462],
    "real_7b": [0.571, 0.433, 0.929, 0.858, 0.402, 0.602],
    "gspo_7b": [0.525, 0.396, 0.926, 0.852, 0.402, 0.588],
    "grpo_7b": [0.498, 0.394, 0.916, 0.807, 0.381, 0.555],
}


@pytest.mark.parametrize(
    ("score", "problems", "resampled", "fixed"),
    [
        (0.406, 30, 6.5, 1.6),
        (0.321, 30, 6.2, 1.5),
        (0.877, 500, 1.1, 0.26),
        (0.734, 83, 3.5, 0.86),
        (0.310, 272, 2.0, 0.50),
        (0.508, 675, 1.4, 0.34),
    ],
)
def test_standard_errors_of_single_scores(score, problems, resampled, fixed):
    """A score's own variance is half that of the difference of two scores that vary by themselves."""
    decoding = decoding_variance([score], [score], [problems], samples=16) / 2
    drawing = problem_variance([score], [score], [problems], correlation=0.0) / 2
    assert 100 * math.sqrt(decoding + drawing) == pytest.approx(resampled, abs=0.06)
    assert 100 * math.sqrt(decoding) == pytest.approx(fixed, abs=0.06)


@pytest.mark.parametrize(
    ("a", "b", "fixed", "paired", "runs", "word"),
    [
        ("real", "gspo", 1.3, 0.9, (0.7, 0.4), "not resolvable"),
        ("real", "disco_log_l", -1.2, -0.8, (-0.6, -0.4), "not resolvable"),
        ("real", "dapo", 12.0, 7.7, (6.0, 4.0), "resolved"),
        ("real", "grpo", 17.2, 10.5, (8.3, 5.6), "resolved"),
        ("real_7b", "gspo_7b", 3.1, 2.1, (1.6, 1.1), "suggestive"),
        ("real_7b", "grpo_7b", 7.0, 4.8, (3.7, 2.5), "resolved"),
        ("disco_grpo", "grpo", 4.8, 3.3, (2.5, 1.6), "suggestive"),
    ],
)
def test_what_the_printed_differences_resolve(a, b, fixed, paired, runs, word):
    found = resolution(SCORES[a], SCORES[b], PROBLEMS)
    assert (found.z_fixed, found.z_paired) == (pytest.approx(fixed, abs=0.06), pytest.approx(paired, abs=0.07))
    assert found.z_runs[1:] == pytest.approx(runs, abs=0.07)
    assert found.word == word


def test_standard_errors_of_a_difference_of_two_averages():
    a, b = SCORES["real"], SCORES["gspo"]
    fixed = decoding_variance(a, b, PROBLEMS, samples=16)
    assert 100 * math.sqrt(fixed) == pytest.approx(0.57, abs=0.005)
    assert 100 * math.sqrt(fixed + problem_variance(a, b, PROBLEMS)) == pytest.approx(0.82, abs=0.005)
    assert 100 * math.sqrt(fixed + problem_variance(a, b, PROBLEMS, correlation=0.0)) == pytest.approx(2.4, abs=0.05)


def test_samples_and_seeds_for_eighty_percent_power():
    """Runs deviating by 0.5 and 1.0 points: about 18 and 70 seeds for the difference at 1.5B, 3 and 9 at 7B."""
    small = resolution(SCORES["real"], SCORES["gspo"], PROBLEMS)
    assert small.samples == 128
    assert small.seeds == (pytest.approx(18, abs=1), pytest.approx(72, abs=2))
    large = resolution(SCORES["real_7b"], SCORES["gspo_7b"], PROBLEMS)
    assert (large.samples, large.seeds) == (32, (3, 9))
    assert needed_for_power(0.0, 0.001) == (0, ())


def test_the_needed_seeds_have_the_promised_power():
    rng = np.random.default_rng(0)
    a, b = SCORES["real_7b"], SCORES["gspo_7b"]
    found = resolution(a, b, PROBLEMS)
    variance = decoding_variance(a, b, PROBLEMS, found.samples) + 2 * 0.005**2 / found.seeds[0]
    z = rng.normal(found.difference / math.sqrt(variance), 1, 20_000)
    assert 0.8 <= (z > 1.96).mean() < 0.95


def test_the_model_is_that_of_drawn_problems_and_samples():
    """Problems, both methods' rates and 16 samples drawn 4,000 times give the computed standard errors."""
    rng, a, b, problems = np.random.default_rng(1), 0.4, 0.3, 30
    shared = rng.normal(size=(4000, problems))
    other = 0.95 * shared + math.sqrt(1 - 0.95**2) * rng.normal(size=shared.shape)
    rate_a, rate_b = rate_quantile(a, shared), rate_quantile(b, other)
    drawn = (rng.binomial(16, rate_a) - rng.binomial(16, rate_b)) / 16
    expected = decoding_variance([a], [b], [problems], 16) + problem_variance([a], [b], [problems])
    assert drawn.mean() == pytest.approx(0.1, abs=0.002)
    assert drawn.mean(axis=1).std() == pytest.approx(math.sqrt(expected), rel=0.04)
