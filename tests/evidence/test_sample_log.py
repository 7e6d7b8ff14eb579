"""``evaluate --from-log``: other people's graded samples get this package's intervals, or a sentence why not."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from real.commands.arguments import LOG_COLUMNS
from real.commands.command_line import main
from real.evidence.sample_log import OPTIONAL, REQUIRED, read_log, score_log, scores_of
from real.statistics.intervals import pass_at_1
from real.system.files import file_digest

PROBLEMS, SAMPLES = 12, 4


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def drawn(seed: int = 0, problems: int = PROBLEMS) -> pd.DataFrame:
    """Made-up samples (test data, no results) under our names."""
    rng = np.random.default_rng(seed)
    correct = rng.random((problems, SAMPLES)) < rng.random((problems, 1))
    names = [f"q{number:03}" for number in range(problems)]
    return pd.DataFrame(
        {
            "problem_id": np.repeat(names, SAMPLES),
            "sample": np.tile(np.arange(SAMPLES), problems),
            "correct": correct.ravel(),
        }
    )


def written(rows: pd.DataFrame, name: str) -> Path:
    path = Path(name)
    if path.suffix == ".csv":
        rows.to_csv(path, index=False)
    elif path.suffix == ".jsonl":
        path.write_text(rows.to_json(orient="records", lines=True), encoding="utf-8")
    else:
        rows.to_parquet(path, index=False)
    return path


def rates(rows: pd.DataFrame) -> np.ndarray:
    return rows.groupby("problem_id", sort=False)["correct"].mean().to_numpy(float)[None]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("convert", [bool, int, float, str], ids=lambda convert: convert.__name__)
def test_every_kind_of_file_gives_the_interval_of_its_rates(kind, convert):
    rows = drawn()
    path = written(rows.assign(correct=rows["correct"].map(convert)), f"samples.{kind}")
    (score,) = score_log(path, {}, Path("out"))
    assert score.pass_at_1 == pass_at_1([rates(rows)])
    assert score.pass_at_1.value == pytest.approx(rows["correct"].mean())
    assert (score.benchmark, score.problems, score.seeds, score.samples) == ("samples", PROBLEMS, 1, (SAMPLES, SAMPLES))
    assert score.pass_at_1.covers == "problems only"


def test_columns_of_any_name_and_order_are_mapped_and_others_are_not_read():
    theirs = {"problem_id": "question, id", "sample": "n", "correct": "acc"}
    rows = drawn().assign(response='a "quoted" text,\nof two lines', seed=range(PROBLEMS * SAMPLES))
    path = written(rows.rename(columns=theirs)[["response", "acc", "n", "seed", "question, id"]], "log.csv")
    (score,) = scores_of(path, read_log(path, theirs))
    assert score.pass_at_1 == pass_at_1([rates(rows)]), "a column that happens to be called seed tells no runs apart"


def test_ids_stay_as_they_are_written():
    path = Path("log.csv")
    path.write_text("problem_id,sample,correct\n007,0,1\n7,0,0\n7.0,0,0\nNA,0,1\n", encoding="utf-8-sig")
    assert list(read_log(path, {})["problem_id"]) == ["007", "7", "7.0", "NA"]


def test_named_seeds_are_runs_whatever_their_order():
    runs = [drawn(seed).assign(run=f"run{seed}") for seed in range(3)]
    shuffled = pd.concat(runs).sample(frac=1, random_state=0)
    path = written(shuffled, "log.parquet")
    (score,) = scores_of(path, read_log(path, {"seed": "run"}))
    expected = pass_at_1([np.concatenate([rates(run) for run in runs])])
    assert score.seeds == 3
    assert score.pass_at_1.covers == "problems and seeds"
    assert score.pass_at_1.value == pytest.approx(expected.value)
    # the bootstrap resamples problems in another order
    assert (score.pass_at_1.low, score.pass_at_1.high) == pytest.approx((expected.low, expected.high), abs=0.01)


def test_benchmarks_have_a_score_each_and_a_mean_that_weighs_them_equally():
    parts = {"small": drawn(1, 5), "large": drawn(2, 40)}
    path = written(pd.concat([rows.assign(set=name) for name, rows in parts.items()]), "log.jsonl")
    scores = scores_of(path, read_log(path, {"benchmark": "set"}))
    assert [(score.benchmark, score.problems) for score in scores] == [("small", 5), ("large", 40), ("mean", 45)]
    assert [score.pass_at_1 for score in scores] == [
        pass_at_1([rates(parts["small"])]),
        pass_at_1([rates(parts["large"])]),
        pass_at_1([rates(rows) for rows in parts.values()]),
    ]


def test_the_verb_prints_the_scores_and_writes_them_with_the_logs_hash(capsys):
    rows = drawn()
    path = written(rows.rename(columns={"correct": "acc"}).drop(index=[1]), "theirs.csv")
    assert main(["evaluate", "--from-log", "theirs.csv", "--columns", "correct=acc", "--output", "out"]) == 0
    stored = json.loads(Path("out/from_log.json").read_text(encoding="utf-8"))
    expected = pass_at_1([rates(rows.drop(index=[1]))])
    assert stored == {
        "file": "theirs.csv",
        "sha256": file_digest(path),
        "columns": {"problem_id": "problem_id", "sample": "sample", "correct": "acc"},
        "rows": PROBLEMS * SAMPLES - 1,
        "scores": [
            {
                "benchmark": "theirs",
                "problems": PROBLEMS,
                "seeds": 1,
                "samples": [SAMPLES - 1, SAMPLES],
                "pass_at_1": {
                    "value": expected.value,
                    "low": expected.low,
                    "high": expected.high,
                    "covers": "problems only",
                },
            }
        ],
    }
    line, where = capsys.readouterr().out.splitlines()
    assert line == (
        f"theirs: pass@1 {expected.value:.3f} [{expected.low:.3f}, {expected.high:.3f}], 95 %, problems only; 12 "
        "problems, 3 to 4 samples of each, and each problem weighs the same"
    )
    assert where == "written: out/from_log.json"


def test_without_an_output_the_folder_is_called_as_the_log():
    written(drawn(), "theirs.parquet")
    assert main(["evaluate", "--from-log", "theirs.parquet"]) == 0
    assert Path("results/evaluations/theirs/from_log.json").exists()


HEAD = "problem_id,sample,correct\n"
# the log's name and content, the columns that are named, and what the sentence says after the file's name
BAD = [
    ("a.csv", None, {}, "is no file; give the log itself"),
    ("a.txt", HEAD, {}, "ends in '.txt'; give a file that ends in .csv, .jsonl, .parquet"),
    ("a.csv", "", {}, "can't be read (No columns to parse from file)"),
    ("a.csv", HEAD, {}, "holds no samples"),
    (
        "a.csv",
        "problem_id,sample,acc\nq,0,1\n",
        {},
        "has no column 'correct', only problem_id, sample, acc; say which one",
    ),
    ("a.csv", f"{HEAD}q,0,1\n", {"correct": "acc"}, "has no column 'acc', only problem_id, sample, correct"),
    ("a.csv", "problem_id,sample,correct,correct\nq,0,1,0\n", {}, "has the column 'correct' twice"),
    ("a.csv", f"{HEAD}q,0,1\nq,1,0.5\n", {}, "row 2: column correct is '0.5'; write true or false, or 1 or 0"),
    ("a.csv", f"{HEAD}q,0,yes\n", {}, "row 1: column correct is 'yes'; write true or false"),
    ("a.csv", f"{HEAD}q,0,\n", {}, "row 1: column correct is empty; write true or false"),
    ("a.csv", f"{HEAD}q,0\n", {}, "row 1: column correct is empty"),
    ("a.csv", f"{HEAD},0,1\n", {}, "row 1: column problem_id is empty; give every sample one"),
    ("a.csv", f"{HEAD}q,-1,1\n", {}, "row 1: column sample is '-1'; number the samples"),
    ("a.csv", f"{HEAD}q,{'9' * 5000},1\n", {}, "row 1: column sample is '999"),
    ("a.csv", f"{HEAD}q,0,1\nq,0,0\n", {}, "row 2: sample 0 of problem 'q' is there twice (column sample)"),
    ("a.csv", f"{HEAD}q,0,1,5,6\n", {}, "can't be read (Error tokenizing data"),
    ("a.csv", b"problem_id,sample,correct\n\xff,0,1\n", {}, "can't be read ('utf-8' codec"),
    (
        "a.csv",
        "problem_id,sample,correct,run\nq,0,1,a\np,0,1,b\nq,0,1,b\n",
        {"seed": "run"},
        "seed 'a' has no sample of problem 'p'",
    ),
    ("a.jsonl", '{"problem_id": 1, "sample": 0, "correct": true}\n[]\n', {}, "line 2 holds no mapping"),
    (
        "a.jsonl",
        '{"problem_id": 1, "sample": 0, "correct": true}\n\n{"problem_id": 1}\n',
        {},
        "line 3: column sample is empty",
    ),
    ("a.jsonl", '{"problem_id": [1], "sample": 0, "correct": true}\n', {}, "line 1: column problem_id is [1]"),
    ("a.jsonl", '{"problem_id": 1, "sample": true, "correct": true}\n', {}, "line 1: column sample is true"),
    ("a.jsonl", '{"problem_id": 1, "sample"\n', {}, "can't be read ("),
    ("a.jsonl", "[" * 100_000, {}, "can't be read ("),
    ("a.parquet", "no parquet", {}, "can't be read ("),
]


@pytest.mark.parametrize(("name", "content", "columns", "sentence"), BAD, ids=[row[3][:45] for row in BAD])
def test_a_log_that_cannot_be_scored_is_refused_in_one_sentence(capsys, name, content, columns, sentence):
    if isinstance(content, bytes):
        Path(name).write_bytes(content)
    elif content is not None:
        Path(name).write_text(content, encoding="utf-8")
    named = [f"{ours}={theirs}" for ours, theirs in columns.items()]
    assert main(["evaluate", "--from-log", name, *(["--columns", *named] if named else []), "--output", "out"]) == 1
    said = capsys.readouterr()
    assert said.err.startswith(f"real: {name}: {sentence}")
    assert (said.err.count("\n"), said.out) == (1, "")
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--samples", "4"], 1, "--from-log scores samples that are drawn and graded already, so samples can't"),
        (["--seed", "0", "--any-format"], 1, "so seed, strict_format can't be given with it"),
        (["--columns", "correct=a", "correct=b"], 1, "--columns names one of our columns twice"),
        (["--model", "m"], 2, "argument --model: not allowed with argument --from-log"),
        (["--columns", "corect=a"], 2, "unknown column 'corect'"),
        (["--columns", "correct"], 2, "'correct' names no column; write OURS=THEIRS"),
    ],
)
def test_flags_that_say_nothing_about_a_log_are_refused(capsys, arguments, code, sentence):
    written(drawn(), "log.csv")
    try:
        found = main(["evaluate", "--from-log", "log.csv", *arguments])
    except SystemExit as end:
        found = end.code
    assert found == code
    assert sentence in capsys.readouterr().err


def test_an_evaluation_of_nothing_and_columns_of_no_log_are_refused(capsys):
    assert main(["evaluate"]) == 1
    assert "give --model DIR_OR_HUB, or --from-log FILE" in capsys.readouterr().err
    assert main(["evaluate", "--model", "m", "--columns", "correct=a"]) == 1
    assert "give --from-log FILE with it" in capsys.readouterr().err


def test_the_command_line_knows_the_columns_that_are_read():
    assert (*REQUIRED, *OPTIONAL) == LOG_COLUMNS
