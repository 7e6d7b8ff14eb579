"""Prepared datasets: what every kind of raw answer becomes, and that nothing altered is ever loaded."""

import json
import math
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from real.config import ConfigError
from real.grading.forms import is_understood
from real.grading.reading import readings
from real.tasks.corrections import read_corrections
from real.tasks.datasets import DatasetError, data_identity, ground_truth_texts, load_problems, prepare
from real.tasks.fetching import fetch
from real.tasks.problems import Problem
from real.tasks.sources import Source, read_sources
from tests.support.data_server import INSTRUCTION, entry, raw_file
from tests.support.paths import ROOT

MIRROR = os.environ.get("REAL_DATASETS_MIRROR")


@pytest.fixture
def raw(tmp_path):
    """Write a raw file and sources.yaml for it; returns its source."""

    def write(texts: list[str], answers: list, name: str = "amc", **changes) -> Source:
        tmp_path.joinpath("raw").mkdir(exist_ok=True)
        content = raw_file(tmp_path / "raw" / f"{name}.parquet", texts, answers)
        stated = entry(content, ["http://unused"], **{"rows": len(texts), **changes})
        tmp_path.joinpath("sources.yaml").write_text(yaml.safe_dump({name: stated}))
        return read_sources(tmp_path / "sources.yaml")[name]

    return write


def prepared(source: Source, folder: Path) -> list[Problem]:
    prepare(source, folder / "raw", folder / "prepared", folder / "sources.yaml")
    return load_problems(source.name, folder / "prepared", folder / "sources.yaml")


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([142.0, -2.0, 12.5], [("142",), ("-2",), ("12.5",)]),
        ([70, -3, 0], [("70",), ("-3",), ("0",)]),
        (["025", " \\frac{1}{2}\n", "x"], [("025",), ("\\frac{1}{2}",), ("x",)]),
        ([["9.6\n"], ["a\n", " b"], ["$2$"]], [("9.6",), ("a", "b"), ("$2$",)]),
    ],
    ids=["doubles", "integers", "text", "lists"],
)
def test_every_kind_of_answer_becomes_text(raw, tmp_path, answers, expected):
    problems = prepared(raw(["first", "second", "third"], answers), tmp_path)
    assert [problem.ground_truths for problem in problems] == expected
    assert problems[2] == Problem(
        "amc-2", "amc", ({"role": "user", "content": f"third {INSTRUCTION}"},), expected[2], "test"
    )


@given(st.integers(-(10**15), 10**15))
def test_a_whole_number_reads_the_same_as_double_integer_and_text(number):
    assert ground_truth_texts(number) == ground_truth_texts(float(number)) == ground_truth_texts(f" {number}\n")
    assert ground_truth_texts([number, str(number)]) == (str(number), str(number))


@pytest.mark.parametrize("answer", ["", " \n", None, math.nan, math.inf, [], [""], True, {"a": 1}])
def test_what_is_no_answer_gives_no_text(answer):
    assert ground_truth_texts(answer) == ()


def test_a_row_without_an_answer_is_an_error_or_is_left_out_as_the_source_says(raw, tmp_path):
    texts, answers = ["first", "second", "third"], ["1", " ", "3"]
    with pytest.raises(DatasetError, match=r"^amc: row 1 has no usable answer, found ' '; correct the entry in "):
        prepared(raw(texts, answers), tmp_path)
    assert not (tmp_path / "prepared").exists()
    problems = prepared(raw(texts, answers, unanswered="drop"), tmp_path)
    assert [(problem.problem_id, problem.ground_truths) for problem in problems] == [
        ("amc-0", ("1",)),
        ("amc-2", ("3",)),
    ]


def test_another_row_count_other_columns_and_no_parquet_are_named(raw, tmp_path):
    with pytest.raises(DatasetError, match=r"raw/amc.parquet: has 1 rows, not 2; correct the entry"):
        prepared(raw(["first"], ["1"], rows=2), tmp_path)
    path = tmp_path / "raw" / "amc.parquet"
    for content, sentence in [
        (pa.table({"question": ["first"]}), "has no column prompt, reward_model, only question"),
        (pa.table({"prompt": ["first"], "reward_model": ["1"]}), "row 0 holds no chat messages with a reward_model"),
        (
            pa.table({"prompt": [[{"role": "user", "content": " "}]], "reward_model": [{"ground_truth": "1"}]}),
            "empty pr",
        ),
    ]:
        pq.write_table(content, path)
        with pytest.raises(DatasetError, match=sentence):
            prepare(Source(name="amc", **entry(path.read_bytes(), ["https://a.org/u"])), path.parent, tmp_path)
    path.write_bytes(b"no parquet")
    with pytest.raises(DatasetError, match=r"amc.parquet: is no parquet file"):
        prepare(Source(name="amc", **entry(b"no parquet", ["https://a.org/u"])), path.parent, tmp_path)


def solutions(folder: Path, lines: list[str], **changes) -> Source:
    """Write a file of JSON lines and sources.yaml for it; its source."""
    folder.joinpath("raw").mkdir(exist_ok=True)
    content = "".join(f"{line}\n" for line in lines).encode()
    folder.joinpath("raw", "sums.jsonl").write_bytes(content)
    stated = entry(content, ["http://unused"], file="of_a_mirror.jsonl", rows=len(lines), **changes)
    folder.joinpath("sources.yaml").write_text(yaml.safe_dump({"sums": stated}))
    return read_sources(folder / "sources.yaml")["sums"]


def solved(question: object, answer: object) -> str:
    return json.dumps({"question": question, "answer": answer}, ensure_ascii=False)


def test_json_lines_of_worked_solutions_ask_and_are_answered_as_the_released_files(tmp_path):
    lines = [
        solved("How many? ", "2*3 = <<2*3=6>>6\n#### 6"),
        solved("What is\u2028left?", "#### is a mark of its own\n#### -1,234,567 "),
        solved("Which pair?", "#### 3,4 or 1,0000"),
    ]
    problems = prepared(solutions(tmp_path, lines), tmp_path)
    assert [problem.prompt for problem in problems] == [
        ({"role": "user", "content": f"{text} {INSTRUCTION}"},)
        for text in ("How many?", "What is\u2028left?", "Which pair?")
    ]
    assert [problem.ground_truths for problem in problems] == [("6",), ("-1234567",), ("3,4 or 1,0000",)]
    assert [problem.problem_id for problem in problems] == ["sums-0", "sums-1", "sums-2"]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (solved("How many?", "six"), r"raw/sums.jsonl: line 2 has no #### before its answer; correct the entry in"),
        ('{"question": "How many?"}', "line 2 is no JSON of a question and an answer in words; correct the entry"),
        (solved("How many?", 6), "line 2 is no JSON of a question and an answer in words"),
        (solved(None, "#### 6"), "line 2 is no JSON of a question and an answer in words"),
        ('{"question": "How', "line 2 is no JSON of a question and an answer in words"),
        ("", "line 2 is no JSON of a question and an answer in words"),
        (solved("How many?", "it is\n####"), "^sums: row 1 has no usable answer, found ''; correct the entry"),
        (solved(" ", "#### 6"), "^sums: row 1 has an empty prompt; correct the entry"),
    ],
    ids=["no ####", "no answer", "number", "null", "cut", "empty", "empty answer", "empty question"],
)
def test_a_line_without_question_or_answer_is_named(tmp_path, line, sentence):
    source = solutions(tmp_path, [solved("How many?", "#### 6"), line])
    with pytest.raises(DatasetError, match=sentence):
        prepared(source, tmp_path)
    assert not (tmp_path / "prepared").exists()


def test_json_lines_of_another_number_are_named(tmp_path):
    solutions(tmp_path, [solved("How many?", "#### 6")])
    path = tmp_path / "sources.yaml"
    path.write_text(path.read_text().replace("rows: 1", "rows: 2"))
    with pytest.raises(DatasetError, match=r"raw/sums.jsonl: has 1 rows, not 2; correct the entry"):
        prepared(read_sources(path)["sums"], tmp_path)


def test_a_missing_or_altered_raw_file_is_not_prepared(raw, tmp_path):
    source = raw(["first"], ["1"])
    path = tmp_path / "raw" / "amc.parquet"
    path.write_bytes(path.read_bytes().replace(b"first", b"fir5t"))
    with pytest.raises(DatasetError, match=f"^{path}: has sha256 .*, not sha256 {source.sha256} .*; delete the file"):
        prepare(source, path.parent, tmp_path)
    path.unlink()
    with pytest.raises(DatasetError, match="no such file; fetch it with `python -m real download amc`"):
        prepare(source, path.parent, tmp_path)


def test_a_prepared_file_that_was_altered_in_any_way_is_not_loaded(raw, tmp_path):
    source = raw(["first", "second"], ["1", "2"])
    prepared(source, tmp_path)
    path, sources = tmp_path / "prepared" / "amc.parquet", tmp_path / "sources.yaml"
    whole, content = pq.read_table(path), path.read_bytes()
    remedy = f"; delete it and prepare it again with `snakemake {path} --cores 1`"

    def sentence() -> str:
        with pytest.raises(DatasetError) as caught:
            load_problems("amc", path.parent, sources)
        return str(caught.value)

    path.write_bytes(content[:-40])
    assert sentence() == f"{path}: is damaged{remedy}"
    records = whole.to_pylist()
    records[1]["ground_truths"] = ["3"]
    pq.write_table(pa.Table.from_pylist(records, whole.schema), path)
    assert sentence() == f"{path}: was altered since it was prepared{remedy}"
    pq.write_table(whole.slice(0, 1), path)
    assert sentence() == f"{path}: was altered since it was prepared{remedy}"
    pq.write_table(whole.replace_schema_metadata(None), path)
    assert sentence() == f"{path}: was not made from the file with sha256 {source.sha256}{remedy}"
    path.unlink()
    assert sentence() == f"{path}: no such file; prepare it with `snakemake {path} --cores 1`"
    path.write_bytes(content)
    assert len(load_problems("amc", path.parent, sources)) == 2
    raw(["first", "third"], ["1", "3"])  # sources.yaml describes another file now
    assert f"{path}: was not made from the file with sha256 " in sentence()


def correct(folder: Path, rows: dict[str, list[str]]) -> None:
    """Write corrections.yaml beside sources.yaml: by row of ``amc`` what is found, the right answer and the reason."""
    keys = ("found", "corrected", "reason")
    content = {"amc": {row: dict(zip(keys, values, strict=True)) for row, values in rows.items()}}
    (folder / "corrections.yaml").write_text(yaml.safe_dump(content))


def test_a_correction_replaces_the_one_ground_truth_that_it_names(raw, tmp_path):
    source = raw(["first", "second", "third"], [["t(0,4]\n", "4"], ["7"], ["t(0,4]"]])
    correct(tmp_path, {"0": ["t(0,4]", "(0,4]", "a misprint"], "1": ["7", "8", "another"]})
    problems = prepared(source, tmp_path)
    assert [problem.ground_truths for problem in problems] == [("(0,4]", "4"), ("8",), ("t(0,4]",)]


def test_a_correction_of_a_number_names_it_as_its_text(raw, tmp_path):
    source = raw(["first"], [142.0])
    correct(tmp_path, {"0": ["142", "143", "a misprint"]})
    assert prepared(source, tmp_path)[0].ground_truths == ("143",)


def test_a_row_that_is_not_what_is_to_be_corrected_is_refused(raw, tmp_path):
    source = raw(["first", "second"], [["5"], [""]], unanswered="drop")
    remedy = "correct or remove it in datasets/corrections.yaml"
    for row, sentence in {
        "0": f"amc: row 0 has the ground truth ['5'], not '6', which is to be corrected; {remedy}",
        "1": f"amc: row 1 has the ground truth [''], not '6', which is to be corrected; {remedy}",
        "2": f"amc: has no row 2 to be corrected; {remedy}",
    }.items():
        correct(tmp_path, {row: ["6", "7", "a misprint"]})
        with pytest.raises(DatasetError) as caught:
            prepared(source, tmp_path)
        assert str(caught.value) == sentence
    assert not (tmp_path / "prepared").exists()


def test_what_was_prepared_with_other_corrections_is_refused(raw, tmp_path):
    source, sources = raw(["first"], ["5"]), tmp_path / "sources.yaml"
    assert prepared(source, tmp_path)[0].ground_truths == ("5",)
    path = tmp_path / "prepared" / "amc.parquet"
    sentence = (
        f"{path}: was prepared with other corrections than datasets/corrections.yaml has; delete it and prepare it "
        f"again with `snakemake {path} --cores 1`"
    )

    def refused() -> None:
        with pytest.raises(DatasetError) as caught:
            load_problems("amc", path.parent, sources)
        assert str(caught.value) == sentence

    correct(tmp_path, {"0": ["5", "6", "a misprint"]})
    refused()
    assert prepared(source, tmp_path)[0].ground_truths == ("6",)
    correct(tmp_path, {"0": ["5", "6", "the same, better explained"]})
    assert load_problems("amc", path.parent, sources)[0].ground_truths == ("6",)
    correct(tmp_path, {"0": ["5", "7", "a misprint"]})
    refused()
    (tmp_path / "corrections.yaml").unlink()
    refused()


def test_the_identity_of_corrected_data_is_another(raw, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "datasets").mkdir()
    source = raw(["first"], ["5"])
    (tmp_path / "sources.yaml").rename("datasets/sources.yaml")
    identities = []
    for corrected in (None, "6", "7"):
        if corrected:
            correct(tmp_path / "datasets", {"0": ["5", corrected, "a misprint"]})
        prepare(source, tmp_path / "raw")
        identities.append(data_identity("amc"))
    assert [identity["source"] for identity in identities] == [source.identity] * 3
    assert identities[0]["corrections"] == "none"
    for key in ("content", "corrections"):
        assert len({identity[key] for identity in identities}) == 3


def test_every_ground_truth_of_the_grading_cases_is_understood_or_corrected():
    lines = (ROOT / "tests" / "data" / "grading_cases.jsonl").read_text(encoding="utf-8").splitlines()
    texts = {text for line in lines for text in ground_truth_texts(json.loads(line)["gold"])}
    assert len(texts) > 600
    corrections = read_corrections(ROOT / "datasets" / "sources.yaml")
    corrected = [one for rows in corrections.values() for one in rows.values()]
    unclear = {text for text in texts if not any(map(is_understood, readings(text)))}
    assert unclear <= {one.found for one in corrected}
    assert all(any(map(is_understood, readings(one.corrected))) for one in corrected)


def test_an_unknown_dataset_is_named():
    with pytest.raises(ConfigError, match="unknown dataset 'add3'"):
        load_problems("add3", sources_file=ROOT / "datasets" / "sources.yaml")


@pytest.mark.skipif(not MIRROR, reason="REAL_DATASETS_MIRROR names no folder with the real files")
def test_the_real_files_hold_what_the_sources_state(tmp_path):
    sources_file = ROOT / "datasets" / "sources.yaml"
    first = {}
    for name, source in read_sources(sources_file).items():
        if name == "deepscaler" and not Path(MIRROR, source.file).exists():
            continue
        fetch(source, tmp_path, Path(MIRROR))
        prepare(source, tmp_path, tmp_path / "prepared")
        problems = load_problems(name, tmp_path / "prepared", sources_file)
        assert len(problems) == source.rows
        assert len({problem.problem_id for problem in problems}) == len(problems)
        assert {(problem.benchmark, problem.split) for problem in problems} == {(name, source.split)}
        assert all(problem.prompt[-1]["content"].endswith(INSTRUCTION) for problem in problems)
        first[name] = problems[0].ground_truths
        if name == "olympiad_bench":
            assert problems[96].ground_truths == ("$(0,4]$",)
    assert (first["aime"], first["aime25"], first["amc"], first["minerva"]) == (("204",), ("70",), ("142",), ("9.6",))
    assert (first["gsm8k"], first["gsm8k_train"]) == (("18",), ("72",))
