"""Gradient magnitude against the relative log-probability: the paper's gradient figure, from the training code.

A group of four positives and four negatives, of which one response's score moves and the other scores are 0 (so that
C₊ = C₋ = 4, the paper's). The curve is that of real.weights, by autograd through the training code.
"""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.style import looks, print_evidence, save, use_style
from real.config import Experiment
from real.evidence.exhibit import Exhibit, curves_shown, figure_files

PER_ADVANTAGE = ("grpo", "dapo", "gspo")
STRONG = ("real", "grpo")
X_LIMIT, Y_LIMIT = 2.5, 3.0
INSET_LIMIT = 1.2e-3
# of a correct response's weight; a wrong one's is the mirror image where it is bounded
FALLS = "a smooth fall from near 1/τ = {bound:g} to 0 (for a wrong response a rise from 0 to near {bound:g})"
RISES = (
    "an exponential rise, and 0 beyond the clip (for a wrong response 0 below the clip, and an exponential rise "
    "without bound beyond)"
)
SHAPES = {**dict.fromkeys(("real", "real_bce", "real_product"), FALLS), **dict.fromkeys(PER_ADVANTAGE, RISES)}


def weight_curve(method: dict[str, Any], score: np.ndarray, positive: bool) -> np.ndarray:
    """Gradient magnitude of one response at each score (K,), the other scores of its group being 0.

    Args:
        method: a row of methods.yaml (``objective``, ``hyperparameters``).
        positive: whether the moving response is correct.
    """
    # imported here: they bring torch, and the declaration below is read by every command that shows what there is
    from real import weights
    from real.counterfactual import make_any_objective

    objective = make_any_objective(method["objective"], **method["hyperparameters"])
    return weights.weight_curve(objective, score, positive)


def draw(methods: dict[str, dict[str, Any]]) -> Figure:
    """The figure for the given methods, by name."""
    use_style()
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.3), sharey=True, layout="constrained")
    titles = ("(a) Positive sample (r = 1, A > 0)", "(b) Negative sample (r = 0, A < 0)")
    for axis, positive, title in zip(axes, (True, False), titles, strict=True):
        draw_curves(axis, methods, np.linspace(-X_LIMIT, X_LIMIT, 401), positive)
        axis.set(title=title, xlabel="relative log-probability s̄ (nats per token)", ylim=(-0.06, Y_LIMIT))
        if "gspo" in methods:
            draw_inset(axis, {"gspo": methods["gspo"]}, positive)
    axes[0].set_ylabel("gradient magnitude |∂J/∂s̄|")
    annotate(axes)
    axes[0].legend(loc="lower right", fontsize=8, bbox_to_anchor=(1.0, 0.1))
    advantage = ", ".join(methods[m]["label"] for m in PER_ADVANTAGE if m in methods)
    print_evidence(
        figure,
        "computed by autograd through the training code, no training involved; group of 4 positives and 4 negatives, "
        f"other scores 0, constant per-token log-ratio\n{advantage} divided by |A|; hyper-parameters of methods.yaml",
    )
    return figure


def draw_curves(axis: Axes, methods: dict[str, dict[str, Any]], score: np.ndarray, positive: bool) -> None:
    """All methods' curves; REAL and GRPO strong, as in the paper."""
    shown = looks(methods)
    for name, method in methods.items():
        strong = method["objective"] in STRONG
        axis.plot(
            score,
            weight_curve(method, score, positive),
            **shown[name]._asdict(),
            linewidth=2.6 if strong else 1.1,
            alpha=1.0 if strong else 0.85,
            zorder=3 if strong else 2,
            label=method["label"],
        )


def draw_inset(axis: Axes, methods: dict[str, dict[str, Any]], positive: bool) -> None:
    """GSPO's clip range, a thousandth of the main axis."""
    place = (0.62, 0.6, 0.34, 0.3) if positive else (0.1, 0.6, 0.34, 0.3)
    inset = axis.inset_axes(place)
    draw_curves(inset, methods, np.linspace(-INSET_LIMIT, INSET_LIMIT, 401), positive)
    inset.set(ylim=(-0.1, 1.3), xticks=[-1e-3, 0, 1e-3], yticks=[0, 1])
    inset.set_xticklabels(["−0.001", "0", "0.001"])
    inset.set_title("GSPO's clip range", fontsize=8, fontweight="normal")
    inset.tick_params(labelsize=7)


def annotate(axes: np.ndarray) -> None:
    """The paper's two names for what GRPO's weight does."""
    hue = looks(["grpo"])["grpo"].color
    arrow = {"arrowstyle": "->", "color": hue}
    style = {"fontstyle": "italic", "color": hue, "fontsize": 9}
    axes[0].annotate("gradient\nmisassignment", (-1.3, 0.29), (-2.4, 0.62), arrowprops=arrow, **style)
    axes[1].annotate("gradient\ndomination", (0.99, 2.7), (1.3, 2.3), arrowprops=arrow, **style)


def describe(experiment: Experiment, _: Path) -> str:
    """The figure in words."""
    labels: dict[str, list[str]] = {}
    for method in curves_shown(experiment).values():
        shape = SHAPES.get(method["objective"], "as its rule says")
        bound = 1 / float(method["hyperparameters"].get("tau", 1))
        labels.setdefault(shape.format(bound=bound), []).append(method["label"])
    lines = [f"{', '.join(those)}: {shape}" for shape, those in labels.items()]
    return (
        "Two panels of gradient magnitude against the score, which runs from −2.5 to 2.5. For a correct response with "
        f"rising score: {'; '.join(lines)}."
    )


def make(experiment: Experiment, results: Path) -> None:
    """Draw the scale's methods."""
    save(draw(curves_shown(experiment)), results, EXHIBIT)


EXHIBIT = Exhibit(
    name="gradient_magnitude",
    title="Gradient magnitude",
    doing="drawing the gradient magnitudes (the paper's gradient figure)",
    outputs=figure_files("gradient_magnitude"),
    make=make,
    settings=curves_shown,
    alt_text=describe,
)
