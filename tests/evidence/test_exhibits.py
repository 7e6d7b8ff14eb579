"""One exhibit, one word: its module, its files, its caption, its line of results/README.md."""

from pathlib import Path

import pytest

from real.commands.exhibits import exhibits
from tests.support.paths import ROOT

NAMES = [exhibit.name for exhibit in exhibits()]


def test_names_are_unique_and_the_report_which_shows_the_others_comes_last():
    assert len(set(NAMES)) == len(NAMES)
    assert [*sorted(NAMES[:-1]), "report"] == NAMES


@pytest.mark.parametrize("exhibit", exhibits(), ids=NAMES)
def test_an_exhibit_has_one_name(exhibit):
    module = exhibit.make.__module__
    assert exhibit.name in module.split(".")
    assert {Path(output).stem for output in exhibit.outputs} <= {exhibit.name, f"{exhibit.name}_runs"}
    if exhibit.name != "report":
        assert (ROOT / "workflow" / "report" / f"{exhibit.name}.rst").exists()
    readme = (ROOT / "results" / "README.md").read_text()
    for output in exhibit.outputs:
        assert str(Path(output).with_suffix("")) in readme, output


def test_no_two_exhibits_write_one_file():
    outputs = [output for exhibit in exhibits() for output in exhibit.outputs]
    assert len(set(outputs)) == len(outputs)


@pytest.mark.parametrize("exhibit", exhibits(), ids=NAMES)
def test_a_picture_has_words_for_those_who_cannot_see_it(exhibit):
    assert (exhibit.alt_text is not None) == any(output.endswith(".png") for output in exhibit.outputs)
