"""The benchmark numbers that papers print: read from paper_configs/reported, checked, and marked by provenance."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import pandas as pd

from real.config import ConfigError, TrainedScale
from real.config.schema import Scale
from real.system.files import read_csv
from real.tasks.arithmetic import BENCHMARKS
from real.tasks.problems import MATH_BENCHMARKS
from real.tasks.sources import SOURCES_FILE, Source, benchmark_sources

MEAN = "mean"
COLUMNS = ["backbone", "group", "method", "label", "provenance", "response_limit", "benchmark", "value"]
# provenance -> the mark behind a row's name and what it says below the table
PROVENANCE = {
    "paper": ("", "run by the paper's authors"),
    "cited": ("*", "cited by the paper from elsewhere"),
    "disco": ("†", "run by the authors of DisCO (arXiv 2505.12366) on the same data and protocol"),
    "disco_cited": ("‡", "cited by DisCO from elsewhere"),
}
# four printed averages are exact ties of the printed cells that rounded down, so they came from unrounded cells
AVERAGE_TOLERANCE = 0.001


@lru_cache(maxsize=1)
def _known() -> dict[str, Source]:
    """All test sets of datasets/sources.yaml."""
    return benchmark_sources()


def benchmarks() -> dict[str, Source]:
    """The six test sets of the papers' tables, with their labels and sizes; datasets/sources.yaml may have others."""
    return {name: _known()[name] for name in MATH_BENCHMARKS if name in _known()}


def benchmark_label(name: str) -> str:
    """The printed name of a test set; a family of the laptop's task, or the mean, has none but its own."""
    known = _known() if name in MATH_BENCHMARKS or SOURCES_FILE.exists() else {}
    return known[name].label if name in known else name


def validation_problems(scale: TrainedScale) -> str:
    """What a scale validates on while training, for captions: ``300 problems``, or ``30 problems of AIME24``."""
    if task := scale.own_task:
        return f"{len(BENCHMARKS) * task.validation_problems} problems"
    assert scale.published_data is not None  # a scale that trains has one of the two
    source = _known()[scale.published_data.validation]
    return f"{source.rows} problems of {source.label}"


def evidence_line(scale: Scale) -> str:
    """What is printed on figures of training: evidence level and, where something was trained, seeds and samples."""
    # isinstance, so that a type checker knows what it trains with
    if not isinstance(scale, TrainedScale):
        return scale.evidence
    training, seeds = scale.training, ", ".join(map(str, scale.seeds))
    return (
        f"{scale.evidence}; seeds {seeds}; {training.prompts} × {training.rollouts} rollouts a step; validation: "
        f"{validation_problems(scale)} × {training.validation_samples} samples"
    )


def read_benchmarks(files: Sequence[str]) -> pd.DataFrame:
    """The rows of all files, with :data:`COLUMNS`; one row per (backbone, method, benchmark), NaN where not printed.

    Raises:
        ConfigError: naming the file and the row: unknown columns, benchmark or provenance, a row given twice, or a
            printed average that differs from that of its cells by more than 0.001.
    """
    parts = []
    for file in files:
        part = read_csv(Path(file), remedy="restore it from the repository", comment="#")
        if list(part.columns) != COLUMNS:
            raise ConfigError(f"{file}: expected the columns {', '.join(COLUMNS)}, found {', '.join(part.columns)}")
        for column, known in (("benchmark", {*benchmarks(), MEAN}), ("provenance", set(PROVENANCE))):
            for value in sorted(set(part[column]) - known):
                raise ConfigError(f"{file}: unknown {column} {value!r}; choose from {', '.join(sorted(known))}")
        for (backbone, method), row in part.groupby(["backbone", "method"], sort=False):
            _check_row(row.set_index("benchmark")["value"], f"{file}: {backbone}, {method}")
        parts.append(part)
    scores = pd.concat(parts, ignore_index=True)
    for _, row in scores[scores.duplicated(["backbone", "method", "benchmark"])].iterrows():
        raise ConfigError(
            f"{', '.join(files)}: {row['backbone']}, {row['method']}, {row['benchmark']} is given twice; remove one row"
        )
    return scores


def cells(scores: pd.DataFrame, backbone: str, method: str) -> dict[str, float] | None:
    """Printed scores of a row by benchmark, the average as ``mean``; None if there is no such row."""
    row = scores[(scores["backbone"] == backbone) & (scores["method"] == method)]
    return row.set_index("benchmark")["value"].to_dict() if len(row) else None


def provenance_note(scores: pd.DataFrame) -> str:
    """What the marks mean, what responses were cut to, and how DisCO's runs of the paper's own baselines compare."""
    present = [PROVENANCE[name] for name in PROVENANCE if name in set(scores["provenance"])]
    marks = "; ".join(f"{mark or 'no mark'}: {meaning}" for mark, meaning in present)
    return (
        "pass@1, 16 samples per problem, responses of 8k tokens unless (32k) is printed; cited rows may have "
        f"been sampled otherwise; nobody printed an interval. {marks[0].upper()}{marks[1:]}. {_baseline_note(scores)}"
        f"Averages were recomputed from the cells: all agree within {AVERAGE_TOLERANCE}."
    )


def _baseline_note(scores: pd.DataFrame) -> str:
    """How much weaker the paper's own runs of a baseline are than DisCO's, from the rows that both have."""
    means = scores[scores["benchmark"] == MEAN].set_index(["backbone", "method"])
    weaker = [
        f"{row.label} at {backbone.rpartition('-')[2]} {row.value:.3f} here, {theirs:.3f} there"
        for (backbone, method), row in means[means["provenance"] == "paper"].iterrows()
        if (theirs := means["value"].get((backbone, f"disco_{method}"))) is not None and row.value < theirs
    ]
    return f"The paper's reruns of baselines are weaker than DisCO's: {'; '.join(weaker)}. " if weaker else ""


def _check_row(value_of: pd.Series, where: str) -> None:
    printed, values = value_of.get(MEAN), value_of.drop(MEAN, errors="ignore")
    if printed is None or pd.isna(printed) or values.isna().any() or set(values.index) != set(benchmarks()):
        return
    if abs(values.mean() - printed) > AVERAGE_TOLERANCE:
        raise ConfigError(
            f"{where}: the printed average {printed:.3f} differs from that of its cells, {values.mean():.4f}, by more "
            f"than {AVERAGE_TOLERANCE}; check the row against the paper"
        )
