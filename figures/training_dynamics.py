"""Training dynamics in four panels, as the paper's Figure 4.

Measured runs: every seed's raw curve faint, the smoothed mean over seeds strong, a band from the lowest to the highest
smoothed seed. The paper's curves: the digitised line alone, because neither their raw values nor their seeds are known.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.style import ABLATIONS, Look, legend_above, looks, print_evidence, save, use_style
from real.config import Experiment
from real.evidence.exhibit import Exhibit, figure_files
from real.evidence.printed import evidence_line
from real.evidence.training_curves import METRICS, curve_ends, late_starts
from real.system.files import read_csv

PANELS = {
    "entropy": ("Entropy", "nats per token"),
    "val_pass_at_1": ("Val pass@1", "share correct"),
    "reward_mean": ("Rewards", "mean reward"),
    "solve_all": ("Solve all", "prompts solved"),
}
# the paper's entropy axis; a digitised curve that ends early at its top has left it
PAPER_ENTROPY_LIMIT = 0.5


def draw(curves: pd.DataFrame, smoothing_steps: int, prompts: int, evidence: str) -> Figure:
    """The figure.

    Args:
        curves: tidy, columns metric, method, label, seed (NaN: digitised), step, value.
        smoothing_steps: window of the centred moving average; validation is drawn as measured.
        prompts: prompts per step, named on the solve-all axis.
        evidence: printed below.
    """
    use_style()
    figure, axes = plt.subplots(1, 4, figsize=(14, 3.2), layout="constrained")
    digitised = curves["seed"].isna().all()
    shown = looks(dict.fromkeys(curves["method"]))
    for axis, (metric, (title, unit)) in zip(axes, PANELS.items(), strict=True):
        panel = curves[curves["metric"] == metric]
        for method, look in shown.items():
            rows = panel[panel["method"] == method]
            if digitised:
                draw_digitised(axis, rows, look, panel["step"].max())
            else:
                width = 1.2 if method in ABLATIONS else 1.9
                draw_measured(axis, rows, look, width, 1 if metric == "val_pass_at_1" else smoothing_steps)
        axis.set(title=title, xlabel="step", ylabel=f"{unit}, of {prompts}" if metric == "solve_all" else unit)
        if metric == "entropy" and digitised:
            axis.set_ylim(0, PAPER_ENTROPY_LIMIT)
    handles, labels = axes[1].get_legend_handles_labels()
    legend_above(figure, handles, labels)
    print_evidence(figure, small_print(curves, smoothing_steps, evidence))
    return figure


def draw_measured(axis: Axes, rows: pd.DataFrame, look: Look, width: float, window: int) -> None:
    """Raw seeds faint, smoothed mean strong, band over smoothed seeds."""
    by_seed = rows.pivot(index="step", columns="seed", values="value")
    smooth = by_seed.rolling(window, center=True, min_periods=1).mean()
    if window > 1:
        axis.plot(by_seed.index, by_seed, color=look.color, alpha=0.12, linewidth=0.6)
    if smooth.shape[1] > 1:
        axis.fill_between(
            smooth.index, smooth.min(axis=1), smooth.max(axis=1), color=look.color, alpha=0.15, linewidth=0
        )
    label = rows["label"].iloc[0]
    axis.plot(smooth.index, smooth.mean(axis=1), **look._asdict(), linewidth=width, label=label)


def draw_digitised(axis: Axes, rows: pd.DataFrame, look: Look, last_step: float) -> None:
    """The printed line; a marker where it leaves the printed axis before the last step."""
    hue = look.color
    axis.plot(rows["step"], rows["value"], color=hue, linewidth=1.8, label=rows["label"].iloc[0])
    if rows["step"].max() < last_step:
        end = rows.loc[rows["step"].idxmax()]
        axis.plot(end["step"], end["value"], marker="^", markersize=9, color=hue, clip_on=False)
        axis.annotate(
            "leaves the printed axis", (end["step"], end["value"]), (10, -3), textcoords="offset points", color=hue
        )


def small_print(curves: pd.DataFrame, smoothing_steps: int, evidence: str) -> str:
    """What the lines, bands and numbers are."""
    if curves["seed"].isna().all():
        lines = "lines digitised from Figure 4 (accuracy about 1 % of the axis), smoothed by the authors"
        return "\n".join([evidence, "; ".join(filter(None, [lines, late_starts(curves)]))])
    seeds = curves["seed"].nunique()
    band = f"band: range over {seeds} seeds; " if seeds > 1 else ""
    return (
        f"{evidence}\n{band}faint: raw; strong: mean, smoothed over {smoothing_steps} steps "
        f"(validation as measured, on separate problems)"
    )


def describe(_: Experiment, folder: Path) -> str:
    """The figure in words."""
    ends = curve_ends(read_csv(folder / "tables/training_curves.csv"))
    panels = [
        f"{heading}: {', '.join(f'{row.method} {row[heading]}' for _, row in ends.iterrows())}"
        for heading in METRICS.values()
    ]
    return f"Four panels of lines over training steps, one per method, from first to last step. {'. '.join(panels)}."


def make(experiment: Experiment, results: Path) -> None:
    """Draw the scale's own curves, or at the published scale the digitised ones."""
    curves = read_csv(results / "tables/training_curves.csv")
    figure = draw(curves, *_settings(experiment))
    save(figure, results, EXHIBIT)


def _settings(experiment: Experiment) -> tuple[int, int, str]:
    """smoothing_steps, prompts and evidence, as :func:`draw` takes them."""
    scale = experiment.scale
    prompts = scale.printed.prompts if scale.printed else experiment.trained.training.prompts
    return scale.figures.smoothing_steps, prompts, evidence_line(scale)


EXHIBIT = Exhibit(
    name="training_dynamics",
    title="Training dynamics",
    doing="drawing the training dynamics (the paper's Figure 4)",
    outputs=figure_files("training_dynamics"),
    make=make,
    reads=lambda _: ["tables/training_curves.csv"],
    settings=_settings,
    alt_text=describe,
)
