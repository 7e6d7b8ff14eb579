"""How many problems have at least one correct answer among k samples."""

from pathlib import Path
from typing import Any

import pandas as pd

from real.config import Experiment
from real.evidence.exhibit import Exhibit, evaluations, evaluations_shown, nothing_is_trained, table_files
from real.evidence.layout import write_tables
from real.evidence.results import rates_by_k
from real.evidence.scores import printed_table, score_note, score_row
from real.records.consistent import EVALUATIONS, origin_notes
from real.records.jobs import BASE
from real.statistics.intervals import pass_at_1


def pass_at_k_scores(experiment: Experiment) -> pd.DataFrame:
    """One row per (method, k): mean of the benchmarks' unbiased pass@k for k = 1, 2, 4, … up to the samples."""
    methods = [BASE, *experiment.methods]
    ks = [2**power for power in range(experiment.trained.evaluation.samples.bit_length())]
    rows: dict[str, list[dict[str, Any]]] = {method: [] for method in methods}
    for k, by_method in rates_by_k(experiment, methods, ks):
        for method, by_benchmark in by_method.items():
            rates = list(by_benchmark.values())
            rows[method].append({**score_row(experiment, method, f"pass@{k}", pass_at_1(rates), rates), "k": k})
    return pd.DataFrame([row for of_method in rows.values() for row in of_method])


def write_pass_at_k(experiment: Experiment, results: Path) -> None:
    """Write ``pass_at_k.{csv,html,json,md,tex}``: rows are methods, columns k."""
    scores = pass_at_k_scores(experiment)
    write_tables(
        results,
        "pass_at_k",
        f"pass@k at {experiment.scale.scale} scale",
        scores.drop(columns="benchmark"),
        {experiment.scale.evidence: printed_table(scores.assign(name=scores["label"]), ".3f")},
        score_note(experiment, scores, "mean over the benchmarks of the unbiased pass@k [95 % interval]"),
        *origin_notes(experiment, EVALUATIONS),
    )


EXHIBIT = Exhibit(
    name="pass_at_k",
    title="pass@k",
    doing="tabulating pass@k",
    outputs=table_files("pass_at_k"),
    make=write_pass_at_k,
    reads=evaluations,
    settings=evaluations_shown,
    absent=nothing_is_trained,
)
