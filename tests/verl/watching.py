"""At which sockets the processes of a command listen: Ray and vLLM take orders from whoever can connect."""

import ipaddress
import subprocess
import time
from pathlib import Path

import psutil
from conftest import LAUNCH_SECONDS, end, left_behind, of_session

POLL_SECONDS = 0.25
# (address, port) -> the job and the name of the process
Sockets = dict[tuple[str, str], str]


def watch(started: subprocess.Popen, log: Path, timeout: int = LAUNCH_SECONDS) -> Sockets:
    """The listening sockets of a command's processes until it ends; it must succeed and leave no process behind."""
    seen: Sockets = {}
    deadline = time.monotonic() + timeout
    try:
        while started.poll() is None:
            assert time.monotonic() < deadline, log.read_text(encoding="utf-8")[-4000:]
            for process in of_session(started.pid):
                for socket in listeners(process):
                    if socket not in seen:
                        seen[socket] = described(process)
            time.sleep(POLL_SECONDS)
        assert left_behind(started) == []
    finally:
        end(started)
    assert started.returncode == 0, log.read_text(encoding="utf-8")[-4000:]
    return seen


def listeners(process: psutil.Process) -> set[tuple[str, str]]:
    """(address, port) of the TCP sockets on which a process listens; empty once it has ended."""
    try:
        found = process.net_connections(kind="tcp")
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return set()
    return {(found.laddr.ip, str(found.laddr.port)) for found in found if found.status == psutil.CONN_LISTEN}


def described(process: psutil.Process) -> str:
    """``train: raylet``: the verb of the `python -m real` that a process belongs to, and its name."""
    try:
        commands = [one.cmdline() for one in (process, *process.parents())]
        verbs = [words[words.index("real") + 1] for words in commands if "real" in words[:-1]]
        return f"{verbs[0] if verbs else '?'}: {process.name()}"
    except psutil.NoSuchProcess:
        return "?: ?"


def elsewhere(seen: Sockets) -> list[str]:
    """The sockets that are not on loopback."""
    return [
        f"{name} on {address}:{port}"
        for (address, port), name in sorted(seen.items())
        # an IPv6 socket may hold an IPv4 address
        if not ipaddress.ip_address(address.removeprefix("::ffff:")).is_loopback
    ]
