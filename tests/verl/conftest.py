"""These tests need verl, vLLM and Ray, and the CPU platform: `make test-verl`."""

import os
import shutil
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from tests.support.paths import ROOT

# a launch takes one to three minutes on two idle cores, twelve were seen on busy ones; the limit is there to end a hang
# while what it printed can still be read
LAUNCH_SECONDS = 1200


def pytest_configure(config):
    if os.environ.get("VERL_PLATFORM") != "cpu":
        raise pytest.UsageError("tests/verl runs in an environment of its own; use `make test-verl`")


class Project:
    """A copy of the project's code with results of its own, driven by its command line."""

    def __init__(self, folder: Path):
        self.folder = folder

    def start(self, *command: str, log: Path) -> subprocess.Popen:
        """Begin `python COMMAND` in a session of its own, so that all of its processes can be found."""
        with log.open("a", encoding="utf-8") as file:
            return subprocess.Popen(
                [sys.executable, *command],
                cwd=self.folder,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, *command: str, timeout: int = LAUNCH_SECONDS) -> str:
        """`python COMMAND` to its end; what it printed. Fails unless it succeeds and leaves no process behind."""
        log = self.folder / "log.txt"
        log.unlink(missing_ok=True)
        process = self.start(*command, log=log)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            end(process)
            raise
        text = log.read_text()
        assert code == 0, text[-4000:]
        assert left_behind(process) == []
        return text


def left_behind(process: subprocess.Popen, patience: float = 20) -> list[str]:
    """Command lines of processes that ``process`` started and that outlive it by more than ``patience`` seconds."""
    deadline = time.time() + patience
    while True:
        alive = [p for p in of_session(process.pid) if p.info["status"] != psutil.STATUS_ZOMBIE]
        if not alive or time.time() > deadline:
            return [" ".join(p.info["cmdline"] or ["?"]) for p in alive]
        time.sleep(0.5)


def end(process: subprocess.Popen) -> None:
    """Kill a started command with every process of its session."""
    for found in of_session(process.pid):
        found.kill()
    process.wait(30)


def of_session(pid: int) -> list[psutil.Process]:
    """The living processes of the session that a started command leads."""
    return [p for p in psutil.process_iter(["cmdline", "status"]) if _session(p) == pid]


def _session(process: psutil.Process) -> int | None:
    """The session that a process belongs to: the pid of the command that started it."""
    try:
        return os.getsid(process.pid)
    except ProcessLookupError:
        return None


def copied(folder: Path) -> Project:
    """The project in a folder, without results, data or settings of this machine."""
    ignored = shutil.ignore_patterns("__pycache__", "raw", "prepared")
    for name in ("real", "figures", "workflow", "paper_configs", "tests", "datasets"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copyfile(ROOT / "Snakefile", folder / "Snakefile")
    (folder / "profiles").symlink_to("workflow/profiles")
    (folder / "paper_configs" / "local.yaml").unlink(missing_ok=True)
    return Project(folder)


@pytest.fixture(scope="session")
def project(tmp_path_factory) -> Project:
    """The project with the base model of verl_smoke.yaml."""
    copy = copied(tmp_path_factory.mktemp("project"))
    copy.run("-m", "snakemake", "base", "--cores", "2", "--configfile", "paper_configs/verl_smoke.yaml")
    return copy


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A random policy that vLLM can sample on a CPU."""
    # imported here: it needs LAUNCH_SECONDS of this module
    from vllm_evaluations import write_policy

    return write_policy(tmp_path_factory.mktemp("random") / "model")


@pytest.fixture(scope="module")
def sampler(checkpoint):
    """It, in one vLLM engine."""
    # imported here, as above; and most tests need no vLLM
    from vllm_evaluations import SETTINGS

    from real.models.vllm_sampler import VllmSampler

    with closing(VllmSampler(str(checkpoint), SETTINGS, "cpu")) as sampler:
        yield sampler
