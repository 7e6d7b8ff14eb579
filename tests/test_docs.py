"""The pages' code runs, their links lead somewhere, what they name exists; commands: test_docs_commands.py."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *(ROOT / room / "README.md" for room in ("benchmarks", "datasets", "results")),
    *sorted((ROOT / "docs").glob("*.md")),
]
ROOMS = "paper_configs|real|docs|figures|workflow|datasets|tests|benchmarks"
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not link.startswith("http"):
            assert (page.parent / link).exists(), link


def test_every_rule_and_config_file_named_in_the_readme_exists():
    for path in re.findall(rf"`((?:{ROOMS})/[^`<{{*]*)`", README):
        assert (ROOT / path).exists(), path


def test_every_test_named_in_the_docs_exists():
    defined = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)
    }
    named = {name for page in PAGES for name in re.findall(r"\b(test_\w+)\b(?!\.py)", page.read_text())}
    assert named - defined == set()
    assert "test_no_secret_of_the_environment_is_written_or_printed" in named
