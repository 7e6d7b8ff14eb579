"""CITATION.cff is what tools that read the Citation File Format 1.2 need; licence and version agree everywhere."""

import tomllib

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


def test_version_and_licence_are_those_of_the_package():
    for key in ("version", "license"):
        assert CITATION[key] == PROJECT[key]
    assert (ROOT / "LICENSE").read_text().startswith(f"{PROJECT['license']} License\n")
