"""CITATION.cff is what tools that read the Citation File Format 1.2 need; licence and version agree everywhere."""

import tomllib

import pytest

from real.system.yaml_files import read_yaml
from tests.support.paths import ROOT

CITATION = read_yaml(ROOT / "CITATION.cff")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# of the format's guide: required of the file and of a reference, in which an author is a person or has a name
REQUIRED = {"cff-version", "message", "title", "authors"}
REQUIRED_OF_REFERENCE = {"type", "title", "authors"}


def test_the_citation_has_what_its_format_requires_and_names_the_paper():
    paper = CITATION["preferred-citation"]
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION.keys() >= REQUIRED
    assert paper.keys() >= REQUIRED_OF_REFERENCE
    assert [author["family-names"] for author in paper["authors"]] == ["Zhai", "Chen", "Zhao", "Qian", "Shen", "Lu"]
    assert all(author["given-names"] for author in paper["authors"])
    assert CITATION["authors"][0]["name"] in (ROOT / "LICENSE").read_text()
    readme = " ".join((ROOT / "README.md").read_text().split())
    assert paper["title"] in readme
    assert paper["url"] in readme


@pytest.mark.parametrize("key", ["version", "license"])
def test_version_and_licence_are_those_of_the_package(key):
    assert CITATION[key] == PROJECT[key]


def test_the_licence_is_mit():
    assert PROJECT["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text().startswith("MIT License\n\nCopyright (c) 2026 ")


def test_every_dataset_states_its_licence_in_one_line_here_and_in_the_readme():
    sources = read_yaml(ROOT / "datasets" / "sources.yaml")
    rows = (ROOT / "datasets" / "README.md").read_text().splitlines()
    for name, source in sources.items():
        [row] = [line for line in rows if line.startswith(f"| `{name}` |")]
        assert row.endswith(f"| {source['licence']} |")
