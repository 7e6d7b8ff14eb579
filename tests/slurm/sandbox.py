"""A real SLURM of one node, for tests: Debian's daemons with a configuration, a key and a state of their own.

Everything lies in one folder, which SLURM_CONF names, and ends with it. Where a SLURM is configured or runs, none is
started. The node pretends to have more cores, memory and GPUs than the machine (``config_overrides``; the GPUs are
device files that every machine has), so that jobs of any scale are granted what they ask for. There is no accounting
and no cgroup: memory is reserved, not enforced.
"""

import getpass
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.support.paths import ROOT

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol")
CONFIGURED = ("/etc/slurm/slurm.conf", "/etc/slurm-llnl/slurm.conf")
PLUGIN = ROOT / ".venv-slurm"
DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "console")
CORES, MEMORY_MB = 64, 600_000
START_S, ANSWER_S = 60, 30
CONFIGURATION = """\
ClusterName=sandbox
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
MinJobAge=86400
GresTypes=gpu
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName=node NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory} Gres=gpu:{gpus} State=UNKNOWN
PartitionName=main Nodes=node Default=YES MaxTime=INFINITE State=UP
"""
# the plug-in takes every SLURM_ variable but a few from the environment of its srun, and SLURM_CONF with them
SRUN = '#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {srun} "$@"\n'


def absent() -> str | None:
    """Why no sandbox can be started here; None: it can."""
    programs = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])
    if lacking := [name for name in PROGRAMS if shutil.which(name, path=programs) is None]:
        return f"no SLURM to start: {', '.join(lacking)} not found (Debian: apt-get install slurm-wlm munge)"
    if not PLUGIN.exists():
        return "Snakemake's plug-in for SLURM is not installed: `make slurm-plugin`"
    there = [path for path in CONFIGURED if Path(path).exists()]
    there += [f"SLURM_CONF={os.environ['SLURM_CONF']}"] if "SLURM_CONF" in os.environ else []
    there += [f"{one.name()} (pid {one.pid})" for one in psutil.process_iter() if one.name() in ("slurmctld", "slurmd")]
    return f"a SLURM of this machine's own is not touched: {', '.join(there)}" if there else None


class Sandbox:
    """It, started at once.

    Attributes:
        variables: for processes that are to use it.
    """

    def __init__(self) -> None:
        # short: a socket's path has at most 107 characters
        self.folder = Path(tempfile.mkdtemp(prefix="real-slurm-"))
        self.folder.chmod(0o755)
        self.daemons: list[subprocess.Popen[str]] = []
        path = [str(self.folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin", "/sbin"]
        self.variables = {
            "SLURM_CONF": str(self.folder / "slurm.conf"),
            "PATH": os.pathsep.join(path),
            "PYTHONPATH": str(PLUGIN),
        }
        try:
            self._write()
            self._start()
        except BaseException:
            self.stop()
            raise

    def run(self, *command: str) -> str:
        """What a command of SLURM's prints."""
        environment = {**os.environ, **self.variables}
        done = subprocess.run(command, env=environment, text=True, capture_output=True, timeout=ANSWER_S)
        assert done.returncode == 0, f"{command}: {done.stderr}\n{self.logs()}"
        return done.stdout

    def jobs(self) -> dict[str, dict[str, str]]:
        """Every job by its number: what ``scontrol show job`` says of it, by field."""
        shown = self.run("scontrol", "--details", "--oneliner", "show", "job")
        lines = [line for line in shown.splitlines() if "=" in line]
        found = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]
        return {job["JobId"]: job for job in found}

    def logs(self) -> str:
        """The last lines of every daemon."""
        return "\n".join("\n".join(path.read_text().splitlines()[-20:]) for path in sorted(self.folder.glob("*.log")))

    def stop(self) -> None:
        """End its jobs, its daemons and its folder."""
        if len(self.daemons) == 3 and self.daemons[1].poll() is None:
            for job, about in self.jobs().items():
                if about["JobState"] in ("PENDING", "RUNNING"):
                    self.run("scancel", job)
            _wait(lambda: not self.run("squeue", "--noheader").strip(), "its jobs end")
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(START_S)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        shutil.rmtree(self.folder)

    def _write(self) -> None:
        for name in ("bin", "state", "spool"):
            (self.folder / name).mkdir()
        controller, node = _free_ports(2)
        configuration = CONFIGURATION.format(
            folder=self.folder,
            host=socket.gethostname().partition(".")[0],
            controller_port=controller,
            node_port=node,
            user=getpass.getuser(),
            cores=CORES,
            memory=MEMORY_MB,
            gpus=len(DEVICES),
        )
        (self.folder / "slurm.conf").write_text(configuration)
        gpus = [f"NodeName=node Name=gpu File=/dev/{name}\n" for name in DEVICES]
        (self.folder / "gres.conf").write_text("".join(gpus))
        key, srun = self.folder / "munge.key", self.folder / "bin" / "srun"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        srun.write_text(SRUN.format(folder=self.folder, srun=shutil.which("srun")))
        srun.chmod(0o755)

    def _start(self) -> None:
        own = [f"--{name}-file={self.folder}/munge.{name}" for name in ("key", "pid", "seed")]
        self._daemon("munged", "--foreground", "--force", f"--socket={self.folder}/munge.socket", *own)
        _wait((self.folder / "munge.socket").exists, "munged starts", self.logs)
        self._daemon("slurmctld", "-D")
        self._daemon("slurmd", "-D", "-N", "node")
        _wait(self._is_up, "the node comes up", self.logs)

    def _is_up(self) -> bool:
        command, environment = ["sinfo", "--noheader", "--format=%T"], {**os.environ, **self.variables}
        done = subprocess.run(command, env=environment, text=True, capture_output=True, timeout=ANSWER_S)
        return done.stdout.strip() == "idle"

    def _daemon(self, *command: str) -> None:
        with (self.folder / f"{command[0]}.log").open("w") as log:
            environment = {**os.environ, **self.variables}
            self.daemons.append(
                subprocess.Popen(command, env=environment, text=True, stdout=log, stderr=log, start_new_session=True)
            )


def _wait(condition: Callable[[], object], what: str, logs: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + START_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}\n{logs()}"
        time.sleep(0.2)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
