"""One exhibit, one word: its module, its files, its caption, its line of results/README.md."""

from pathlib import Path

import pytest

from real.commands.exhibits import exhibits
from tests.support.paths import ROOT

NAMES = [exhibit.name for exhibit in exhibits()]
OUTPUTS = [output for exhibit in exhibits() for output in exhibit.outputs]


def test_names_and_files_are_unique_and_the_report_which_shows_the_others_comes_last():
    assert len(set(NAMES)) == len(NAMES)
    assert len(set(OUTPUTS)) == len(OUTPUTS)
    assert NAMES[-1] == "report"


@pytest.mark.parametrize("exhibit", exhibits(), ids=NAMES)
def test_an_exhibit_has_one_name_and_a_picture_has_words_for_those_who_cannot_see_it(exhibit):
    assert exhibit.name in exhibit.make.__module__.split(".")
    assert {Path(output).stem for output in exhibit.outputs} <= {exhibit.name, f"{exhibit.name}_runs"}
    assert exhibit.name == "report" or (ROOT / "workflow" / "report" / f"{exhibit.name}.rst").exists()
    readme = (ROOT / "results" / "README.md").read_text()
    for output in exhibit.outputs:
        assert str(Path(output).with_suffix("")) in readme, output
    assert (exhibit.alt_text is not None) == any(output.endswith(".png") for output in exhibit.outputs)
