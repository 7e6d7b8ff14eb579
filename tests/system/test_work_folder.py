"""A job's folder: one holder at a time, rightly named; states that are whole or not used; never another run's."""

import json
import os
import random
import resource
import subprocess
import time
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from real.system.files import WriteError
from real.system.locks import HeldError, exclusive
from real.system.work_folder import (
    MADE_BY,
    FolderInUseError,
    OtherRunError,
    WorkFolder,
    hold,
    open_work_folder,
)
from tests.support.processes import started

RUN = {"config": {"method": "real", "training": {"steps": 6, "learning_rate": 1e-3}}, "code": "aaaa"}


def holder(path: Path, code: str = "print('held', flush=True); sys.stdin.read()") -> subprocess.Popen:
    """A process that takes the lock and then runs ``code``."""
    imports = "import sys, pathlib; from real.system.locks import exclusive"
    script = f"{imports}\nwith exclusive(pathlib.Path(sys.argv[1])): {code}\n"
    process = started("-c", script, path)
    assert process.stdout.readline() == "held\n"
    return process


def test_a_folder_in_use_names_its_holder(tmp_path):
    process = holder(tmp_path / "job")
    try:
        with pytest.raises(FolderInUseError, match=f"in use by process {process.pid};"), hold(tmp_path / "job"):
            pass
    finally:
        process.communicate()
    with open_work_folder(tmp_path / "job", RUN) as work:
        assert work.load() is None
    assert not (tmp_path / "job.pid").exists()


def test_what_a_killed_holder_leaves_names_nobody_and_stops_nobody(tmp_path):
    process = holder(tmp_path / "job")
    process.kill()
    process.communicate()
    assert str(process.pid) in (tmp_path / "job.pid").read_text(), "left behind"
    with FileLock(tmp_path / "job.lock"), pytest.raises(HeldError, match=r"^unknown$"), exclusive(tmp_path / "job"):
        pass  # held by somebody who has not given a name yet
    later = holder(tmp_path / "job")
    try:
        with pytest.raises(HeldError, match=f"^{later.pid}$"), exclusive(tmp_path / "job"):
            pass
    finally:
        later.communicate()


def test_a_later_process_with_the_same_number_is_not_named(tmp_path):
    process = holder(tmp_path / "job")
    name = tmp_path / "job.pid"
    told = json.loads(name.read_text())
    try:
        name.write_text(json.dumps({**told, "started": told["started"] - 60}))
        with pytest.raises(HeldError, match=r"^unknown$"), exclusive(tmp_path / "job"):
            pass
        name.write_text(json.dumps({**told, "pid": 1, "host": "elsewhere"}))
        with pytest.raises(HeldError, match=r"^1 of elsewhere$"), exclusive(tmp_path / "job"):
            pass
    finally:
        process.communicate()


def test_of_processes_that_start_at_the_same_moment_exactly_one_holds_the_folder(tmp_path):
    """Ten rounds; the others name the winner, and nobody else."""
    script = (
        "import os, sys, time, pathlib; from real.system.locks import HeldError, exclusive\n"
        "start = float(sys.stdin.readline())\n"
        "for i in range(10):\n"
        "    time.sleep(max(0, start + 1.5 * i - time.time()))\n"
        "    try:\n"
        "        with exclusive(pathlib.Path(sys.argv[1])):\n"
        "            print(i, os.getpid(), flush=True); time.sleep(1.2)\n"
        "    except HeldError as error: print(i, error.pid, flush=True)\n"
    )
    processes = [started("-c", script, tmp_path / "job") for _ in range(3)]
    start = time.time() + 5
    for process in processes:
        process.stdin.write(f"{start}\n")
        process.stdin.flush()
    texts = {process.pid: process.communicate()[0].splitlines() for process in processes}
    for i in range(10):
        named = {pid: lines[i].split(maxsplit=1)[1] for pid, lines in texts.items()}
        winners = [pid for pid, name in named.items() if name == str(pid)]
        assert len(winners) == 1, named
        assert set(named.values()) == {str(winners[0])}, named


def test_the_last_state_is_loaded_and_the_one_before_it_kept(tmp_path):
    with open_work_folder(tmp_path / "job", RUN) as work:
        for step in range(3):
            work.save({"step": step, "weights": {"w": torch.full((4,), float(step))}, "lines": [{"x": None}]})
        state = work.load()
        assert (state["step"], state["weights"]["w"].tolist(), state["lines"]) == (2, [2.0] * 4, [{"x": None}])
        work.state.unlink()
        assert work.load()["step"] == 1


def damage_of(data: bytes, rng: random.Random) -> bytes:
    """A flipped bit, a lost end, nothing, or noise."""
    kind = rng.choice(["bit", "bit", "bit", "cut", "empty", "noise", "longer"])
    at = rng.randrange(len(data))
    return {
        "bit": data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :],
        "cut": data[:at],
        "empty": b"",
        "noise": rng.randbytes(len(data)),
        "longer": data + b"\0",
    }[kind]


def test_any_damage_is_named_and_the_state_before_it_is_used(tmp_path, capsys):
    rng = random.Random(0)
    for _ in range(60):
        work = WorkFolder(tmp_path)
        work.save({"step": 1})
        work.save({"step": 2})
        work.state.write_bytes(damage_of(work.state.read_bytes(), rng))
        assert work.load() == {"step": 1}
        expected = f"{work.state}: damaged, not the bytes that were written; the job goes on from {work.previous}\n"
        assert capsys.readouterr().out == expected
        work.save({"step": 3})
        work.state.unlink()
        assert work.load() == {"step": 1}, "a damaged state never takes the place of a whole one"


def test_two_damaged_states_are_named_and_the_job_starts_anew(tmp_path, capsys):
    work = WorkFolder(tmp_path)
    work.save({"step": 1})
    work.save({"step": 2})
    for path in (work.state, work.previous):
        path.write_bytes(path.read_bytes()[:-1])
    assert work.load() is None
    assert capsys.readouterr().out == (
        f"{work.state} and {work.previous}: damaged, not the bytes that were written; there is no other state, so the "
        "job starts anew\n"
    )


def test_a_full_disk_is_said_in_a_sentence_and_leaves_both_states(tmp_path):
    work = WorkFolder(tmp_path)
    work.save({"step": 1})
    work.save({"step": 2})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(WriteError, match=rf"^{work.state}: could not be written \(File too large\); make room"):
            work.save({"step": 3, "weights": torch.ones(10_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["previous.pt", "state.pt"]
    assert work.load() == {"step": 2}
    work.state.unlink()
    assert work.load() == {"step": 1}


@pytest.mark.parametrize("kills", range(4))
def test_a_writer_killed_at_any_moment_leaves_a_whole_state(tmp_path, kills):
    """A process that does nothing but save is killed after a random time; one of its last two states is there."""
    script = (
        "import sys, pathlib, torch; from real.system.work_folder import WorkFolder\n"
        "work = WorkFolder(pathlib.Path(sys.argv[1]))\n"
        "for step in range(10**6):\n"
        "    work.save({'step': step, 'weights': torch.full((100_000,), float(step))}); print(step, flush=True)\n"
    )
    process = started("-c", script, tmp_path)
    assert process.stdout.readline() == "0\n"
    time.sleep(random.Random(kills).random())
    process.kill()
    printed = int(["0", *process.communicate()[0].split()][-1])
    state = WorkFolder(tmp_path).load()
    assert state["step"] - printed in (0, 1)
    assert state["weights"].eq(state["step"]).all()


class Evil:
    """Would create a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_loading_a_state_runs_no_code(tmp_path):
    work = WorkFolder(tmp_path)
    work.save({"step": 1, "evil": Evil(tmp_path / "ran")})
    with pytest.raises(Exception, match="Weights only load failed"):
        work.load()
    assert not (tmp_path / "ran").exists()


def changed(**training) -> dict:
    return {**RUN, "config": {**RUN["config"], "training": {**RUN["config"]["training"], **training}}}


@pytest.mark.parametrize(
    ("other", "differs"),
    [
        (changed(learning_rate=2e-3), "config.training.learning_rate"),
        ({**RUN, "code": "bbbb"}, "code"),
        ({**changed(steps=7), "code": "bbbb"}, "code, config.training.steps"),
    ],
)
def test_the_state_of_another_version_is_deleted_with_a_sentence_or_refused_where_protected(
    tmp_path, capsys, other, differs
):
    folder = tmp_path / "job"
    with open_work_folder(folder, RUN) as work:
        work.save({"step": 3})
        (folder / "checkpoints").mkdir()
        commit = json.loads((folder / MADE_BY).read_text())["commit"]
    kept = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    said = f"{folder}: holds the state of this run by another version ({commit}; {differs} differ)"
    with pytest.raises(OtherRunError) as refused, open_work_folder(folder, other, protected=True):
        pass
    by_name = (
        "accept aaaa by name (accept_code: ['aaaa'] in paper_configs/local.yaml, or --accept-code aaaa) to go on by "
        "this code, "
    )
    assert str(refused.value) == (
        f"{said}, and the scale is protected; go back to that commit and configuration to go on with it, "
        f"{by_name if differs == 'code' else ''}or delete the folder to start anew"
    )
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == kept
    with open_work_folder(folder, RUN, protected=True) as work:
        assert work.load() == {"step": 3}
    assert capsys.readouterr().out == ""

    with open_work_folder(folder, other) as work:
        assert capsys.readouterr().out == f"{said}; it is deleted and the run starts anew\n"
        assert work.load() is None
        assert [path.name for path in folder.iterdir()] == [MADE_BY]
    with open_work_folder(folder, other):
        assert capsys.readouterr().out == ""


def test_a_state_without_its_origin_is_not_used(tmp_path, capsys):
    with open_work_folder(tmp_path / "job", RUN) as work:
        work.save({"step": 3})
        (tmp_path / "job" / MADE_BY).write_text("{")
    with pytest.raises(OtherRunError, match="an unknown commit"), open_work_folder(tmp_path / "job", RUN, True):
        pass
    with open_work_folder(tmp_path / "job", RUN) as work:
        assert work.load() is None
    assert "it is deleted and the run starts anew" in capsys.readouterr().out


def test_the_folder_of_a_finished_job_is_deleted_unless_its_snakemake_is_gone(tmp_path, capsys):
    for abandoned in (True, False):
        with open_work_folder(tmp_path / "job", RUN) as work:
            work.save({"step": 6})
            work.abandoned = lambda: abandoned  # noqa: B023
            work.remove()
        assert (tmp_path / "job").exists() == abandoned
        assert ("trains nothing" in capsys.readouterr().out) == abandoned
    assert not list(tmp_path.glob("job.finished*"))


def test_what_a_kill_left_of_a_finished_folder_is_deleted_and_never_read(tmp_path):
    (tmp_path / "job.finished").mkdir()
    (tmp_path / "job.finished" / "state.pt").touch()
    with open_work_folder(tmp_path / "job", RUN) as work:
        assert work.load() is None
    assert not (tmp_path / "job.finished").exists()


def refused(*_: object) -> None:
    raise OSError("no hard links here")


@pytest.mark.parametrize("links", [True, False])
def test_a_whole_state_is_there_at_every_moment_of_saving_the_next(tmp_path, monkeypatch, links):
    work = WorkFolder(tmp_path)
    for step in (1, 2):
        work.save({"step": step})
    if not links:
        monkeypatch.setattr(Path, "hardlink_to", refused)
    seen, flush = [], os.fsync
    monkeypatch.setattr("real.system.files.os.fsync", lambda number: (seen.append(work.states()), flush(number)))
    work.save({"step": 3})
    both = {work.state: True, work.previous: True}
    assert seen == [both if links else {work.previous: True}]
    assert work.states() == both
    assert work.load()["step"] == 3
    work.state.unlink()
    assert work.load()["step"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["previous.pt"]
