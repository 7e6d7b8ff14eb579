"""What rules of weighting responses lead to, and which scores and weights they meet on the way.

Above: pass@1 on test problems by rule, one panel per learning rate and staleness. Below: densities of scores and of
weights in real rollouts, correct and wrong ones apart; each panel there varies the rule of its own label alone, or that
of both where it says so.
"""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

from figures.gradient_measured import ON_POLICY, read_samples
from figures.style import hues, print_evidence, save, use_style
from real.config import Experiment
from real.evidence.exhibit import (
    LAPTOP,
    VARIANTS,
    Exhibit,
    evaluations,
    evaluations_shown,
    figure_files,
    gradient_samples,
    metrics,
    table_files,
)
from real.evidence.mechanism import write_mechanism
from real.evidence.printed import evidence_line
from real.hyperparameters import COUNTERFACTUAL
from real.statistics.intervals import seed_mean
from real.system.files import read_csv

# the weight of a token by each rule of real.counterfactual, in the order of rows, legends and colours
WEIGHTS = {
    "constant": "|A|",
    "ratio": "|A|e^s",
    "clipped": "|A|e^s, clipped",
    "capped": "|A|min(e^s, 1)",
    "floored": "|A|max(e^s, 1)",
    "real": "REAL's",
    "frozen": "REAL's at s̄ = 0",
}
LABELS = {"positives": 1, "negatives": 0}  # rewards
MARKERS = "os^Dv"  # by base model
ASIDE = 0.2  # of a row: base models beside each other
STYLES = ("solid", "dashed", "dotted")
SCORE_BINS = 30
WEIGHT_BIN = 0.15  # decades: |A| takes a few values only, which narrower ones would draw as a comb
# what the axis of scores shows of the pooled ones, and where that of weights begins
SCORE_SHARE = (0.005, 0.995)
WEIGHT_SHARE = 0.005
ROW_INCHES, PANEL_INCHES, BELOW_INCHES = 0.25, 0.8, 6.4
LEGEND_SHARE = 0.45  # of a panel's height
POINTS = (
    "+: weight of a token of a correct response, −: of a wrong one; above: a point per seed; bar: mean with 95 % "
    "interval (Student's t) over the seeds of one base model"
)


def draw(runs: pd.DataFrame, samples: pd.DataFrame, evidence: str) -> Figure:
    """The figure.

    Args:
        runs: rows of mechanism_runs.csv (real.evidence.mechanism.runs).
        samples: columns step, method (a run's crossed name), score, reward, weight.
        evidence: printed below.
    """
    use_style()
    runs = in_order(runs)
    shown = densest(runs)
    above = sum(ROW_INCHES * rules + PANEL_INCHES for rules in runs.groupby("staleness")["rule"].nunique())
    below = 0 if shown.empty else BELOW_INCHES
    figure = plt.figure(figsize=(11, above + below), layout="constrained")
    if shown.empty:
        draw_runs(figure.subfigures(), runs)
        print_evidence(figure, f"{evidence}\n{POINTS}")
        return figure
    upper, lower = figure.subfigures(2, height_ratios=(above, below))
    draw_runs(upper, runs)
    samples = samples[samples["method"].isin(shown["method"])]
    # where a policy samples for itself, the scores of a step's first mini-batch are 0 up to rounding and hide the rest
    moved = samples[(samples["score"].abs() > ON_POLICY) & (samples["weight"] > 0)]
    draw_densities(lower, shown, moved)
    print_evidence(figure, f"{evidence}\n{POINTS}\n{small_print(shown, samples, moved)}")
    return figure


def in_order(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs, those of one rule of positives together, others than counterfactual ones last."""
    place = {rule: number for number, rule in enumerate(WEIGHTS)}
    counterfactual = (runs["objective"] == COUNTERFACTUAL).to_numpy()

    def places(rules: pd.Series) -> pd.Series:
        return rules.map(place).where(counterfactual, len(place))

    return runs.sort_values(["positives", "negatives"], key=places, ignore_index=True)


def densest(runs: pd.DataFrame) -> pd.DataFrame:
    """The counterfactual runs at the largest staleness and the learning rate with most rules there, the largest such.

    Empty where no run is counterfactual.
    """
    runs = runs[runs["objective"] == COUNTERFACTUAL]
    runs = runs[runs["staleness"] == runs["staleness"].max()]
    rules = runs.groupby("learning_rate")["rule"].nunique()
    return runs[runs["learning_rate"] == rules.index[rules == rules.max()].max()]


def varied(shown: pd.DataFrame, label: str, other: str) -> pd.DataFrame:
    """Of :func:`densest`, the runs that differ in one label's rule alone, then those with one further rule for both.

    In the former, the other label's rule is the one that gives most lines.
    """
    lines = shown.groupby(other, sort=False)[label].nunique()
    alone = shown[shown[other] == lines.idxmax()]
    both = shown[(shown[label] == shown[other]) & ~shown[label].isin(alone[label])]
    return pd.concat([alone, both])


def draw_runs(figure: SubFigure, runs: pd.DataFrame) -> None:
    """Test pass@1 of every run; a row of panels per staleness, with the rules that ran there, a column per rate."""
    parts = dict(list(runs.groupby("staleness")))
    rates = sorted(runs["learning_rate"].unique())
    heights = [part["rule"].nunique() + 1 for part in parts.values()]
    axes = figure.subplots(len(parts), len(rates), sharex=True, sharey="row", squeeze=False, height_ratios=heights)
    marker = dict(zip(sorted(runs["base_seed"].unique()), MARKERS * len(runs), strict=False))
    for (staleness, part), row in zip(parts.items(), axes, strict=True):
        rules = part.drop_duplicates("rule")
        for rate, axis in zip(rates, row, strict=True):
            for place, rule in enumerate(rules["rule"]):
                draw_rule(axis, place, part[(part["rule"] == rule) & (part["learning_rate"] == rate)], marker)
            axis.set_title(f"staleness {staleness}, learning rate {rate:.1e}", fontsize="medium")
            for border in np.flatnonzero(rules["positives"].to_numpy()[1:] != rules["positives"].to_numpy()[:-1]):
                axis.axhline(border + 0.5, color="0.75", linewidth=0.8, zorder=0)
            axis.grid(False, axis="y")
        row[0].set_yticks(range(len(rules)), list(rules["label"]))
        row[0].set_ylim(len(rules) - 0.5, -0.5)
    figure.supxlabel("pass@1 on test problems after the last step", fontsize="medium")
    if len(marker) > 1:
        handles = [Line2D([], [], linestyle="", marker=shape, color="0.4") for shape in marker.values()]
        labels = [f"base model of seed {seed}" for seed in marker]
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)


def draw_rule(axis: Axes, place: int, runs: pd.DataFrame, marker: dict[int, str]) -> None:
    """One rule's seeds, a line per base model, and their mean with its interval where there are several."""
    for number, (base_seed, shape) in enumerate(marker.items()):
        seeds = runs[runs["base_seed"] == base_seed]
        if seeds.empty:
            continue
        hue = rule_colour(seeds["positives"].iloc[0] if seeds["objective"].iloc[0] == COUNTERFACTUAL else None)
        y = place + ASIDE * (2 * number - len(marker) + 1)
        axis.plot(seeds["test"], np.full(len(seeds), y), shape, color=hue, markersize=4, alpha=0.8)
        if len(seeds) > 1:
            interval = seed_mean(seeds["test"].to_numpy())
            # no rate lies outside 0 to 1, wide as the interval of a few seeds is
            axis.plot([max(interval.low, 0.0), min(interval.high, 1.0)], [y, y], color=hue, linewidth=1.2)
            axis.plot(interval.value, y, "|", color="black", markersize=7, markeredgewidth=1.4)


def draw_densities(figure: SubFigure, shown: pd.DataFrame, samples: pd.DataFrame) -> None:
    """Densities of scores (above) and of weights (below), of positives (left) and negatives (right)."""
    axes = figure.subplots(3, 2, squeeze=False, height_ratios=(LEGEND_SHARE, 1, 1))
    for legend in axes[0]:
        legend.set_axis_off()
    for column, (label, other) in enumerate((("positives", "negatives"), ("negatives", "positives"))):
        runs = varied(shown, label, other)
        fixed = WEIGHTS[runs[other].iloc[0]]
        axes[0, column].set_title(f"{label}, in runs that weight {other} by {fixed}", fontsize="medium")
        rows = samples[samples["method"].isin(runs["method"]) & (samples["reward"] == LABELS[label])]
        if not rows.empty:
            draw_column(axes[:, column], rows, runs, label, other)
    axes[1, 0].set_ylabel("density of scores")
    axes[2, 0].set_ylabel("density of log₁₀ weights")


def draw_column(axes: NDArray[np.object_], samples: pd.DataFrame, runs: pd.DataFrame, label: str, other: str) -> None:
    """Densities of one label's responses, one line per rule; all in the same bins.

    Args:
        axes: of the legend, the scores and the weights.
        runs: the result of :func:`varied`.
    """
    legend, of_scores, of_weights = axes
    scores = np.linspace(*samples["score"].quantile(SCORE_SHARE), SCORE_BINS + 1)
    lowest, highest = np.log10(samples["weight"].quantile([WEIGHT_SHARE, 1]))
    weights = np.arange(lowest, highest + WEIGHT_BIN, WEIGHT_BIN)
    alone = runs[other] == runs[other].iloc[0]
    for _, part in runs.groupby("rule", sort=False):
        rows = samples[samples["method"].isin(part["method"])]
        first, weight = part.index[0], part[label].iloc[0]
        # rules that differ in a hyper-parameter alone have one colour
        before = runs.loc[:first].query(f"{label} == @weight")["rule"].nunique() - 1
        look = {"color": rule_colour(weight), "linewidth": 1.3, "linestyle": STYLES[before % len(STYLES)]}
        name = WEIGHTS[weight] if alone[first] else part["label"].iloc[0]
        legend.plot([], [], label=name, **look)
        of_scores.stairs(density(rows["score"], scores), scores, **look)
        of_weights.stairs(density(np.log10(rows["weight"]), weights), 10**weights, **look)
    legend.legend(loc="center", ncols=2, title=f"weight of {label}", fontsize="small", title_fontsize="small")
    of_scores.set(xlabel="score s̄ at the update (nats per token)", yscale="log")
    of_weights.set(xlabel=f"weight of the response, of {label}", xscale="log", yscale="log")
    # few decades have room for numbers between their powers of ten
    of_weights.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if np.ptp(weights) < 2 else (1,)))
    of_weights.xaxis.set_major_formatter("{x:g}")
    of_weights.xaxis.set_minor_formatter(NullFormatter())


def density(values: pd.Series, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the values in each bin by its width; those outside count too."""
    counts, _ = np.histogram(values, edges)
    return counts / (max(len(values), 1) * np.diff(edges))


def rule_colour(rule: str | None) -> tuple[float, float, float]:
    """Colour of a rule; grey for what is no rule."""
    return hues()[list(WEIGHTS).index(rule) if rule else 7]


def small_print(shown: pd.DataFrame, samples: pd.DataFrame, moved: pd.DataFrame) -> str:
    """Where the densities are from, and what they leave out."""
    steps = ", ".join(str(step) for step in sorted(samples["step"].unique()))
    return (
        f"below: staleness {shown['staleness'].iloc[0]}, learning rate {shown['learning_rate'].iloc[0]:.1e}, "
        f"{len(samples):,} responses of steps {steps}; densities leave out the {1 - len(moved) / len(samples):.0%} of "
        f"weight 0 or |s̄| < {ON_POLICY:g}"
    )


def describe(_: Experiment, folder: Path) -> str:
    """The figure in words."""
    runs = read_csv(folder / "tables/mechanism_runs.csv")
    means = runs.groupby(["staleness", "learning_rate", "label"], sort=False)["test"].mean()
    parts = []
    for (staleness, rate), group in means.groupby(level=[0, 1], sort=False):
        scores = ", ".join(f"{place[-1]}: {value:.3f}" for place, value in group.items())
        parts.append(f"Staleness {staleness}, learning rate {rate:.1e}: {scores}")
    return (
        "Above, test pass@1 of every run by rule, a panel per staleness and learning rate; below, densities of scores "
        f"and weights. Means over seeds. {'. '.join(parts)}."
    )


def make(experiment: Experiment, results: Path) -> None:
    """Write the tables, and draw the runs with what they met on the way."""
    write_mechanism(experiment, results)
    runs = read_csv(results / "tables/mechanism_runs.csv")
    samples = read_samples(experiment, results)
    save(draw(runs, samples, evidence_line(experiment.scale)), results, EXHIBIT)


def command(_: Experiment) -> str:
    """What makes the mechanism's table and figure, which only the laptop scale has."""
    return f"snakemake mechanism --cores all --configfile {LAPTOP} {VARIANTS}/stale_rollouts.yaml"


def _absent(experiment: Experiment) -> str:
    return "" if experiment.scale.hypotheses else f"needs its overlay: {command(experiment)}"


def _settings(experiment: Experiment) -> list[Any]:
    hypotheses = {name: hypothesis.model_dump() for name, hypothesis in experiment.scale.hypotheses.items()}
    return [*evaluations_shown(experiment), hypotheses, evidence_line(experiment.scale)]


EXHIBIT = Exhibit(
    name="mechanism",
    title="Which part of the gradient weight matters",
    doing="tabulating and drawing what each part of the gradient weights does",
    outputs=(*table_files("mechanism"), "tables/mechanism_runs.csv", *figure_files("mechanism")),
    make=make,
    reads=lambda experiment: [*metrics(experiment), *evaluations(experiment), *gradient_samples(experiment)],
    settings=_settings,
    absent=_absent,
    command=command,
    alt_text=describe,
)
