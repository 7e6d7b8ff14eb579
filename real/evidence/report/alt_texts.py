"""What a report says of pictures: numbers at the ends of curves, and text alternatives made from the data drawn."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from real.config import Experiment
from real.records.jobs import trained_jobs
from real.system.files import read_csv, read_table

METRICS = {
    "entropy": "Entropy, nats per token",
    "val_pass_at_1": "Validation pass@1",
    "reward_mean": "Reward",
    "solve_all": "Prompts solved by all rollouts",
}
NONE = "–"
# of a correct response's weight; a wrong one's is the mirror image where it is bounded
FALLS = "a smooth fall from near 1/τ = {bound:g} to 0 (for a wrong response a rise from 0 to near {bound:g})"
SHAPES = {
    "real": FALLS,
    "real_bce": FALLS,
    "real_product": FALLS,
    "grpo": "an exponential rise, and 0 beyond the clip (for a wrong response 0 below the clip, and an exponential "
    "rise without bound beyond)",
}
SHAPES["dapo"] = SHAPES["gspo"] = SHAPES["grpo"]
# of the scores that the description of a picture covers
SHARE = 0.98


def curve_ends(curves: pd.DataFrame) -> pd.DataFrame:
    """A row per method, a column per metric: mean over seeds at the first and at the last measured step.

    Args:
        curves: tidy, columns metric, label, seed, step, value (training_curves.csv).
    """
    last_step = curves.groupby("metric")["step"].max()
    lines = {place: rows.groupby("step")["value"].mean() for place, rows in curves.groupby(["metric", "label"])}
    rows = []
    for label in dict.fromkeys(curves["label"]):
        row = {"method": label}
        for metric, heading in METRICS.items():
            line = lines.get((metric, label))
            row[heading] = NONE if line is None else _ends(line, last_step[metric])
        rows.append(row)
    return pd.DataFrame(rows)


def _ends(line: pd.Series, last_step: float) -> str:
    earlier = "" if line.index[-1] == last_step else f" (step {line.index[-1]:g})"
    return f"{line.iloc[0]:#.3g} → {line.iloc[-1]:#.3g}{earlier}"


def describe(experiment: Experiment, stem: str, folder: Path) -> str:
    """What a figure shows, for those who can't see it.

    Args:
        stem: of the figure; folder: the results it is of.

    Raises:
        FileNotFoundError, DamagedError: what it was drawn from is gone or damaged.
    """
    return DESCRIPTIONS[stem](experiment, folder)


def _training_dynamics(_: Experiment, folder: Path) -> str:
    ends = curve_ends(read_csv(folder / "tables/training_curves.csv"))
    panels = [
        f"{heading}: {', '.join(f'{row.method} {row[heading]}' for _, row in ends.iterrows())}"
        for heading in METRICS.values()
    ]
    return f"Four panels of lines over training steps, one per method, from first to last step. {'. '.join(panels)}."


def _gradient_magnitude(experiment: Experiment, _: Path) -> str:
    labels: dict[str, list[str]] = {}
    for method in experiment.methods.values():
        shape = SHAPES.get(method.objective, "as its rule says")
        bound = 1 / float(method.hyperparameters.get("tau", 1))
        labels.setdefault(shape.format(bound=bound), []).append(method.label)
    lines = [f"{', '.join(those)}: {shape}" for shape, those in labels.items()]
    return (
        "Two panels of gradient magnitude against the score, which runs from −2.5 to 2.5. For a correct response with "
        f"rising score: {'; '.join(lines)}."
    )


def _gradient_measured(experiment: Experiment, folder: Path) -> str:
    scores: dict[str, list[pd.Series]] = {}
    for job in trained_jobs(experiment):
        if job.kind == "train":
            samples = read_table(folder / job.name / "gradient_samples.parquet", ["score"])
            scores.setdefault(experiment.methods[str(job.method)].label, []).append(samples["score"].abs())
    widths = [f"{label} {pd.concat(parts).quantile(SHARE):.2g}" for label, parts in scores.items()]
    return (
        "Four panels, correct responses left and wrong ones right: gradient curves above, densities of the scores that "
        f"training met below. {SHARE:.0%} of a method's scores lie within this distance of 0: {', '.join(widths)}."
    )


def _learning_rate_sweep(_: Experiment, folder: Path) -> str:
    scores = read_csv(folder / "tables/learning_rate_sweep.csv")
    lines = [
        f"{label}: {', '.join(f'{row.val_pass_at_1:.3f} at {row.learning_rate:.1e}' for row in rows.itertuples())}"
        for label, rows in scores.groupby("label", sort=False)
    ]
    return f"A line per method of mean validation pass@1 at the last step over learning rates. {'; '.join(lines)}."


def _mechanism(_: Experiment, folder: Path) -> str:
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


DESCRIPTIONS: Mapping[str, Callable[[Experiment, Path], str]] = {
    "training_dynamics": _training_dynamics,
    "gradient_magnitude": _gradient_magnitude,
    "gradient_measured": _gradient_measured,
    "learning_rate_sweep": _learning_rate_sweep,
    "mechanism": _mechanism,
}
