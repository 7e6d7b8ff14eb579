"""A job's ``provenance.json``: which code, configuration and machine made the results beside it, and what it took.

Written last, by a wrapper around the job and not by the trainer, so that a folder without it is unfinished. Environment
variables are not recorded: they may hold secrets, and what matters of them is in the configuration.
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
from typing import Any

from real.records.made_from import Origin
from real.system.code import git_state, output_of, versions
from real.system.files import write_json
from real.system.gpus import Gpu, read_gpus

RECORD = "provenance.json"
# whatever the engine, those that are installed
PACKAGES = (
    *("torch", "transformers", "tokenizers", "safetensors", "huggingface-hub", "numpy", "pandas", "pyarrow", "scipy"),
    *("pydantic", "snakemake", "math-verify", "latex2sympy2-extended", "sympy", "verl", "vllm", "ray"),
)


@contextmanager
def recorded(
    folder: Path, origin: Origin, files: Sequence[str], **what: Any
) -> Iterator[dict[str, list[dict[str, Any]]]]:
    """Write ``folder/provenance.json`` when the job in the block has succeeded.

    Args:
        files: the configuration files that were read.
        what: further facts, such as ``method`` and ``seed``.

    Yields:
        Facts that the job learns on its way and adds, such as ``earlier_code``; what stays empty is left out.
    """
    # before the job: the code may be edited meanwhile
    started, git, identity = time.time(), git_state(), origin.identity
    learnt: dict[str, list[dict[str, Any]]] = {}
    yield learnt
    taken = _taken(started)
    found = {name: fact for name, fact in learnt.items() if fact}
    facts = {"config_files": list(files), **what, **identity, **found, "git": git, **this_process(), **taken}
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / RECORD, {**facts, "config": origin.settings})


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
