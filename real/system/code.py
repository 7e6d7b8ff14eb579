"""Which version of this repository's code and of the packages makes a result; record.py keeps it beside the result."""

import ast
import hashlib
import importlib.metadata
import json
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OWN_PACKAGES = ("real", "figures")


@lru_cache
def code_digest(*modules: str) -> str:
    """Short sha256 of the named modules and of every module of this repository they import, however indirectly.

    One process asks once: what is edited meanwhile is not the code that it runs.

    Comments and layout don't count: the digest is of the syntax tree. Nor does an import inside a function (the config
    validates by the objectives without depending on them). A rule carries the digest as a param, so that an edit reruns
    what depends on the edited module and nothing else.

    Args:
        modules: dotted names, such as ``real.engines.torch.train``; a package stands for all its modules.

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
