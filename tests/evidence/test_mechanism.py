"""What a grid's runs say of its hypotheses: closed forms from made-up evaluations (test data, no results)."""

import json
import re
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from real.config import ConfigError
from real.evidence.mechanism import BEST, SAME, mechanism, write_mechanism
from real.evidence.results import ResultsError
from real.statistics.intervals import paired_difference
from real.system.files import DamagedError, read_csv
from tests.support.made_up import record_all, write_correct, write_metrics
from tests.support.paths import PAPER_CONFIGS
from tests.support.scales import shipped

BENCHMARKS = ["add3", "mix4"]
PROBLEMS, SAMPLES, STEPS = 20, 4, 2
LOW, HIGH = 1.5e-4, 3.0e-4
# by rule: the label, then the rules of positives and negatives
RULES = {
    "constant_ratio": ("+ |A|, − |A|e^s", "constant", "ratio"),
    "ratio_ratio": ("+ |A|e^s, − |A|e^s", "ratio", "ratio"),
}
OVERLAY = {
    "seeds": [0, 1, 2],
    "base": {"further_seeds": [7]},
    "training": {"steps": STEPS, "gradient_sample_steps": [STEPS]},
    "evaluation": {"benchmarks": BENCHMARKS, "samples": SAMPLES},
    "variants": {
        name: {
            "method": "counterfactual",
            "label": label,
            "hyperparameters": {"positives": positives, "negatives": negatives},
        }
        for name, (label, positives, negatives) in RULES.items()
    },
    "grid": [
        {"methods": ["ratio_ratio", "grpo"], "learning_rate": [LOW, HIGH], "staleness": [8]},
        {"methods": ["constant_ratio"], "learning_rate": [HIGH, 6.0e-4], "staleness": [8]},
        {"methods": ["grpo"], "learning_rate": [HIGH], "staleness": [0]},
    ],
    "mechanism": {
        "hypotheses": {
            "misassignment": {
                "statement": "a constant weight on positives scores higher",
                "better": "constant_ratio",
                "worse": "ratio_ratio",
                "smallest_difference": 0.02,
            },
            "clip": {
                "statement": "the clip hurts",
                "better": "ratio_ratio",
                "worse": "grpo",
                "smallest_difference": 0.0,
            },
        }
    },
}


@dataclass(frozen=True)
class Cell:
    """What the runs of one crossed method are made to score: on validation problems, on test problems."""

    validation: float
    test: float


# the rate with the better test score is not the one with the better validation score
CELLS = {
    "constant_ratio_lr3.0e-4_k8": Cell(0.7, 0.5),
    "constant_ratio_lr6.0e-4_k8": Cell(0.2, 1.0),
    "grpo_lr1.5e-4_k8": Cell(0.4, 0.5),
    "grpo_lr3.0e-4_k8": Cell(0.4, 0.25),
    "ratio_ratio_lr1.5e-4_k8": Cell(0.5, 1.0),
    "ratio_ratio_lr3.0e-4_k8": Cell(0.6, 0.25),
    "grpo_lr3.0e-4_k0": Cell(0.9, 1.0),
}


def runs(experiment) -> pd.DataFrame:
    return mechanism(experiment)[0]


def comparisons(experiment) -> pd.DataFrame:
    return mechanism(experiment)[1]


def experiment_of(folder: Path, **changes):
    """The smoke scale with the overlay, some of its keys replaced."""
    path = folder / "grid.yaml"
    path.write_text(yaml.safe_dump({**OVERLAY, **changes}, sort_keys=False))
    return shipped("smoke", path)


def write_run(experiment, method: str, seed: int, validation: float, correct_PS: dict[str, np.ndarray]) -> None:
    """metrics.jsonl and the evaluation of one run; (problems, samples) of correctness per benchmark."""
    results = Path(experiment.results)
    last = [0.95, None, validation]  # what stands before the last line must not be read
    write_metrics(results / "runs" / method / f"seed{seed}", {"step": [0, 1, 2], "val_pass_at_1": last})
    write_correct(results / "evaluations" / method / f"seed{seed}", correct_PS)


def constant(rate: float) -> np.ndarray:
    """(problems, samples): of every problem the same share correct."""
    return np.tile(np.arange(SAMPLES) < round(rate * SAMPLES), (PROBLEMS, 1))


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """The grid with results in which a method's seeds and problems all score alike: differences are exact."""
    monkeypatch.chdir(tmp_path)
    experiment = experiment_of(tmp_path)
    for (method, cell), seed in product(CELLS.items(), experiment.scale.seeds):
        correct = {benchmark: constant(cell.test) for benchmark in BENCHMARKS}
        write_run(experiment, method, seed, cell.validation, correct)
    record_all(experiment)
    return experiment


@pytest.fixture
def noisy(tmp_path, monkeypatch):
    """The grid with results that vary by problem and seed; and the rates, (S, P) per benchmark, by method."""
    monkeypatch.chdir(tmp_path)
    experiment = experiment_of(tmp_path)
    rng = np.random.default_rng(0)
    rates = {}
    for method, cell in CELLS.items():
        drawn = rng.random((3, len(BENCHMARKS), PROBLEMS, SAMPLES)) < cell.test
        for seed in experiment.scale.seeds:
            correct = dict(zip(BENCHMARKS, drawn[seed], strict=True))
            write_run(experiment, method, seed, cell.validation + 0.1 * (seed - 1), correct)
        rates[method] = list(drawn.mean(axis=3).swapaxes(0, 1))
    record_all(experiment)
    return experiment, rates


def row_of(table: pd.DataFrame, hypothesis: str, rates: str) -> pd.Series:
    """The hypothesis's row at the best rates, or at the rate that all rules ran at."""
    at = table["learning_rate"].isna() if rates == BEST else table["learning_rate"] == HIGH
    (row,) = (row for _, row in table[at].iterrows() if (row["hypothesis"], row["rates"]) == (hypothesis, rates))
    return row


def test_a_row_per_run_holds_its_cross_its_base_model_and_its_last_scores(noisy):
    experiment, rates = noisy
    table = runs(experiment)
    assert len(table) == len(CELLS) * 3
    row = table[(table["method"] == "constant_ratio_lr3.0e-4_k8") & (table["seed"] == 1)].iloc[0]
    assert row["test"] == pytest.approx(
        np.mean([part[1].mean() for part in rates["constant_ratio_lr3.0e-4_k8"]]), abs=1e-12
    )
    assert row["validation"] == pytest.approx(0.7)
    del row["test"], row["validation"]
    assert row.to_dict() == {
        "method": "constant_ratio_lr3.0e-4_k8",
        "rule": "constant_ratio",
        "label": "+ |A|, − |A|e^s",
        "objective": "counterfactual",
        "positives": "constant",
        "negatives": "ratio",
        "learning_rate": HIGH,
        "staleness": 8,
        "seed": 1,
        "base_seed": 7,
    }
    on_policy = table[table["staleness"] == 0]
    assert on_policy[
        ["rule", "objective", "positives", "negatives", "label"]
    ].drop_duplicates().to_numpy().tolist() == [["grpo", "grpo", "grpo", "grpo", "GRPO"]]
    assert on_policy["base_seed"].tolist() == [0, 7, 0]


def test_differences_are_paired_by_problem_and_seed(noisy):
    experiment, rates = noisy
    row = row_of(comparisons(experiment), "misassignment", SAME)
    expected = paired_difference(rates["constant_ratio_lr3.0e-4_k8"], rates["ratio_ratio_lr3.0e-4_k8"])
    assert (row["value"], row["low"], row["high"]) == pytest.approx((expected.value, expected.low, expected.high))
    assert row["low"] < row["value"] < row["high"]
    assert (row["covers"], row["seeds"], row["problems"]) == ("problems and seeds", 3, 2 * PROBLEMS)


def test_a_rate_that_only_one_rule_ran_at_has_no_row(finished):
    table = comparisons(finished)
    same = table[table["rates"] == SAME]
    assert same[["hypothesis", "staleness", "learning_rate"]].to_numpy().tolist() == [
        ["misassignment", 8, HIGH],
        ["clip", 8, LOW],
        ["clip", 8, HIGH],
    ]
    assert same["value"].tolist() == pytest.approx([0.5 - 0.25, 1 - 0.5, 0.25 - 0.25])


def test_best_rates_are_compared_only_where_both_rules_had_the_same_choice(finished):
    table = comparisons(finished)
    assert table.loc[table["rates"] == BEST, "hypothesis"].tolist() == ["clip"]


def test_the_best_rate_is_chosen_by_validation_and_not_by_test(finished):
    row = row_of(comparisons(finished), "clip", BEST)
    assert row["better_rate"] == HIGH, "test scores would choose the other rate"
    assert np.isnan(row["learning_rate"])
    assert (row["value"], row["verdict"]) == (pytest.approx(-0.25), "contradicted")


def test_of_rates_that_validate_alike_the_lower_is_the_best(finished):
    row = row_of(comparisons(finished), "clip", BEST)
    assert (row["better_rate"], row["worse_rate"]) == (HIGH, LOW)
    assert row["value"] == pytest.approx(0.25 - 0.5)


def test_scores_that_differ_by_rounding_alone_choose_the_lower_rate(finished):
    """As the means of three seeds' fractions do: (80 + 92 + 12) / 300 and (61 + 61 + 62) / 300, each by itself."""
    for seed in finished.scale.seeds:
        write_run(finished, "grpo_lr3.0e-4_k8", seed, CELLS["grpo_lr1.5e-4_k8"].validation + 1e-15, {})
    assert row_of(comparisons(finished), "clip", BEST)["worse_rate"] == LOW


@pytest.mark.parametrize(
    ("smallest", "word"),
    [(0.0, "supported"), (0.141, "supported"), (0.143, "unresolved"), (0.314, "unresolved"), (0.316, "contradicted")],
)
def test_verdict_is_that_of_the_whole_interval_against_the_smallest_difference(finished, tmp_path, smallest, word):
    """Here every problem and seed differs by 0.25, and what was not seen makes the interval."""
    section = json.loads(json.dumps(OVERLAY["mechanism"]))
    section["hypotheses"]["misassignment"]["smallest_difference"] = smallest
    table = comparisons(experiment_of(tmp_path, mechanism=section))
    row = row_of(table, "misassignment", SAME)
    assert (row["low"], row["high"]) == pytest.approx((0.142, 0.315), abs=1e-3)
    assert (row["smallest_difference"], row["verdict"]) == (smallest, word)
    assert row_of(table, "clip", BEST)["verdict"] == "contradicted", "wholly below 0"
    assert row_of(table, "clip", SAME)["verdict"] == "unresolved", "exactly 0 is not above 0"


def test_an_interval_across_the_smallest_difference_is_unresolved(noisy, tmp_path):
    experiment, _ = noisy
    before = row_of(comparisons(experiment), "misassignment", SAME)
    section = json.loads(json.dumps(OVERLAY["mechanism"]))
    section["hypotheses"]["misassignment"]["smallest_difference"] = float(before["value"]) - 1e-3
    row = row_of(comparisons(experiment_of(tmp_path, mechanism=section)), "misassignment", SAME)
    assert row["verdict"] == "unresolved"


def test_permuted_seeds_change_nothing(noisy, tmp_path):
    experiment, _ = noisy
    permuted = experiment_of(tmp_path, seeds=[2, 0, 1])
    pd.testing.assert_frame_equal(comparisons(permuted), comparisons(experiment), atol=1e-12)
    keys = ["method", "seed"]
    ours, theirs = (runs(one).sort_values(keys, ignore_index=True) for one in (experiment, permuted))
    pd.testing.assert_frame_equal(theirs, ours)


def test_files_hold_what_the_functions_give_and_the_page_says_what_it_shows(noisy):
    experiment, _ = noisy
    write_mechanism(experiment, Path())
    pd.testing.assert_frame_equal(read_csv(Path("tables/mechanism.csv")), comparisons(experiment))
    pd.testing.assert_frame_equal(read_csv(Path("tables/mechanism_runs.csv")), runs(experiment))
    row = row_of(comparisons(experiment), "clip", BEST)
    cells = [
        "the clip hurts",
        "+ |A|e^s, − |A|e^s against GRPO",
        "more than +0.000",
        f"best of each: {row['better_rate']:.1e} against {row['worse_rate']:.1e}",
        f"{row['value']:+.3f}",
        f"[{row['low']:+.3f}, {row['high']:+.3f}]",
        row["verdict"],
    ]
    text = Path("tables/mechanism.md").read_text(encoding="utf-8")
    escaped = [cell.replace("|", r"\|") for cell in cells]
    assert re.search(r"\| *" + r" *\| *".join(map(re.escape, escaped)) + r" *\|\n", text), text
    for kind in ("html", "md", "tex"):
        text = Path(f"tables/mechanism.{kind}").read_text(encoding="utf-8")
        for part in (
            "Staleness 8",
            experiment.scale.evidence,
            "4 samples of each of 40 problems",
            "seeds 0, 1, 2, which start from 2 base models (of seed 0, 7)",
            "Intervals cover problems and seeds",
            "chosen on validation problems alone",
            "pass@1 on test problems",
            "Each interval stands alone",
        ):
            assert part in text, (kind, part)
        assert "Staleness 0" not in text, "no hypothesis has both of its rules there"


def test_one_seed_and_one_base_model_are_named_as_such(finished, tmp_path):
    write_mechanism(experiment_of(tmp_path, seeds=[1]), Path())
    text = Path("tables/mechanism.md").read_text(encoding="utf-8")
    assert "seeds 1, which start from 1 base model (of seed 7)" in text
    assert "Intervals cover problems only" in text


@pytest.mark.parametrize("left_out", ["mechanism", "grid"])
@pytest.mark.parametrize("function", [runs, comparisons, lambda experiment: write_mechanism(experiment, Path())])
def test_a_scale_without_grid_or_hypotheses_names_the_overlay(tmp_path, left_out, function):
    experiment = experiment_of(tmp_path, **{left_out: [] if left_out == "grid" else None, "mechanism": None})
    with pytest.raises(ConfigError, match=r"name one after .*paper_configs/variants/stale_rollouts\.yaml$") as caught:
        function(experiment)
    assert "\n" not in str(caught.value)
    assert (PAPER_CONFIGS / "variants" / "stale_rollouts.yaml").exists()


def test_rules_that_never_ran_at_one_staleness_are_named_instead_of_an_empty_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    grid = [
        {"methods": [method], "learning_rate": [HIGH], "staleness": [staleness]}
        for staleness, method in enumerate([*RULES, "grpo"])
    ]
    experiment = experiment_of(tmp_path, grid=grid)
    for method, seed in product(experiment.methods, experiment.scale.seeds):
        write_run(experiment, method, seed, 0.5, {benchmark: constant(0.5) for benchmark in BENCHMARKS})
    record_all(experiment)
    with pytest.raises(ConfigError, match="rules of no hypothesis were run at one staleness; give both in one item"):
        comparisons(experiment)


def test_methods_evaluated_on_other_problems_are_not_paired(finished):
    for seed in finished.scale.seeds:
        path = Path(finished.results) / "evaluations" / "ratio_ratio_lr3.0e-4_k8" / f"seed{seed}" / "mix4.parquet"
        frame = pd.read_parquet(path)
        frame.assign(problem_id=frame["problem_id"] + "x").to_parquet(path)
    with pytest.raises(
        ResultsError, match=r"ratio_ratio_lr3.0e-4_k8/seed0/mix4.parquet: holds other problems than .*; delete"
    ):
        comparisons(finished)


def test_a_run_that_ends_early_is_refused(finished):
    path = Path(finished.results) / "runs" / "grpo_lr3.0e-4_k0" / "seed2" / "metrics.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(DamagedError, match="ends with step 1 of 2"):
        runs(finished)
