"""Which version of this repository's code and of the packages makes a result."""

import ast
import hashlib
import importlib.metadata
import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
OWN_PACKAGES = ("real", "figures")


# A digest covers the modules that a job reaches by import, as far as they stand in one of these wings: "real" means the
# paper's own modules at the root, and any other name all that is below it. Other modules (settings, files, sentences,
# records, plans) can't change a number: settings are in the configuration's digest, tests of bytes guard the rest.
NUMERIC = (
    "real",
    "real.grading",
    "real.tasks.problems",
    "real.tasks.arithmetic",
    "real.models",
    "real.engines",
    "real.evaluation",
)
# of a table, a figure or a page
EVIDENCE = ("real", "real.statistics", "real.evidence", "figures")
# of a prepared dataset
DATA = ("real.tasks.sources", "real.tasks.corrections", "real.tasks.datasets")
# speaks about a run and changes nothing in it
UNCOUNTED = {"real.engines.alarms"}
# where processes are started by a module's name, or workers load one by it, so that imports don't tell
WHOLE = {"real.grading", "real.engines.verl"}
# what a module loads from its own folder: settings of verl's agent loops, templates of pages
DATA_FILES = {".yaml", ".j2"}


@lru_cache
def code_digest(*modules: str, wings: Sequence[str] = NUMERIC) -> str:
    """Short sha256 of the named modules and of those that they import, however indirectly, in some wings.

    One process asks once: what is edited meanwhile is not the code that it runs. Comments, layout, docstrings and what
    an error says don't count. An import counts wherever it stands, and so do the data files beside a module.

    Args:
        modules: dotted names, such as ``real.engines.torch.train``.
        wings: :data:`NUMERIC`, :data:`EVIDENCE` or :data:`DATA`.

    Raises:
        FileNotFoundError: a name that is no module.
    """
    counted = counted_modules(*modules, wings=wings)
    trees = {module: _tree(file) for module, file in counted.items()}
    for path in (path for folder in {file.parent for file in counted.values()} for path in folder.iterdir()):
        if path.suffix in DATA_FILES:
            trees[str(path.relative_to(ROOT))] = path.read_text(encoding="utf-8")
    return hashlib.sha256(json.dumps(trees, sort_keys=True).encode()).hexdigest()[:16]


def counted_modules(*modules: str, wings: Sequence[str] = NUMERIC) -> dict[str, Path]:
    """The modules that :func:`code_digest` is of, with their files."""
    reached: dict[str, Path] = {}
    pending = [module for module in modules if _module_file(module)]
    while pending:
        module = pending.pop()
        if module not in reached and _counts(module, wings):
            reached[module] = _module_file(module)
            pending += _imports(reached[module])
            pending += _with_submodules(module) if module in WHOLE else []
    return dict(sorted(reached.items()))


def _counts(module: str, wings: Sequence[str]) -> bool:
    """Whether a module stands in one of the wings."""
    if module in UNCOUNTED:
        return False
    if module.startswith("real.") and module.count(".") == 1 and _module_file(module).name != "__init__.py":
        return "real" in wings and not module.startswith("real.__")
    return any(module == wing or module.startswith(f"{wing}.") for wing in wings if wing != "real")


def versions(*packages: str) -> dict[str, str]:
    """Versions of those of the packages that are installed."""
    found = {}
    for name in packages:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def git_state() -> dict[str, Any]:
    """The commit and the number of modified or untracked files; None where there is no git repository.

    Recorded results (``results/recorded``) don't count: a scale that is recorded would taint those that run after it.
    """
    status = output_of("git", "status", "--porcelain", "--", ".", ":(exclude)results")
    return {
        "commit": (output_of("git", "rev-parse", "HEAD") or "").strip() or None,
        "modified_files": None if status is None else len(status.splitlines()),
    }


def commit_of(record: Mapping[str, Any]) -> str:
    """``commit 0123abc``, or what is known instead."""
    commit, modified = record["git"].get("commit"), record["git"].get("modified_files")
    if not commit:
        return "an unknown commit"
    return f"commit {commit[:12]}" + (" with modified files" if modified else "")


def accepting(digests: Iterable[str]) -> str:
    """How a user accepts what other versions of the code did, as part of a sentence."""
    names = list(digests)
    quoted = ", ".join(f"'{name}'" for name in names)
    return (
        f"accept {' and '.join(names)} by name (accept_code: [{quoted}] in paper_configs/local.yaml, or --accept-code "
        f"{' '.join(names)})"
    )


def output_of(*command: str) -> str | None:
    """What a command prints; None where it can't be run or fails."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60)
        return done.stdout.decode("utf-8", errors="replace")
    except (OSError, subprocess.SubprocessError):
        return None


def _with_submodules(package: str) -> list[str]:
    """All modules of a package, itself among them."""
    folder = _module_file(package).parent
    below = [path.relative_to(folder).with_suffix("").parts for path in sorted(folder.rglob("*.py"))]
    return [".".join([package, *(part for part in parts if part != "__init__")]) for parts in below]


def _module_file(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.exists():
            return candidate
    raise FileNotFoundError(f"{module}: no such module in {ROOT.name}; correct the name")


@cache
def _parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


@cache
def _imports(file: Path) -> list[str]:
    """This repository's modules that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(_parsed(file)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return [name for name in names if name.split(".")[0] in OWN_PACKAGES and _is_module(name)]


def _is_module(name: str) -> bool:
    """`from real.config import load`: load is none."""
    with suppress(FileNotFoundError):
        _module_file(name)
        return True
    return False


class _WithoutWords(ast.NodeTransformer):
    """Leaves out docstrings and what an error says."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return ast.Pass() if text else self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        return ast.Call(node.func, [], []) if name.endswith("Error") else self.generic_visit(node)


@cache
def _tree(file: Path) -> str:
    return ast.dump(_WithoutWords().visit(_parsed(file)))  # in place: no import stands in what is left out
