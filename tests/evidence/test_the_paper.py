"""What is said of the paper itself: versions, what its digitised figure lacks, and what others measured."""

import json
import math
import re

import numpy as np
import pytest
from scipy import stats

from figures import training_dynamics
from real.commands.exhibits import exhibits
from real.config import ConfigError
from real.evidence.claims import THIRD_PARTY
from real.evidence.claims.judge import write_claims
from real.evidence.claims.schema import load_claims
from real.evidence.printed import MEAN, cells, read_benchmarks
from real.evidence.third_party import deviation_factors, read_third_party
from real.evidence.training_curves import curve_ends, late_starts, training_curves
from tests.support.paths import ROOT
from tests.support.scales import shipped


@pytest.fixture(autouse=True)
def in_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_a_curve_that_begins_late_says_so_wherever_its_start_is_shown():
    """GRPO's entropy is known from step 20, when it had lost a quarter of where the others begin."""
    curves = training_curves(shipped("published"))
    entropy = curves[curves["metric"] == "entropy"].set_index(["method", "step"])["value"]
    others = [entropy[method, 0] for method in ("real", "dapo", "gspo")]
    assert (min(others), max(others)) == (0.2332, 0.2369)
    assert entropy["grpo", 20] == 0.1805 == pytest.approx(0.77 * np.mean(others), abs=0.001)
    assert late_starts(curves) == (
        "not known from the start: GRPO's entropy (only from step 20), "
        "GRPO's prompts solved by all rollouts (only from step 20)"
    )
    assert late_starts(curves[curves["method"] != "grpo"]) == ""
    ends = curve_ends(curves).set_index("method")["Entropy, nats per token"]
    assert ends["GRPO"] == "0.180 (step 20) → 0.0162"
    assert ends["REAL"] == "0.236 → 0.256"
    figure = training_dynamics.draw(curves, 1, 128, "published")
    assert "GRPO's entropy (only from step 20)" in " ".join(" ".join(text.get_text().split()) for text in figure.texts)
    end = entropy["grpo"].loc[1260:].mean()
    note = load_claims().claims["grpo_entropy_collapses"].note
    assert "begins at step 20, at 0.1805" in note
    assert f"({np.mean(others):.3f}) the end is {end / np.mean(others):.3f}" in note


PICTURES = ("v1's time", "9 February 2026")


@pytest.mark.parametrize(
    ("file", "facts"),
    [
        ("benchmarks", PICTURES),
        ("training_dynamics", PICTURES),
        ("disco", ("pictures in DisCO's repository", "bd2b078")),
    ],
)
def test_each_printed_table_names_the_version_that_it_is_from(file, facts):
    """In its header, and on the page that tells the versions apart."""
    table = f"paper_configs/reported/{file}.csv"
    lines = (ROOT / table).read_text(encoding="utf-8").splitlines()
    (head,) = [line for line in lines if line.startswith("# version: ")]
    (row,) = [row for row in (ROOT / "docs/paper.md").read_text(encoding="utf-8").splitlines() if f"`{table}`" in row]
    assert [fact for fact in facts if fact not in head or fact not in row] == []


def test_what_is_drawn_from_printed_numbers_names_their_version():
    assert "v1's time, pictures of 9 February 2026" in shipped("published").scale.evidence


# id -> value as printed in its source (scores of 0 to 1, deviations as fractions), runs or seeds
REPORTED_BY_OTHERS = {
    "ms_swift_base": (0.193, 1),
    "ms_swift_grpo": (0.248, 1),
    "ms_swift_real": (0.257, 1),
    "respo_smaller": (0.0054, 3),
    "respo_larger": (0.0095, 3),
    "sober_aime24_1_5b": (0.048, None),
    "sober_aime25_1_5b": (0.052, None),
    "sober_amc_1_5b": (0.039, None),
    "sober_aime24_7b": (0.063, None),
    "sober_aime25_7b": (0.059, None),
    "sober_amc_7b": (0.027, None),
    "rllm_15": (None, None),
    "rllm_116": (None, 1),
    "justrl_5": (None, None),
    "disco_grpo_1_5b": (0.457, None),
    "disco_dapo_1_5b": (0.473, None),
}
CONCENTRATIONS = {"aime24_1_5b": 0.51, "aime25_1_5b": 0.88, "amc_1_5b": 0.43} | {
    "aime24_7b": 0.91,
    "aime25_7b": 0.78,
    "amc_7b": 0.60,
}


@pytest.fixture
def reports():
    return {report.id: report for report in read_third_party()}


def test_what_others_measured_is_what_their_sources_print(reports):
    assert {name: (report.value, report.n) for name, report in reports.items()} == REPORTED_BY_OTHERS
    for name, report in reports.items():
        assert (report.value is None) == (report.kind == "direction"), name
        assert (report.kind == "deviation") == name.startswith(("respo", "sober")), name
    assert "2609.35433" in reports["respo_smaller"].source
    assert "pull request 9270" in reports["ms_swift_real"].source
    assert (reports["rllm_15"].source, reports["rllm_116"].source) == (
        "rllm-org/rllm, issue 15",
        "rllm-org/rllm, issue 116",
    )


@pytest.mark.parametrize("n", [2, 3, 10, 50])
def test_the_range_of_a_deviation_is_chi_squares(n):
    low, high = deviation_factors(n)
    assert low == pytest.approx(math.sqrt((n - 1) / stats.chi2.ppf(0.975, n - 1)))
    assert high == pytest.approx(math.sqrt((n - 1) / stats.chi2.ppf(0.025, n - 1)))


def test_three_seeds_leave_half_to_six_times_the_printed_deviation(reports):
    assert deviation_factors(3) == (pytest.approx(0.52, abs=0.001), pytest.approx(6.3, abs=0.02))
    with pytest.raises(ValueError, match="2 values or more"):
        deviation_factors(1)
    assert reports["respo_smaller"].ends == pytest.approx((0.00281, 0.03394), abs=1e-5)
    assert reports["respo_larger"].ends == pytest.approx((0.00495, 0.05970), abs=1e-5)
    for name in ("respo_smaller", "respo_larger"):
        low, high = reports[name].ends
        assert low < 0.005 < 0.010 < high, "the deviations that power.py takes lie inside, as the row says"
    assert {name for name, report in reports.items() if report.ends} == {"respo_smaller", "respo_larger"}
    # of 20,000 drawn triples, 95 % have the truth in their range
    drawn = np.random.default_rng(0).normal(size=(20_000, 3)).std(axis=1, ddof=1)
    low, high = deviation_factors(3)
    assert np.mean((drawn * low < 1) & (drawn * high > 1)) == pytest.approx(0.95, abs=0.005)


def test_what_follows_from_others_numbers_is_recomputed(reports):
    for name, nu in CONCENTRATIONS.items():
        report = reports[f"sober_{name}"]
        score, problems, said = map(
            float, re.search(r"score of (\S+) % on (\d+) problems .* ν of (\S+)$", report.resolves).groups()
        )
        mean = score / 100
        share = report.value**2 * problems / (mean * (1 - mean))  # ν/(ν + 1)
        assert said == nu == pytest.approx(share / (1 - share), abs=0.006), name
    assert reports["ms_swift_real"].value - reports["ms_swift_grpo"].value == pytest.approx(0.009)
    scores = read_benchmarks([f"paper_configs/reported/{file}.csv" for file in ("benchmarks", "disco")])
    backbone = "DeepSeek-R1-Distill-Qwen-1.5B"
    for method in ("grpo", "dapo"):
        report = reports[f"disco_{method}_1_5b"]
        own, theirs = (cells(scores, backbone, name)[MEAN] for name in (method, f"disco_{method}"))
        assert report.value == theirs
        assert f"+{100 * (theirs - own):.1f} points" in report.resolves
        assert f"({own:.3f})" in report.resolves
    real = cells(scores, backbone, "real")[MEAN]
    assert f"are +{100 * (real - reports['disco_dapo_1_5b'].value):.1f}" in reports["disco_dapo_1_5b"].resolves


@pytest.mark.parametrize(
    ("line", "replacement", "sentence"),
    [
        ("who,source", "whose,source", "expected the columns id, who, source"),
        ("respo_larger,", "respo_smaller,", "respo_smaller is given twice; remove one row"),
        ('the larger",deviation', 'the larger",deviations', "respo_larger: unknown kind 'deviations'"),
        ("deviation,0.0095,3", "deviation,,3", "respo_larger: a deviation needs a value"),
        ("deviation,0.0095,3", "direction,0.0095,3", "respo_larger: a direction has no value"),
        ("deviation,0.0095,3", "deviation,0.95,three", "respo_larger: n is 'three'; write a number, or nothing"),
        ("deviation,0.0095,3", "deviation,0.0095,2.5", "respo_larger: n is 2.5; write a whole number"),
        ("deviation,0.0095,3", "deviation,95,3", "respo_larger: value is 95; write a fraction of 0 to 1"),
        ("respo_larger,ReSPO,", "respo_larger,,", "respo_larger: who is empty; write it"),
    ],
)
def test_a_mistyped_row_of_others_is_found(tmp_path, line, replacement, sentence):
    path = tmp_path / "third_party.csv"
    text = (ROOT / THIRD_PARTY).read_text(encoding="utf-8")
    assert line in text
    path.write_text(text.replace(line, replacement, 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(sentence)) as caught:
        read_third_party(str(path))
    assert str(path) in str(caught.value)


def test_others_rows_stand_on_the_claims_page_unjudged_and_uncounted(tmp_path, reports):
    rows = write_claims(shipped("published"), tmp_path)
    stored = json.loads((tmp_path / "claims.json").read_text(encoding="utf-8"))
    assert [other["id"] for other in stored["others"]] == list(reports)
    assert not {"verdict", "region", "interval"} & set(stored["others"][0])
    assert {row["id"] for row in stored["rows"]} == {row.id for row in rows}
    by_name = {other["id"]: other for other in stored["others"]}
    assert by_name["rllm_15"]["value"] is None
    page = (tmp_path / "claims.html").read_text(encoding="utf-8")
    above, heading, section = page.partition("<h2>What others measured</h2>")
    assert heading
    assert 'class="verdict' not in section
    assert section.count("<tr><td>") == len(reports)
    assert "0.54 points<small>95 % range [0.28, 3.39]</small>" in section
    assert "0.95 points<small>95 % range [0.49, 5.97]</small>" in section
    counted = sum(map(int, re.findall(r"(\d+) (?:reproduced|contradicted|unresolved|holds|not run)[,.]", above)))
    assert counted == len(rows)
    exhibit = next(exhibit for exhibit in exhibits() if exhibit.name == "claims")
    assert THIRD_PARTY in exhibit.printed(shipped("published")), "an edit of the file makes the page anew"
