"""Facts about this machine that preflight.py judges, found out without CUDA, verl, vLLM or Ray."""

import re
import shutil
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from real.config.paper_scale import Model
from real.models.checkpoints import CONTENT

RAY_SECONDS = 5
HUB_SECONDS = 10
IMPORT_SECONDS = 180


def read_free_bytes(folder: Path) -> int:
    """Free bytes of the disk that a folder is on, or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def read_pins(lock: Path) -> dict[str, set[str]]:
    """Versions by package that a lock file allows; empty where there is no file."""
    pins: dict[str, set[str]] = {}
    if lock.exists():
        for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\\n]+)", lock.read_text(encoding="utf-8"), re.M):
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
            [sys.executable, "-c", f"import {module}"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=IMPORT_SECONDS,
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
