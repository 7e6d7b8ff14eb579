"""``python -m real status``: real jobs, running, killed and damaged, are shown as they are, and left as they are."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
import yaml

from real.commands.command_line import main
from real.config import load
from real.engines.verl.journal import TRACKER, Journal
from real.evaluation.chunks import SUFFIX
from real.planning.status import Progress, outlook, status, status_report
from real.system.work_folder import WorkFolder
from tests.support import tiny_scale as tiny
from tests.support.paths import ROOT
from tests.support.processes import python, started, until
from tests.support.scales import shipped

LONG = 3000
RUN, WORK = tiny.RESULTS / "runs/real/seed0", tiny.RESULTS / "work/real/seed0"
ENGINES = ("transformers", "verl", "ray", "scipy", "math_verify")


def found(name: str) -> Progress:
    return next(one for one in status(tiny.experiment()) if one.job.name == name)


def content(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {str(p): (p.read_bytes(), p.stat().st_mtime_ns) for p in sorted(folder.rglob("*")) if p.is_file()}


def begin(*arguments: str) -> subprocess.Popen:
    """A real job in a process of its own, in the current folder."""
    return started(*("-m", "real", *arguments), folder=Path(), stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)


def lengthen() -> None:
    """In the current copy of the tiny scale, let REAL be still to be trained, for long, and evaluated in chunks."""
    training = {"training.steps": LONG, "training.checkpoint_every": 2, "training.gradient_sample_steps": [1]}
    tiny.change(training | {"evaluation.chunk_problems": 1, "evaluation.samples": 400})
    shutil.rmtree(RUN)
    shutil.rmtree(tiny.RESULTS / "evaluations/real/seed0")


@pytest.fixture
def long_scale(tiny_copy):
    lengthen()


@pytest.fixture(scope="module")
def killed_once(tiny_scale, tmp_path_factory):
    """A folder where REAL was killed after some steps, with what was seen of it before."""
    folder = tmp_path_factory.mktemp("killed") / "copy"
    shutil.copytree(tiny_scale, folder, symlinks=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        lengthen()
        return folder, *train_and_kill()


@pytest.fixture
def killed(killed_once, tmp_path, monkeypatch):
    """A copy of it to change, which is the current folder."""
    folder, *seen = killed_once
    shutil.copytree(folder, tmp_path / "copy", symlinks=True)
    monkeypatch.chdir(tmp_path / "copy")
    return seen


def train_and_kill() -> tuple[int, Progress, str]:
    """The killed process, and what was seen of it while it ran."""
    job = begin("train", *tiny.CONFIG, "--method", "real", "--seed", "0")
    try:
        until(lambda: found("runs/real/seed0").trace.done >= 4, job)
        before = found("runs/real/seed0")
        text = status_report(tiny.experiment())
    finally:
        job.kill()
        job.wait()
    return job.pid, before, text


def test_a_finished_scale_is_done_and_nothing_of_it_is_left(tiny_copy):
    jobs = status(tiny_copy)
    assert {one.state for one in jobs} == {"done"}
    assert [one.left for one in jobs] == [0] * 6
    record = json.loads((RUN / "provenance.json").read_text())
    assert found("runs/real/seed0").taken == record["wall_seconds"]
    assert status_report(tiny_copy).endswith("6 jobs: 6 done; 4 of 4 steps of training; nothing left")


def test_a_running_job_is_shown_with_its_process_and_a_killed_one_with_the_step_that_it_goes_on_from(killed):
    pid, before, text = killed
    assert (before.state, before.pid, before.total) == ("running", str(pid), LONG)
    assert before.left == pytest.approx((LONG - before.trace.done) * before.trace.seconds)
    assert f"running (pid {pid})" in text

    after = found("runs/real/seed0")
    saved = torch.load(WORK / "state.pt", weights_only=True)
    assert (after.state, after.pid) == ("interrupted", None)
    # a kill may come between the state and the line that tells of it
    assert after.trace.done in (saved["metrics"][-1]["step"], saved["metrics"][-1]["step"] - 2)
    assert after.trace.seconds == pytest.approx(
        sum(sum(v for k, v in line.items() if k != "step") for line in saved["timings"][: after.trace.done])
        / after.trace.done
    )
    row = next(line for line in status_report(tiny.experiment()).splitlines() if "real, seed 0" in line)
    assert f"interrupted | {after.trace.done} of 3,000" in row


def test_looking_changes_nothing_and_holds_nothing(killed):
    before = content(tiny.RESULTS)
    assert main(["status", *tiny.CONFIG]) == 0
    assert content(tiny.RESULTS) == before


@pytest.mark.parametrize(
    ("damaged", "then", "done"),
    [
        (["state.pt"], "goes on from previous.pt", "at most"),
        (["previous.pt"], "goes on from state.pt", "same"),
        (["state.pt", "previous.pt"], "starts anew", "0 of"),
    ],
)
def test_a_damaged_state_is_named_and_left_for_the_job(killed, damaged, then, done):
    whole = found("runs/real/seed0").trace.done
    for name in damaged:
        data = (WORK / name).read_bytes()
        (WORK / name).write_bytes(data[:3000] + bytes([data[3000] ^ 1]) + data[3001:])
    text = status_report(tiny.experiment())
    for name in damaged:
        assert f"{WORK / name}: is damaged, not the bytes that were written; the job {then}" in text
    assert f"| interrupted | {done.replace('same', f'{whole} of')}" in text
    assert list(WorkFolder(WORK).states().values()).count(False) == len(damaged)


@pytest.mark.parametrize(
    ("content_", "sentence"),
    [
        ('{"step": 1, "sample_sec', None),  # a line that is being written
        ("{]\n", "line 1 is damaged"),
        ("3\n", "line 1 holds no mapping"),
        ('{"sample_seconds": 1}\n', "line 1: lacks step"),
        ('{"step": [], "sample_seconds": 1}\n', "no numbers of steps and seconds"),
        ('{"step": 2, "sample_seconds": "long"}\n', "no numbers of steps and seconds"),
        ('{"step": 0, "sample_seconds": 1}\n', "no numbers of steps and seconds"),
    ],
)
def test_damaged_timings_of_an_unfinished_job_are_named(long_scale, content_, sentence):
    WORK.mkdir(parents=True)
    (WORK / "timings.jsonl").write_text(content_)
    notes = found("runs/real/seed0").trace.notes
    if sentence is None:
        assert notes == ()
    else:
        assert len(notes) == 1
        assert notes[0].startswith(f"{WORK / 'timings.jsonl'}: ")
        assert sentence in notes[0]


def test_damage_of_a_finished_job_is_named(tiny_copy):
    record = RUN / "provenance.json"
    record.write_text("{")
    shutil.rmtree(tiny.RESULTS / "runs/gspo/seed0/model")
    text = status_report(tiny_copy)
    assert f"{record}: is damaged" in text
    assert f"{tiny.RESULTS / 'runs/gspo/seed0/model'}: is missing, although its job finished" in text
    assert found("runs/gspo/seed0").state == "incomplete"
    assert (found("runs/real/seed0").state, found("runs/real/seed0").taken) == ("done", None)


def test_a_holder_is_believed_only_while_it_lives_and_a_damaged_name_is_named(long_scale):
    WORK.parent.mkdir(parents=True, exist_ok=True)
    name = WORK.with_name("seed0.pid")
    name.write_text('{"pid": 4194303, "started": 0, "host": "elsewhere"}')
    assert (found("runs/real/seed0").state, found("runs/real/seed0").pid) == ("running", "4194303 of elsewhere")
    me = {"pid": os.getpid(), "started": 0, "host": os.uname().nodename}
    name.write_text(json.dumps(me))
    assert found("runs/real/seed0").state == "waiting", "a later process with the same number"
    for damaged in ("", "[]", '{"pid": "x", "started": 0, "host": ""}', "[" * 100_000):
        name.write_text(damaged)
        (note,) = found("runs/real/seed0").trace.notes
        assert note.startswith(f"{name}: is damaged, so nobody can say whether a process holds {WORK}")


def test_a_killed_evaluation_is_shown_by_its_finished_chunks(long_scale):
    work, model = tiny.RESULTS / "work/evaluations/base", str(tiny.RESULTS / "base/model")
    output = tiny.RESULTS / "evaluations/base"
    shutil.rmtree(output)
    job = begin("evaluate", *tiny.CONFIG, "--model", model, "--output", str(output), "--work", str(work))
    try:
        until(lambda: list(work.glob(f"chunks-*/*{SUFFIX}")), job)
        assert found("evaluations/base").pid == str(job.pid)
    finally:
        job.kill()
        job.wait()
    chunks = sorted(work.glob(f"chunks-*/*{SUFFIX}"))
    one = found("evaluations/base")
    assert (one.state, one.trace.done, one.total) == ("interrupted", len(chunks), 4)
    chunks[0].write_bytes(chunks[0].read_bytes()[:-1])
    one = found("evaluations/base")
    assert one.trace.done == len(chunks) - 1
    assert one.trace.notes == (f"{chunks[0]}: is damaged, not the bytes that were written; it is done again",)


def test_a_job_that_has_not_begun_takes_as_long_as_its_like(tiny_copy):
    shutil.rmtree(RUN)
    waiting, like = found("runs/real/seed0"), found("runs/gspo/seed0")
    assert waiting.state == "waiting"
    assert waiting.left == pytest.approx(like.taken)
    assert outlook(tiny_copy, RUN).startswith("; 2 steps, about ")
    assert outlook(tiny_copy, RUN).endswith(" at the pace of its like")
    assert outlook(tiny_copy, tiny.RESULTS / "evaluations/base").startswith("; 2 chunks"), "it is done already"
    assert outlook(tiny_copy, Path("elsewhere")) == ""


def test_a_run_of_the_verl_engine_goes_on_from_its_last_checkpoint(workplace):
    experiment = shipped("1.5b")
    work = Path(experiment.results) / "work/real/seed0"
    work.mkdir(parents=True)
    for step in range(1, 48):
        Journal(work).write({"step": step, "step_seconds": 100.0}, "timings")

    def real() -> Progress:
        return next(one for one in status(experiment) if one.job.name.startswith("runs/real/"))

    assert (real().state, real().trace.done) == ("interrupted", 0), "no checkpoint yet"
    (work / TRACKER).parent.mkdir()
    (work / TRACKER).write_text("40")
    assert real().trace.at_most
    assert real().trace.notes[0].startswith(f"{work / 'checkpoints/global_step_40'}: is missing")
    (work / "checkpoints/global_step_40").mkdir()
    assert (real().trace.done, real().trace.notes, real().left) == (40, (), (1400 - 40) * 100)
    (work / TRACKER).write_text("4\x000")
    assert real().trace.notes[0].startswith(f"{work / TRACKER}: is damaged")


def test_crossed_methods_are_shown_like_others_and_no_engine_is_loaded(workplace):
    script = (
        "import sys; from real.commands.command_line import main; main(sys.argv[1:]); "
        f"sys.exit(any(map(sys.modules.get, {ENGINES})))"
    )
    command = ["status", "--scale", "laptop", "--config", "paper_configs/variants/stale_rollouts.yaml"]
    done = python("-c", script, *command, folder=workplace)
    assert done.returncode == 0, done.stderr
    methods = shipped("laptop", "variants/stale_rollouts")
    names = [line.split("|")[1].strip() for line in done.stdout.splitlines() if line.startswith("| ")][1:]
    assert [name for name in names if "base model" not in name] == [
        f"{method}, seed {seed}" for method in methods.methods for seed in methods.trained.seeds
    ]
    assert "\x1b" not in done.stdout
    assert not Path("results").exists()


def test_a_variant_has_steps_of_its_own(tmp_path, monkeypatch):
    tiny.enter(tmp_path)
    monkeypatch.chdir(tmp_path)
    short = {"method": "real", "training": {"steps": 3}}
    Path("short.yaml").write_text(
        yaml.safe_dump({"methods": ["real", "short"], "variants": {"short": short}}), encoding="utf-8"
    )
    totals = {one.job.name: one.total for one in status(load([*tiny.CONFIG[1:], "short.yaml"]), "train")}
    assert totals == {"runs/real/seed0": 2, "runs/short/seed0": 3}


def test_a_scale_that_trains_nothing_is_refused_in_one_sentence(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert main(["status", "--scale", "published"]) == 1
    assert "trains nothing" in capsys.readouterr().err
