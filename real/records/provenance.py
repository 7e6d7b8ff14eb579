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
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from real.records.made_from import Origin
from real.system.code import git_state, output_of, versions
from real.system.files import DamagedError, read_json, read_once, write_json
from real.system.gpus import Gpu, read_gpus
from real.system.portable import PORTABLE, not_portable_because

RECORD = "provenance.json"
# folder, below a scale's results, of the records of what is drawn, by its name
DRAWN = "provenance"
# whatever the engine, those that are installed
PACKAGES = (
    *("torch", "transformers", "tokenizers", "safetensors", "huggingface-hub", "numpy", "pandas", "pyarrow", "scipy"),
    *("pydantic", "snakemake", "math-verify", "latex2sympy2-extended", "sympy", "verl", "vllm", "ray"),
)
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Bytes = Annotated[int, Field(ge=0)]
_MAY_LACK: Any = None


# the content of a record, as its file has it; docs/metrics.md has the keys
Record = dict[str, Any]


class _Checked(BaseModel):
    """What readers rely on; what a job of an earlier version didn't record may be left out, and more may be there."""

    model_config = ConfigDict(extra="allow", strict=True)


class _Git(_Checked):
    commit: str | None
    modified_files: int | None


class _Gpu(_Checked):
    name: str


class _Machine(_Checked):
    system: str
    processor: str | None
    arithmetic: str = _MAY_LACK
    cores: int | None
    memory_bytes: Bytes
    gpus: list[_Gpu]


class _EarlierCode(_Checked):
    code_digest: str
    commit: str = _MAY_LACK
    last_step: int = _MAY_LACK
    benchmarks: list[str] = _MAY_LACK


class _Kernels(_Checked):
    step: int
    attention: str
    head: str
    micro_batch_tokens: int | None
    passed_over: list[str]


class _Written(_Checked):
    bytes: Bytes
    sha256: Sha256


class _Forward(_Checked):
    forward: Literal["lean", "library"]
    largest_difference: float | None
    library: str
    config_sha256: Sha256


class _Record(_Checked):
    config: dict[str, Any]
    config_digest: str
    code_digest: str
    git: _Git
    config_files: list[str] = _MAY_LACK
    command: list[str] = _MAY_LACK
    python: str = _MAY_LACK
    packages: dict[str, str] = _MAY_LACK
    machine: _Machine = _MAY_LACK
    earlier_code: list[_EarlierCode] = _MAY_LACK
    forward: _Forward = _MAY_LACK
    kernels: list[_Kernels] = _MAY_LACK
    read: dict[str, Sha256] = _MAY_LACK
    wrote: dict[str, _Written] = _MAY_LACK
    data: dict[str, dict[str, str]] = _MAY_LACK
    wall_seconds: Seconds = _MAY_LACK
    cpu_seconds: Seconds = _MAY_LACK
    cpu_seconds_children: Seconds = _MAY_LACK
    peak_memory_bytes: Bytes = _MAY_LACK


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


@read_once
def read_record(path: Path) -> Record:
    """A record, with what it holds checked.

    Raises:
        FileNotFoundError: no such file.
        DamagedError: a key is missing or of another kind.
    """
    remedy = f"delete {'it' if path.parent.name == DRAWN else 'its folder'} and run snakemake again"
    content = read_json(path, keys=("config", "config_digest", "code_digest", "git"), remedy=remedy)
    try:
        _Record.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DamagedError(f"{path}: {where} is no such value as a job writes ({first['msg']}); {remedy}") from None
    return content


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
            "arithmetic": not_portable_because() or PORTABLE,
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
