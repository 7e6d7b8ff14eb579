"""Result tables: benchmark scores, tidy training curves, the learning-rate sweep.

Each table exists once as numbers (CSV) and once for reading (HTML, Markdown, LaTeX), at every scale; at the published
scale the numbers are the paper's own.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from real.config import Experiment, ReportedScale, TorchScale, resolve
from real.statistics import Interval, mean_half_width, pass_at_1

BASE = "base"
CURVES = ("entropy", "val_pass_at_1", "reward_mean", "solve_all")


def benchmark_scores(experiment: Experiment) -> pd.DataFrame:
    """One row per (method, benchmark), the mean of the benchmarks as benchmark ``mean``.

    Columns: backbone, group, method, label, cited, benchmark, value, and, where samples exist, half_width, low, high,
    seeds, problems, samples, covers.
    """
    if isinstance(experiment.scale, ReportedScale):
        return pd.read_csv(experiment.scale.reported.benchmarks, comment="#")
    scale = experiment.scale
    rows = []
    for method in (BASE, *scale.methods):
        seeds = [None] if method == BASE else scale.seeds
        rates = {
            benchmark: np.stack([_problem_rates(_evaluation_file(experiment, method, s, benchmark)) for s in seeds])
            for benchmark in scale.evaluation.benchmarks
        }
        for benchmark, interval, problems in [
            *((name, pass_at_1([r]), r.shape[1]) for name, r in rates.items()),
            ("mean", pass_at_1(list(rates.values())), sum(r.shape[1] for r in rates.values())),
        ]:
            rows.append(_score_row(experiment, method, benchmark, interval, len(seeds), problems))
    return pd.DataFrame(rows)


def write_benchmarks(experiment: Experiment, folder: Path) -> None:
    """Write ``benchmarks.{csv,html,md,tex}``: rows are methods, columns the benchmarks and their mean."""
    scores = benchmark_scores(experiment)
    folder.mkdir(parents=True, exist_ok=True)
    _wide(scores, ["value", "low", "high"]).to_csv(folder / "benchmarks.csv", index=False)
    note = benchmark_note(experiment, scores)
    scores["cell"] = [_cell(row) for row in scores.itertuples()]
    scores["name"] = scores["label"] + np.where(scores["cited"] == 1, "*", "")
    sections = {backbone: _printed(part) for backbone, part in scores.groupby("backbone", sort=False)}
    write_readable(folder / "benchmarks", f"Benchmarks at {experiment.scale.scale} scale", sections, note)


def benchmark_note(experiment: Experiment, scores: pd.DataFrame) -> str:
    """The sentence under the table: what was sampled, what the intervals cover."""
    if isinstance(experiment.scale, ReportedScale):
        return (
            f"{experiment.scale.evidence}. The paper's Tables 1 and 2 as printed, 16 samples per problem, "
            "no intervals published. * cited by the paper from elsewhere."
        )
    scale = experiment.scale
    return (
        f"pass@1 at the last step ± half-width of the 95 % interval; {scale.evaluation.samples} samples per problem, "
        f"{scale.task.test_problems} problems per benchmark, temperature {scale.evaluation.temperature}, "
        f"top-p {scale.evaluation.top_p}, seeds {', '.join(map(str, scale.seeds))}. Intervals cover "
        f"{scores['covers'].iloc[-1]}; the base model's cover problems only."
    )


def training_curves(experiment: Experiment) -> pd.DataFrame:
    """Tidy curves of all runs: metric, method, label, seed (empty at the published scale), step, value."""
    if isinstance(experiment.scale, ReportedScale):
        return pd.read_csv(experiment.scale.reported.training_dynamics, comment="#")
    parts = []
    for method in experiment.scale.methods:
        for seed in experiment.scale.seeds:
            metrics = _run_metrics(experiment, method, seed)
            tidy = metrics.melt("step", list(CURVES), var_name="metric").dropna(subset=["value"])
            label = experiment.methods[method].label
            parts.append(tidy.assign(method=method, label=label, seed=seed))
    return pd.concat(parts)[["metric", "method", "label", "seed", "step", "value"]]


def learning_rate_scores(experiment: Experiment) -> pd.DataFrame:
    """One row per (base method, learning rate): validation pass@1 at the last step, mean and values per seed.

    Test problems are not read.
    """
    assert isinstance(experiment.scale, TorchScale)
    rows: list[dict[str, Any]] = []
    for method in experiment.scale.methods:
        finals = []
        for seed in experiment.scale.seeds:
            finals.append(_run_metrics(experiment, method, seed)["val_pass_at_1"].iloc[-1])
        variant = experiment.scale.variants.get(method)
        rows.append(
            {
                "method": variant.method if variant else method,
                "label": experiment.methods[method].label,
                "learning_rate": resolve(experiment, method, experiment.scale.seeds[0]).training.learning_rate,
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
    scores.to_csv(folder / "learning_rate_sweep.csv", index=False)
    scores["cell"] = [
        row.values.replace(" ", " / ") if row.seeds < 3 else f"{row.val_pass_at_1:.3f} ± {row.half_width:.3f}"
        for row in scores.itertuples()
    ]
    scores["rate"] = [f"{rate:.1e}" for rate in scores["learning_rate"]]
    table = scores.pivot(index="label", columns="rate", values="cell").loc[list(dict.fromkeys(scores["label"]))]
    order = [f"{rate:.1e}" for rate in sorted(scores["learning_rate"].unique())]
    table = table[order].rename_axis(index="method", columns=None).reset_index()
    scale = experiment.scale
    assert isinstance(scale, TorchScale)
    note = (
        f"pass@1 on validation problems alone, step {scale.training.steps}, seeds {', '.join(map(str, scale.seeds))}; "
        f"{scale.training.validation_samples} samples of {scale.task.validation_problems} problems per benchmark; "
        f"one number per seed where there are fewer than three."
    )
    write_readable(folder / "learning_rate_sweep", "Learning-rate sweep", {scale.evidence: table}, note)


def write_readable(stem: Path, title: str, sections: dict[Any, pd.DataFrame], note: str) -> None:
    """Write one table of several sections as ``stem``.html, .md and .tex."""
    markdown, latex = [f"# {title}\n"], [f"% {title}. {note}\n"]
    for heading, table in sections.items():
        markdown += [f"## {heading}\n", table.to_markdown(index=False, disable_numparse=True), ""]
        styled = table.style.hide(axis="index").format(escape="latex").format_index(escape="latex", axis=1)
        latex += [f"% {heading}", styled.to_latex(hrules=True)]
    markdown.append(f"{note}\n")
    stem.with_suffix(".html").write_text(html_page(title, sections, note))
    stem.with_suffix(".md").write_text("\n".join(markdown))
    stem.with_suffix(".tex").write_text("\n".join(latex))


def html_page(title: str, sections: dict[Any, pd.DataFrame], *notes: str) -> str:
    """One table of several sections as a page by itself, each note a paragraph below."""
    style = (
        "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:70em;color:#222}"
        "table{border-collapse:collapse}th,td{padding:.35em .8em;text-align:right;border-bottom:1px solid #ddd;"
        "font-variant-numeric:tabular-nums;white-space:nowrap}th:first-child,td:first-child{text-align:left}"
        "thead th{border-bottom:2px solid #222}"
    )
    html = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{style}</style>',
        f"<h1>{title}</h1>",
    ]
    for heading, table in sections.items():
        html += [f"<h2>{heading}</h2>", table.to_html(index=False, border=0)]
    return "\n".join([*html, *(f"<p>{note}</p>" for note in notes), "</html>\n"])


def _score_row(
    experiment: Experiment, method: str, benchmark: str, interval: Interval, seeds: int, problems: int
) -> dict[str, Any]:
    scale = experiment.scale
    assert isinstance(scale, TorchScale)
    return {
        "backbone": scale.evidence,
        "group": "models" if method == BASE else "methods",
        "method": method,
        "label": "Base model" if method == BASE else experiment.methods[method].label,
        "cited": 0,
        "benchmark": benchmark,
        "value": interval.value,
        "half_width": interval.half_width,
        "low": interval.low,
        "high": interval.high,
        "seeds": seeds,
        "problems": problems,
        "samples": scale.evaluation.samples,
        "covers": interval.covers,
    }


def _run_metrics(experiment: Experiment, method: str, seed: int) -> pd.DataFrame:
    """metrics.jsonl of a run as a frame of floats, NaN where nothing was measured."""
    path = Path(experiment.results) / "runs" / method / f"seed{seed}" / "metrics.jsonl"
    return pd.DataFrame([json.loads(line) for line in path.read_text().splitlines()]).astype(float)


def _evaluation_file(experiment: Experiment, method: str, seed: int | None, benchmark: str) -> Path:
    folder = Path(experiment.results) / "evaluations" / method
    return (folder if seed is None else folder / f"seed{seed}") / f"{benchmark}.parquet"


def _problem_rates(path: Path) -> np.ndarray:
    """(P,) mean correctness per problem, in the file's order."""
    return pd.read_parquet(path).groupby("problem_id", sort=False)["correct"].mean().to_numpy(float)


def _wide(scores: pd.DataFrame, values: list[str]) -> pd.DataFrame:
    """One row per method; each benchmark has a value column, and _low and _high where intervals exist."""
    index = ["backbone", "group", "method", "label", "cited"]
    if "seeds" in scores:
        index += ["seeds", "samples", "covers"]
    present = [value for value in values if value in scores]
    wide = scores.pivot(index=index, columns="benchmark", values=present)
    benchmarks = list(dict.fromkeys(scores["benchmark"]))
    wide = wide[[(value, benchmark) for benchmark in benchmarks for value in present]]
    wide.columns = [name if value == "value" else f"{name}_{value}" for value, name in wide.columns]
    order = scores.drop_duplicates(["backbone", "method"])[["backbone", "method"]]
    return order.merge(wide.reset_index(), on=["backbone", "method"])[[*index, *wide.columns]]


def _printed(scores: pd.DataFrame) -> pd.DataFrame:
    """The table a reader sees: rows in the order given, one column per benchmark."""
    names, benchmarks = list(dict.fromkeys(scores["name"])), list(dict.fromkeys(scores["benchmark"]))
    table = scores.pivot(index="name", columns="benchmark", values="cell").loc[names, benchmarks]
    return table.rename_axis(index="method", columns=None).reset_index()


def _cell(row: Any) -> str:
    if pd.isna(row.value):
        return "–"
    if "half_width" not in row._fields:
        return f"{row.value:.3f}"
    return f"{row.value:.3f} ± {row.half_width:.3f}"
