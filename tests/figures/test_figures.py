"""Figures: the values behind the lines, and what is (and isn't) drawn."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.collections import PolyCollection

from figures import gradient_magnitude, gradient_measured, learning_rate_sweep, style, training_dynamics
from real.config import load
from tests.support.paths import ROOT

METHODS = yaml.safe_load((ROOT / "paper_configs" / "methods.yaml").read_text())
# more than are computed at once
SCORE = np.concatenate([[-2.0, -0.5, -1e-4, 0.0, 1e-4, 0.5, 2.0], np.linspace(-2, 2, 120)])


@pytest.mark.parametrize("positive", [True, False])
def test_gradient_curves_equal_the_papers_formulas(positive):
    """tau = 0.5, C₊ = C₋ = 4, |A| = 1, clip 0.2: the numbers printed in the paper's figure."""
    sign = 1 if positive else -1
    real = gradient_magnitude.weight_curve(METHODS["real"], SCORE, positive)
    assert real == pytest.approx(2 / (1 + 4 * np.exp(sign * SCORE / 0.5)))
    clipped = np.log(1.2) < SCORE if positive else np.log(0.8) > SCORE
    grpo = gradient_magnitude.weight_curve(METHODS["grpo"], SCORE, positive)
    assert grpo == pytest.approx(np.where(clipped, 0, np.exp(SCORE)), rel=1e-6)
    dapo = gradient_magnitude.weight_curve(METHODS["dapo"], SCORE, positive)
    clipped = np.log(1.28) < SCORE if positive else np.log(0.8) > SCORE
    assert dapo == pytest.approx(np.where(clipped, 0, np.exp(SCORE)), rel=1e-6)
    gspo = gradient_magnitude.weight_curve(METHODS["gspo"], SCORE, positive)
    clipped = np.log(1.0004) < SCORE if positive else np.log(0.9997) > SCORE
    assert gspo == pytest.approx(np.where(clipped, 0, np.exp(SCORE)), rel=1e-6)
    bce = gradient_magnitude.weight_curve(METHODS["real_bce"], SCORE, positive)
    assert bce == pytest.approx(2 / (1 + np.exp(sign * SCORE / 0.5)))
    x = np.exp(-sign * SCORE / 0.5)
    product = gradient_magnitude.weight_curve(METHODS["real_product"], SCORE, positive)
    assert product == pytest.approx(2 * x * 4 / (1 + (x + 3) * 4))


def test_gradient_figure_has_one_line_per_method_and_an_inset_for_gspo():
    figure = gradient_magnitude.draw(METHODS)
    for axis in figure.axes[:2]:
        assert [line.get_label() for line in axis.lines] == [method["label"] for method in METHODS.values()]
        assert len(axis.child_axes) == 1


def curves(seeds: list[float]) -> pd.DataFrame:
    rows = [
        (metric, method, method.upper(), seed, step, 0.3 + 0.01 * step)
        for metric in training_dynamics.PANELS
        for method in ("real", "dapo")
        for seed in seeds
        for step in range(0, 60 if method == "dapo" and metric == "entropy" else 100, 20)
    ]
    return pd.DataFrame(rows, columns=["metric", "method", "label", "seed", "step", "value"])


def bands(axis) -> list[PolyCollection]:
    return [item for item in axis.collections if isinstance(item, PolyCollection)]


def test_digitised_curves_are_lines_alone_with_a_marker_where_they_leave_the_axis():
    figure = training_dynamics.draw(curves([float("nan")]), 1, 128, "published")
    assert not any(bands(axis) for axis in figure.axes)
    assert [len(axis.lines) for axis in figure.axes] == [3, 2, 2, 2]
    marker = figure.axes[0].lines[-1]
    assert marker.get_marker() == "^"
    assert marker.get_xdata()[0] == 40


def test_measured_curves_have_a_band_over_seeds_and_state_their_evidence():
    figure = training_dynamics.draw(curves([0, 1, 2]), 3, 32, "laptop scale; 3 seed(s)")
    assert [len(bands(axis)) for axis in figure.axes] == [2, 2, 2, 2]
    assert len(figure.axes[0].lines) == 2 * (3 + 1)
    assert len(figure.axes[1].lines) == 2  # validation is drawn as measured
    printed = " ".join(text.get_text() for text in figure.texts)
    assert "laptop scale; 3 seed(s)" in printed
    assert "range over 3 seeds" in printed


def test_smoothing_is_a_centred_mean_that_keeps_both_ends():
    frame = pd.DataFrame({"seed": 0, "step": range(5), "value": [0.0, 3.0, 6.0, 3.0, 0.0], "label": "REAL"})
    figure, axis = training_dynamics.plt.subplots()
    training_dynamics.draw_measured(axis, frame, style.looks(["real"])["real"], 1.9, 3)
    assert axis.lines[-1].get_ydata().tolist() == [1.5, 3.0, 4.0, 3.0, 1.5]
    training_dynamics.plt.close(figure)


def test_measured_scores_set_the_axis_and_the_caption_counts_them():
    rng = np.random.default_rng(0)
    samples = pd.DataFrame(
        {
            "step": 10,
            "method": "real",
            "score": np.r_[np.zeros(250), rng.normal(0, 0.01, 750)],
            "reward": 1,
            "weight": 1.0,
        }
    )
    figure = gradient_measured.draw(samples, {"real": METHODS["real"]}, {"real": "real"}, "laptop scale")
    assert figure.axes[0].get_lines()[0].get_xdata().max() == pytest.approx(gradient_measured.visited_range(samples))
    printed = " ".join(text.get_text() for text in figure.texts)
    assert "1,000 responses of steps 10" in printed
    assert "leave out the 25% with |s̄| < 1e-05" in printed


def test_sweep_figure_shows_every_seed():
    scores = pd.DataFrame(
        {"method": "real", "label": "REAL", "learning_rate": [1e-4, 2e-4], "val_pass_at_1": 0.5, "values": "0.4 0.6"}
    )
    axis = learning_rate_sweep.draw(scores, "laptop scale").axes[0]
    assert len(axis.lines) == 1 + 2 * 2


def test_saving_twice_writes_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        style.write(
            gradient_magnitude.draw({"real": METHODS["real"]}), tmp_path / f"{name}.pdf", tmp_path / f"{name}.png"
        )
    for kind in ("pdf", "png"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def lines_of(config: str, *overlays: str) -> list[str]:
    """The methods of a scale under overlays."""
    files = [f"paper_configs/{config}.yaml", *(f"paper_configs/variants/{name}.yaml" for name in overlays)]
    return list(load(files).methods)


def test_methods_keep_their_colours_whatever_stands_beside_them():
    own = {name: style.looks([name])[name] for name in METHODS}
    assert len({look.color for look in own.values()}) == len(METHODS)
    assert style.looks(METHODS) == own
    beside = style.looks(["real_tau0.1", "real", "grpo_other", "grpo", "mine"])
    assert (beside["real"], beside["grpo"]) == (own["real"], own["grpo"])


def test_a_lone_variant_looks_like_its_method():
    assert style.looks(["real_lr1.5e-4"])["real_lr1.5e-4"] == style.looks(["real"])["real"]
    assert style.looks(["real_bce_lr1.5e-4"])["real_bce_lr1.5e-4"] == style.looks(["real_bce"])["real_bce"]


@pytest.mark.parametrize(
    "methods",
    [
        lines_of("smoke", "tau_sweep"),
        lines_of("laptop", "one_sided_train"),
        lines_of("1.5b", "full_dapo"),
        lines_of("laptop", "learning_rate_sweep"),
        lines_of("laptop", "stale_rollouts"),
        [f"mine_{letter}" for letter in "abcdefghijkl"],
    ],
    ids=["tau", "one-sided", "full DAPO", "learning rates", "counterfactuals", "own names"],
)
def test_no_two_lines_of_a_sweep_look_the_same(methods):
    found = style.looks(methods)
    assert set(found) == set(methods)
    assert len(set(found.values())) == len(methods)


def test_the_shades_of_a_sweep_darken_in_its_order():
    """So that the direction of a sweep is seen in grey as well."""
    methods = lines_of("smoke", "tau_sweep")
    found = style.looks(methods)
    greys = [np.dot(found[name].color, (0.299, 0.587, 0.114)) for name in methods]
    assert all(lighter - darker > 0.04 for lighter, darker in pairwise(greys))


@pytest.mark.parametrize("correct", [[], [5.0], [1e-9]], ids=["none", "beyond the axis", "on-policy"])
def test_measured_gradients_are_drawn_where_hardly_any_response_is_correct(tmp_path, smoke, correct):
    """As a near-random model leaves them: such a density is left out, and the axis has no value to be scaled by."""
    wrong = np.linspace(-0.2, 0.2, 100)
    scores, rewards = [*correct, *wrong], [1] * len(correct) + [0] * len(wrong)
    samples = pd.DataFrame({"step": 1, "method": "real", "score": scores, "reward": rewards, "weight": 0.1})
    figure = gradient_measured.draw(samples, {"real": smoke.methods["real"].model_dump()}, {"real": "real"}, "evidence")
    assert [len(axis.lines) for axis in figure.axes[2:]] == [0, 1]
    style.write(figure, tmp_path / "figure.png")
