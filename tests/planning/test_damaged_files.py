"""Whatever stands in a file that ``status`` and ``plan`` read, they end with a sentence that names it."""

import json
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

from real.commands.command_line import main
from real.engines.verl.journal import TRACKER
from real.planning.progress import Trace, saved_by_verl
from tests.support import tiny_scale as tiny
from tests.support.workplaces import copy_configs

RUN, WORK = tiny.RESULTS / "runs/real/seed0", tiny.RESULTS / "work/real/seed0"
EVALUATION, PID = tiny.RESULTS / "evaluations/base", WORK.with_name("seed0.pid")
COSTS = Path("paper_configs/reported/costs.yaml")
# in place of a number; JSON has neither of the last two, but Python reads them
NO_NUMBERS: tuple[Any, ...] = ("12", None, [], {}, True, -1, 10**400, float("nan"), float("inf"))
# by the verbs that read them: the files of a finished run, then those of one that was interrupted, with their numbers
FINISHED = [
    (("status", "plan"), RUN / "provenance.json", ["wall_seconds"]),
    (("status", "plan"), EVALUATION / "provenance.json", ["wall_seconds"]),
    (("status", "plan"), RUN / "timings.jsonl", ["step", "sample_seconds"]),
    (("plan",), RUN / "metrics.jsonl", ["prompts", "response_length_mean"]),
]
INTERRUPTED = [
    (("status", "plan"), WORK / "timings.jsonl", ["step", "sample_seconds"]),
    (("plan",), WORK / "metrics.jsonl", ["prompts", "response_length_mean"]),
]


@pytest.fixture
def interrupted(tiny_copy):
    """In a copy of the tiny scale, REAL interrupted after its last step."""
    WORK.mkdir(parents=True)
    for name in ("timings.jsonl", "metrics.jsonl"):
        (RUN / name).rename(WORK / name)
    shutil.rmtree(RUN)


def broken(content: bytes) -> Iterator[bytes]:
    """Forms of a file of JSON that is damaged as a whole."""
    middle = len(content) // 2
    yield content[:middle] + b"\xff" + content[middle:]
    yield from (b"null\n", b"[]\n", b"3\n", b"NaN\n", b"\n", b"\x00\n", b"[" * 100_000 + b"\n")


def cut_off(content: bytes) -> Iterator[bytes]:
    """What is damage of a finished file, and the moment's state of one that is being written."""
    yield content[: len(content) // 2 - 1]
    yield b""


def misread(content: bytes, keys: list[str]) -> Iterator[bytes]:
    """Other values in the place of numbers: in a file of lines, in its last one."""
    *lines, last = [content] if content.startswith(b"{\n") else content.splitlines(keepends=True)
    for key in keys:
        for value in NO_NUMBERS:
            told = {**json.loads(last), key: value}
            # a validation alone has no mean length
            if not (key == "response_length_mean" and value is None):
                yield b"".join([*lines, json.dumps(told).encode(), b"\n"])


def check_named(verbs: tuple[str, ...], path: Path, forms: Iterator[bytes], capsys) -> None:
    whole = path.read_bytes()
    for form in forms:
        path.write_bytes(form)
        for verb in verbs:
            code = main([verb, *tiny.CONFIG])
            printed = capsys.readouterr()
            lines = [line for line in (printed.out + printed.err).splitlines() if f"{path}: " in line]
            assert len(lines) == 1, (verb, form[:200], printed)
            assert "; " in lines[0], "no remedy"
            # what has a table to show shows it
            assert code == (0 if verb == "status" else 1), (verb, form[:200])
    path.write_bytes(whole)


@pytest.mark.parametrize(("verbs", "path", "keys"), FINISHED, ids=[str(row[1]) for row in FINISHED])
def test_a_damaged_file_of_a_finished_job_is_named(tiny_copy, capsys, verbs, path, keys):
    content = path.read_bytes()
    check_named(verbs, path, broken(content), capsys)
    check_named(verbs, path, cut_off(content), capsys)
    check_named(verbs, path, misread(content, keys), capsys)


@pytest.mark.parametrize(("verbs", "path", "keys"), INTERRUPTED, ids=[str(row[1]) for row in INTERRUPTED])
def test_a_damaged_file_of_an_unfinished_run_is_named(interrupted, capsys, verbs, path, keys):
    content = path.read_bytes()
    check_named(verbs, path, broken(content), capsys)
    check_named(verbs, path, misread(content, keys), capsys)


@pytest.mark.parametrize("path", [WORK / "timings.jsonl", WORK / "metrics.jsonl"], ids=str)
def test_a_file_of_an_unfinished_run_may_end_anywhere(interrupted, capsys, path):
    for form in cut_off(path.read_bytes()):
        path.write_bytes(form)
        assert [main([verb, *tiny.CONFIG]) for verb in ("status", "plan")] == [0, 0]
        assert str(path) not in capsys.readouterr().out


def test_a_damaged_name_of_a_holder_is_named(interrupted, capsys):
    me = {"pid": os.getpid(), "started": psutil.Process().create_time(), "host": socket.gethostname()}
    content = (json.dumps(me) + "\n").encode()
    PID.write_bytes(content)
    assert main(["status", *tiny.CONFIG]) == 0
    assert f"running (pid {os.getpid()})" in capsys.readouterr().out
    for forms in (broken(content), cut_off(content), misread(content, ["pid", "started"])):
        check_named(("status",), PID, forms, capsys)
    check_named(("status",), PID, (json.dumps({**me, "host": host}).encode() for host in (None, 3, [])), capsys)


@pytest.mark.parametrize("tokens", [["many"] * 4, [float("nan")] * 4, [-1.0] * 4, [None] * 4, [1e300] * 4], ids=repr)
def test_tokens_of_an_evaluation_that_are_no_numbers_are_named(tiny_copy, capsys, tokens):
    file = EVALUATION / "add3.parquet"
    rows = pd.read_parquet(file)
    rows.assign(tokens=tokens[: len(rows)]).to_parquet(file)
    assert main(["plan", *tiny.CONFIG]) == 1
    assert capsys.readouterr().err.startswith(f"real: {file}: is damaged")


def test_damaged_costs_are_named(tiny_copy, capsys):
    Path("paper_configs").unlink()
    copy_configs(Path())
    content = COSTS.read_bytes()
    numbers = (
        content.replace(b"low: 1.3", b"low: " + text, 1) for text in (b"'1.3'", b"null", b"[]", b".nan", b"1e999")
    )
    check_named(("plan",), COSTS, (form for forms in (broken(content), numbers) for form in forms), capsys)


@pytest.mark.parametrize("content", [b"", b"\xff", b"-1", b"nan", b"null", b"9" * 400, b"9" * 5000], ids=repr)
def test_a_damaged_name_of_verls_last_checkpoint_is_named(tmp_path, content):
    (tmp_path / TRACKER).parent.mkdir()
    (tmp_path / TRACKER).write_bytes(content)
    found = saved_by_verl(tmp_path, Trace(done=3))
    assert found.at_most
    assert found.notes[0].startswith(f"{tmp_path / TRACKER}: is damaged")
