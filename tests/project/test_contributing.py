"""CONTRIBUTING.md names every folder of the repository, real/README.md every wing in the order of imports."""

import re
from itertools import chain

from tests.project.test_layers import PAPER, ROWS
from tests.support.paths import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text()
HOUSE = (ROOT / "real" / "README.md").read_text()


def test_the_map_has_every_folder_of_the_repository():
    made = {"profiles"}  # a link to workflow/profiles
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "."} - made
    folders -= {name.rstrip("/") for name in (ROOT / ".gitignore").read_text().split()}
    named = set(re.findall(r"^\| `(\w+)/` \|", PAGE, re.M))
    assert named == {name for name in folders if not name.endswith(".egg-info")}


def test_the_house_has_a_line_per_wing_in_the_order_of_imports():
    """The root stands among them, and the figures, which have a folder of their own."""
    rows = re.findall(r"^\| (?:the |\[)?`?(\w+)[`/ ].*\|$", HOUSE, re.M)
    assert [row for row in rows if row != "wing"] == list(chain.from_iterable(ROWS))
    folders = {path.name for path in (ROOT / "real").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert set(rows) - {"wing", "root", "figures"} == folders


def test_the_house_names_every_module_of_the_paper():
    named = set(re.findall(r"`(\w+)\.py`", HOUSE.split("| wing |")[0]))
    assert named >= PAPER
