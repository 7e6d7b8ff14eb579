"""Validation scores by learning rate: what a scale's rate is judged by."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from real.config import Experiment
from real.evidence.layout import write_readable
from real.evidence.printed import validation_problems
from real.evidence.results import run_metrics
from real.records.consistent import RUNS, code_note
from real.statistics.intervals import mean_half_width
from real.system.files import write_csv


def learning_rate_scores(experiment: Experiment) -> pd.DataFrame:
    """One row per (base method, learning rate): validation pass@1 at the last step, mean and values per seed.

    Test problems are not read.
    """
    scale = experiment.trained
    rows: list[dict[str, Any]] = []
    for method, settings in experiment.methods.items():
        finals = [run_metrics(experiment, method, seed)["val_pass_at_1"].iloc[-1] for seed in scale.seeds]
        rows.append(
            {
                "method": experiment.parents[method],
                "label": settings.label,
                "learning_rate": experiment.training[method].learning_rate,
                "val_pass_at_1": float(np.mean(finals)),
                "half_width": mean_half_width(np.array(finals)) if len(finals) > 1 else float("nan"),
                "seeds": len(finals),
                "values": " ".join(f"{value:.4f}" for value in finals),
            }
        )
    return pd.DataFrame(rows)


def write_learning_rate_sweep(experiment: Experiment, results: Path) -> None:
    """Write ``learning_rate_sweep.{csv,html,md,tex}``: rows are methods, columns learning rates."""
    scores = learning_rate_scores(experiment)
    folder = results / "tables"
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "learning_rate_sweep.csv", scores)
    scores["cell"] = [
        row.values.replace(" ", " / ") if row.seeds < 3 else f"{row.val_pass_at_1:.3f} ± {row.half_width:.3f}"
        for row in scores.itertuples()
    ]
    scores["rate"] = [f"{rate:.1e}" for rate in scores["learning_rate"]]
    table = scores.pivot(index="label", columns="rate", values="cell").loc[list(dict.fromkeys(scores["label"]))]
    order = [f"{rate:.1e}" for rate in sorted(scores["learning_rate"].unique())]
    table = table[order].rename_axis(index="method", columns=None).reset_index()
    scale = experiment.trained
    note = (
        f"pass@1 on validation problems alone, step {scale.training.steps}, seeds {', '.join(map(str, scale.seeds))}; "
        f"{scale.training.validation_samples} samples of each of {validation_problems(scale)}; "
        f"one number per seed where there are fewer than three."
    )
    write_readable(
        folder / "learning_rate_sweep",
        "Learning-rate sweep",
        {scale.evidence: table},
        note,
        code_note(experiment, RUNS),
    )
