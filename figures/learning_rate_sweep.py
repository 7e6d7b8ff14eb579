"""Validation pass@1 at the last step against the learning rate, per method: what a scale's rate is judged by."""

import shlex
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from figures.style import looks, print_evidence, save, use_style
from real.config import UNTRAINED, Experiment
from real.evidence.exhibit import LAPTOP, VARIANTS, Exhibit, evaluations_shown, figure_files, metrics, table_files
from real.evidence.learning_rate_sweep import write_learning_rate_sweep
from real.evidence.printed import evidence_line
from real.system.files import read_csv


def draw(scores: pd.DataFrame, evidence: str) -> Figure:
    """The figure from learning_rate_sweep.csv; one dot per seed, a line through their means."""
    use_style()
    figure, axis = plt.subplots(figsize=(6, 3.8), layout="constrained")
    groups = list(scores.groupby(["method", "label"], sort=False))
    shown = looks(str(method) for (method, _), _ in groups)
    for place, ((method, label), rows) in enumerate(groups):
        rows = rows.sort_values("learning_rate")
        aside = 1.03 ** (place - (len(groups) - 1) / 2)  # so that equal values of two methods stay visible
        hue, line = shown[str(method)]
        axis.plot(rows["learning_rate"] * aside, rows["val_pass_at_1"], color=hue, linestyle=line, label=label)
        for rate, values in zip(rows["learning_rate"], rows["values"], strict=True):
            for value in str(values).split():
                axis.plot(rate * aside, float(value), "o", color=hue, markersize=4)
    axis.set_xscale("log")
    axis.set(xlabel="learning rate", ylabel="validation pass@1, last step", title="Learning-rate sweep")
    rates = sorted(scores["learning_rate"].unique())
    axis.set_xticks(rates, [f"{rate:.1e}" for rate in rates])
    axis.minorticks_off()
    axis.legend(loc="lower left")
    print_evidence(figure, f"{evidence}; one dot per seed; validation problems only")
    return figure


def describe(_: Experiment, folder: Path) -> str:
    """The figure in words."""
    scores = read_csv(folder / "tables/learning_rate_sweep.csv")
    lines = [
        f"{label}: {', '.join(f'{row.val_pass_at_1:.3f} at {row.learning_rate:.1e}' for row in rows.itertuples())}"
        for label, rows in scores.groupby("label", sort=False)
    ]
    return f"A line per method of mean validation pass@1 at the last step over learning rates. {'; '.join(lines)}."


def make(experiment: Experiment, results: Path) -> None:
    """Write the table, and draw it."""
    write_learning_rate_sweep(experiment, results)
    scores = read_csv(results / "tables/learning_rate_sweep.csv")
    save(draw(scores, evidence_line(experiment.scale)), results, EXHIBIT)


def command(experiment: Experiment) -> str:
    """What makes the learning-rate sweep of a scale; of one that trains nothing, the laptop's."""
    scale = experiment.scale
    overlay = "learning_rate_sweep_paper" if scale.verl_cluster else "learning_rate_sweep"
    config = shlex.quote(experiment.files[0] if scale.trains else LAPTOP)
    return f"snakemake learning_rate_sweep --cores all --configfile {config} {VARIANTS}/{overlay}.yaml"


def _absent(experiment: Experiment) -> str:
    rates = {training.learning_rate for name, training in experiment.training.items() if name != UNTRAINED}
    return "" if len(rates) > 1 else f"needs its overlay: {command(experiment)}"


EXHIBIT = Exhibit(
    name="learning_rate_sweep",
    title="Learning-rate sweep",
    doing="tabulating and drawing the learning-rate sweep",
    outputs=(*table_files("learning_rate_sweep"), *figure_files("learning_rate_sweep")),
    make=make,
    reads=metrics,
    settings=lambda experiment: [*evaluations_shown(experiment), evidence_line(experiment.scale)],
    absent=_absent,
    command=command,
    alt_text=describe,
)
