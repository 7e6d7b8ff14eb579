"""The command line: expected failures end in one sentence, on standard error, with exit code 1."""

from importlib.util import find_spec

import pytest

from real.commands.command_line import GROUPS, _parser, main
from real.tasks.sources import read_sources
from tests.support.paths import ROOT
from tests.support.tiny_scale import CONFIG, RESULTS

LAPTOP_EVALUATION = ["evaluate", "--config", "paper_configs/smoke.yaml", "--model", "m", "--output", "unused"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train", "--config", "none.yaml", "--method", "real", "--seed", "0"], "none.yaml: no such file"),
        (["train", "--config", "paper_configs/smoke.yaml", "--method", "ppo", "--seed", "0"], "unknown method 'ppo'"),
        (
            ["base", "--config", "paper_configs/published.yaml"],
            "trains nothing",
        ),
        (
            ["evaluate", "--config", "paper_configs/smoke.yaml", "--model", "absent", "--output", "unused"],
            "absent: no such folder, and no hub id (organisation/name) either",
        ),
        (
            [
                "evaluate",
                "--config",
                "paper_configs/smoke.yaml",
                "--benchmarks",
                "aim",
                "--model",
                "m",
                "--output",
                "o",
            ],
            "unknown benchmark 'aim'; choose from",
        ),
        (
            ["evaluate", "--model", "m", "--benchmarks", "mix4,mix4"],
            "command line: benchmarks has 'mix4' more than once",
        ),
        (["evaluate", "--model", "m", "--benchmarks", "mix4"], "'mix4' belongs to the laptop's task"),
        (["evaluate", "--model", "m", "--samples", "0"], "command line: samples is 0"),
        (
            ["evaluate", "--model", "m", "--config", "paper_configs/published.yaml"],
            "trains nothing",
        ),
        ([*LAPTOP_EVALUATION, "--gpus", "0"], "--gpus is 0; give 1 or more"),
        ([*LAPTOP_EVALUATION, "--gpus", "2"], "transformers samples on one; give --sampler vllm"),
        pytest.param(
            [*LAPTOP_EVALUATION, "--sampler", "vllm"],
            "vLLM is not installed in this environment; build one that has it by `make gpu-env`",
            marks=pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed here"),
        ),
        (
            ["make", "benchmark", "--config", "paper_configs/published.yaml"],
            "unknown exhibit 'benchmark'; choose from benchmarks, claims,",
        ),
        (
            ["make", "differences", "--config", "paper_configs/published.yaml"],
            "differences: the scale 'published' trains nothing; name one that does",
        ),
        (
            ["sweep", "--config", "paper_configs/smoke.yaml"],
            "learning_rate_sweep: needs its overlay: snakemake learning_rate_sweep --cores all",
        ),
        (["download", "amie"], "unknown dataset 'amie'; choose from aime, aime25,"),
        (["contamination", "amc"], "amc is a benchmark; name a training set of datasets/sources.yaml"),
    ],
)
def test_a_mistake_ends_in_one_sentence(monkeypatch, capsys, arguments, sentence):
    monkeypatch.chdir(ROOT)
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("real: ")
    assert sentence in printed.err
    assert printed.err.count("\n") == 1


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
