"""The scale's first method minus every other, paired by problem and by seed."""

from pathlib import Path

import pandas as pd

from real.config import Experiment
from real.evidence.exhibit import Exhibit, evaluations, evaluations_shown, nothing_is_trained, table_files
from real.evidence.layout import write_tables
from real.evidence.results import problem_rates
from real.evidence.scores import label_of, printed_table, score_note, score_row, with_mean
from real.records.consistent import EVALUATIONS, origin_notes
from real.records.jobs import BASE
from real.statistics.intervals import paired_difference


def differences(experiment: Experiment) -> pd.DataFrame:
    """One row per (other method, benchmark): the scale's first method minus the other, paired by problem and seed.

    Columns: method (the other), label, benchmark, value, low, high, seeds, problems, samples, covers.
    """
    first, *others = experiment.methods
    rates = problem_rates(experiment, [first, BASE, *others])
    rows = [
        score_row(experiment, method, benchmark, paired_difference(a, b), a)
        for method in (BASE, *others)
        for (benchmark, a), (_, b) in zip(with_mean(rates[first]), with_mean(rates[method]), strict=True)
    ]
    return pd.DataFrame(rows)


def write_differences(experiment: Experiment, results: Path) -> None:
    """Write ``differences.{csv,html,json,md,tex}``: rows are the other methods, columns benchmarks and their mean."""
    scores = differences(experiment)
    first = label_of(experiment, next(iter(experiment.methods)))
    what = f"pass@1 of {first} minus the other method's [95 % interval], paired by problem and by seed"
    note = score_note(experiment, scores, what, "the base model is one fixed checkpoint")
    named = scores.assign(name=f"{first} − " + scores["label"])
    write_tables(
        results,
        "differences",
        f"Paired differences at {experiment.scale.scale} scale",
        scores,
        {experiment.scale.evidence: printed_table(named, "+.3f")},
        f"{note} Each interval stands alone: among many, one in twenty misses.",
        *origin_notes(experiment, EVALUATIONS),
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
