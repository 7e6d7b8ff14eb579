"""Benchmark scores of every method; at the published scale those that the papers print."""

from pathlib import Path

import pandas as pd

from real.config import Experiment
from real.evidence.exhibit import Exhibit, evaluations, evaluations_shown, printed_benchmarks, table_files
from real.evidence.layout import write_tables
from real.evidence.printed import PROVENANCE, provenance_note, read_benchmarks
from real.evidence.results import problem_rates
from real.evidence.scores import printed_table, score_note, score_row, with_mean
from real.records.consistent import EVALUATIONS, origin_notes
from real.records.jobs import BASE
from real.statistics.intervals import pass_at_1


def benchmark_scores(experiment: Experiment) -> pd.DataFrame:
    """One row per (method, benchmark), the mean of the benchmarks as benchmark ``mean``.

    Columns: backbone, group, method, label, benchmark, value, and, where samples exist, low, high, seeds, problems,
    samples, covers; where they are printed elsewhere, provenance and response_limit.
    """
    if printed := experiment.scale.printed:
        return read_benchmarks(printed.benchmarks)
    scores = pd.DataFrame(
        score_row(experiment, method, benchmark, pass_at_1(part), part)
        for method, rates in problem_rates(experiment, [BASE, *experiment.methods]).items()
        for benchmark, part in with_mean(rates)
    )
    group = scores["method"].map(lambda method: "models" if method == BASE else "methods")
    return scores.assign(backbone=experiment.scale.evidence, group=group)


def write_benchmarks(experiment: Experiment, results: Path) -> None:
    """Write ``benchmarks.{csv,html,json,md,tex}``: rows are methods, columns the benchmarks and their mean."""
    scores = benchmark_scores(experiment)
    marks = scores["provenance"].map(lambda name: PROVENANCE[name][0]) if "provenance" in scores else ""
    named = scores.assign(name=scores["label"] + marks)
    write_tables(
        results,
        "benchmarks",
        f"Benchmarks at {experiment.scale.scale} scale",
        _wide(scores, ["value", "low", "high"]),
        {str(backbone): printed_table(part, ".3f") for backbone, part in named.groupby("backbone", sort=False)},
        benchmark_note(experiment, scores),
        *origin_notes(experiment, EVALUATIONS),
    )


def benchmark_note(experiment: Experiment, scores: pd.DataFrame) -> str:
    """The sentence under the table: what was sampled, what the intervals cover."""
    if experiment.scale.printed:
        return f"{experiment.scale.evidence}. {provenance_note(scores)}"
    return score_note(experiment, scores, "pass@1 at the last step [95 % interval]")


def _wide(scores: pd.DataFrame, values: list[str]) -> pd.DataFrame:
    """One row per method; each benchmark has a value column, and _low and _high where intervals exist."""
    index = ["backbone", "group", "method", "label"]
    index += [key for key in ("provenance", "response_limit", "seeds", "samples", "covers") if key in scores]
    present = [value for value in values if value in scores]
    wide = scores.pivot(index=index, columns="benchmark", values=present)
    benchmarks = list(dict.fromkeys(scores["benchmark"]))
    wide = wide[[(value, benchmark) for benchmark in benchmarks for value in present]]
    wide.columns = [name if value == "value" else f"{name}_{value}" for value, name in wide.columns]
    order = scores.drop_duplicates(["backbone", "method"])[["backbone", "method"]]
    return order.merge(wide.reset_index(), on=["backbone", "method"])[[*index, *wide.columns]]


EXHIBIT = Exhibit(
    name="benchmarks",
    title="Benchmarks",
    doing="tabulating the benchmarks",
    outputs=table_files("benchmarks"),
    make=write_benchmarks,
    reads=evaluations,
    settings=evaluations_shown,
    printed=printed_benchmarks,
)
