"""The pages' code runs; links, files, functions, tests and keys that they name exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
import torch
import yaml

from real.exact import sequence_weights
from real.objectives import make_objective
from tests.support.paths import ROOT

PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *(ROOT / room / "README.md" for room in ("benchmarks", "datasets", "real", "results")),
    *sorted((ROOT / "docs").glob("*.md")),
]
ROOMS = "paper_configs|real|docs|figures|workflow|datasets|tests|benchmarks"
# a changelog may name what has gone since
PRESENT = [page for page in PAGES if page.name != "CHANGELOG.md"]
# what a user makes
NOT_IN_GIT = ("paper_configs/local.yaml", "datasets/raw", "datasets/prepared")
README = (ROOT / "README.md").read_text()


# a block with a file's name belongs to docs/extending.md, whose own test runs it
BLOCKS = [(page.name, code) for page in PAGES for code in re.findall(r"```python\n(.*?)```", page.read_text(), re.S)]


@pytest.mark.parametrize(("page", "code"), BLOCKS)
def test_code_of_the_pages_runs(page, code):
    exec(compile(code, page, "exec"), {})


def test_every_make_target_named_in_the_docs_exists():
    targets = set(re.findall(r"^([a-z_-]+):.*## ", (ROOT / "Makefile").read_text(), re.M))
    named = {name for page in PAGES for name in re.findall(r"(?:`|^)make ([a-z_-]+)", page.read_text(), re.M)}
    assert named <= targets
    assert {"laptop", "test"} <= named


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page):
    for file, heading in re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", page.read_text()):
        target = page.parent / file if file else page
        assert target.exists(), file
        assert not heading or heading in anchors(target), f"{file}#{heading}"


def anchors(page: Path) -> set[str]:
    """The fragments by which GitHub links to a page's headings."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.*)$", prose, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PRESENT, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_named_in_the_docs_exists(page):
    for path in re.findall(rf"`((?:{ROOMS})/[^`<{{*:\s]*)(?:::\w+)?`", page.read_text()):
        assert path.startswith(NOT_IN_GIT) or (ROOT / path).exists(), path


@pytest.mark.parametrize("page", PRESENT, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_module_and_function_named_in_the_docs_exists(page):
    for name in re.findall(r"`(real(?:\.\w+)+)[`(]", page.read_text()):
        parts = name.split(".")
        depth = next((n for n in range(len(parts), 0, -1) if module_file(parts[:n])), 0)
        assert depth, name
        assert not parts[depth:] or ".".join(parts[depth:]) in definitions(module_file(parts[:depth])), name


def module_file(parts: list[str]) -> Path | None:
    """The source of a module or package, without importing it: verl's own are absent here."""
    path = ROOT.joinpath(*parts)
    found = [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()]
    return found[0] if found else None


@cache
def definitions(file: Path) -> set[str]:
    """Names that a module defines or imports, methods as Class.method."""
    names: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
            names |= {f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
    return names


def test_every_test_named_in_the_docs_exists():
    defined = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)
    }
    named = {name for page in PAGES for name in re.findall(r"\b(test_\w+)\b(?!\.py)", page.read_text())}
    assert named - defined == set()
    assert "test_no_secret_of_the_environment_is_written_or_printed" in named


def test_a_test_named_with_its_file_stands_in_that_file():
    named = {pair for page in PAGES for pair in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page.read_text())}
    assert ("tests/test_objectives.py", "test_row_order_and_group_labels_do_not_matter") in named
    for file, name in sorted(named):
        assert name in definitions(ROOT / file), f"{file}::{name}"


def test_every_equation_of_the_paper_has_a_section_a_function_and_a_test_that_exist():
    page = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    table = page.partition("## Equation, section, function, test\n")[2].partition("\n## ")[0]
    rows = [re.split(r" (?<!\\)\| ", row) for row in re.findall(r"^\| (.*) \|$", table, re.M)][1:]
    assert len(rows) == 16
    sections = {"–", "Section 4", "Section 5", "Proposition 5.1", "Algorithm 1"}  # all that the note on v1 names
    for content, section, functions, tests in rows:
        assert section in sections, content
        assert set(re.findall(r"Eq\. (\d+)", content)) <= {"8"}, f"{content}: no other number is known"
        for cell, pattern in ((functions, r"`((?:real|figures)\.[\w.]+)`"), (tests, r"`(tests/[\w/]+\.py)::(\w+)`")):
            assert len(re.findall(pattern, cell)) == cell.count("`") // 2 > 0, content
        for name in re.findall(r"`([\w.]+)`", functions):
            parts = name.split(".")
            depth = next(n for n in range(len(parts), 0, -1) if module_file(parts[:n]))
            assert ".".join(parts[depth:]) in definitions(module_file(parts[:depth])), name
        for file, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", tests):
            assert name in definitions(ROOT / file), f"{file}::{name}"


def test_every_switch_of_the_released_code_is_a_key_of_the_configuration():
    files = sorted((ROOT / "paper_configs").glob("*.yaml"))
    known = {key for file in files for key in key_paths(yaml.safe_load(file.read_text()))}
    rows = re.findall(r"^\| .* \| (.*) \|$", (ROOT / "docs" / "released_code.md").read_text(), re.M)
    switches = {key for cell in rows for key in re.findall(r"`([^`]+)`", cell)}
    assert "hyperparameters.one_sided" in switches
    assert switches - known == set()


def key_paths(content: object) -> set[str]:
    """Dotted paths of all keys, from each depth on: a.b.c, b.c and c."""
    if not isinstance(content, dict):
        return set()
    below = {key: key_paths(value) for key, value in content.items()}
    return {path for key, inner in below.items() for path in ({str(key)} | inner | {f"{key}.{rest}" for rest in inner})}


def test_the_weights_before_the_first_update_are_those_that_the_page_prints():
    page = (ROOT / "docs" / "method.md").read_text()
    rows = re.findall(r"^\| (\d) : (\d) \| (.*) \|$", page, re.M)
    assert len(rows) == 4
    for correct, wrong, cells in rows:
        reward = torch.tensor([1.0] * int(correct) + [0.0] * int(wrong), dtype=torch.float64)
        batch = torch.zeros(8, 1, dtype=torch.float64), torch.ones(8, 1), torch.zeros(8, dtype=torch.long), reward
        columns = (("real",), ("real_product",), ("real_bce",), ("grpo", "dapo", "gspo"))
        for cell, names in zip(cells.split(" | "), columns, strict=True):
            for name in names:
                weight = sequence_weights(make_objective(name), *batch)
                assert cell == f"{weight[0]:.4f} / {weight[-1]:.4f}", name
