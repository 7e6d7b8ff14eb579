"""Validation pass@1 at the last step against the learning rate, per method: what a scale's rate is judged by."""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from figures.style import colour, print_evidence, save, use_style
from real.system.errors import one_sentence
from real.system.files import read_csv


def draw(scores: pd.DataFrame, evidence: str) -> Figure:
    """The figure from learning_rate_sweep.csv; one dot per seed, a line through their means."""
    use_style()
    figure, axis = plt.subplots(figsize=(6, 3.8), layout="constrained")
    groups = list(scores.groupby("method", sort=False))
    for place, (method, rows) in enumerate(groups):
        rows = rows.sort_values("learning_rate")
        aside = 1.03 ** (place - (len(groups) - 1) / 2)  # so that equal values of two methods stay visible
        hue = colour(str(method))
        axis.plot(rows["learning_rate"] * aside, rows["val_pass_at_1"], color=hue, label=rows["label"].iloc[0])
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


if __name__ == "__main__":
    job = snakemake  # noqa: F821
    with one_sentence():
        save(draw(read_csv(Path(job.input.table)), job.params.evidence), job.output.pdf, job.output.png)
