"""The commands themselves, and Snakemake, ended by real signals: what is said, what is kept, and what goes on."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from real.config import resolve
from real.engines.torch import train
from tests.support.checkout import copy_checkout
from tests.support.kills import files_of
from tests.support.paths import ROOT
from tests.support.scales import shipped
from tests.support.workplaces import link_rooms

pytestmark = pytest.mark.usefixtures("signals_as_a_terminal_gives_them")

# a command imports torch first; generous, because machines are shared
START_S = 120
STEPS = 80
LONG = {"training": {"steps": STEPS, "validation_every": STEPS, "gradient_sample_steps": [1]}}


@pytest.fixture
def project(base_folder, tmp_path) -> Path:
    """A folder to run the command line in: a longer smoke scale, with a base model."""
    link_rooms(tmp_path)
    (tmp_path / "long.yaml").write_text(yaml.safe_dump(LONG))
    shutil.copytree(base_folder[1] / "base", tmp_path / "results" / "smoke+long" / "base")
    return tmp_path


TRAIN = ["-m", "real", "train", "--config", "paper_configs/smoke.yaml", "long.yaml", "--method", "real", "--seed", "0"]


def start(project: Path, log: str, *before: str) -> subprocess.Popen:
    """Begin the training, in a process group of its own as a terminal gives one."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (project / log).open("a") as file:
        return subprocess.Popen(
            [sys.executable, *before, *([sys.executable] if before else []), *TRAIN],
            cwd=project,
            env=environment,
            stdout=file,
            stderr=file,
            process_group=0,
        )


def wait_for(text: str, path: Path, process: subprocess.Popen | None = None) -> None:
    deadline = time.monotonic() + START_S
    while text not in (path.read_text(encoding="utf-8") if path.exists() else ""):
        assert process is None or process.poll() is None, path.read_text(encoding="utf-8")
        assert time.monotonic() < deadline, path.read_text(encoding="utf-8")
        time.sleep(0.02)


def results_of(project: Path) -> dict[str, bytes]:
    return files_of(project / "results" / "smoke+long" / "runs", "provenance.json", "config.yaml")


@pytest.fixture(scope="module")
def undisturbed(base_folder, tmp_path_factory) -> dict[str, bytes]:
    """The longer run's files, made without an interruption."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "long.yaml").write_text(yaml.safe_dump(LONG))
    run = resolve(shipped("smoke", folder / "long.yaml"), "real", 0)
    train.train(run, base_folder[1] / "base" / "model", folder / "real" / "seed0", folder / "work")
    return files_of(folder, "long.yaml", "work.lock")


@pytest.mark.slow
def test_signals_end_a_command_within_seconds_with_its_step_saved(project, undisturbed):
    """Ctrl-C alone, the scheduler's SIGTERM alone, and both as under Snakemake, one after the other on one run."""
    work, log = project / "results" / "smoke+long" / "work" / "real" / "seed0", project / "log"
    ctrl_c, term = signal.SIGINT, signal.SIGTERM
    step = 0
    for signals in ([ctrl_c], [term], [ctrl_c, term], [term, term]):
        process = start(project, "log")
        wait_for(f"step {step + 2}/{STEPS}", log, process)
        for number in signals:
            os.killpg(process.pid, number)
            time.sleep(0.2)
        assert process.wait(20) == 130, log.read_text()
        *_, last = log.read_text().splitlines()
        step = int(last.split("stopped after step ")[1].split()[0])
        assert last == (
            f"real: real seed 0: stopped after step {step} of {STEPS}, which is saved in "
            f"{work.relative_to(project)}; the same command, or snakemake again, goes on from there"
        )
    process = start(project, "log")
    assert process.wait(START_S) == 0, log.read_text()
    text = log.read_text()
    assert f"resumes after step {step} of {STEPS}" in text
    assert text.count("training of real, seed 0 begins: into results/smoke+long/runs/real/seed0") == 5
    assert "Traceback" not in text
    assert results_of(project) == undisturbed
    assert not work.exists()


# stands where Snakemake would: it starts the job and is killed outright
SNAKEMAKE = "import subprocess, sys; subprocess.Popen(sys.argv[1:]).wait()"


@pytest.mark.slow
def test_a_job_whose_snakemake_is_killed_keeps_its_last_state_for_the_next_one(project, undisturbed):
    work, log = project / "results" / "smoke+long" / "work" / "real" / "seed0", project / "log"
    (project / "snakemake").write_text(SNAKEMAKE)
    parent = start(project, "log", "snakemake")
    wait_for("step 1/", log, parent)
    pid = json.loads((work.parent / "seed0.pid").read_text())["pid"]
    parent.kill()
    parent.wait()
    os.kill(pid, signal.SIGSTOP)  # so that it is still there when the second one comes
    second = start(project, "second.log")
    assert second.wait(START_S) == 1
    os.kill(pid, signal.SIGCONT)
    said = (project / "second.log").read_text()
    assert f"{work.relative_to(project)}: is in use by process {pid}; wait for it to finish" in said
    wait_for("is kept, because the Snakemake that started this job is gone", log)
    wait_until_free(work)
    assert results_of(project) == undisturbed
    shutil.rmtree(project / "results" / "smoke+long" / "runs")  # as Snakemake does with what it takes for incomplete

    third = start(project, "third.log", "snakemake")
    assert third.wait(START_S) == 0
    said = (project / "third.log").read_text()
    assert f"all {STEPS} steps were done before" in said
    assert "reward" not in said, "it trained"
    assert results_of(project) == undisturbed
    assert not work.exists()


def wait_until_free(work: Path) -> None:
    """Until the holder of a work folder has ended."""
    deadline = time.monotonic() + START_S
    while (work.parent / f"{work.name}.pid").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1)  # provenance comes after it


@pytest.mark.slow
def test_of_two_trainings_started_at_the_same_moment_one_trains_and_the_other_names_it(project, undisturbed):
    both = [start(project, f"{i}.log") for i in range(2)]
    name = project / "results" / "smoke+long" / "work" / "real" / "seed0.pid"
    wait_for("}", name)
    pid = json.loads(name.read_text())["pid"]
    winner = [process.pid for process in both].index(pid)
    os.kill(pid, signal.SIGSTOP)  # so that it is still there when the other one comes
    assert both[1 - winner].wait(START_S) == 1
    os.kill(pid, signal.SIGCONT)
    assert both[winner].wait(START_S) == 0
    assert f"is in use by process {pid}; wait for it" in (project / f"{1 - winner}.log").read_text()
    assert results_of(project) == undisturbed


@pytest.mark.slow
def test_ctrl_c_to_snakemake_saves_the_step_and_the_same_command_goes_on_in_the_same_log(tmp_path):
    """The whole process group gets the signal, as from a terminal; Snakemake deletes logs, these hold both attempts."""
    checkout = copy_checkout(tmp_path / "project")
    phase = yaml.safe_load((checkout / "paper_configs" / "smoke.yaml").read_text())["base"]["phases"][0]
    short = {"base": {"phases": [{**phase, "steps": 5, "warmup_steps": 1}]}, **LONG}
    (checkout / "long.yaml").write_text(yaml.safe_dump(short))
    results = checkout / "results" / "smoke+long"
    metrics = results / "runs" / "real" / "seed0" / "metrics.jsonl"
    log = results / "logs" / "train" / "real" / "seed0.log"
    command = [sys.executable, "-m", "snakemake", str(metrics.relative_to(checkout)), "--cores", "1", "--configfile"]
    command += ["paper_configs/smoke.yaml", "long.yaml"]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def begin(name: str) -> subprocess.Popen:
        with (tmp_path / name).open("w") as file:
            return subprocess.Popen(
                command, cwd=checkout, env=environment, stdout=file, stderr=subprocess.STDOUT, process_group=0
            )

    first = begin("first.txt")
    wait_for("step 2/", log, first)
    os.killpg(first.pid, signal.SIGINT)
    assert first.wait(60) == 1
    assert "stopped after step " in (tmp_path / "first.txt").read_text(), "Snakemake shows the log of a failed job"
    before = log.read_text()
    step = int(before.split("stopped after step ")[1].split()[0])
    assert not metrics.exists()

    assert begin("second.txt").wait(START_S) == 0, (tmp_path / "second.txt").read_text()
    after = log.read_text()
    assert after.startswith(before), "the first attempt's lines are still there"
    assert f"resumes after step {step} of {STEPS}" in after[len(before) :]
    assert after.count(f"step {step}/{STEPS} ") == 1, "no step was done twice"
    assert [json.loads(line)["step"] for line in metrics.read_text().splitlines()] == list(range(STEPS + 1))
