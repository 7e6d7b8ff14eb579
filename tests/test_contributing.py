"""The map of the house in CONTRIBUTING.md names every module and every folder, and nothing that is not there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text()


def first_line(path: Path) -> str:
    """Of the module's docstring, as a cell of a table has it."""
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring, path
    return docstring.splitlines()[0].replace("|", r"\|").replace(":func:", "")


def test_the_map_has_every_module_by_the_first_line_of_its_docstring():
    modules = {str(path.relative_to(ROOT)): first_line(path) for path in (ROOT / "real").rglob("*.py")}
    assert dict(re.findall(r"^\| `(real/\S+\.py)` \| (.*) \|$", PAGE, re.M)) == modules


def test_the_map_has_every_folder_of_the_repository():
    made = {"profiles"}  # a link to workflow/profiles
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "."} - made
    folders -= {name.rstrip("/") for name in (ROOT / ".gitignore").read_text().split()}
    named = set(re.findall(r"^\| `(\w+)/` \|", PAGE, re.M))
    assert named == {name for name in folders if not name.endswith(".egg-info")}
