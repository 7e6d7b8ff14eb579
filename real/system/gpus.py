"""GPUs of this machine: what nvidia-smi says of them, which of them this process may use, and leases of them.

    with lease(1):                  # sets CUDA_VISIBLE_DEVICES; before anything initialises CUDA
        train(...)

A lease is a file lock per GPU, so that jobs side by side don't share one; it is released when its process ends, however
it ends. Nothing here initialises CUDA in the calling process: from then on it would no longer see a change of
CUDA_VISIBLE_DEVICES.
"""

import math
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from real.system.code import output_of
from real.system.errors import ExpectedError
from real.system.locks import HeldError, exclusive

VISIBLE = "CUDA_VISIBLE_DEVICES"
# CUDA's own numbering is another than nvidia-smi's where the GPUs differ, unless it is told to use the same
ORDER = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
QUERY = ("index", "uuid", "name", "memory.total", "memory.free", "compute_cap", "driver_version")
# the same facts by torch, as far as it knows them
TORCH_QUERY = """
import torch
for index in range(torch.cuda.device_count()):
    gpu = torch.cuda.get_device_properties(index)
    print(index, f"GPU-{gpu.uuid}", gpu.name, gpu.total_memory // 2**20, "", f"{gpu.major}.{gpu.minor}", "", sep=", ")
"""


class GpuError(ExpectedError):
    """Fewer GPUs are there, or free, than a job asks for; the message names the holders."""


@dataclass(frozen=True)
class Gpu:
    """One GPU; what is unknown is NaN, below no limit, or empty.

    Attributes:
        index: nvidia-smi's number. A container or a scheduler may give different GPUs the same, but not the same UUID.
        uuid: of a MIG slice its name, which is all that is known of it.
        total: memory, in MiB.
        free: of it, in MiB.
        capability: compute capability.
        driver: its version.
    """

    index: str
    uuid: str = ""
    name: str = ""
    total: float = math.nan
    free: float = math.nan
    capability: float = math.nan
    driver: str = ""


def read_gpus() -> list[Gpu] | None:
    """All GPUs of this machine by nvidia-smi; None where it can't be run."""
    answer = output_of("nvidia-smi", f"--query-gpu={','.join(QUERY)}", "--format=csv,noheader,nounits")
    return None if answer is None else _parsed(answer)


def installed() -> list[Gpu] | None:
    """All GPUs of this machine, by nvidia-smi, else by torch; None where there is no driver."""
    found = read_gpus()
    if found is not None:
        return found
    # in a process of its own, because torch may initialise CUDA to count
    with _environment({VISIBLE: None, **ORDER}):
        done = subprocess.run([sys.executable, "-c", TORCH_QUERY], capture_output=True, encoding="utf-8", check=True)
    return _parsed(done.stdout) or None


def visible() -> list[Gpu]:
    """The GPUs that this process may use: those of CUDA_VISIBLE_DEVICES, or all of the machine."""
    return visible_of(installed() or [], os.environ.get(VISIBLE))


def visible_of(gpus: Sequence[Gpu], chosen: str | None) -> list[Gpu]:
    """Those of ``gpus`` that CUDA would show under a value of CUDA_VISIBLE_DEVICES, in its order.

    It names them by index, by UUID or the beginning of one, or by MIG slice, and doesn't mix these. CUDA reads no
    further than the first name of no GPU, such as -1, or of several, and shows none if one is named twice
    (torch.cuda._parse_visible_devices reads the variable so, without asking CUDA).

    Args:
        chosen: the value; None: unset, which shows all.
    """
    if chosen is None:
        return list(gpus)
    names, found = _names(chosen), dict[str, Gpu]()
    for name in names:
        gpu = _named(name, gpus)
        if gpu is None or _kind(name) != _kind(names[0]):
            break
        if gpu.index in found:
            return []
        found[gpu.index] = gpu
    return list(found.values())


@contextmanager
def lease(count: int) -> Iterator[list[str]]:
    """Hold ``count`` GPUs of this machine and make them the only ones this process sees; their names in the variable.

    Where CUDA_VISIBLE_DEVICES is set already, only its GPUs are considered, under the names that it has for them; if it
    names exactly ``count``, whoever set it has shared the GPUs out, and they are used as they are.

    Raises:
        GpuError: fewer are visible, or free.
    """
    given, gpus = os.environ.get(VISIBLE), visible()
    names = [gpu.index for gpu in gpus] if given is None else _names(given)
    with claim(gpus, count, _folder(), assigned=given is not None and len(gpus) == count) as taken:
        ids = [name for name, gpu in zip(names, gpus, strict=False) if gpu in taken]
        with _environment({VISIBLE: ",".join(ids), **ORDER}):
            yield ids


@contextmanager
def claim(gpus: Sequence[Gpu], count: int, folder: Path, assigned: bool = False) -> Iterator[list[Gpu]]:
    """Lock ``count`` of ``gpus``, by files in ``folder`` that bear their UUIDs; those taken.

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
    taken: list[Gpu] = []
    holders: list[str] = []
    with ExitStack() as held:
        # one job at a time chooses: two that want two GPUs each must not end up with one each
        with FileLock(folder / "choosing.lock"):
            for gpu in gpus:
                if len(taken) == count:
                    break
                try:
                    held.enter_context(exclusive(folder / (gpu.uuid or gpu.index).replace("/", "_")))
                    taken.append(gpu)
                except HeldError as error:
                    holders.append(f"GPU {gpu.index} by process {error.pid}")
        if len(taken) < count and not assigned:
            raise GpuError(
                f"{_gpus(count)} asked for, but {len(taken)} of {len(gpus)} free: {', '.join(holders)}; wait for these "
                f"processes to finish, or run fewer jobs at once (snakemake --resources gpu={len(gpus)})"
            )
        yield list(gpus) if assigned else taken


def _parsed(lines: str) -> list[Gpu]:
    """The GPUs of an answer to the query, one a line; other lines, as where there are none, say nothing of a GPU."""
    rows = [[cell.strip() for cell in line.split(",")] for line in lines.splitlines()]
    return [
        Gpu(index, uuid, _text(name), _number(total), _number(free), _number(capability), _text(driver))
        for index, uuid, name, total, free, capability, driver in (row for row in rows if len(row) == len(QUERY))
    ]


def _text(cell: str) -> str:
    """Empty for [N/A] and its like."""
    return "" if cell.startswith("[") else cell


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


def _names(chosen: str) -> list[str]:
    return [name.strip() for name in chosen.split(",")]


def _kind(name: str) -> str:
    """How a GPU is named: by "GPU-…", by "MIG-…", or by a number."""
    return name[:4] if name.startswith(("GPU-", "MIG-")) else ""


def _named(name: str, gpus: Sequence[Gpu]) -> Gpu | None:
    """The one GPU that a name stands for; None: there is none, or several."""
    if _kind(name) == "MIG-":
        return Gpu(index=name, uuid=name)
    if _kind(name) == "GPU-":
        found = [gpu for gpu in gpus if gpu.uuid.startswith(name)]
    else:
        found = [gpu for gpu in gpus if name.isdecimal() and gpu.index == str(int(name))]
    return found[0] if len(found) == 1 else None


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
