"""What ``python -m real plan`` says of claims: their power, and what the seeds that decide them cost."""

import re

import pytest

from real.commands.command_line import main
from real.evidence.claims.plan_text import confirms_text
from tests.support.paths import ROOT
from tests.support.scales import shipped


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def hours(text: str, seeds: str) -> float:
    """The low end of the device-hours that the text states for so many seeds."""
    [found] = re.findall(rf"^  {seeds}: ([\d,]+)–", text, re.MULTILINE)
    return float(found.replace(",", ""))


def test_the_shipped_plan_states_the_power_of_each_row_and_both_costs():
    text = confirms_text(shipped("1.5b"))
    primary = re.search(r"power, primary, at Holm's first step: (.*)", text).group(1)
    assert set(re.findall(r"real_over_\w+", primary)) == {"real_over_dapo_1_5b", "real_over_grpo_1_5b"}
    assert min(map(float, re.findall(r" (\d\.\d+)", primary))) >= 0.8
    weak = re.search(r"below 0.5, counted nowhere: (.*)", text).group(1)
    assert "real_over_gspo_1_5b" in weak
    assert "real_consistent_1_5b" in weak
    assert hours(text, "3 seeds") == pytest.approx(3 * hours(text, "1 seed"), rel=0.01), "but for one base evaluation"
    assert "no verdict on a method" in text
    assert text in (ROOT / "docs" / "planning.md").read_text(), "stale: paste what `python -m real plan` prints"


def test_a_plan_of_one_seed_names_the_seeds_that_would_decide():
    text = confirms_text(shipped("7b"))
    assert "power, primary" not in text
    assert hours(text, "4 seeds") == pytest.approx(4 * hours(text, "1 seed"), rel=0.01)
    assert text in (ROOT / "docs" / "planning.md").read_text()


def test_a_scale_that_no_claim_is_about_has_no_such_lines(capsys):
    assert confirms_text(shipped("laptop")) == ""
    assert main(["plan", "--scale", "laptop"]) == 0
    assert "can confirm" not in capsys.readouterr().out
    assert main(["plan", "--scale", "1.5b"]) == 0
    assert "What this plan can confirm" in capsys.readouterr().out
