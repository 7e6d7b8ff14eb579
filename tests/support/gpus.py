"""A machine with GPUs, as far as nvidia-smi can tell."""

import os
import shlex
from pathlib import Path

import pytest


def list_gpus(monkeypatch: pytest.MonkeyPatch, folder: Path, *lines: str) -> None:
    """Put a program in place of nvidia-smi that prints these lines, whatever it is asked."""
    program = folder / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' {shlex.join(lines)}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
