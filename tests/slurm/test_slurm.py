"""The SLURM profile and Snakemake's plug-in on a real SLURM: what is granted, cut off, resumed, refused, cancelled."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from real.system.portable import not_portable_because
from tests.slurm.sandbox import Sandbox
from tests.support import cpu_pins
from tests.support import tiny_scale as tiny
from tests.support.checkout import planned, snakemake
from tests.support.cut import PHASE
from tests.support.edits import changed_text

# the sandbox has no accounting, and its jobs take seconds
ASKED = ("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2")
PROFILE = ("--workflow-profile", "workflow/profiles/slurm", *ASKED)
SMOKE = ("--configfile", "paper_configs/smoke.yaml")
TINY = ("--configfile", "paper_configs/smoke.yaml", tiny.OVERLAY)
LONGER = {"training.steps": 12, "training.checkpoint_every": 2, "training.rollouts": 8}
MINUTE_S = 60
# Snakemake starts three times per job, on a machine that may be busy
PATIENCE_S = 20 * MINUTE_S
AT_LIMIT = "which is saved in results/smoke+tiny/work/real/seed0; the same command, or snakemake again"


@pytest.fixture(scope="module")
def tiny_checkout(checkout):
    """With the base model of the tiny scale."""
    tiny.write_overlay(checkout)
    learnt = {f"base.phases.0.{key}": value for key, value in PHASE.items()}
    overlay = checkout / tiny.OVERLAY
    overlay.write_text(changed_text(overlay.read_text(encoding="utf-8"), LONGER | learnt), encoding="utf-8")
    done = snakemake(checkout, "results/smoke+tiny/base/metrics.jsonl", "--cores", "1", *TINY)
    assert done.returncode == 0, done.stdout
    return checkout


class Snakemake:
    """One through profile and plug-in, in a checkout; what it prints goes into a file of its own there."""

    def __init__(self, slurm: Sandbox, checkout: Path, name: str, *arguments: str):
        self.slurm, self.path = slurm, checkout / f"printed_{name}"
        command = [sys.executable, "-m", "snakemake", *PROFILE, *arguments]
        with self.path.open("w") as printed:
            variables = {**os.environ, **slurm.variables}
            self.process = subprocess.Popen(
                command, cwd=checkout, env=variables, text=True, stdout=printed, stderr=printed
            )

    def printed(self) -> str:
        return self.path.read_text(encoding="utf-8")

    def until(self, condition, what: str):
        """Wait until a condition holds; what it gave."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := condition()):
            assert self.process.poll() is None, self.printed()
            assert time.monotonic() < deadline, f"{what}\n{self.printed()}"
            time.sleep(0.5)
        return found

    def end(self, seconds: float = PATIENCE_S) -> int:
        """Its exit code, once it has ended."""
        try:
            return self.process.wait(seconds)
        finally:
            self.process.terminate()  # of one that has ended, nothing
            self.process.wait()

    def jobs(self) -> list[dict[str, str]]:
        """The SLURM jobs that it submitted, the oldest first."""
        run = re.search(r"SLURM run ID: (\S+)", self.printed())[1]
        found = [job for job in self.slurm.jobs().values() if job["JobName"] == run]
        return sorted(found, key=lambda job: int(job["JobId"]))

    def figures(self) -> str:
        """For the log: how many jobs, how they ended, and how long it took."""
        states = [job["JobState"] for job in self.jobs()]
        counted = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
        return f"{counted} in {re.findall(r'Elapsed time: ([0-9:]+)', self.printed())[-1]}"


def status(checkout: Path) -> str:
    command = [sys.executable, "-m", "real", "status", "--config", *TINY[1:]]
    return subprocess.run(command, cwd=checkout, text=True, capture_output=True, check=True).stdout


def row(checkout: Path, run: str) -> str:
    """What `status` says of one run."""
    return next(line for line in status(checkout).splitlines() if line.startswith(f"| {run}"))


def halted(work: Path, attempt: int) -> tuple[str, int] | None:
    """The SLURM job and the process that train, stopped once they have a saved step; None before that."""
    try:
        made = json.loads(work.with_name("seed0.attempts.json").read_text())["attempts"]
        pid = json.loads(work.with_name("seed0.pid").read_text())["pid"]
    except (FileNotFoundError, ValueError):
        return None
    if len(made) < attempt or not (work / "state.pt").exists():
        return None
    os.kill(pid, signal.SIGSTOP)
    return made[-1]["job"], pid


def bytes_of(folder: Path) -> dict[str, str]:
    names = ("metrics.jsonl", "gradient_samples.parquet", "model/model.safetensors")
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


def test_gpus_that_a_rule_asks_for_are_granted_and_a_refused_job_is_not_tried_again(slurm, checkout):
    """A training of 1.5B with stand-ins for its inputs: it ends in a sentence, here by that of its training set."""
    (checkout / "results/1.5b/base/model").mkdir(parents=True)
    for name in ("deepscaler", "aime"):
        prepared = checkout / "datasets" / "prepared" / f"{name}.parquet"
        prepared.parent.mkdir(exist_ok=True)
        prepared.touch()
    run = ("results/1.5b/runs/real/seed0/metrics.jsonl", "--configfile", "paper_configs/1.5b.yaml")
    run_through = Snakemake(slurm, checkout, "gpus", *run, "--allowed-rules", "train", "--retries", "1")
    assert run_through.end() != 0
    print(f"\na job with 8 GPUs: {run_through.figures()}")
    first, second = run_through.jobs()
    for job in (first, second):
        granted = dict(part.split("=", 1) for part in job["TRES"].split(","))
        assert (job["JOB_GRES"], granted["cpu"], granted["mem"]) == ("gpu:8", "64", "500G")
        assert (job["CpusPerTres"], job["NumNodes"], job["TimeLimit"]) == ("gres:gpu:8", "1", "2-00:00:00")
        assert job["JobState"] == "FAILED"
    log = (checkout / "results/1.5b/logs/train/real/seed0.log").read_text(encoding="utf-8")
    assert len(re.findall("training of real, seed 0 begins", log)) == 1
    first_said, second_said = (line for line in log.splitlines() if line.startswith("real: "))
    assert first_said.startswith("real: datasets/prepared/deepscaler.parquet: is damaged")
    assert second_said == (
        "real: results/1.5b/work/real/seed0: not tried again by itself, because the last attempt saved nothing new; "
        "see to what the log says or, after a time limit, let the job have more time (`runtime`), and give the same "
        "command again"
    )


def test_a_training_that_meets_its_time_limit_is_submitted_again_and_resumes_to_the_same_bytes(slurm, tiny_checkout):
    """It is stopped once it has saved a step, and its limit lowered to the shortest: so it meets it on any machine."""
    work = tiny_checkout / "results/smoke+tiny/work/real/seed0"
    target = "results/smoke+tiny/runs/real/seed0/metrics.jsonl"
    run_through = Snakemake(slurm, tiny_checkout, "limit", target, *TINY)
    job, pid = run_through.until(lambda: halted(work, 1), "a step is saved")
    assert f"| real, seed 0 | running (pid {pid}) " in row(tiny_checkout, "real, seed 0")
    slurm.run("scontrol", "update", f"JobId={job}", "TimeLimit=1")
    job, pid = run_through.until(lambda: halted(work, 2), "it is submitted again")
    assert f"| real, seed 0 | running (pid {pid}, attempt 2) " in row(tiny_checkout, "real, seed 0")
    os.kill(pid, signal.SIGCONT)
    assert run_through.end() == 0, run_through.printed()
    print(f"\na training at its time limit: {run_through.figures()}")
    assert [job["JobState"] for job in run_through.jobs()] == ["TIMEOUT", "COMPLETED"]
    assert "SLURM status is: 'TIMEOUT'" in run_through.printed()
    log = (tiny_checkout / "results/smoke+tiny/logs/train/real/seed0.log").read_text(encoding="utf-8")
    stopped = int(re.search(rf"real seed 0: stopped after step (\d+) of 12, {re.escape(AT_LIMIT)}", log)[1])
    assert 2 <= stopped < 12
    assert "attempt 2 at training of real, seed 0 begins" in log
    assert f"real seed 0: resumes after step {stopped} of 12" in log
    resumed = bytes_of((tiny_checkout / target).parent)
    lines = [json.loads(line) for line in (tiny_checkout / target).read_text(encoding="utf-8").splitlines()]
    assert [line["step"] for line in lines] == list(range(13))
    assert any(line["grad_norm"] for line in lines[stopped + 1 :]), "something is learnt after it"
    undisturbed = snakemake(tiny_checkout, target, "--cores", "1", "--forcerun", "train", *TINY)
    assert undisturbed.returncode == 0, undisturbed.stdout
    assert bytes_of((tiny_checkout / target).parent) == resumed
    assert not work.with_name("seed0.attempts.json").exists()


def test_a_cancelled_job_is_said_and_not_tried_again_until_the_command_is_given_again(slurm, tiny_checkout):
    work = tiny_checkout / "results/smoke+tiny/work/gspo/seed0"
    target = ("results/smoke+tiny/runs/gspo/seed0/metrics.jsonl", *TINY)
    run_through = Snakemake(slurm, tiny_checkout, "cancelled", *target, "--retries", "1")
    job, _ = run_through.until(lambda: halted(work, 1), "a step is saved")
    slurm.run("scancel", job)
    assert run_through.end() != 0
    print(f"\na cancelled training: {run_through.figures()}")
    assert [job["JobState"] for job in run_through.jobs()] == ["CANCELLED", "FAILED"]
    assert "SLURM status is: 'CANCELLED'" in run_through.printed()
    log = (tiny_checkout / "results/smoke+tiny/logs/train/gspo/seed0.log").read_text(encoding="utf-8")
    assert "work/gspo/seed0: not tried again by itself, because the last attempt was ended by a cancel" in log
    said = status(tiny_checkout)
    assert "results/smoke+tiny/work/gspo/seed0: attempt 1 was ended by a cancellation (scancel)" in said
    again = snakemake(tiny_checkout, *target[:1], "--cores", "1", *TINY)
    assert again.returncode == 0, again.stdout


def test_the_smoke_dag_goes_through_the_profile_to_the_bytes_that_are_pinned(slurm, checkout):
    jobs = sum(count for rule, count in planned(checkout, *SMOKE).items() if rule != "all")
    run_through = Snakemake(slurm, checkout, "smoke", "--jobs", "3", *SMOKE)
    assert run_through.end(6 * PATIENCE_S) == 0, run_through.printed()
    print(f"\nthe smoke scale: {run_through.figures()}")
    assert [job["JobState"] for job in run_through.jobs()] == ["COMPLETED"] * jobs
    pins = json.loads(cpu_pins.PINS.read_text())
    if not not_portable_because() and pins["platform"] == cpu_pins.this_platform():
        assert cpu_pins.different(pins["sha256"], cpu_pins.digests(checkout / "results/smoke")) == []
