"""The beta-binomial model against simulation and against an independent evaluation of the paper's numbers."""

import math
import re

import numpy as np
import pytest

from real.evidence.third_party import read_third_party
from real.statistics import power
from real.statistics.power import Cells, concentration, covariance, needed_for_power, rate_quantile, resolution
from tests.support.paths import ROOT

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
    """A score's own variance is that of its rates between problems, and of its samples, at ν = 1."""
    one = Cells([score], [score], [problems])
    between = one.a_runs.interaction_B[0] + covariance(score, score, 1.0)
    assert 100 * math.sqrt(between / problems + one.decoding(16) / 2) == pytest.approx(resampled, abs=0.06)
    assert 100 * math.sqrt(one.decoding(16) / 2) == pytest.approx(fixed, abs=0.06)


@pytest.mark.parametrize(
    ("a", "b", "fixed", "paired", "runs", "word"),
    [
        ("real", "gspo", 1.3, 0.9, (0.65, 0.47), "not resolvable"),
        ("real", "disco_log_l", -1.2, -0.8, (-0.6, -0.42), "not resolvable"),
        ("real", "dapo", 12.0, 7.7, (5.77, 4.17), "resolved"),
        ("real", "grpo", 17.2, 10.5, (7.99, 5.85), "resolved"),
        ("real_7b", "gspo_7b", 3.1, 2.1, (1.6, 1.15), "suggestive"),
        ("real_7b", "grpo_7b", 7.0, 4.8, (3.55, 2.56), "resolved"),
        ("disco_grpo", "grpo", 4.8, 3.3, (2.4, 1.7), "suggestive"),
    ],
)
def test_what_the_printed_differences_resolve(a, b, fixed, paired, runs, word):
    found = resolution(Cells(SCORES[a], SCORES[b], PROBLEMS))
    assert (found.z_fixed, found.z_paired) == (pytest.approx(fixed, abs=0.06), pytest.approx(paired, abs=0.07))
    assert found.z_runs[1:] == pytest.approx(runs, abs=0.07)
    assert found.word == word


def test_standard_errors_of_a_difference_of_two_averages():
    found = Cells(SCORES["real"], SCORES["gspo"], PROBLEMS)
    assert 100 * math.sqrt(found.decoding(16)) == pytest.approx(0.57, abs=0.005)
    assert 100 * math.sqrt(found.decoding(16) + found.drawing()) == pytest.approx(0.82, abs=0.005)


def test_measured_concentrations_follow_from_the_deviations_that_others_print(monkeypatch):
    """sober-reasoning's deviations of one sample per problem, at the scores of the same samples."""
    monkeypatch.chdir(ROOT)
    reports = {report.id: report for report in read_third_party()}
    names = {"aime": "aime24", "aime25": "aime25", "amc": "amc"}
    for backbone, measured in power.MEASURED_CONCENTRATION.items():
        size = backbone.rpartition("-")[2].lower().replace(".", "_")
        for benchmark, name in names.items():
            report = reports[f"sober_{name}_{size}"]
            score, problems = re.search(r"a score of ([\d.]+) % on (\d+) problems", report.resolves).groups()
            found = concentration(report.value, float(score) / 100, int(problems))
            assert measured[benchmark] == pytest.approx(found, abs=0.006), (backbone, benchmark)
    with pytest.raises(ValueError, match="larger than any"):
        concentration(0.2, 0.5, 30)


def test_samples_and_seeds_for_eighty_percent_power():
    """Runs deviating by 0.54 and 0.95 points: 21 and 65 seeds for the difference at 1.5B, 3 and 8 at 7B."""
    small = resolution(Cells(SCORES["real"], SCORES["gspo"], PROBLEMS))
    assert small.samples == 128
    assert small.seeds == (pytest.approx(21, abs=1), pytest.approx(65, abs=2))
    large = resolution(Cells(SCORES["real_7b"], SCORES["gspo_7b"], PROBLEMS))
    assert (large.samples, large.seeds) == (32, (3, 8))
    assert needed_for_power(0.0, 0.001) == (0, ())


def test_the_needed_seeds_have_the_promised_power():
    rng = np.random.default_rng(0)
    both = Cells(SCORES["real_7b"], SCORES["gspo_7b"], PROBLEMS)
    found = resolution(both)
    variance = both.decoding(found.samples) + 2 * power.RUN_DEVIATIONS[1] ** 2 / found.seeds[0]
    z = rng.normal(found.difference / math.sqrt(variance), 1, 20_000)
    assert 0.8 <= (z > 1.96).mean() < 0.95


@pytest.mark.parametrize("nu", [0.5, 1.0])
def test_the_model_is_that_of_drawn_problems_and_samples(nu):
    """Problems, both methods' rates and 16 samples drawn 4,000 times give the computed standard errors."""
    rng, a, b, problems = np.random.default_rng(1), 0.4, 0.3, 30
    shared = rng.normal(size=(4000, problems))
    rates = [
        rate_quantile(score, math.sqrt(0.95) * shared + math.sqrt(0.05) * rng.normal(size=shared.shape), nu)
        for score in (a, b)
    ]
    drawn = (rng.binomial(16, rates[0]) - rng.binomial(16, rates[1])) / 16
    both = Cells([a], [b], [problems], [nu])
    assert drawn.mean() == pytest.approx(0.1, abs=0.002)
    assert drawn.mean(axis=1).std() == pytest.approx(math.sqrt(both.decoding(16) + both.drawing()), rel=0.04)
