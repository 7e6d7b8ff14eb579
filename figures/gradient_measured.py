"""Where on the gradient curves training really operates.

Upper row: the curves of gradient_magnitude over the range of scores that real rollouts visited. Lower row: the density
of those scores, per method, from gradient_samples.parquet (four steps of every run).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from figures.gradient_magnitude import draw_curves
from figures.style import legend_above, looks, print_evidence, save, use_style
from real.config import Experiment
from real.engines.run_files import SAMPLES
from real.evidence.exhibit import (
    Exhibit,
    curve_of,
    curves_shown,
    figure_files,
    gradient_samples,
    methods_shown,
    nothing_is_trained,
)
from real.evidence.printed import evidence_line
from real.records.consistent import RUNS, require_one_origin
from real.system.files import read_table

# the widest method's central share of scores sets the horizontal axis
SHOWN_SHARE = 0.98
BINS = 22  # bin edges: 21 bins, one around 0
# scores below this are 0 up to the rounding of float32
ON_POLICY = 1e-5


def visited_range(samples: pd.DataFrame) -> float:
    """Half-width of the horizontal axis: the largest quantile of |s̄| over methods."""
    quantiles = samples["score"].abs().groupby(samples["method"]).quantile(SHOWN_SHARE)
    return float(max(quantiles.max(), 1e-6))


def draw(samples: pd.DataFrame, methods: dict[str, dict[str, Any]], curve: Mapping[str, str], evidence: str) -> Figure:
    """The figure.

    Args:
        samples: columns step, method, score, reward, weight of one-sided and two-sided groups alike.
        methods: rows of methods.yaml by name, one for each curve.
        curve: for each method of ``samples`` the one of ``methods`` by whose curve it trains; densities look like it.
        evidence: printed below.
    """
    # imported here, as in figures/style.py
    import seaborn as sns

    use_style()
    limit = visited_range(samples)
    shown = looks(methods)
    # the first mini-batch of a step is on-policy: its scores are 0 up to rounding and would hide the rest
    moved = samples[samples["score"].abs() > ON_POLICY]
    figure, axes = plt.subplots(2, 2, figsize=(11, 6), sharex="col", height_ratios=(3, 2), layout="constrained")
    for column, positive in enumerate((True, False)):
        upper, lower = axes[:, column]
        draw_curves(upper, methods, np.linspace(-limit, limit, 401), positive)
        upper.set_title("(a) Positive samples" if positive else "(b) Negative samples")
        upper.set_ylim(-0.05, 1.55)
        for name in dict.fromkeys(samples["method"]):
            rows = moved[(moved["method"] == name) & (moved["reward"] == int(positive))]
            # few responses may all lie beyond the axis, where there is no density to draw
            rows = rows[rows["score"].abs() <= limit]
            if rows.empty:
                continue
            sns.histplot(
                rows,
                x="score",
                bins=np.linspace(-limit, limit, BINS),
                stat="density",
                element="poly",
                fill=False,
                **shown[curve[name]]._asdict(),
                ax=lower,
            )
        lower.set(xlabel="score s̄ at the update (nats per token)", ylabel="")
        lower.set_yscale("log")
    axes[0, 0].set_ylabel("gradient magnitude |∂J/∂s̄|")
    axes[1, 0].set_ylabel("density of visited scores")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    legend_above(figure, handles, labels)
    print_evidence(figure, small_print(samples, moved, evidence, limit))
    return figure


def small_print(samples: pd.DataFrame, moved: pd.DataFrame, evidence: str, limit: float) -> str:
    """How many responses, which were left out, and how narrow the range is."""
    steps = ", ".join(str(step) for step in sorted(samples["step"].unique()))
    on_policy = 1 - len(moved) / len(samples)
    return (
        f"{evidence}\n{len(samples):,} responses of steps {steps}; densities leave out the {on_policy:.0%} with "
        f"|s̄| < {ON_POLICY:g} (the on-policy first mini-batch of a step)\n"
        f"axis: {SHOWN_SHARE:.0%} of every method's |s̄| lies within ±{limit:.3f}; the paper's figure spans ±2.5"
    )


def read_samples(experiment: Experiment, results: Path) -> pd.DataFrame:
    """The rows of gradient_samples.parquet of all runs; DamagedError where one is cut off or altered."""
    remedy = "delete the run's folder and run snakemake again, which trains it anew"
    files = [results / name for name in gradient_samples(experiment)]
    return pd.concat([read_table(file, list(SAMPLES), remedy) for file in files], ignore_index=True)


def describe(experiment: Experiment, folder: Path) -> str:
    """The figure in words."""
    samples = read_samples(experiment, folder)
    label = samples["method"].map({name: method.label for name, method in experiment.methods.items()})
    widths = samples["score"].abs().groupby(label, sort=False).quantile(SHOWN_SHARE)
    shares = ", ".join(f"{name} {width:.2g}" for name, width in widths.items())
    return (
        "Four panels, correct responses left and wrong ones right: gradient curves above, densities of the scores that "
        f"training met below. {SHOWN_SHARE:.0%} of a method's scores lie within this distance of 0: {shares}."
    )


def make(experiment: Experiment, results: Path) -> None:
    """Draw the samples of all runs, which must be of one origin."""
    require_one_origin(experiment, RUNS)
    samples = read_samples(experiment, results)
    figure = draw(samples, curves_shown(experiment), curve_of(experiment), evidence_line(experiment.scale))
    save(figure, results, EXHIBIT)


EXHIBIT = Exhibit(
    name="gradient_measured",
    title="Gradient measured",
    doing="drawing where on the gradient curves training operated",
    outputs=figure_files("gradient_measured"),
    make=make,
    reads=gradient_samples,
    settings=lambda experiment: [methods_shown(experiment), evidence_line(experiment.scale)],
    absent=nothing_is_trained,
    alt_text=describe,
)
