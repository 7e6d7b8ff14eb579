"""Programs in processes of their own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT

# a command imports torch first, and some transformers; generous, because machines are shared
START_S = 120


def environment(**changes: str) -> dict[str, str]:
    """This process's variables with the interpreter's folder first on the path, and some changes."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", **changes}


def python(*arguments: str | Path, folder: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run this repository's code from any folder to its end, with what it printed."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=_ours(variables), text=True, capture_output=True)


def started(
    *arguments: str | Path, folder: Path = ROOT, variables: dict[str, str] | None = None, **options: Any
) -> subprocess.Popen[str]:
    """Start this repository's code from any folder; its input and output are pipes unless Popen's options differ."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    command, env = [sys.executable, *arguments], _ours(variables or {})
    return subprocess.Popen(command, cwd=folder, env=env, text=True, **{**pipes, **options})


def until(condition: Callable[[], Any], process: subprocess.Popen | None = None, every: float = 0.02) -> None:
    """Wait until a condition holds; a process that ends before that, or two minutes, are a failure."""
    deadline = time.monotonic() + START_S
    while not condition():
        assert process is None or process.poll() is None, "it ended too early"
        assert time.monotonic() < deadline
        time.sleep(every)


def _ours(variables: dict[str, str]) -> dict[str, str]:
    """An environment in which ``real`` is this repository's, wherever the program runs."""
    return environment(**{"PYTHONPATH": str(ROOT), **variables})
