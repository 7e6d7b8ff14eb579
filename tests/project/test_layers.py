"""The wings of real/ import in one direction, and the paper alone stands at its root (real/README.md)."""

import ast
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT

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
PAPER = {"objectives", "exact", "hyperparameters", "weights", "counterfactual"}
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
    for node in ast.walk(ast.parse(path.read_text())):
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


def test_the_paper_alone_stands_at_the_root():
    names = {path.stem for path in (ROOT / "real").glob("*.py")}
    assert names == {*PAPER, "__init__", "__main__"}


def test_a_file_that_imports_our_modules_inside_a_function_says_why():
    """For what they bring, such as torch; never to hide them from a digest, which follows them all the same."""
    unsaid = []
    for path in FILES:
        inner = [
            node
            for function in ast.walk(ast.parse(path.read_text()))
            if isinstance(function, ast.FunctionDef)
            for node in ast.walk(function)
            if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        ours = {node.lineno for node in inner} & {line for line, _ in imports(path)}
        if ours and "imported here" not in path.read_text():
            unsaid += [f"{path.relative_to(ROOT)}:{line}" for line in sorted(ours)]
    assert unsaid == []


def test_reading_a_configuration_imports_neither_torch_nor_what_draws():
    listed = "[name for name in ('torch', 'transformers', 'matplotlib', 'scipy') if name in sys.modules]"
    script = f"import sys, real.config, real.commands.command_line; print({listed})"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_finding_every_exhibit_imports_no_torch():
    script = "import sys; from real.commands.exhibits import exhibits; exhibits(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
