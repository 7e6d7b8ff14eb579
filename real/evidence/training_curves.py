"""Training curves of every run, tidy, and their ends in short."""

from pathlib import Path

import pandas as pd

from real.config import Experiment
from real.evidence.exhibit import Exhibit, metrics, runs_shown
from real.evidence.results import run_metrics
from real.evidence.scores import NONE
from real.system.files import read_csv, write_csv

METRICS = {
    "entropy": "Entropy, nats per token",
    "val_pass_at_1": "Validation pass@1",
    "reward_mean": "Reward",
    "solve_all": "Prompts solved by all rollouts",
}


def training_curves(experiment: Experiment) -> pd.DataFrame:
    """Tidy curves of all runs: metric, method, label, seed (empty at the published scale), step, value."""
    if printed := experiment.scale.printed:
        path = Path(printed.training_dynamics)
        return read_csv(path, remedy="restore it from the repository", comment="#")
    parts = []
    for (method, seed), measured in run_metrics(experiment, list(experiment.methods)).items():
        tidy = measured.melt("step", list(METRICS), var_name="metric").dropna(subset=["value"])
        parts.append(tidy.assign(method=method, label=experiment.methods[method].label, seed=seed))
    return pd.concat(parts)[["metric", "method", "label", "seed", "step", "value"]]


def curve_ends(curves: pd.DataFrame) -> pd.DataFrame:
    """A row per method, a column per metric: mean over seeds at the first and at the last measured step.

    A step is named where it isn't the metric's first or last.

    Args:
        curves: tidy, columns metric, label, seed, step, value (training_curves.csv).
    """
    steps = curves.groupby("metric")["step"].agg(["min", "max"])
    lines = {place: rows.groupby("step")["value"].mean() for place, rows in curves.groupby(["metric", "label"])}
    rows = []
    for label in dict.fromkeys(curves["label"]):
        row = {"method": label}
        for metric, heading in METRICS.items():
            line = lines.get((metric, label))
            row[heading] = NONE if line is None else _ends(line, *steps.loc[metric])
        rows.append(row)
    return pd.DataFrame(rows)


def late_starts(curves: pd.DataFrame) -> str:
    """Which curves begin later than the others of their metric, as one clause; empty where none does.

    Args:
        curves: as of :func:`curve_ends`.
    """
    first = curves.groupby(["metric", "label"], sort=False)["step"].min()
    late = first[first > first.groupby("metric").transform("min")]
    names = [
        f"{label}'s {METRICS[metric].partition(',')[0].lower()} (only from step {late[metric, label]:g})"
        for metric, label in late.index
    ]
    return f"not known from the start: {', '.join(names)}" if names else ""


def _ends(line: pd.Series, first_step: float, last_step: float) -> str:
    later = "" if line.index[0] == first_step else f" (step {line.index[0]:g})"
    earlier = "" if line.index[-1] == last_step else f" (step {line.index[-1]:g})"
    return f"{line.iloc[0]:#.3g}{later} → {line.iloc[-1]:#.3g}{earlier}"


def write_training_curves(experiment: Experiment, results: Path) -> None:
    """Write ``training_curves.csv``.

    Raises:
        FileNotFoundError, OriginError, DamagedError: as :func:`real.evidence.results.run_metrics`.
    """
    path = results / "tables/training_curves.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_csv(path, training_curves(experiment))


def printed_curves(experiment: Experiment) -> list[str]:
    """The paper's digitised curves, at the scale that shows them."""
    printed = experiment.scale.printed
    return [printed.training_dynamics] if printed else []


EXHIBIT = Exhibit(
    name="training_curves",
    title="Training curves",
    doing="collecting the training curves",
    outputs=("tables/training_curves.csv",),
    make=write_training_curves,
    reads=metrics,
    settings=runs_shown,
    printed=printed_curves,
)
