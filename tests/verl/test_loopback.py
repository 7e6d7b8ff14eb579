"""During a real run nothing listens where another machine could connect: Ray and vLLM take orders from whoever asks."""

import ipaddress
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from conftest import LAUNCH_SECONDS, end, of_session
from test_end_to_end import SCALE, overlay, train

POLL_SECONDS = 0.25


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


def test_training_listens_on_loopback_alone(project):
    """Two ranks, so that they, too, must meet."""
    changes = {"training": {"steps": 1, "gradient_sample_steps": [1]}, "cluster": {"gpus_per_node": 2}}
    config, _ = overlay(project, "loopback", changes)
    log = project.folder / "loopback.log"
    seen = watch(project.start(*train(config, "real"), log=log), log)
    print(sorted((*socket, name) for socket, name in seen.items()))
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
    print(sorted((*socket, name) for socket, name in seen.items()))
    assert seen, "vLLM's engines meet their client at a socket"
    assert elsewhere(seen) == []
