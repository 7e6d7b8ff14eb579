"""GPUs of this machine, each leased to one job by a file lock, so that single-GPU jobs side by side don't share one.

    with lease(1):                  # sets CUDA_VISIBLE_DEVICES; before anything initialises CUDA
        train(...)

A lock is released when its process ends, however it ends. Nothing here initialises CUDA in the calling process: from
then on it would no longer see a change of CUDA_VISIBLE_DEVICES.
"""

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from filelock import FileLock

from real.system.errors import ExpectedError
from real.system.locks import HeldError, exclusive

VISIBLE = "CUDA_VISIBLE_DEVICES"
# what stands in the variable where no GPU may be used; CUDA reads no further either
NONE = ("", "-1", "NoDevFiles")


class GpuError(ExpectedError):
    """Fewer GPUs are there, or free, than a job asks for; the message names the holders."""


@dataclass(frozen=True)
class Gpu:
    """One GPU.

    Attributes:
        id: its name in CUDA_VISIBLE_DEVICES.
        key: its UUID where nvidia-smi tells it. A container or a scheduler may give the same ``id`` to different GPUs,
            but not the same key.
    """

    id: str
    key: str


@contextmanager
def lease(count: int) -> Iterator[list[str]]:
    """Hold ``count`` GPUs of this machine and make them the only ones this process sees; the ids in use.

    Where CUDA_VISIBLE_DEVICES is set already, only its GPUs are considered; if it names exactly ``count``, whoever set
    it has shared the GPUs out, and they are used as they are.

    Raises:
        GpuError: fewer are visible, or free.
    """
    given, gpus = os.environ.get(VISIBLE), visible()
    with claim(gpus, count, _folder(), assigned=given is not None and len(gpus) == count) as ids:
        # CUDA's own numbering is not nvidia-smi's where the GPUs differ
        order = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"} if given is None else {}
        with _environment({VISIBLE: ",".join(ids), **order}):
            yield ids


@contextmanager
def claim(gpus: Sequence[Gpu], count: int, folder: Path, assigned: bool = False) -> Iterator[list[str]]:
    """Lock ``count`` of ``gpus`` by files in ``folder``; their ids.

    Args:
        assigned: take all of them, whether or not another process holds one; those that are free are locked, so that
            jobs without an assignment keep away.

    Raises:
        GpuError: fewer are given, or free; or ``folder`` is not this user's own.
    """
    if len(gpus) < count:
        seen = f"only {len(gpus)} can be seen" if gpus else "none can be seen"
        raise GpuError(
            f"{_gpus(count)} asked for, but {seen} here (nvidia-smi, torch, {VISIBLE}={os.environ.get(VISIBLE)}); ask "
            "for fewer, set the device to cpu, or start the job where there are enough"
        )
    _make_private(folder)
    taken: list[str] = []
    holders: list[str] = []
    with ExitStack() as held:
        # one job at a time chooses: two that want two GPUs each must not end up with one each
        with FileLock(folder / "choosing.lock"):
            for gpu in gpus:
                if len(taken) == count:
                    break
                try:
                    held.enter_context(exclusive(folder / gpu.key.replace("/", "_")))
                    taken.append(gpu.id)
                except HeldError as error:
                    holders.append(f"GPU {gpu.id} by process {error.pid}")
        if len(taken) < count and not assigned:
            raise GpuError(
                f"{_gpus(count)} asked for, but {len(taken)} of {len(gpus)} free: {', '.join(holders)}; wait for these "
                f"processes to finish, or run fewer jobs at once (snakemake --resources gpu={len(gpus)})"
            )
        yield [gpu.id for gpu in gpus] if assigned else taken


def visible() -> list[Gpu]:
    """The GPUs that this process may use: those of CUDA_VISIBLE_DEVICES, or all of the machine."""
    found, given = _installed(), os.environ.get(VISIBLE)
    if given is None:
        return found
    keys = {name: gpu.key for gpu in found for name in (gpu.id, gpu.key)}
    names = takewhile(lambda name: name not in NONE, (part.strip() for part in given.split(",")))
    return [Gpu(name, keys.get(name, name)) for name in names]


def _installed() -> list[Gpu]:
    """All GPUs of the machine, by nvidia-smi, else by torch."""
    try:
        command = ["nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader"]
        lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
        return [Gpu(*(part.strip() for part in line.split(","))) for line in lines]
    except (OSError, subprocess.SubprocessError):
        # in a process of its own, because torch may initialise CUDA to count
        count = "import torch; print(torch.cuda.device_count())"
        with _environment({VISIBLE: None}):
            done = subprocess.run([sys.executable, "-c", count], capture_output=True, text=True, check=True)
        return [Gpu(str(i), str(i)) for i in range(int(done.stdout))]


def _folder() -> Path:
    return Path(tempfile.gettempdir(), f"real-gpus-{os.getuid()}")


def _make_private(folder: Path) -> None:
    """Make the folder, in which nobody else can place a link that a lock would be written through.

    Raises:
        GpuError: it is there, and isn't a folder that this user alone can write to.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise GpuError(
            f"{folder}: is no folder that this user alone can write to, so its locks can't be trusted; have it "
            "removed, or set TMPDIR to a folder of your own"
        )


@contextmanager
def _environment(changes: Mapping[str, str | None]) -> Iterator[None]:
    """Environment variables set (None: unset), and put back at the end."""
    before = {name: os.environ.get(name) for name in changes}
    _set(changes)
    try:
        yield
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


def _gpus(count: int) -> str:
    return "1 GPU is" if count == 1 else f"{count} GPUs are"
