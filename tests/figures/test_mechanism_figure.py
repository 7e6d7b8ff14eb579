"""The mechanism's figure: the values behind its points, bars and densities, from made-up runs (test data)."""

from itertools import pairwise, product

import numpy as np
import pandas as pd
import pytest
from matplotlib.transforms import Bbox

from figures import mechanism
from real.engines.run_files import SAMPLES
from real.hyperparameters import RULES
from real.statistics.intervals import seed_mean

LABELS = {
    ("constant", "ratio"): "+ |A|, − |A|e^s",
    ("ratio", "ratio"): "+ |A|e^s, − |A|e^s",
    ("ratio", "capped"): "+ |A|e^s, − |A|min(e^s, 1)",
    ("grpo", "grpo"): "GRPO",
}


def runs_of(rates: list[float], staleness: list[int], seeds: int) -> pd.DataFrame:
    """Runs of every rule at every rate and staleness, no two with the same test score."""
    cells = list(product(rates, staleness, LABELS, range(seeds)))
    rows = [
        {
            "method": f"{'_'.join(rules)}_lr{rate:.1e}_k{k}",
            "rule": "_".join(rules),
            "label": LABELS[rules],
            "objective": "grpo" if rules == ("grpo", "grpo") else "counterfactual",
            "positives": rules[0],
            "negatives": rules[1],
            "learning_rate": rate,
            "staleness": k,
            "seed": seed,
            "base_seed": seed % 2,
            "validation": 0.5,
            "test": 0.2 + 0.6 * number / len(cells),
        }
        for number, (rate, k, rules, seed) in enumerate(cells)
    ]
    return pd.DataFrame(rows)


def names(axis) -> list[str]:
    """Of the lines in its legend."""
    return [text.get_text() for text in axis.get_legend().get_texts()]


def samples_of(runs: pd.DataFrame) -> pd.DataFrame:
    """Rollouts of every method: of each label 400 with scores on both sides of 0 and weights over two decades."""
    scores, weights = np.linspace(-1, 1, 400), np.geomspace(0.1, 10, 400)
    parts = [
        pd.DataFrame({"step": 4, "method": method, "score": scores, "reward": reward, "weight": weights})
        for method, reward in product(runs["method"].unique(), (0, 1))
    ]
    return pd.concat(parts, ignore_index=True).astype(SAMPLES)


def points(axis, markers: str = mechanism.MARKERS) -> list[float]:
    """x of the seeds' markers."""
    return sorted(x for line in axis.lines if line.get_marker() in markers for x in line.get_xdata())


@pytest.mark.parametrize(("rates", "staleness", "seeds"), [([3e-4], [8], 2), ([1.5e-4, 3e-4], [0, 8], 3)])
def test_every_seed_of_every_run_is_a_point_of_its_own_panel(rates, staleness, seeds):
    runs = runs_of(rates, staleness, seeds)
    axes = mechanism.draw(runs, samples_of(runs), "laptop scale").axes[: len(rates) * len(staleness)]
    for axis, (k, rate) in zip(axes, product(staleness, rates), strict=True):
        assert axis.get_title() == f"staleness {k}, learning rate {rate:.1e}"
        part = runs[(runs["staleness"] == k) & (runs["learning_rate"] == rate)]
        assert points(axis) == pytest.approx(sorted(part["test"]))


def test_base_models_have_markers_of_their_own_and_a_legend():
    runs = runs_of([3e-4], [8], 6)
    figure = mechanism.draw(runs, samples_of(runs), "laptop scale")
    for base_seed, marker in enumerate("os"):
        assert points(figure.axes[0], marker) == pytest.approx(sorted(runs.loc[runs["base_seed"] == base_seed, "test"]))
    (legend,) = figure.subfigs[0].legends
    assert [text.get_text() for text in legend.get_texts()] == ["base model of seed 0", "base model of seed 1"]


def test_bars_are_students_interval_over_the_seeds_of_one_base_model_within_what_a_rate_can_be():
    runs = runs_of([3e-4], [8], 4)
    axis = mechanism.draw(runs, samples_of(runs), "laptop scale").axes[0]
    labels = [label.get_text() for label in axis.get_yticklabels()]
    bars = {line.get_ydata()[0]: line.get_xdata() for line in axis.lines if line.get_linestyle() == "-"}
    means = {line.get_ydata()[0]: line.get_xdata()[0] for line in axis.lines if line.get_marker() == "|"}
    for (label, base_seed), part in runs.groupby(["label", "base_seed"]):
        row = labels.index(label) + (-0.2, 0.2)[base_seed]
        expected = seed_mean(part["test"].to_numpy())
        assert means[row] == pytest.approx(expected.value)
        assert bars[row] == pytest.approx([max(0, expected.low), min(1, expected.high)])
    assert max(seed_mean(part["test"].to_numpy()).high for _, part in runs.groupby(["rule", "base_seed"])) > 1, (
        "the cut was tried"
    )


def test_one_seed_has_no_bar():
    runs = runs_of([3e-4], [8], 1)
    axis = mechanism.draw(runs, samples_of(runs), "laptop scale").axes[0]
    assert points(axis) == pytest.approx(sorted(runs["test"]))
    assert not [line for line in axis.lines if line.get_marker() == "|"]


def test_rules_stand_by_their_positives_and_those_without_parts_last():
    runs = runs_of([3e-4], [8], 2).iloc[::-1]
    axis = mechanism.draw(runs, samples_of(runs), "laptop scale").axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == list(LABELS.values())


def test_a_rule_that_did_not_run_at_a_rate_leaves_its_row_empty_there():
    runs = runs_of([1.5e-4, 3e-4], [8], 2)
    runs = runs[(runs["rule"] != "ratio_ratio") | (runs["learning_rate"] == 3e-4)]
    first, second = mechanism.draw(runs, samples_of(runs), "laptop scale").axes[:2]
    assert (len(points(first)), len(points(second))) == (3 * 2, 4 * 2)


def test_a_staleness_has_rows_for_the_rules_that_ran_there_alone():
    runs = runs_of([3e-4], [0, 8], 2)
    runs = runs[(runs["rule"] == "ratio_ratio") | (runs["staleness"] == 8)]
    first, second = mechanism.draw(runs, samples_of(runs), "laptop scale").axes[:2]
    assert [label.get_text() for label in first.get_yticklabels()] == [LABELS["ratio", "ratio"]]
    assert [label.get_text() for label in second.get_yticklabels()] == list(LABELS.values())


def test_densities_are_of_the_largest_staleness_and_the_rate_with_most_rules():
    runs = runs_of([1.5e-4, 3e-4, 6e-4], [0, 8], 2)
    runs = runs[(runs["rule"] != "ratio_ratio") | (runs["learning_rate"] < 6e-4)]
    shown = mechanism.densest(runs)
    assert set(shown["staleness"]) == {8}
    assert set(shown["learning_rate"]) == {3e-4}, "the larger of the two with all rules"
    assert set(shown["rule"]) == {"constant_ratio", "ratio_ratio", "ratio_capped"}, "GRPO has no parts"


def test_a_panel_varies_the_rule_of_its_own_label_alone():
    runs = runs_of([3e-4], [8], 2)
    axes = mechanism.draw(runs, samples_of(runs), "laptop scale").axes[-6:]
    titles = [
        "positives, in runs that weight negatives by |A|e^s",
        "negatives, in runs that weight positives by |A|e^s",
    ]
    assert [axis.get_title() for axis in axes[:2]] == titles
    assert [names(axis) for axis in axes[:2]] == [["|A|", "|A|e^s"], ["|A|e^s", "|A|min(e^s, 1)"]]
    assert [len(axis.patches) for axis in axes] == [0, 0, 2, 2, 2, 2]


def test_rules_that_differ_in_a_hyperparameter_have_lines_of_their_own_in_one_colour():
    runs = runs_of([3e-4], [8], 2)
    both = [
        runs[runs["rule"] == "ratio_ratio"].assign(
            rule=f"real_{tau}", method=f"real_{tau}", label=f"REAL {tau}", positives="real", negatives="real"
        )
        for tau in (0.1, 0.5)
    ]
    runs = pd.concat([runs, *both], ignore_index=True)
    legend, _, scores = mechanism.draw(runs, samples_of(runs), "laptop scale").axes[-6:-3]
    assert names(legend)[2:] == ["REAL 0.1", "REAL 0.5"]
    first, second = scores.patches[2:]
    assert first.get_edgecolor() == second.get_edgecolor()
    assert first.get_linestyle() != second.get_linestyle()


def test_densities_integrate_to_the_share_of_responses_they_show():
    runs = runs_of([3e-4], [8], 2)
    samples = samples_of(runs)
    samples.loc[samples["reward"] == 0, "weight"] *= 5
    axes = mechanism.draw(runs, samples, "laptop scale").axes[-4:]
    for axis, start in zip(axes, (None, None, 0.1, 0.5), strict=True):
        for patch in axis.patches:
            values, edges, _ = patch.get_data()
            if start is None:
                assert (values * np.diff(edges)).sum() == pytest.approx(396 / 400), "0.5 % at either end"
            else:
                assert (values * np.diff(np.log10(edges))).sum() == pytest.approx(398 / 400)
                assert start < edges[0] < 1.2 * start
                assert edges[-1] >= 100 * start


def test_responses_without_weight_and_on_policy_ones_are_left_out_and_counted():
    runs = runs_of([3e-4], [8], 2)
    samples = samples_of(runs)
    kept = len(samples[samples["method"] != "grpo_grpo_lr3.0e-04_k8"])
    idle = samples.assign(score=0.0)
    weightless = samples.assign(weight=0.0)
    text = " ".join(
        part.get_text() for part in mechanism.draw(runs, pd.concat([samples, idle, weightless]), "laptop scale").texts
    )
    assert f"staleness 8, learning rate 3.0e-04, {3 * kept:,} responses of steps 4" in " ".join(text.split())
    assert "leave out the 67%" in " ".join(text.split())
    assert "laptop scale" in text


def test_without_counterfactual_runs_there_are_no_densities():
    runs = runs_of([3e-4], [8], 2)
    runs = runs[runs["rule"] == "grpo_grpo"]
    figure = mechanism.draw(runs, samples_of(runs), "laptop scale")
    assert len(figure.axes) == 1
    assert points(figure.axes[0]) == pytest.approx(sorted(runs["test"]))


def test_every_rule_has_words_and_a_colour_of_its_own():
    assert set(mechanism.WEIGHTS) == set(RULES)
    assert len({mechanism.rule_colour(rule) for rule in [*RULES, None]}) == len(RULES) + 1


@pytest.mark.parametrize("decades", [0.8, 2, 9])
def test_numbers_of_an_axis_do_not_overlap(decades):
    runs = runs_of([1.5e-4, 3e-4], [0, 8], 2)
    samples = samples_of(runs)
    samples["weight"] **= decades / 2
    figure = mechanism.draw(runs, samples, "laptop scale")
    figure.draw_without_rendering()
    for axis in figure.axes:
        low, high = axis.get_xlim()
        boxes = [label.get_window_extent() for label in axis.get_xticklabels(which="both") if label.get_text()]
        boxes = [box for box, x in zip(boxes, ticks(axis), strict=True) if low <= x <= high and box.width]
        ordered = sorted(boxes, key=lambda box: box.x0)
        assert not any(Bbox.intersection(a, b) for a, b in pairwise(ordered)), axis.get_xlabel()
        assert len(ordered) > 1 or not axis.get_xlabel()


def ticks(axis) -> list[float]:
    """Where the labels with text are."""
    labels = axis.get_xticklabels(which="both")
    return [label.get_position()[0] for label in labels if label.get_text()]
