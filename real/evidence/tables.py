"""Result tables: benchmark scores, paired differences, pass@k, tidy training curves, the learning-rate sweep.

Each table exists once as numbers (CSV) and once for reading (HTML, Markdown, LaTeX), at every scale; at the published
scale the numbers are the paper's own.
"""

from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from real.config import Experiment, ReportedScale, resolve
from real.evidence.printed import (
    MEAN,
    PROVENANCE,
    benchmark_label,
    provenance_note,
    read_benchmarks,
    validation_problems,
)
from real.evidence.results import problem_rates, run_metrics
from real.records.jobs import BASE
from real.statistics.intervals import Interval, mean_half_width, paired_difference, pass_at_1
from real.system.files import read_csv, write_csv, write_text

BASE_LABEL = "Base model"
CURVES = ("entropy", "val_pass_at_1", "reward_mean", "solve_all")
TABLE_STYLE = (
    ".box{overflow-x:auto}table{border-collapse:collapse}"
    "th,td{padding:.35em .8em;text-align:right;border-bottom:1px solid #ddd;"
    "font-variant-numeric:tabular-nums;white-space:nowrap}th:first-child,td:first-child{text-align:left}"
    "thead th{border-bottom:2px solid #222}td:first-child{white-space:normal;min-width:14em}"
)


def benchmark_scores(experiment: Experiment) -> pd.DataFrame:
    """One row per (method, benchmark), the mean of the benchmarks as benchmark ``mean``.

    Columns: backbone, group, method, label, benchmark, value, and, where samples exist, low, high, seeds, problems,
    samples, covers; where they are printed elsewhere, provenance and response_limit.
    """
    if isinstance(experiment.scale, ReportedScale):
        return read_benchmarks(experiment.scale.reported.benchmarks)
    rows = []
    for method in (BASE, *experiment.scale.methods):
        rates = _arrays(problem_rates(experiment, method))
        rows += [
            _score_row(experiment, method, benchmark, pass_at_1(part), part) for benchmark, part in _with_mean(rates)
        ]
    return pd.DataFrame(rows)


def write_benchmarks(experiment: Experiment, folder: Path) -> None:
    """Write ``benchmarks.{csv,html,md,tex}``: rows are methods, columns the benchmarks and their mean."""
    scores = benchmark_scores(experiment)
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "benchmarks.csv", _wide(scores, ["value", "low", "high"]))
    note = benchmark_note(experiment, scores)
    scores["cell"] = [_cell(row, ".3f") for row in scores.itertuples()]
    marks = scores["provenance"].map(lambda name: PROVENANCE[name][0]) if "provenance" in scores else ""
    scores["name"] = scores["label"] + marks
    sections = {backbone: _printed(part) for backbone, part in scores.groupby("backbone", sort=False)}
    write_readable(folder / "benchmarks", f"Benchmarks at {experiment.scale.scale} scale", sections, note)


def benchmark_note(experiment: Experiment, scores: pd.DataFrame) -> str:
    """The sentence under the table: what was sampled, what the intervals cover."""
    if isinstance(experiment.scale, ReportedScale):
        return f"{experiment.scale.evidence}. {provenance_note(scores)}"
    return (
        f"pass@1 at the last step [95 % interval]; {_sampling(experiment, scores)}. Intervals cover "
        f"{scores['covers'].iloc[-1]}; the base model's cover problems only."
    )


def differences(experiment: Experiment) -> pd.DataFrame:
    """One row per (other method, benchmark): the scale's first method minus the other, paired by problem and seed.

    Columns: method (the other), label, benchmark, value, low, high, seeds, problems, samples, covers.
    """
    scale = experiment.trained
    first = _arrays(problem_rates(experiment, scale.methods[0]))
    rows = []
    for method in (BASE, *scale.methods[1:]):
        other = _arrays(problem_rates(experiment, method))
        for (benchmark, a), (_, b) in zip(_with_mean(first), _with_mean(other), strict=True):
            rows.append(_score_row(experiment, method, benchmark, paired_difference(a, b), a))
    return pd.DataFrame(rows).drop(columns=["backbone", "group"])


def write_differences(experiment: Experiment, folder: Path) -> None:
    """Write ``differences.{csv,html,md,tex}``: rows are the other methods, columns the benchmarks and their mean."""
    scores = differences(experiment)
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "differences.csv", scores)
    first = _label(experiment, experiment.trained.methods[0])
    scores["cell"] = [_cell(row, "+.3f") for row in scores.itertuples()]
    scores["name"] = f"{first} − " + scores["label"]
    note = (
        f"pass@1 of {first} minus the other method's [95 % interval], paired by problem and by seed; "
        f"{_sampling(experiment, scores)}. Intervals cover {scores['covers'].iloc[-1]}; the base model is one fixed "
        "checkpoint. Each interval stands alone: among many, one in twenty misses."
    )
    sections = {experiment.scale.evidence: _printed(scores)}
    write_readable(folder / "differences", f"Paired differences at {experiment.scale.scale} scale", sections, note)


def pass_at_k_scores(experiment: Experiment) -> pd.DataFrame:
    """One row per (method, k): mean of the benchmarks' unbiased pass@k for k = 1, 2, 4, … up to the samples."""
    samples = experiment.trained.evaluation.samples
    rows = []
    for method in (BASE, *experiment.scale.methods):
        for k in (2**power for power in range(samples.bit_length())):
            rates = list(_arrays(problem_rates(experiment, method, k)).values())
            rows.append({**_score_row(experiment, method, f"pass@{k}", pass_at_1(rates), rates), "k": k})
    return pd.DataFrame(rows).drop(columns=["backbone", "group"])


def write_pass_at_k(experiment: Experiment, folder: Path) -> None:
    """Write ``pass_at_k.{csv,html,md,tex}``: rows are methods, columns k."""
    scores = pass_at_k_scores(experiment)
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "pass_at_k.csv", scores.drop(columns="benchmark"))
    scores["cell"] = [_cell(row, ".3f") for row in scores.itertuples()]
    scores["name"] = scores["label"]
    note = (
        f"mean over the benchmarks of the unbiased pass@k [95 % interval]; {_sampling(experiment, scores)}. "
        f"Intervals cover {scores['covers'].iloc[-1]}; the base model's cover problems only."
    )
    sections = {experiment.scale.evidence: _printed(scores)}
    write_readable(folder / "pass_at_k", f"pass@k at {experiment.scale.scale} scale", sections, note)


def training_curves(experiment: Experiment) -> pd.DataFrame:
    """Tidy curves of all runs: metric, method, label, seed (empty at the published scale), step, value."""
    if isinstance(experiment.scale, ReportedScale):
        path = Path(experiment.scale.reported.training_dynamics)
        return read_csv(path, remedy="restore it from the repository", comment="#")
    parts = []
    for method in experiment.scale.methods:
        for seed in experiment.scale.seeds:
            metrics = run_metrics(experiment, method, seed)
            tidy = metrics.melt("step", list(CURVES), var_name="metric").dropna(subset=["value"])
            label = experiment.methods[method].label
            parts.append(tidy.assign(method=method, label=label, seed=seed))
    return pd.concat(parts)[["metric", "method", "label", "seed", "step", "value"]]


def learning_rate_scores(experiment: Experiment) -> pd.DataFrame:
    """One row per (base method, learning rate): validation pass@1 at the last step, mean and values per seed.

    Test problems are not read.
    """
    scale = experiment.trained
    rows: list[dict[str, Any]] = []
    for method in scale.methods:
        finals = []
        for seed in scale.seeds:
            finals.append(run_metrics(experiment, method, seed)["val_pass_at_1"].iloc[-1])
        variant = scale.variants.get(method)
        rows.append(
            {
                "method": variant.method if variant else method,
                "label": experiment.methods[method].label,
                "learning_rate": resolve(experiment, method, scale.seeds[0]).training.learning_rate,
                "val_pass_at_1": float(np.mean(finals)),
                "half_width": mean_half_width(np.array(finals)) if len(finals) > 1 else float("nan"),
                "seeds": len(finals),
                "values": " ".join(f"{value:.4f}" for value in finals),
            }
        )
    return pd.DataFrame(rows)


def write_learning_rate_sweep(experiment: Experiment, folder: Path) -> None:
    """Write ``learning_rate_sweep.{csv,html,md,tex}``: rows are methods, columns learning rates."""
    scores = learning_rate_scores(experiment)
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
    write_readable(folder / "learning_rate_sweep", "Learning-rate sweep", {scale.evidence: table}, note)


def write_readable(stem: Path, title: str, sections: dict[Any, pd.DataFrame], note: str) -> None:
    """Write one table of several sections as ``stem``.html, .md and .tex."""
    markdown, latex = [f"# {title}\n"], [f"% {title}. {note}\n"]
    for heading, table in sections.items():
        escaped = table.map(lambda cell: str(cell).replace("|", r"\|"))
        markdown += [f"## {heading}\n", escaped.to_markdown(index=False, disable_numparse=True), ""]
        styled = table.style.hide(axis="index").format(escape="latex").format_index(escape="latex", axis=1)
        latex += [f"% {heading}", styled.to_latex(hrules=True)]
    markdown.append(f"{note}\n")
    write_text(stem.with_suffix(".html"), html_page(title, sections, note))
    write_text(stem.with_suffix(".md"), "\n".join(markdown))
    write_text(stem.with_suffix(".tex"), "\n".join(latex))


def html_page(title: str, sections: dict[Any, pd.DataFrame], *notes: str) -> str:
    """One table of several sections as a page by itself, each note a paragraph below; all text is escaped."""
    style = "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;padding:0 1em;max-width:70em;color:#222}"
    title = escape(title, quote=False)
    html = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{style}{TABLE_STYLE}</style>",
        f"<h1>{title}</h1>",
        f"<main>{html_tables(sections, *notes)}</main>",
    ]
    return "\n".join([*html, "</html>\n"])


def html_tables(sections: dict[Any, pd.DataFrame], *notes: str) -> str:
    """What stands below the title of :func:`html_page`: each table scrolls in a box of its own."""
    html = []
    for heading, table in sections.items():
        html += [
            f"<h2>{escape(str(heading), quote=False)}</h2>",
            f'<div class="box" role="region" tabindex="0" aria-label="{escape(str(heading))}">',
            table.to_html(index=False, border=0),
            "</div>",
        ]
    return "\n".join([*html, *(f"<p>{escape(note, quote=False)}</p>" for note in notes)])


def _score_row(
    experiment: Experiment, method: str, benchmark: str, interval: Interval, rates: list[np.ndarray]
) -> dict[str, Any]:
    return {
        "backbone": experiment.scale.evidence,
        "group": "models" if method == BASE else "methods",
        "method": method,
        "label": _label(experiment, method),
        "benchmark": benchmark,
        "value": interval.value,
        "low": interval.low,
        "high": interval.high,
        "seeds": len(rates[0]),
        "problems": sum(part.shape[1] for part in rates),
        "samples": experiment.trained.evaluation.samples,
        "covers": interval.covers,
    }


def _arrays(rates: dict[str, pd.DataFrame]) -> dict[str, np.ndarray]:
    """(S, P) per benchmark."""
    return {benchmark: frame.to_numpy().T for benchmark, frame in rates.items()}


def _with_mean(rates: dict[str, np.ndarray]) -> list[tuple[str, list[np.ndarray]]]:
    """Every benchmark by itself, then all of them as ``mean``."""
    return [*((name, [part]) for name, part in rates.items()), (MEAN, list(rates.values()))]


def _label(experiment: Experiment, method: str) -> str:
    return BASE_LABEL if method == BASE else experiment.methods[method].label


def _sampling(experiment: Experiment, scores: pd.DataFrame) -> str:
    scale = experiment.trained
    return (
        f"{scale.evaluation.samples} samples per problem, {scores['problems'].max()} problems in all, "
        f"temperature {scale.evaluation.temperature}, top-p {scale.evaluation.top_p}, "
        f"seeds {', '.join(map(str, scale.seeds))}"
    )


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


def _printed(scores: pd.DataFrame) -> pd.DataFrame:
    """The table a reader sees: rows in the order given, one column per benchmark."""
    names, columns = list(dict.fromkeys(scores["name"])), list(dict.fromkeys(scores["benchmark"]))
    table = scores.pivot(index="name", columns="benchmark", values="cell").loc[names, columns]
    table.columns = [benchmark_label(name) for name in table.columns]
    return table.rename_axis(index="method", columns=None).reset_index()


def _cell(row: Any, form: str) -> str:
    if pd.isna(row.value):
        return "–"
    if "low" not in row._fields:
        return f"{row.value:{form}}"
    return f"{row.value:{form}} [{row.low:{form}}, {row.high:{form}}]"
