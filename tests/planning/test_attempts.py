"""Attempts at a job: what is recorded of each, and which one Snakemake makes in vain and is told so."""

import json
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

from real.commands.command_line import main
from real.engines.verl.journal import TRACKER
from real.evaluation.chunks import Chunks
from real.planning.attempts import NotTriedAgainError, attempt, attempts, record_of
from real.planning.status import job_into, saved, status_report
from real.system import slurm
from real.system.interrupts import Stopped
from real.system.locks import exclusive
from real.system.work_folder import WorkFolder
from tests.support import tiny_scale as tiny
from tests.support.processes import python
from tests.support.scales import shipped

SHOWN = "JobId=7 JobName=real JobState={} Reason={} Dependency=(null) PreemptTime={} TimeLimit=2-00:00:00\n"
WORK = tiny.RESULTS / "work/real/seed0"
TRAIN = ["train", *tiny.CONFIG, "--method", "real", "--seed", "0"]


def fail(work, done: int, snakemakes: int, error: BaseException) -> None:
    with pytest.raises(type(error)), attempt(work, done, snakemakes):
        raise error


def saved_of(scale: str, name: str) -> int | None:
    experiment = shipped(scale)
    return saved(experiment, job_into(experiment, Path(experiment.results) / name))


@pytest.mark.parametrize(
    ("state", "reason", "preempted", "ended"),
    [
        ("COMPLETING", "TimeLimit", "None", slurm.TIME_LIMIT),
        ("TIMEOUT", "None", "None", slurm.TIME_LIMIT),
        ("COMPLETING", "None", "None", slurm.CANCELLED),
        ("CANCELLED", "None", "None", slurm.CANCELLED),
        ("COMPLETING", "None", "2026-11-27T17:00:04", slurm.PREEMPTED),
        ("RUNNING", "None", "None", None),
    ],
)
def test_the_fields_of_an_ending_job_tell_a_limit_from_a_cancellation(state, reason, preempted, ended):
    assert slurm.reason(SHOWN.format(state, reason, preempted)) == ended


def test_slurm_is_asked_by_its_own_command_and_may_be_silent(tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert slurm.why_ended() is None
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert slurm.why_ended() is None
    scontrol = tmp_path / "scontrol"
    scontrol.write_text(f"#!{sys.executable}\nimport sys\nassert sys.argv[1:] == ['--oneliner', 'show', 'job', '7']\n")
    with scontrol.open("a") as file:
        file.write(f"print({SHOWN.format('COMPLETING', 'TimeLimit', 'None')!r})\n")
    scontrol.chmod(0o755)
    assert slurm.why_ended() == slurm.TIME_LIMIT
    scontrol.write_text("#!/bin/sh\nexit 1\n")
    assert slurm.why_ended() is None


def test_an_attempt_after_progress_is_made_and_one_without_is_not(tmp_path):
    work = tmp_path / "work" / "seed0"
    fail(work, 0, 1, Stopped("stopped after step 6"))
    fail(work, 6, 2, ValueError("a mistake"))
    fail(work, 6, 3, NotTriedAgainError(""))
    assert [(one.done, one.ended) for one in attempts(work)] == [(0, "an interruption"), (6, "an error")]
    fail(work, 6, 1, ValueError("whoever gives the command again is not refused"))
    assert len(attempts(work)) == 3
    with attempt(work, 6) as number:
        assert number == 4
        assert attempts(work)[-1].ended is None, "it runs, or was killed"
    assert attempts(work) == []
    assert not record_of(work).exists()


def test_an_attempt_of_snakemakes_after_one_that_did_not_even_begin_is_not_made(tmp_path):
    with pytest.raises(NotTriedAgainError, match="saved nothing new; see to what the log says"):
        attempt(tmp_path / "seed0", 0, 2).__enter__()
    assert not record_of(tmp_path / "seed0").exists()


def test_a_cancelled_job_is_not_made_again_although_it_saved_steps(tmp_path, monkeypatch):
    monkeypatch.setattr(slurm, "why_ended", lambda: slurm.CANCELLED)
    fail(tmp_path / "seed0", 0, 1, KeyboardInterrupt())
    with pytest.raises(NotTriedAgainError, match=r"the last attempt was ended by a cancellation \(scancel\);"):
        attempt(tmp_path / "seed0", 6, 2).__enter__()
    fail(tmp_path / "seed0", 6, 1, KeyboardInterrupt())
    assert len(attempts(tmp_path / "seed0")) == 2


def test_a_time_limit_too_short_for_one_saved_step_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(slurm, "why_ended", lambda: slurm.TIME_LIMIT)
    fail(tmp_path / "seed0", 0, 1, Stopped("stopped"))
    with pytest.raises(NotTriedAgainError, match=r"saved nothing new \(it was ended by SLURM's time limit\)"):
        attempt(tmp_path / "seed0", 0, 2).__enter__()


@pytest.mark.parametrize(
    "content", ["{]", "{}", '{"attempts": 3}', '{"attempts": [{"began": 1}]}', '{"attempts": [7]}']
)
def test_a_damaged_record_is_named_and_counted_anew(tmp_path, capsys, content):
    record_of(tmp_path / "seed0").write_text(content)
    with attempt(tmp_path / "seed0", 4) as number:
        assert number == 1
    assert f"{record_of(tmp_path / 'seed0')}: " in capsys.readouterr().out


def test_a_record_that_cannot_be_written_stops_no_job(tmp_path):
    (tmp_path / "work").write_text("in the way")
    with attempt(tmp_path / "work" / "seed0", 4) as number:
        assert number == 1


def test_progress_is_the_saved_step_of_either_engine_and_the_chunks_of_an_evaluation(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = {"step": 7, "sample_seconds": 1.0, "update_seconds": 1.0, "validate_seconds": 0.0}
    for scale in ("smoke", "1.5b"):
        work = Path(f"results/{scale}/work/real/seed0")
        work.mkdir(parents=True)
        (work / "timings.jsonl").write_text(json.dumps(line) + "\n")
        assert saved_of(scale, "runs/real/seed0") == 0, "what came after the last state is done again"
    WorkFolder(Path("results/smoke/work/real/seed0")).save({"step": 7})
    assert saved_of("smoke", "runs/real/seed0") == 7
    tracker = Path("results/1.5b/work/real/seed0") / TRACKER
    (tracker.parent / "global_step_5").mkdir(parents=True)
    tracker.write_text("5")
    assert saved_of("1.5b", "runs/real/seed0") == 5
    work = Path("results/smoke/work/evaluations/base")
    work.mkdir(parents=True)
    Chunks(work, "key", "code").save("add3-0", pd.DataFrame({"x": [1]}))
    assert saved_of("smoke", "evaluations/base") == 1
    with exclusive(work):
        assert saved_of("smoke", "evaluations/base") is None, "another process holds it"


def test_the_command_line_refuses_an_attempt_in_vain_and_status_says_how_many_there_were(tiny_copy, capsys):
    shutil.rmtree(tiny.RESULTS / "runs/real/seed0")
    record_of(WORK).parent.mkdir(parents=True, exist_ok=True)
    made = [{"began": "2026-11-27 17:00:00", "done": 0, "job": str(job), "ended": slurm.TIME_LIMIT} for job in (7, 8)]
    record_of(WORK).write_text(json.dumps({"attempts": made}))
    text = status_report(tiny_copy)
    assert "| real, seed 0 | waiting (attempt 2) " in text
    assert f"{WORK}: attempt 2 was ended by SLURM's time limit" in text
    assert main([*TRAIN, "--attempt", "3"]) == 1
    assert capsys.readouterr().err.startswith(
        f"real: {WORK}: not tried again by itself, because the last attempt saved "
    )
    assert not (tiny.RESULTS / "runs/real/seed0").exists()
    assert main(TRAIN) == 0
    assert "attempt 3 at training of real, seed 0 begins: into " in capsys.readouterr().out
    assert not record_of(WORK).exists()


def test_an_attempt_in_vain_ends_before_an_engine_is_loaded(tiny_copy):
    script = (
        "import sys; from real.commands.command_line import main; code = main(sys.argv[1:]);"
        "print(code, 'torch' in sys.modules)"
    )
    shutil.rmtree(tiny.RESULTS / "runs/real/seed0")
    done = python("-c", script, *TRAIN, "--attempt", "2", folder=Path())
    assert done.stdout == "1 False\n", done.stderr
