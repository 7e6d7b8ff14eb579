"""The wings of real/ import in one direction (real/README.md)."""

import ast
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.processes import python

# each may import those of earlier rows, and itself; those of one row know nothing of each other
ROWS = (
    ("system",),
    ("root", "grading", "tasks"),
    ("config",),
    ("models",),
    ("records",),
    ("engines", "evaluation"),
    ("statistics",),
    ("planning",),
    ("evidence",),
    ("figures",),
    ("commands",),
)
ROW = {wing: number for number, wings in enumerate(ROWS) for wing in wings}
FILES = sorted([*ROOT.glob("real/**/*.py"), *ROOT.glob("figures/*.py")])


def wing_of(module: str) -> str:
    """The wing of a module of this repository; ``root`` of the paper's own."""
    first, *rest = module.split(".")
    if first == "figures":
        return "figures"
    return rest[0] if rest and (ROOT / "real" / rest[0]).is_dir() else "root"


def imports(path: Path) -> list[tuple[int, str]]:
    """(line, module) of every import of this repository's modules, wherever it stands in the file."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            package = str(node.module)
            # `from real.grading import pool` names a module, `from real.grading import grade` does not
            below = [f"{package}.{alias.name}" for alias in node.names]
            modules = [name for name in below if is_module(name)]
            found += [(node.lineno, name) for name in modules or [package]]
    return [(line, name) for line, name in found if name.split(".")[0] in ("real", "figures")]


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_every_wing_imports_earlier_ones_alone():
    wrong = []
    for path in FILES:
        here = module_of(path)
        if here in ("real", "real.__main__"):  # the front doors: public names, and the command line
            continue
        mine = wing_of(here)
        for line, name in imports(path):
            theirs = wing_of(name)
            if theirs != mine and ROW[theirs] >= ROW[mine]:
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {mine} imports {theirs} ({name})")
    assert wrong == []


def test_finding_every_exhibit_imports_no_torch():
    script = "import sys; from real.commands.exhibits import exhibits; exhibits(); print('torch' in sys.modules)"
    assert python("-c", script).stdout == "False\n"
