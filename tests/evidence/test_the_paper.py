"""What is said of the paper itself: versions, what its digitised figure lacks, and what others measured."""

import numpy as np
import pytest

from figures import training_dynamics
from real.evidence.claims.schema import load_claims
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
