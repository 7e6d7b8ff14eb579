"""Which code, configuration and machine made a result."""

import ast
import hashlib
import importlib.metadata
import json
import os
import platform
import resource
import subprocess
import sys
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OWN_PACKAGES = ("real", "figures")
PACKAGES = ("torch", "transformers", "numpy", "pandas", "snakemake")


def code_digest(*modules: str) -> str:
    """Short sha256 of the named modules and of every module of this repository they import, however indirectly.

    Comments and layout don't count: the digest is of the syntax tree. Nor does an import inside a function (the config
    validates by the objectives without depending on them). A rule carries the digest as a param, so that an edit reruns
    what depends on the edited module and nothing else.

    Args:
        modules: dotted names, such as ``real.torch_engine.train``; a package stands for all its modules.

    Raises:
        FileNotFoundError: a name that is no module.
    """
    reached: set[Path] = set()
    pending = [path for module in modules for path in _module_files(module)]
    while pending:
        path = pending.pop()
        if path not in reached:
            reached.add(path)
            pending += _imports(path)
    trees = {str(path.relative_to(ROOT)): _tree(path) for path in reached}
    return hashlib.sha256(json.dumps(trees, sort_keys=True).encode()).hexdigest()[:16]


def describe(started: float, **what: Any) -> dict[str, Any]:
    """Provenance of a job: commit, command, versions, machine, seconds since ``started`` (time.time()), peak memory."""
    git = {
        "commit": _git("rev-parse", "HEAD"),
        "modified_files": len((_git("status", "--porcelain") or "").splitlines()),
    }
    usage = resource.getrusage(resource.RUSAGE_SELF)
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {
        **what,
        "git": git,
        "command": ["python", "-m", "real", *sys.argv[1:]],
        "python": platform.python_version(),
        "packages": versions(*PACKAGES),
        "machine": {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()},
        "wall_seconds": round(time.time() - started, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_memory_bytes": peak,
    }


def commit() -> str:
    """The checked-out commit, marked where files differ from it; "unknown" outside git."""
    return _git("describe", "--always", "--abbrev=12", "--dirty=, with changes", "--exclude=*") or "unknown"


def versions(*packages: str) -> dict[str, str]:
    """Versions of those of the packages that are installed."""
    found = {}
    for name in packages:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _module_files(module: str) -> list[Path]:
    """The file of a module, or all files of a package."""
    path = _module_file(module)
    return sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else [path]


def _module_file(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.exists():
            return candidate
    raise FileNotFoundError(f"{module}: no such module in {ROOT.name}; check the name in the rule's params")


def _imports(path: Path) -> list[Path]:
    """Files of this repository's modules that ``path`` imports at its top level."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    files = []
    for name in names:
        if name.split(".")[0] in OWN_PACKAGES:
            try:
                files.append(_module_file(name))
            except FileNotFoundError:  # `from real.config import load`: load is no module
                continue
    return files


@lru_cache(maxsize=256)
def _tree(path: Path) -> str:
    return ast.dump(ast.parse(path.read_text()))


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
