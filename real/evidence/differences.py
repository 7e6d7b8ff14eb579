"""The scale's first method minus every other, paired by problem and by seed."""

from pathlib import Path

import pandas as pd

from real.config import Experiment
from real.evidence.exhibit import Exhibit, evaluations, evaluations_shown, nothing_is_trained, table_files
from real.evidence.layout import write_readable
from real.evidence.results import problem_rates
from real.evidence.scores import arrays, cell, label_of, printed_table, sampling, score_row, with_mean
from real.records.consistent import EVALUATIONS, code_note
from real.records.jobs import BASE
from real.statistics.intervals import paired_difference
from real.system.files import write_csv


def differences(experiment: Experiment) -> pd.DataFrame:
    """One row per (other method, benchmark): the scale's first method minus the other, paired by problem and seed.

    Columns: method (the other), label, benchmark, value, low, high, seeds, problems, samples, covers.
    """
    own, *others = experiment.methods
    first = arrays(problem_rates(experiment, own))
    rows = []
    for method in (BASE, *others):
        other = arrays(problem_rates(experiment, method))
        for (benchmark, a), (_, b) in zip(with_mean(first), with_mean(other), strict=True):
            rows.append(score_row(experiment, method, benchmark, paired_difference(a, b), a))
    return pd.DataFrame(rows).drop(columns=["backbone", "group"])


def write_differences(experiment: Experiment, results: Path) -> None:
    """Write ``differences.{csv,html,md,tex}``: rows are the other methods, columns the benchmarks and their mean."""
    scores = differences(experiment)
    folder = results / "tables"
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "differences.csv", scores)
    first = label_of(experiment, next(iter(experiment.methods)))
    scores["cell"] = [cell(row, "+.3f") for row in scores.itertuples()]
    scores["name"] = f"{first} − " + scores["label"]
    note = (
        f"pass@1 of {first} minus the other method's [95 % interval], paired by problem and by seed; "
        f"{sampling(experiment, scores)}. Intervals cover {scores['covers'].iloc[-1]}; the base model is one fixed "
        "checkpoint. Each interval stands alone: among many, one in twenty misses."
    )
    sections = {experiment.scale.evidence: printed_table(scores)}
    write_readable(
        folder / "differences",
        f"Paired differences at {experiment.scale.scale} scale",
        sections,
        note,
        code_note(experiment, EVALUATIONS),
    )


EXHIBIT = Exhibit(
    name="differences",
    title="Paired differences",
    doing="tabulating paired differences",
    outputs=table_files("differences"),
    make=write_differences,
    reads=evaluations,
    settings=evaluations_shown,
    absent=nothing_is_trained,
)
