"""The laptop's jobs never import transformers, nor torch's compiler, and their records say why they needn't."""

import importlib.metadata
import json
from pathlib import Path

import pytest

from real.commands.command_line import main
from real.system.files import file_digest, read_json, write_json
from tests.support import tiny_scale as tiny
from tests.support.processes import python
from tests.support.tiny_scale import CONFIG, RESULTS

JOB = """
import sys
from real.commands.command_line import main
code = main(sys.argv[1:])
print("imported:", [name for name in ("transformers", "torch._dynamo", "torch") if name in sys.modules])
sys.exit(code)
"""


def imported_by(folder, *arguments) -> str:
    """What a job in a fresh process had imported at its end."""
    done = python("-c", JOB, *arguments, *CONFIG, folder=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.slow
def test_base_training_and_evaluation_in_fresh_processes_import_no_transformers(tmp_path):
    tiny.enter(tmp_path)
    results = tmp_path / RESULTS
    for arguments, record in (
        (["base"], "base"),
        (["train", "--method", "real", "--seed", "0"], "runs/real/seed0"),
        (
            ["evaluate", "--model", RESULTS / "runs/real/seed0/model", "--output", RESULTS / "evaluations/real/seed0"],
            None,
        ),
    ):
        assert imported_by(tmp_path, *arguments) == "imported: ['torch']", arguments
        if record:
            verdict = read_json(results / record / "provenance.json")["forward"]
            assert verdict["forward"] == "lean"
            assert 0 < verdict["largest_difference"] < 1e-5
            assert verdict["library"] == f"transformers {importlib.metadata.version('transformers')}"
            assert verdict["config_sha256"] == file_digest(results / record / "model" / "config.json")
    sampler = read_json(results / "evaluations/real/seed0/evaluation.json")["sampler"]
    assert sampler["library"] == "lean"
    assert sorted(sampler["packages"]) == ["jinja2", "tokenizers", "torch"]


def test_a_verdict_holds_for_its_own_configuration_and_a_failed_one_means_the_librarys_path(tiny_copy, capsys):
    record = RESULTS / "base" / "provenance.json"
    content = read_json(record)
    failed = content["forward"] | {"forward": "library", "largest_difference": 0.25}
    evaluate = ["evaluate", *CONFIG, "--model", str(RESULTS / "base/model"), "--benchmarks", "add3", "--output"]

    def library(output: str) -> str:
        assert main([*evaluate, output]) == 0
        return json.loads((Path(output) / "evaluation.json").read_text())["sampler"]["library"]

    write_json(record, content | {"forward": failed})
    assert library("failed") == "transformers"
    assert (
        "is run by transformers, which is slower, because log-probs of the lean forward differ from its own by 0.25"
        in (capsys.readouterr().out)
    )
    write_json(record, content | {"forward": failed | {"config_sha256": "0" * 64}})
    assert library("of_another_configuration") == "lean"
    write_json(record, {key: value for key, value in content.items() if key != "forward"})
    assert library("never_compared") == "lean"


def test_the_library_samples_where_the_user_asks_for_it(tiny_copy):
    evaluate = ["evaluate", *CONFIG, "--model", str(RESULTS / "base/model"), "--benchmarks", "add3", "--output", "out"]
    assert main([*evaluate, "--sampler", "transformers"]) == 0
    about = read_json(Path("out/evaluation.json"))
    assert about["sampler"]["library"] == "transformers"
    assert "transformers" in about["sampler"]["packages"]
