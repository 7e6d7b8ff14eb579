"""pass@1 with this package's intervals from a log of samples, whoever drew and graded them (docs/evaluation.md)."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
from pyarrow import parquet

from real.statistics.intervals import Interval, Rates, pass_at_1
from real.system.errors import ExpectedError
from real.system.files import file_digest, write_json
from real.system.sentences import shown

REQUIRED = ("problem_id", "sample", "correct")
# taken only where --columns names them: what others call `seed` may number the samples
OPTIONAL = ("seed", "benchmark")
WRITTEN = "from_log.json"
MEAN = "mean"
TRUE, FALSE = {"true", "1", "1.0"}, {"false", "0", "0.0"}
WHOLE_DIGITS = 18  # of a sample's number: what 64 bits hold


class LogError(ExpectedError):
    """A log that can't be scored; the message is one sentence that names the file, the column and the remedy."""


@dataclass(frozen=True)
class Score:
    """pass@1 of one benchmark of a log, or the mean of its benchmarks.

    Attributes:
        problems, seeds: how many.
        samples: the fewest and the most samples that a problem has with one seed.
    """

    benchmark: str
    problems: int
    seeds: int
    samples: tuple[int, int]
    pass_at_1: Interval


def score_log(path: Path, columns: Mapping[str, str], output: Path) -> list[Score]:
    """Score a log, and write ``from_log.json`` into ``output``: the scores, and the sha256 of the log.

    Args:
        path: .csv with a header, .jsonl (one mapping per line) or .parquet; one row per sample.
        columns: names in the log by our names (:data:`REQUIRED`, :data:`OPTIONAL`); those left out have ours.

    Returns:
        A score per benchmark, in the order of the log, and their mean if there are several.

    Raises:
        LogError: a file that can't be read, lacks a column or has no rows; a value that its column can't have; a sample
            that is there twice; seeds with other problems than each other.
    """
    rows = read_log(path, columns)
    scores = scores_of(path, rows)
    about = {
        "file": str(path),
        "sha256": file_digest(path),
        "columns": _names(columns),
        "rows": len(rows),
        "scores": [asdict(score) for score in scores],
    }
    output.mkdir(parents=True, exist_ok=True)
    write_json(output / WRITTEN, about)
    return scores


def read_log(path: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    """The rows of a log, checked: ``benchmark, seed, problem_id`` as text, ``sample`` whole, ``correct`` true or false.

    Raises:
        LogError: as :func:`score_log`.
    """
    names = _names(columns)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise LogError(f"{path}: ends in {path.suffix or 'nothing'!r}; give a file that ends in {', '.join(READERS)}")
    if not path.is_file():
        raise LogError(f"{path}: is no file; give the log itself")
    raw = reader(path, list(dict.fromkeys(names.values())))
    if raw.empty:
        raise LogError(f"{path}: holds no samples; give a log with one row per sample")
    read = {ours: _parsed(path, raw[theirs], *PARSERS[ours]) for ours, theirs in names.items()}
    rows = pd.DataFrame({"benchmark": path.stem, "seed": "", **read}, index=raw.index)
    twice = rows.duplicated(["benchmark", "seed", "problem_id", "sample"])
    if twice.any():
        place = rows.index[twice][0]
        raise LogError(
            f"{path}: {raw.index.name} {place}: sample {rows['sample'][place]} of problem "
            f"{shown(rows['problem_id'][place])} is there twice (column {names['sample']}); number the samples of each "
            "problem, or name the column that tells runs apart by --columns seed=NAME"
        )
    return rows


def scores_of(path: Path, rows: pd.DataFrame) -> list[Score]:
    """The scores of the rows of :func:`read_log`.

    Raises:
        LogError: a seed has other problems than another, or a benchmark other seeds than another.
    """
    rates: dict[str, np.ndarray] = {}
    scores, seeds = [], list(dict.fromkeys(rows["seed"]))
    for benchmark, those in rows.groupby("benchmark", sort=False):
        samples_of = those.groupby(["problem_id", "seed"], sort=False)["correct"]
        rates_PS = samples_of.mean().unstack("seed").reindex(columns=seeds)
        missing = rates_PS.isna()
        if missing.any(axis=None):
            problem, seed = missing.stack().idxmax()
            raise LogError(
                f"{path}: seed {shown(seed)} has no sample of problem {shown(problem)} of {benchmark}, which another "
                "seed has; complete the log, or leave the problem or the seed out of it"
            )
        rates[str(benchmark)] = rates_PS.to_numpy(float).T
        counts = samples_of.size()
        scores.append(_score(str(benchmark), [rates[str(benchmark)]], (int(counts.min()), int(counts.max()))))
    if len(scores) > 1:
        samples = [count for score in scores for count in score.samples]
        scores.append(_score(MEAN, list(rates.values()), (min(samples), max(samples))))
    return scores


def score_line(score: Score) -> str:
    """A score in words."""
    found, (few, many) = score.pass_at_1, score.samples
    seeds = f", {score.seeds} seeds" if score.seeds > 1 else ""
    samples = f"{many} sample{'s' if many > 1 else ''} of each"
    uneven = f"{few} to {many} samples of each, and each problem weighs the same"
    return (
        f"{score.benchmark}: pass@1 {found.value:.3f} [{found.low:.3f}, {found.high:.3f}], 95 %, {found.covers}; "
        f"{score.problems} problem{'s' if score.problems > 1 else ''}{seeds}, {samples if few == many else uneven}"
    )


def _score(benchmark: str, rates_SP: Rates, samples: tuple[int, int]) -> Score:
    problems = sum(rates.shape[1] for rates in rates_SP)
    return Score(benchmark, problems, len(rates_SP[0]), samples, pass_at_1(rates_SP))


def _names(columns: Mapping[str, str]) -> dict[str, str]:
    """The log's names by ours."""
    named = {ours: columns[ours] for ours in OPTIONAL if ours in columns}
    return {ours: columns.get(ours, ours) for ours in REQUIRED} | named


def _require_columns(path: Path, names: Sequence[str], found: Sequence[str]) -> None:
    for name in names:
        if name not in found:
            raise LogError(
                f"{path}: has no column {shown(name)}, only {', '.join(found)}; say which one it is by --columns "
                "OURS=THEIRS"
            )
        if list(found).count(name) > 1:
            raise LogError(f"{path}: has the column {shown(name)} twice; leave one of them out")


def _csv(path: Path, names: Sequence[str]) -> pd.DataFrame:
    try:
        # the header as a row like the others: a longer row is then an error, and makes no index of its own
        table = pd.read_csv(path, header=None, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except ValueError as error:  # of Unicode, of the parser, of an empty file
        raise _unreadable(path, error) from None
    header = table.iloc[0].fillna("").tolist()
    _require_columns(path, names, header)
    cells = table.iloc[1:].set_axis(header, axis=1)[list(names)]
    return cells.set_axis(pd.RangeIndex(1, len(cells) + 1, name="row"))


def _json_lines(path: Path, names: Sequence[str]) -> pd.DataFrame:
    found: dict[int, list[Any]] = {}
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                value = json.loads(line)
                if not isinstance(value, dict):
                    raise LogError(f"{path}: line {number} holds no mapping; write one per line, such as {{...}}")
                if not found:
                    _require_columns(path, names, list(value))
                found[number] = [value.get(name) for name in names]
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, error) from None
    index = pd.Index(list(found), name="line")
    return pd.DataFrame(list(found.values()), index=index, columns=list(names), dtype=object)


def _parquet(path: Path, names: Sequence[str]) -> pd.DataFrame:
    try:
        _require_columns(path, names, parquet.read_schema(path).names)
        table = pd.read_parquet(path, columns=list(names))
    except (pyarrow.ArrowException, ValueError) as error:
        raise _unreadable(path, error) from None
    return table.astype(object).set_axis(pd.RangeIndex(1, len(table) + 1, name="row"))


def _unreadable(path: Path, error: Exception) -> LogError:
    return LogError(f"{path}: can't be read ({' '.join(str(error).split())}); mend the file, or write it again")


def _parsed(path: Path, values: pd.Series, parse: Callable[[Any], Any], expected: str) -> list[Any]:
    """Each value as its column must have it.

    Raises:
        LogError: naming the first value that is something else, and where it stands.
    """
    parsed = [parse(value) for value in values]
    for place, value, made in zip(values.index, values, parsed, strict=True):
        if made is None:
            what = "is empty" if _empty(value) else f"is {shown(value)}"
            raise LogError(f"{path}: {values.index.name} {place}: column {values.name} {what}; {expected}")
    return parsed


def _empty(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _correct(value: Any) -> bool | None:
    """True or false, however it is written; None for anything else, shares between 0 and 1 among them."""
    text = str(value).strip().lower()
    return True if text in TRUE else False if text in FALSE else None


def _whole(value: Any) -> int | None:
    """A whole number of 0 or more, however it is written; None for anything else."""
    if isinstance(value, (bool, np.bool_)):
        return None
    text = str(value).strip().removesuffix(".0")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= WHOLE_DIGITS else None


def _name(value: Any) -> str | None:
    """A name or a number as text; None for anything else, and where there is none."""
    if _empty(value) or isinstance(value, (bool, np.bool_)) or not isinstance(value, (str, int, float, np.number)):
        return None
    return str(value)


READERS = {".csv": _csv, ".jsonl": _json_lines, ".parquet": _parquet}
_NAMED = "give every sample one, a text or a number"
PARSERS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "problem_id": (_name, _NAMED),
    "sample": (_whole, "number the samples of each problem, from 0 on"),
    "correct": (_correct, "write true or false, or 1 or 0: a share needs a limit of yours from which it counts"),
    "seed": (_name, _NAMED),
    "benchmark": (_name, _NAMED),
}
