"""Validation scores by learning rate: what a scale's rate is judged by."""

from pathlib import Path

import numpy as np
import pandas as pd

from real.config import Experiment
from real.config.labels import with_changes
from real.evidence.layout import write_tables
from real.evidence.printed import validation_problems
from real.evidence.results import run_metrics
from real.evidence.scores import NONE
from real.records.consistent import RUNS, origin_notes
from real.statistics.intervals import mean_half_width


def learning_rate_scores(experiment: Experiment) -> pd.DataFrame:
    """One row per (base method, learning rate): validation pass@1 at the last step, mean and values per seed.

    Test problems are not read.
    """
    scale = experiment.trained
    measured = run_metrics(experiment, list(experiment.methods))
    # a label for each row of the table: the rule's, with the staleness where that varies too
    lags = {method: getattr(training, "staleness", 0) for method, training in experiment.training.items()}
    varied = len(set(lags.values())) > 1
    rows = []
    for method in experiment.methods:
        finals = [measured[method, seed]["val_pass_at_1"].iloc[-1] for seed in scale.seeds]
        rows.append(
            {
                "method": experiment.parents[method],
                "label": with_changes(experiment.rule_labels[method], {"staleness": lags[method]} if varied else {}),
                "learning_rate": experiment.training[method].learning_rate,
                "val_pass_at_1": float(np.mean(finals)),
                "half_width": mean_half_width(np.array(finals)) if len(finals) > 1 else float("nan"),
                "seeds": len(finals),
                "values": " ".join(f"{value:.4f}" for value in finals),
            }
        )
    return pd.DataFrame(rows)


def write_learning_rate_sweep(experiment: Experiment, results: Path) -> None:
    """Write ``learning_rate_sweep.{csv,html,json,md,tex}``: rows are methods, columns learning rates."""
    scores = learning_rate_scores(experiment)
    scale = experiment.trained
    note = (
        f"pass@1 on validation problems alone, step {scale.training.steps}, seeds {', '.join(map(str, scale.seeds))}; "
        f"{scale.training.validation_samples} samples of each of {validation_problems(scale)}; "
        f"one number per seed where there are fewer than three."
    )
    write_tables(
        results,
        "learning_rate_sweep",
        "Learning-rate sweep",
        scores,
        {scale.evidence: _printed(scores)},
        note,
        *origin_notes(experiment, RUNS),
    )


def _printed(scores: pd.DataFrame) -> pd.DataFrame:
    """The table that a reader sees."""
    cells = [
        row.values.replace(" ", " / ") if row.seeds < 3 else f"{row.val_pass_at_1:.3f} ± {row.half_width:.3f}"
        for row in scores.itertuples()
    ]
    table = scores.assign(cell=cells).pivot(index="label", columns="learning_rate", values="cell")
    table = table.loc[list(dict.fromkeys(scores["label"]))].rename(columns="{:.1e}".format).fillna(NONE)
    return table.rename_axis(index="method", columns=None).reset_index()
