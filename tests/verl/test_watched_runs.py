"""Real runs, watched: nothing listens where another machine could connect; Ray and vLLM take orders from whoever asks.

Nor is a secret of the environment, which all their processes inherit, written anywhere.
"""

import ipaddress
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import psutil
import pytest
from conftest import LAUNCH_SECONDS, end, left_behind, of_session
from launches import SCALE, lines, overlay, train

from real.engines.torch.policy import load_checkpoint

POLL_SECONDS = 0.25
SECRET = "s3cr3t-0f-th1s-t3st"


def listeners(process: psutil.Process) -> set[tuple[str, str]]:
    """(address, port) of the TCP sockets on which a process listens; empty once it has ended."""
    try:
        found = process.net_connections(kind="tcp")
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return set()
    return {(found.laddr.ip, str(found.laddr.port)) for found in found if found.status == psutil.CONN_LISTEN}


def watch(started: subprocess.Popen, log: Path) -> dict[tuple[str, str], str]:
    """(address, port) -> name of the process, of every listening socket of a command's processes until it ends."""
    seen: dict[tuple[str, str], str] = {}
    deadline = time.monotonic() + LAUNCH_SECONDS
    try:
        while started.poll() is None:
            assert time.monotonic() < deadline, log.read_text()[-4000:]
            for process in of_session(started.pid):
                for socket in listeners(process):
                    seen.setdefault(socket, name(process))
            time.sleep(POLL_SECONDS)
        assert left_behind(started) == []
    finally:
        end(started)
    assert started.returncode == 0, log.read_text()[-4000:]
    return seen


def name(process: psutil.Process) -> str:
    try:
        return process.name() or "?"
    except psutil.NoSuchProcess:
        return "?"


def elsewhere(seen: dict[tuple[str, str], str]) -> list[str]:
    """The sockets that are not on loopback."""
    return [
        f"{name} on {address}:{port}"
        for (address, port), name in sorted(seen.items())
        # an IPv6 socket may hold an IPv4 address
        if not ipaddress.ip_address(address.removeprefix("::ffff:")).is_loopback
    ]


@dataclass(frozen=True)
class Watched:
    """One training on two ranks: the sockets it listened at, its log and results, and the files of Ray and these."""

    seen: dict[tuple[str, str], str]
    log: Path
    output: Path
    written: dict[Path, bytes]


@pytest.fixture(scope="module")
def trained(project) -> Watched:
    """Two ranks, so that they, too, must meet; what Ray writes besides results is kept as well."""
    changes = {"training": {"steps": 1, "gradient_sample_steps": [1]}, "cluster": {"gpus_per_node": 2}}
    config, results = overlay(project, "two_ranks", changes)
    log = project.folder / "two_ranks.log"
    # short: Ray's sockets lie below, and a socket's path has at most 107 characters
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="ray") as folder:
        for variable in ("WANDB_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(variable, SECRET)
        patch.setenv("RAY_TMPDIR", folder)
        seen = watch(project.start(*train(config, "real"), log=log), log)
        files = [path for place in (results, Path(folder)) for path in place.rglob("*") if path.is_file()]
        written = {path: path.read_bytes() for path in files}
    return Watched(seen, log, results / "runs" / "real" / "seed0", written)


def test_two_ranks_train_together(trained):
    """Two FSDP2 ranks and two vLLM replicas: groups stay whole in a mini-batch and are spread over the ranks."""
    line = lines(trained.output)[-1]
    assert (line["step"], line["prompts"]) == (1, 8)
    assert line["grad_norm"] > 0
    assert len(pd.read_parquet(trained.output / "gradient_samples.parquet")) == 64
    load_checkpoint(trained.output / "model", "cpu")


def test_training_writes_no_secret(trained):
    names = {path.name for path in trained.written}
    assert {"provenance.json", "metrics.jsonl", "gcs_server.out", "raylet.out"} <= names
    assert SECRET not in trained.log.read_text()
    assert [path for path, content in trained.written.items() if SECRET.encode() in content] == []


def test_training_listens_on_loopback_alone(trained):
    names = set(trained.seen.values())
    assert {"gcs_server", "raylet"} <= names, "Ray's own servers were watched"
    assert any(name.startswith("ray::") for name in names), "verl's workers were watched"
    assert elsewhere(trained.seen) == []


@pytest.mark.parametrize("engines", ["1", "2"])
def test_evaluation_by_vllm_listens_on_loopback_alone(project, tmp_path, engines):
    log = tmp_path / "log.txt"
    model = project.folder / "results" / "verl_smoke" / "base" / "model"
    asked = ["--sampler", "vllm", "--gpus", engines, "--model", str(model), "--output", str(tmp_path / "out")]
    seen = watch(project.start("-m", "real", "evaluate", "--config", SCALE, *asked, log=log), log)
    assert seen, "vLLM's engines meet their client at a socket"
    assert elsewhere(seen) == []
