"""The command line: its help, its examples, an interrupt, and verbs of earlier versions."""

import pytest

from real.commands.command_line import GROUPS, _parser, main
from real.tasks.sources import read_sources
from tests.support.paths import ROOT
from tests.support.tiny_scale import CONFIG, RESULTS


def test_the_help_has_every_verb_in_one_line_of_eighty_columns(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    for title, verbs in GROUPS.items():
        start = lines.index(f"{title}:") + 1
        for line, verb in zip(lines[start : start + len(verbs)], verbs, strict=True):
            assert line.split(maxsplit=1) == [verb.__name__, verb.__doc__]
    assert max(map(len, lines)) <= 80
    assert not any("\x1b" in line for line in lines), "colours are for terminals"


@pytest.mark.parametrize(
    ("verb", "example"), [(verb, example) for verbs in GROUPS.values() for verb, example in verbs.items()]
)
def test_the_example_of_a_verb_is_a_command_that_names_what_is_there(capsys, verb, example):
    with pytest.raises(SystemExit):
        main([verb.__name__, "--help"])
    assert capsys.readouterr().out.endswith(f"example:\n  python -m real {verb.__name__} {example}".rstrip() + "\n")
    parsed = _parser().parse_args([verb.__name__, *example.split()])
    assert parsed.verb is verb
    for file in getattr(parsed, "config", None) or []:
        assert (ROOT / file).is_file()
    for name in (getattr(parsed, "dataset", None), getattr(parsed, "train", None)):
        assert name is None or name in read_sources(ROOT / "datasets/sources.yaml")


def test_an_interrupt_says_how_to_go_on(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("real.commands.exhibits.make", interrupted)
    assert main(["make", "benchmarks", "--config", "paper_configs/published.yaml"]) == 130
    assert "run the same command again" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("verb", "file"), [("curves", "tables/training_curves.csv"), ("tables", "tables/benchmarks.md")]
)
def test_verbs_of_earlier_versions_make_what_they_made_and_stand_in_no_help(tiny_copy, capsys, verb, file):
    before = (RESULTS / file).read_bytes()
    (RESULTS / file).unlink()
    assert main([verb, *CONFIG]) == 0
    assert (RESULTS / file).read_bytes() == before
    with pytest.raises(SystemExit):
        main(["--help"])
    assert f"  {verb} " not in capsys.readouterr().out
