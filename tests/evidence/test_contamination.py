"""Contamination: each measure on problems whose overlap is known, and the real sets' known numbers."""

import os
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from real.config import ConfigError
from real.evidence.contamination import (
    compared_sets,
    contamination,
    duplicates,
    equal_key,
    ngrams,
    overlaps,
    problem_text,
    words,
    write_report,
)
from real.tasks.datasets import load_problems, prepare
from real.tasks.fetching import fetch
from real.tasks.problems import MATH_BENCHMARKS, Problem
from real.tasks.sources import read_sources
from tests.support.data_server import INSTRUCTION, entry, raw_file
from tests.support.paths import ROOT

MIRROR = os.environ.get("REAL_DATASETS_MIRROR")
LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"


def problem(name: str, text: str, *answers: str, suffix: str = " " + INSTRUCTION) -> Problem:
    prompt = ({"role": "user", "content": text + suffix},)
    return Problem(name, name.split("-")[0], prompt, answers or ("1",), "test")


def measured(text: str, *train: Problem, answers: tuple[str, ...] = ("1",)) -> dict[str, bool]:
    return (
        overlaps([problem("test-0", text, *answers)], train).drop(columns=["problem_id", "benchmark"]).loc[0].to_dict()
    )


def test_the_closing_instruction_is_not_compared():
    for separator in (" ", "\n\n"):
        assert problem_text(problem("a-0", "What is 2?", suffix=separator + INSTRUCTION)) == "What is 2?"
    assert measured("Apples", problem("train-0", "Pears"))["shared_13gram"] is False


@pytest.mark.parametrize(
    ("first", "second", "equal"),
    [
        ("Find $x$.", "find x", True),
        ("$\\left( 3, 4 \\right)$", "(3,4)", True),
        ("$x+1$", "$x-1$", True),
        ("求 $x$ 的值", "求 $y$ 的值", False),
        ("求 $x$ 的值", "$x$", False),
        ("leftover 3", "over 3", False),
        ("x_1", "x1", True),
    ],
)
def test_equal_means_the_same_letters_and_digits_of_any_script(first, second, equal):
    assert (equal_key(first) == equal_key(second)) is equal


@given(st.text(max_size=40))
def test_case_spaces_and_punctuation_never_make_two_texts_unequal(text):
    assert equal_key(f" ({text.lower()}) , ") == equal_key(text)


def test_words_are_runs_of_letters_and_runs_of_digits():
    assert words("Let $x_{12}=3y$ für 7km") == ["let", "x", "12", "3", "y", "für", "7", "km"]


@given(st.lists(st.sampled_from("abc"), max_size=12), st.integers(1, 5))
def test_ngrams_are_the_windows_of_the_sequence(sequence, n):
    assert ngrams(sequence, n) == {
        tuple(sequence[i : i + n]) for i in range(len(sequence)) if len(sequence[i : i + n]) == n
    }


def test_an_equal_problem_is_equal_shared_covered_and_answered():
    train = problem("train-0", LONG.upper(), "025")
    assert measured(LONG, train, answers=("25",)) == {
        "equal": True,
        "shared_13gram": True,
        "covered": True,
        "covered_same_answer": True,
    }
    assert measured(LONG, train, answers=("26",))["covered_same_answer"] is False


def test_coverage_needs_half_of_the_8grams_in_one_row():
    parts = LONG.split()  # 16 words, nine 8-grams
    five, four = " ".join(parts[:12]), " ".join(parts[:11])
    assert measured(LONG, problem("train-0", five))["covered"] is True
    assert measured(LONG, problem("train-0", four))["covered"] is False
    assert measured(LONG, problem("train-0", four), problem("train-1", " ".join(parts[5:])))["covered"] is False
    assert measured(LONG, problem("train-0", five))["shared_13gram"] is False
    assert measured(LONG, problem("train-0", " ".join(parts[:13])))["shared_13gram"] is True


def test_a_problem_of_fewer_than_eight_words_is_covered_by_nothing():
    assert measured("two words", problem("train-0", "two words")) == {
        "equal": True,
        "shared_13gram": False,
        "covered": False,
        "covered_same_answer": False,
    }


def test_the_same_answer_counts_if_any_covering_row_has_it():
    rows = problem("train-0", LONG, "7"), problem("train-1", LONG, "8", "9")
    assert measured(LONG, *rows, answers=("9",))["covered_same_answer"] is True
    assert measured(LONG, *rows, answers=("10",))["covered_same_answer"] is False


def test_duplicates_count_rows_groups_and_differing_answers():
    rows = [
        problem("a-0", "Find x", "1"),
        problem("a-1", "Find x", "1"),
        problem("a-2", "find $x$", "2"),
        problem("a-3", "Find y", "3"),
        problem("a-4", "find y.", "03"),
        problem("a-5", "Find z", "4"),
    ]
    assert duplicates(rows) == {"identical": 1, "duplicates": 3, "groups": 2, "groups_differing": 1}


def test_every_pair_and_every_set_has_its_rows():
    sets = {
        "a": [problem("a-0", "Find x"), problem("a-1", "Find y")],
        "b": [problem("b-0", "find $y$"), problem("b-1", "Find z")],
        "train": [problem("train-0", "Find x!")] * 2,
    }
    counts = contamination(sets, "train").set_index(["dataset", "versus", "measure"])
    assert counts.loc[("a", "train", "equal")].tolist() == [1, 2, "a-0"]
    assert counts.loc[("b", "train", "equal")].tolist() == [0, 2, ""]
    assert counts.loc[("a", "b", "equal")].tolist() == [1, 2, "a-1"]
    assert counts.loc[("train", "train", "identical")].tolist() == [1, 2, ""]
    assert len(counts) == 2 * 4 + 1 + 3 * 4


def test_the_report_holds_counts_and_ids_but_no_text(tmp_path):
    stated = {}
    for name, texts in {"amc": [LONG, "Secret pears"], "deepscaler": [LONG, "Secret plums"]}.items():
        content = raw_file(tmp_path / f"{name}.parquet", texts, ["41", "42"])
        stated[name] = entry(
            content, ["https://a.org/u"], split="test" if name == "amc" else "train", label=f"The {name}"
        )
    sources = tmp_path / "sources.yaml"
    sources.write_text(yaml.safe_dump(stated))
    for source in read_sources(sources).values():
        prepare(source, tmp_path, tmp_path / "prepared")
    write_report("deepscaler", tmp_path / "results", tmp_path / "prepared", sources)
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == [
        "contamination_deepscaler.csv",
        "contamination_deepscaler.html",
        "contamination_deepscaler.json",
    ]
    table = pd.read_csv(tmp_path / "results" / "contamination_deepscaler.csv")
    assert table.loc[table["measure"] == "covered", ["count", "of", "problem_ids"]].values.tolist() == [[1, 2, "amc-0"]]
    page = (tmp_path / "results" / "contamination_deepscaler.html").read_text()
    assert "<td>The amc</td>\n      <td>2</td>\n      <td>1</td>\n      <td>1</td>" in page
    assert "Benchmark problems in The deepscaler" in page
    for text in (page, table.to_csv()):
        assert "secret" not in text.lower()
        assert "seven eight" not in text
    with pytest.raises(ConfigError, match="amc is a benchmark; name a training set"):
        write_report("amc", tmp_path, tmp_path / "prepared", sources)


def real_counts(train: str, folder: Path) -> pd.DataFrame:
    """Contamination of the real benchmarks by a real training set."""
    sources_file = ROOT / "datasets" / "sources.yaml"
    problems = {}
    for name in compared_sets(train, sources_file):
        source = read_sources(sources_file)[name]
        fetch(source, folder, Path(MIRROR))
        prepare(source, folder, folder / "prepared")
        problems[name] = load_problems(name, folder / "prepared", sources_file)
    return contamination(problems, train)


def overlapping(counts: pd.DataFrame, train: str) -> dict[str, list[int]]:
    """By benchmark, those that the training set holds: equal, 13-gram, half of the 8-grams, same answer."""
    against = counts[(counts["versus"] == train) & (counts["dataset"] != train)]
    return {name: rows["count"].tolist() for name, rows in against.groupby("dataset")}


@pytest.mark.skipif(not MIRROR, reason="REAL_DATASETS_MIRROR names no folder with the real files")
def test_the_known_overlap_of_dapo_math_17k_is_found(tmp_path):
    """Counted independently before this code was written, but for GSM8K's."""
    counts = real_counts("dapo_math_17k", tmp_path)
    assert overlapping(counts, "dapo_math_17k") == {
        "aime": [0, 10, 0, 0],
        "aime25": [0, 11, 0, 0],
        "amc": [14, 58, 50, 41],
        "math": [8, 46, 26, 12],
        "minerva": [0, 0, 0, 0],
        "olympiad_bench": [10, 94, 65, 19],
        "gsm8k": [0, 0, 0, 0],
    }
    rest = counts[(counts["versus"] != "dapo_math_17k") | (counts["dataset"] == "dapo_math_17k")]
    assert rest.loc[rest["count"] > 0, ["dataset", "measure"]].values.tolist() == [
        ["dapo_math_17k", measure] for measure in ("identical", "duplicates", "groups", "groups_differing")
    ]
    assert rest.loc[rest["measure"] == "identical", "count"].max() == 143


@pytest.mark.skipif(not MIRROR, reason="REAL_DATASETS_MIRROR names no folder with the real files")
def test_gsm8ks_training_set_holds_no_problem_of_a_benchmark(tmp_path):
    found = overlapping(real_counts("gsm8k_train", tmp_path), "gsm8k_train")
    assert found.pop("gsm8k") == [0, 3, 1, 0]
    assert found == {name: [0, 0, 0, 0] for name in MATH_BENCHMARKS}
