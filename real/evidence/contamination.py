"""Which benchmark problems a training set already holds, and which problems stand twice.

:data:`METHOD` says what is compared, and :data:`LIMITS` what escapes; a training row *covers* a problem if it holds at
least half of the problem's distinct 8-grams.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from real.config import ConfigError
from real.evidence.layout import write_page
from real.system.files import write_csv
from real.tasks.datasets import PREPARED, load_problems
from real.tasks.problems import Problem
from real.tasks.sources import SOURCES_FILE, find_source, labels, read_sources

INSTRUCTION = re.compile(r"\s*Let's think step by step and output the final answer within \\boxed\{\}\.\s*$")
DELIMITER_SIZE = re.compile(r"\\(?:left|right)(?![a-z])")
NEITHER_LETTER_NOR_DIGIT = re.compile(r"[\W_]+")
WORD = re.compile(r"[^\W\d_]+|\d+")
LEADING_ZEROS = re.compile(r"^0+(?=\d)")
OVERLAPS = {
    "equal": "equal",
    "shared_13gram": "shares a 13-gram",
    "covered": "half of its 8-grams in one row",
    "covered_same_answer": "of those, same answer",
}
DUPLICATES = {
    "identical": "rows identical to an earlier one",
    "duplicates": "rows equal to an earlier one",
    "groups": "groups of equal rows",
    "groups_differing": "groups with differing answers",
}
METHOD = (
    "Texts are compared in lower case, without the closing instruction of every prompt. Equal: the same letters and "
    "digits, of any script, in the same order, LaTeX's \\left and \\right aside. n-gram: n words in a row, a word "
    "being a run of letters or of digits. Half of its 8-grams in one row: at least 50 % of the problem's distinct "
    "8-grams stand in a single training row. Same answer: one of the problem's answers is also that row's, compared as "
    "text without leading zeros."
)
LIMITS = (
    "What this does not show: operators are dropped, so equal problems may differ in a sign; shared 13-grams include "
    "stock phrases, such as how an answer is to be given; paraphrases, translations and problems of fewer than 8 words "
    "escape the n-grams; what a model saw before this training is not examined. The CSV beside this page lists the "
    "identifiers of the problems counted."
)


def write_report(train: str, folder: Path, prepared: Path = PREPARED, sources_file: Path = SOURCES_FILE) -> None:
    """Write ``contamination_<train>.{csv,html,json}``: counts and problem ids, no problem texts.

    Raises:
        ConfigError: ``train`` is no training set.
        DatasetError: a dataset isn't prepared or was altered.
    """
    source, compared = find_source(train, sources_file), compared_sets(train, sources_file)
    problems = {name: load_problems(name, prepared, sources_file) for name in tqdm(compared, "read", disable=None)}
    counts = contamination(problems, train)
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / f"contamination_{train}"
    write_csv(stem.with_suffix(".csv"), counts)
    sections = _sections(counts, train, labels(sources_file))
    write_page(stem, f"Contamination by {source.label}", sections, METHOD, LIMITS)


def compared_sets(train: str, sources_file: Path = SOURCES_FILE) -> list[str]:
    """All benchmarks, then the training set; ConfigError where ``train`` is none."""
    if find_source(train, sources_file).split != "train":
        raise ConfigError(f"{train} is a benchmark; name a training set of {sources_file}")
    return [*(name for name, source in read_sources(sources_file).items() if source.split == "test"), train]


def contamination(problems: dict[str, list[Problem]], train: str) -> pd.DataFrame:
    """Every count, tidy.

    Args:
        problems: by dataset; all but ``train`` are benchmarks.

    Returns:
        One row per (dataset, versus, measure) with count, of (rows of ``dataset``), and problem_ids, those counted, in
        rows that compare two datasets. ``versus`` is ``dataset`` itself for duplicates within it.
    """
    tests = [name for name in problems if name != train]
    found = overlaps([problem for name in tests for problem in problems[name]], problems[train])
    rows = []
    for name in tests:
        part = found[found["benchmark"] == name]
        for measure in OVERLAPS:
            ids = list(part.loc[part[measure], "problem_id"])
            rows.append(_row(name, train, measure, len(ids), len(part), ids))
    for first, second in combinations(tests, 2):
        keys = {equal_key(problem_text(problem)) for problem in problems[second]}
        ids = [problem.problem_id for problem in problems[first] if equal_key(problem_text(problem)) in keys]
        rows.append(_row(first, second, "equal", len(ids), len(problems[first]), ids))
    for name, those in problems.items():
        rows += [_row(name, name, measure, count, len(those)) for measure, count in duplicates(those).items()]
    return pd.DataFrame(rows)


def overlaps(tests: Sequence[Problem], train: Sequence[Problem]) -> pd.DataFrame:
    """One row per test problem: problem_id, benchmark, and one truth value per measure of :data:`OVERLAPS`."""
    grams = {n: [ngrams(words(problem_text(problem)), n) for problem in tests] for n in (8, 13)}
    wanted = {n: set().union(*those) for n, those in grams.items()}
    keys: set[str] = set()
    shared: set[tuple[str, ...]] = set()
    holders: dict[tuple[str, ...], list[int]] = defaultdict(list)  # training rows that hold an 8-gram
    for row, problem in enumerate(tqdm(train, "index", disable=None)):
        text = problem_text(problem)
        keys.add(equal_key(text))
        shared |= ngrams(words(text), 13) & wanted[13]
        for gram in ngrams(words(text), 8) & wanted[8]:
            holders[gram].append(row)
    rows = []
    for problem, eight, thirteen in zip(tests, grams[8], grams[13], strict=True):
        held = Counter(row for gram in eight for row in holders.get(gram, ()))
        covering = [row for row, count in held.items() if count >= 0.5 * len(eight)]
        rows.append(
            {
                "problem_id": problem.problem_id,
                "benchmark": problem.benchmark,
                "equal": equal_key(problem_text(problem)) in keys,
                "shared_13gram": not shared.isdisjoint(thirteen),
                "covered": bool(covering),
                "covered_same_answer": any(answers(train[row]) & answers(problem) for row in covering),
            }
        )
    return pd.DataFrame(rows)


def duplicates(problems: Sequence[Problem]) -> dict[str, int]:
    """Counts of rows that stand twice, by the measures of :data:`DUPLICATES`."""
    texts = [problem_text(problem) for problem in problems]
    rows: dict[str, list[frozenset[str]]] = defaultdict(list)
    for problem, text in zip(problems, texts, strict=True):
        rows[equal_key(text)].append(answers(problem))
    groups = [those for those in rows.values() if len(those) > 1]
    return {
        "identical": len(texts) - len(set(texts)),
        "duplicates": len(texts) - len(rows),
        "groups": len(groups),
        "groups_differing": sum(len(set(those)) > 1 for those in groups),
    }


def problem_text(problem: Problem) -> str:
    """The last message without the closing instruction."""
    return INSTRUCTION.sub("", problem.prompt[-1]["content"])


def equal_key(text: str) -> str:
    """What equal problems have in common: their letters and digits."""
    return NEITHER_LETTER_NOR_DIGIT.sub("", DELIMITER_SIZE.sub("", text.lower()))


def words(text: str) -> list[str]:
    """Runs of letters and runs of digits, in lower case."""
    return WORD.findall(text.lower())


def answers(problem: Problem) -> frozenset[str]:
    """The ground truths without leading zeros: "025" and "25" are one answer."""
    return frozenset(LEADING_ZEROS.sub("", text) for text in problem.ground_truths)


def ngrams(sequence: Sequence[str], n: int) -> set[tuple[str, ...]]:
    """The distinct n-grams."""
    return {tuple(sequence[start : start + n]) for start in range(len(sequence) - n + 1)}


def _row(dataset: str, versus: str, measure: str, count: int, of: int, ids: Iterable[str] = ()) -> dict[str, Any]:
    names = {"dataset": dataset, "versus": versus, "measure": measure}
    return {**names, "count": count, "of": of, "problem_ids": " ".join(ids)}


def _sections(counts: pd.DataFrame, train: str, label: dict[str, str]) -> dict[str, pd.DataFrame]:
    """The tables of the page, by heading."""
    inside, against = counts["dataset"] == counts["versus"], counts["versus"] == train
    return {
        f"Benchmark problems in {label[train]}": _table(counts[against & ~inside], OVERLAPS, "problems", label),
        "Benchmark problems in another benchmark": _pairs(counts[~against & ~inside], label),
        "Duplicates within each set": _table(counts[inside], DUPLICATES, "rows", label),
    }


def _table(counts: pd.DataFrame, measures: dict[str, str], of: str, label: dict[str, str]) -> pd.DataFrame:
    """One row per dataset, in the given order, one column per measure."""
    table = counts.pivot(index=["dataset", "of"], columns="measure", values="count")[list(measures)]
    table = table.loc[counts["dataset"].unique()].rename(columns=measures).reset_index()
    return table.assign(dataset=table["dataset"].map(label)).rename(columns={"of": of}).rename_axis(columns=None)


def _pairs(counts: pd.DataFrame, label: dict[str, str]) -> pd.DataFrame:
    """One row per pair of benchmarks."""
    first, second = counts["dataset"].map(label), counts["versus"].map(label)
    return pd.DataFrame({"dataset": first, "compared with": second, "equal problems": counts["count"]})
