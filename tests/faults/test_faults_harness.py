"""The fault harness can lose: what it compares, what it counts, what it ends."""

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from real.config import load, resolve
from tests.faults import damage
from tests.faults.__main__ import table
from tests.faults.place import CONFIG, SCALE, Ended, LostError, Place, Program, SkippedError, must_be_one_sentence
from tests.faults.tries import Tried, judged, share_verdict


@pytest.fixture
def place(tmp_path):
    """A finished project of three files, and a copy of it."""
    harmed = Place(tmp_path / "copy", tmp_path / "reference", tmp_path / "scratch")
    harmed.scratch.mkdir()
    files = {
        "runs/real/seed0/metrics.jsonl": '{"step": 1}\n',
        "runs/real/seed0/timings.jsonl": "now\n",
        "evaluations/base/evaluation.json": '{"benchmarks": {"a": 1, "b": 2}, "seed": 0}',
    }
    for checkout in (harmed.reference, harmed.checkout):
        for name, text in files.items():
            path = checkout / SCALE / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return harmed


def test_the_scale_that_is_harmed_states_every_key_that_the_package_asks_for_today():
    """`make faults` is too long for the fast tests; a key added since would otherwise stop it in CI alone."""
    experiment = load([CONFIG])
    for method in experiment.methods:
        assert resolve(experiment, method, 0).training.checkpoint_every == 2  # kills.py counts on it


def test_half_a_file_and_a_missing_one_are_lost_and_clocks_are_not_compared(place):
    (place.results / "runs/real/seed0/timings.jsonl").write_text("later\n")
    place.must_be_identical()
    metrics = place.results / "runs/real/seed0/metrics.jsonl"
    metrics.unlink()
    place.must_be_whole()  # not yet written is not half-written
    with pytest.raises(LostError, match=r"missing: runs/real/seed0/metrics\.jsonl"):
        place.must_be_identical()
    metrics.write_text('{"st')
    with pytest.raises(LostError, match=r"half-written or altered: runs/real/seed0/metrics\.jsonl"):
        place.must_be_whole()


def test_an_evaluation_may_list_fewer_benchmarks_until_it_is_finished_but_no_others(place):
    about = place.results / "evaluations/base/evaluation.json"
    about.write_text('{"benchmarks": {"a": 1}, "seed": 0}')
    place.must_be_whole()
    with pytest.raises(LostError, match="altered"):
        place.must_be_identical()
    about.write_text('{"benchmarks": {"a": 2}, "seed": 0}')
    with pytest.raises(LostError, match="altered"):
        place.must_be_whole()


def test_what_is_left_behind_or_made_again_is_lost(place):
    before = place.stamps("runs")
    place.must_be_untouched(before)
    metrics = place.results / "runs/real/seed0/metrics.jsonl"
    metrics.with_suffix(".new").write_bytes(metrics.read_bytes())
    metrics.with_suffix(".new").replace(metrics)
    with pytest.raises(LostError, match="made again"):
        place.must_be_untouched(before)
    metrics.with_name("metrics.jsonl.partial").touch()
    with pytest.raises(LostError, match="left behind"):
        place.must_be_identical()


@pytest.mark.parametrize(
    "ended",
    [
        Ended(0, "real: x: no room"),
        Ended(1, "real: x: something else"),
        Ended(1, "Traceback (most recent call last):\nreal: x: no room"),
        Ended(-9, ""),
    ],
)
def test_a_failure_survives_only_as_one_sentence_with_code_1(ended):
    must_be_one_sentence(Ended(1, "step 3\nreal: x: no room\n"), "x", "no room")
    with pytest.raises(LostError):
        must_be_one_sentence(ended, "x", "no room")


def test_kills_in_a_row_share_the_verdict_of_their_end():
    def lose():
        raise LostError("other bytes")

    def breaks_off():
        yield "first"
        raise LostError("half a file")

    def ends_early():
        yield "first"
        raise SkippedError("nothing left to kill")

    assert [one.outcome for one in share_verdict(iter(["first", "second"]), lambda: None)] == ["survived"] * 2
    assert [one.lost for one in share_verdict(iter(["first", "second"]), lose)] == ["other bytes"] * 2
    assert [one.lost for one in share_verdict(iter([]), lose)] == ["other bytes"]
    assert [one.lost for one in share_verdict(breaks_off(), lambda: None)] == ["half a file"]
    assert [one.outcome for one in share_verdict(ends_early(), lambda: None)] == ["not counted", "survived"]


def test_a_lost_try_keeps_its_evidence_and_the_next_one_begins_undisturbed(place):
    def harm():
        (place.results / "runs/real/seed0/metrics.jsonl").unlink()
        place.must_be_identical()

    tried = judged(place, "deleted", harm)
    kept = place.scratch / "lost-0"
    assert tried.outcome == "lost"
    assert str(kept) in tried.lost
    assert not (kept / SCALE / "runs/real/seed0/metrics.jsonl").exists()
    place.must_be_identical()


def test_the_table_counts_and_names_what_is_not_counted():
    tried = {"a": [Tried("x"), Tried("y", lost="z")], "b": [Tried("w", skipped="no mount here")]}
    lines = table(tried).splitlines()
    assert lines[2].split() == ["|", "a", "|", "2", "|", "1", "|", "1", "|"]
    assert lines[-2].split() == ["|", "all", "|", "2", "|", "1", "|", "1", "|"]
    assert lines[-1] == "not counted: b: w: no mount here"


def test_leaving_a_program_ends_what_it_started(tmp_path):
    starts_another = "import subprocess, sys; print(subprocess.Popen(['sleep', '60']).pid, flush=True)"
    with Program([sys.executable, "-c", starts_another], tmp_path, tmp_path / "log", dict(os.environ)) as program:
        assert program.end(30) == 0
        pid = int(program.text)
        os.kill(pid, 0)
    for _ in range(100):
        with suppress(FileNotFoundError):
            if Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").split()[2] != "Z":
                time.sleep(0.05)
                continue
        break
    else:
        os.kill(pid, signal.SIGKILL)
        pytest.fail("the child lives on")


@pytest.mark.parametrize("harm", damage.HARMS)
def test_every_harm_changes_the_bytes(harm):
    content = bytes(range(256))
    for seed in range(50):
        assert harm(content, Random(seed), b"") != content
