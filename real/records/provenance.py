"""A job's record: which code, configuration and machine made its results, from what, what they are, and what it took.

Written last, by a wrapper around the job and not by the trainer, so that a folder without it is unfinished. Environment
variables are not recorded: they may hold secrets, and what matters of them is in the configuration. What a job read and
wrote stands there with its sha256, which real/records/custody.py compares.
"""

import math
import os
import platform
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from real.records.made_from import Origin
from real.system.code import git_state, output_of, versions
from real.system.files import DamagedError, read_json, signature, write_json
from real.system.gpus import Gpu, read_gpus

RECORD = "provenance.json"
# folder, below a scale's results, of the records of what is drawn, by its name
DRAWN = "provenance"
# whatever the engine, those that are installed
PACKAGES = (
    *("torch", "transformers", "tokenizers", "safetensors", "huggingface-hub", "numpy", "pandas", "pyarrow", "scipy"),
    *("pydantic", "snakemake", "math-verify", "latex2sympy2-extended", "sympy", "verl", "vllm", "ray"),
)
AS_WRITTEN = ConfigDict(extra="allow", strict=True)
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Bytes = Annotated[int, Field(ge=0)]


@with_config(AS_WRITTEN)
class Git(TypedDict):
    """State of the repository when the job began."""

    commit: str | None
    modified_files: int | None


@with_config(AS_WRITTEN)
class GpuFacts(TypedDict):
    """A GPU."""

    name: str


@with_config(AS_WRITTEN)
class Machine(TypedDict):
    """What the job ran on."""

    system: str
    processor: str | None
    cores: int | None
    memory_bytes: Bytes
    gpus: list[GpuFacts]


@with_config(AS_WRITTEN)
class EarlierCode(TypedDict):
    """Other code that did a part of the job."""

    code_digest: str
    commit: NotRequired[str]
    last_step: NotRequired[int]
    benchmarks: NotRequired[list[str]]


@with_config(AS_WRITTEN)
class Written(TypedDict):
    """A file as the job left it."""

    bytes: Bytes
    sha256: Sha256


@with_config(AS_WRITTEN)
class Record(TypedDict):
    """What is read of a provenance.json; it may hold more.

    ``read`` has the sha256 of each file that the job read: below the results by its path there, elsewhere by a path
    that begins with ``./`` (below the project) or ``/``. ``wrote`` has its files by path below :func:`place_of`. Jobs
    of earlier versions have neither, nor ``data``.
    """

    config: dict[str, Any]
    config_digest: str
    code_digest: str
    git: Git
    config_files: NotRequired[list[str]]
    command: NotRequired[list[str]]
    python: NotRequired[str]
    packages: NotRequired[dict[str, str]]
    machine: NotRequired[Machine]
    earlier_code: NotRequired[list[EarlierCode]]
    read: NotRequired[dict[str, Sha256]]
    wrote: NotRequired[dict[str, Written]]
    data: NotRequired[dict[str, dict[str, str]]]
    wall_seconds: NotRequired[Seconds]
    cpu_seconds: NotRequired[Seconds]
    cpu_seconds_children: NotRequired[Seconds]
    peak_memory_bytes: NotRequired[Bytes]


_RECORD = TypeAdapter(Record)
_read: dict[tuple[int, ...], Record] = {}


@contextmanager
def recorded(path: Path, origin: Origin, files: Sequence[str], **what: Any) -> Iterator[dict[str, Any]]:
    """Write the record ``path`` when the job in the block has succeeded.

    Args:
        files: the configuration files that were read.
        what: further facts, such as ``method`` and ``seed``.

    Yields:
        Facts that the job learns on its way and adds, such as ``earlier_code``, ``read`` and ``wrote``; None and an
        empty list are left out.
    """
    # before the job: the code may be edited meanwhile
    started, git, identity = time.time(), git_state(), origin.identity
    learnt: dict[str, Any] = {}
    yield learnt
    found = {name: fact for name, fact in learnt.items() if fact not in (None, [])}
    facts = {"config_files": list(files), **what, **identity, "git": git, **this_process(), **_taken(started), **found}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {**facts, "config": origin.settings})


def read_record(path: Path) -> Record:
    """A record, with what it holds checked, and read once per process.

    Raises:
        FileNotFoundError: no such file.
        DamagedError: a key is missing or of another kind.
    """
    key = signature(path) if path.exists() else None
    if key in _read:
        return _read[key]
    remedy = f"delete {'it' if path.parent.name == DRAWN else 'its folder'} and run snakemake again"
    content = read_json(path, keys=("config", "config_digest", "code_digest", "git"), remedy=remedy)
    try:
        record = _RECORD.validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DamagedError(f"{path}: {where} is no such value as a job writes ({first['msg']}); {remedy}") from None
    if key is not None:
        _read[key] = record
    return record


def place_of(record: Path) -> Path:
    """The folder that names in ``wrote`` of a record are relative to."""
    return record.parent.parent if record.parent.name == DRAWN else record.parent


def this_process() -> dict[str, Any]:
    """``command``, ``python``, ``packages`` and ``machine``, as provenance.json has them."""
    return {
        "command": ["python", "-m", "real", *sys.argv[1:]],
        "python": platform.python_version(),
        "packages": versions(*PACKAGES),
        "machine": {
            "system": platform.platform(),
            "architecture": platform.machine(),
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
            "gpus": [_recorded_gpu(gpu) for gpu in read_gpus() or []],
        },
    }


def _recorded_gpu(gpu: Gpu) -> dict[str, str]:
    memory = "" if math.isnan(gpu.total) else f"{gpu.total:.0f} MiB"
    return {"name": gpu.name, "memory": memory, "driver": gpu.driver}


def _taken(started: float) -> dict[str, Any]:
    """Seconds and memory of this process, and of those of its children that have ended.

    Linux counts a child from its fork, so its memory is at least this process's at that moment.
    """
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
    return {
        "wall_seconds": round(time.time() - started, 1),
        "cpu_seconds": round(own.ru_utime + own.ru_stime, 1),
        "cpu_seconds_children": round(children.ru_utime + children.ru_stime, 1),
        "peak_memory_bytes": own.ru_maxrss * unit,
        "peak_memory_bytes_largest_child": children.ru_maxrss * unit,
    }


def _processor() -> str | None:
    """Model name of the processor: Linux, then macOS."""
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        text = facts.read_text(encoding="utf-8", errors="replace")
        names = [line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line]
        return names[0] if names else None
    return (output_of("sysctl", "-n", "machdep.cpu.brand_string") or "").strip() or None
