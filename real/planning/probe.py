"""Facts about this machine that preflight.py judges, found out without CUDA, verl, vLLM or Ray."""

import math
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from real.config.paper_scale import Model
from real.models.checkpoints import CONTENT

VISIBLE_VARIABLE = "CUDA_VISIBLE_DEVICES"
RAY_SECONDS = 5
HUB_SECONDS = 10
IMPORT_SECONDS = 180
QUERY = ("index", "uuid", "name", "memory.total", "memory.free", "compute_cap")


@dataclass(frozen=True)
class Gpu:
    """One GPU as nvidia-smi describes it; memory in MiB."""

    index: str
    uuid: str
    name: str
    total: float
    free: float
    capability: float


def read_gpus() -> list[Gpu] | None:
    """All GPUs of this machine; None where nvidia-smi can't be run."""
    command = ["nvidia-smi", f"--query-gpu={','.join(QUERY)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_gpus(done.stdout)


def parse_gpus(lines: str) -> list[Gpu]:
    """The GPUs of nvidia-smi's answer, one a line; a value it doesn't know ([N/A]) is NaN, below no limit."""

    def number(text: str) -> float:
        try:
            return float(text)
        except ValueError:
            return math.nan

    rows = [[cell.strip() for cell in line.split(",")] for line in lines.splitlines() if line.strip()]
    return [
        Gpu(index, uuid, name, number(total), number(free), number(capability))
        for index, uuid, name, total, free, capability in rows
    ]


def visible(gpus: Sequence[Gpu] | None, chosen: str | None) -> list[Gpu] | None:
    """Those of the GPUs that CUDA_VISIBLE_DEVICES names, by index or by the start of a UUID.

    All where it is unset, or names MIG slices, which nvidia-smi's query doesn't list.
    """
    if gpus is None or chosen is None or "MIG-" in chosen:
        return None if gpus is None else list(gpus)
    names = [name.strip() for name in chosen.split(",") if name.strip()]
    return [gpu for gpu in gpus if any(name == gpu.index or gpu.uuid.startswith(name) for name in names)]


def read_free_bytes(folder: Path) -> int:
    """Free bytes of the disk that a folder is on, or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def read_pins(lock: Path) -> dict[str, set[str]]:
    """Versions by package that a lock file allows; empty where there is no file."""
    pins: dict[str, set[str]] = {}
    if lock.exists():
        for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\\n]+)", lock.read_text(), re.M):
            pins.setdefault(name.lower(), set()).add(version)
    return pins


def read_answers(host: str, port: int) -> bool:
    """Whether a host accepts a connection."""
    try:
        with socket.create_connection((host, port), timeout=RAY_SECONDS):
            return True
    except OSError:
        return False


def read_imports(module: str) -> str | None:
    """Why a fresh Python can't import a module, in one line; None: it can."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", f"import {module}"], capture_output=True, text=True, timeout=IMPORT_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"no end after {IMPORT_SECONDS} s"
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["no message"])[-1]


def read_hub(model: Model) -> str | None:
    """What is wrong with a hub id, with the remedy; None: its weights are cached, or the hub has this revision."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    with suppress(LocalEntryNotFoundError, OSError, ValueError):
        patterns = [f"*{suffix}" for suffix in CONTENT]
        folder = snapshot_download(model.name, revision=model.revision, allow_patterns=patterns, local_files_only=True)
        if any(Path(folder).glob("*.safetensors")):
            return None
    remedy = "check the network and the names, or download it elsewhere and name its folder in paper_configs/local.yaml"
    try:
        HfApi().model_info(model.name, revision=model.revision, timeout=HUB_SECONDS)
    except HfHubHTTPError as error:
        return f"at revision {model.revision} is refused by the Hugging Face hub ({type(error).__name__}); {remedy}"
    except Exception as error:  # the hub's client lets its HTTP library's own errors through, and has changed library
        return f"is not cached here and the Hugging Face hub can't be reached ({type(error).__name__}); {remedy}"
    return None
