"""During a real run nothing listens where another machine could connect: Ray and vLLM take orders from whoever asks.

Nor is a secret of the environment, which all its processes inherit, written anywhere.
"""

import ipaddress
import subprocess
import tempfile
import time
from pathlib import Path

import psutil
import pytest
from conftest import LAUNCH_SECONDS, end, of_session
from test_end_to_end import SCALE, overlay, train

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


def test_training_listens_on_loopback_alone_and_writes_no_secret(project, monkeypatch):
    """Two ranks, so that they, too, must meet; what Ray writes besides results is searched as well."""
    for variable in ("WANDB_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, SECRET)
    changes = {"training": {"steps": 1, "gradient_sample_steps": [1]}, "cluster": {"gpus_per_node": 2}}
    config, results = overlay(project, "loopback", changes)
    log = project.folder / "loopback.log"
    # short: Ray's sockets lie below, and a socket's path has at most 107 characters
    with tempfile.TemporaryDirectory(prefix="ray") as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        seen = watch(project.start(*train(config, "real"), log=log), log)
        written = [path for place in (results, Path(folder)) for path in place.rglob("*") if path.is_file()]
        assert {"provenance.json", "metrics.jsonl", "gcs_server.out", "raylet.out"} <= {path.name for path in written}
        assert [path for path in [*written, log] if SECRET.encode() in path.read_bytes()] == []
    names = set(seen.values())
    assert {"gcs_server", "raylet"} <= names, "Ray's own servers were watched"
    assert any(name.startswith("ray::") for name in names), "verl's workers were watched"
    assert elsewhere(seen) == []


@pytest.mark.parametrize("engines", ["1", "2"])
def test_evaluation_by_vllm_listens_on_loopback_alone(project, tmp_path, engines):
    log = tmp_path / "log.txt"
    model = project.folder / "results" / "verl_smoke" / "base" / "model"
    asked = ["--sampler", "vllm", "--gpus", engines, "--model", str(model), "--output", str(tmp_path / "out")]
    seen = watch(project.start("-m", "real", "evaluate", "--config", SCALE, *asked, log=log), log)
    assert seen, "vLLM's engines meet their client at a socket"
    assert elsewhere(seen) == []
