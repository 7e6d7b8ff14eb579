"""How many problems have at least one correct answer among k samples."""

from pathlib import Path

import pandas as pd

from real.config import Experiment
from real.evidence.exhibit import Exhibit, evaluations, evaluations_shown, nothing_is_trained, table_files
from real.evidence.layout import write_readable
from real.evidence.results import problem_rates
from real.evidence.scores import arrays, cell, printed_table, sampling, score_row
from real.records.consistent import EVALUATIONS, code_note
from real.records.jobs import BASE
from real.statistics.intervals import pass_at_1
from real.system.files import write_csv


def pass_at_k_scores(experiment: Experiment) -> pd.DataFrame:
    """One row per (method, k): mean of the benchmarks' unbiased pass@k for k = 1, 2, 4, … up to the samples."""
    samples = experiment.trained.evaluation.samples
    rows = []
    for method in (BASE, *experiment.methods):
        for k in (2**power for power in range(samples.bit_length())):
            rates = list(arrays(problem_rates(experiment, method, k)).values())
            rows.append({**score_row(experiment, method, f"pass@{k}", pass_at_1(rates), rates), "k": k})
    return pd.DataFrame(rows).drop(columns=["backbone", "group"])


def write_pass_at_k(experiment: Experiment, results: Path) -> None:
    """Write ``pass_at_k.{csv,html,md,tex}``: rows are methods, columns k."""
    scores = pass_at_k_scores(experiment)
    folder = results / "tables"
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "pass_at_k.csv", scores.drop(columns="benchmark"))
    scores["cell"] = [cell(row, ".3f") for row in scores.itertuples()]
    scores["name"] = scores["label"]
    note = (
        f"mean over the benchmarks of the unbiased pass@k [95 % interval]; {sampling(experiment, scores)}. "
        f"Intervals cover {scores['covers'].iloc[-1]}; the base model's cover problems only."
    )
    sections = {experiment.scale.evidence: printed_table(scores)}
    write_readable(
        folder / "pass_at_k",
        f"pass@k at {experiment.scale.scale} scale",
        sections,
        note,
        code_note(experiment, EVALUATIONS),
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
