"""What a job records of itself, and that nothing reads a mixture of results of different origin."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from real.commands.command_line import main
from real.commands.exhibits import exhibits
from real.commands.start import evaluate_checkpoint
from real.config import PAPER_EVALUATION, digest
from real.evidence.report.facts import origins
from real.records.made_from import Origin, evaluation_origin, run_origin
from real.records.manifest import MANIFEST, read_manifest
from real.records.provenance import RECORD, recorded, this_process
from real.system.files import read_json, write_json
from real.tasks.arithmetic import held_out_problems
from tests.support import tiny_scale as tiny
from tests.support.gpus import list_gpus
from tests.support.relink import relink
from tests.support.tiny_scale import CONFIG, RESULTS
from tests.support.workplaces import copy_configs

READ_EVALUATIONS = ("benchmarks", "differences", "pass_at_k", "claims")
READERS = (*READ_EVALUATIONS, "training_curves", "gradient_measured")
JOBS = ("base", "runs/real/seed0", "evaluations/base", "evaluations/gspo/seed0")


def change(name: str, **changes) -> None:
    """Change what a job recorded."""
    path = RESULTS / name / RECORD
    write_json(path, read_json(path) | changes)


@pytest.mark.parametrize("name", JOBS)
def test_every_job_records_code_configuration_machine_and_what_it_took(tiny_copy, name):
    record = read_json(RESULTS / name / RECORD)
    assert record["config_digest"] == digest(record["config"])
    assert record["config_files"] == CONFIG[1:]
    assert record["git"].keys() == {"commit", "modified_files"}
    assert record["packages"]["torch"].split("+")[0] in sys.modules["torch"].__version__
    assert {"transformers", "tokenizers", "safetensors", "numpy", "pandas", "pyarrow", "scipy", "math-verify"} <= set(
        record["packages"]
    )
    assert record["machine"]["cores"] == os.cpu_count()
    assert record["machine"]["memory_bytes"] > 2**30
    assert record["command"][:3] == ["python", "-m", "real"]
    assert record["wall_seconds"] > 0
    assert record["cpu_seconds"] > 0
    assert record["peak_memory_bytes"] > 2**27
    assert record["cpu_seconds_children"] >= 0
    assert record["peak_memory_bytes_largest_child"] >= 0


def test_provenance_manifest_and_report_name_the_local_file_that_was_read(tiny_copy):
    Path("paper_configs").unlink()
    copy_configs(Path())
    Path("paper_configs/local.yaml").write_text("evaluation: {temperature: 0.9}\n", encoding="utf-8")
    files = [*CONFIG[1:], "paper_configs/local.yaml"]
    shutil.rmtree(RESULTS / "evaluations/base")
    output = ["--output", str(RESULTS / "evaluations/base"), "--processes", "1"]
    assert main(["evaluate", *CONFIG, "--model", str(RESULTS / "base/model"), *output]) == 0
    assert read_json(RESULTS / "evaluations/base" / RECORD)["config_files"] == files
    assert main(["manifest", *CONFIG]) == 0
    assert read_manifest(RESULTS / MANIFEST).config_files == files
    facts = origins(tiny.experiment()).set_index("what")["which"]
    assert facts["configuration"] == ", ".join(files)


def test_the_record_holds_the_resolved_configuration_of_the_one_run(tiny_copy):
    record = read_json(RESULTS / "runs/gspo/seed0" / RECORD)
    assert (record["method"], record["seed"]) == ("gspo", 0)
    assert record["config"] == run_origin(tiny_copy, "gspo", 0).settings
    written = yaml.safe_load((RESULTS / "runs/gspo/seed0/config.yaml").read_text())
    assert written["settings"].pop("label") == "GSPO"
    assert record["config"] == written, "all but the label"
    assert (
        read_json(RESULTS / "evaluations/base" / RECORD)["config_digest"]
        == (evaluation_origin(tiny_copy).identity["config_digest"])
    )


def test_a_label_can_be_mended_after_the_runs_and_the_tables_are_made_again(tiny_copy):
    tiny.change({"variants": {"mine": {"method": "gspo"}}, "methods": ["real", "mine"]})
    before = tiny.experiment()
    tiny.change({"variants.mine.label": "GSPO again"})
    after = tiny.experiment()
    assert after.methods["mine"].label != before.methods["mine"].label
    identities = [run_origin(experiment, "mine", 0).identity for experiment in (before, after)]
    assert identities[0] == identities[1]
    shown = {exhibit.name: exhibit for exhibit in exhibits()}
    for name in ("benchmarks", "differences", "pass_at_k", "training_curves", "claims"):
        first, second = (shown[name].origin(experiment).identity for experiment in (before, after))
        assert first != second, name


def test_a_failed_job_leaves_no_record_and_keeps_an_earlier_one(tmp_path):
    with pytest.raises(RuntimeError), recorded(tmp_path / RECORD, Origin({}, ()), []):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with recorded(tmp_path / RECORD, Origin({"x": 1}, ()), ["f.yaml"], seed=3):
        assert list(tmp_path.iterdir()) == [], "written last"
    before = json.loads((tmp_path / RECORD).read_text())
    assert (before["config"], before["seed"]) == ({"x": 1}, 3)
    with pytest.raises(RuntimeError), recorded(tmp_path / RECORD, Origin({}, ()), []):
        raise RuntimeError
    assert json.loads((tmp_path / RECORD).read_text()) == before


def test_an_evaluation_without_a_scale_is_recorded_with_its_own_settings(tiny_copy, monkeypatch):
    problems = held_out_problems(0, 2, 1)["add3", "test"]
    monkeypatch.setattr("real.evaluation.evaluate.problems_of", lambda names, task: {"math": problems})
    settings = PAPER_EVALUATION.model_copy(
        update={"benchmarks": ["math"], "samples": 2, "max_response_tokens": 40, "chunk_problems": 1}
    )
    evaluate_checkpoint(str(RESULTS / "base/model"), settings, None, Path("out"), None, 1, device="cpu")
    record = read_json(Path("out") / RECORD)
    assert record["config_files"] == []
    assert record["config"] == {
        "evaluation": settings.model_dump(mode="json"),
        "library": "torch",
        "device": "cpu",
    }


def test_flags_make_an_evaluation_another_one_than_the_scales(tiny_copy):
    model = ["--model", str(RESULTS / "base/model"), "--output", "out", "--processes", "1", "--samples", "1"]
    assert main(["evaluate", *CONFIG, *model]) == 0
    record = read_json(Path("out") / RECORD)
    assert record["config"]["evaluation"]["samples"] == 1
    assert record["config_digest"] != evaluation_origin(tiny_copy).identity["config_digest"]
    assert record["code_digest"] == evaluation_origin(tiny_copy).identity["code_digest"]


def test_gpus_are_recorded_with_their_driver(tmp_path, monkeypatch):
    list_gpus(
        monkeypatch,
        tmp_path,
        "0, GPU-aa, NVIDIA H100 80GB HBM3, 81559, 81008, 9.0, 550.54",
        "1, GPU-bb, NVIDIA Odd, [N/A], [N/A], [N/A], [N/A]",
    )
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert this_process()["machine"]["gpus"] == [
        {"name": "NVIDIA H100 80GB HBM3", "memory": "81559 MiB", "driver": "550.54"},
        {"name": "NVIDIA Odd", "memory": "", "driver": ""},
    ]


def refused(capsys, *verb: str) -> list[str]:
    """The lines that a verb ends with."""
    assert main([*verb, *CONFIG]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err.removeprefix("real: ").splitlines()


@pytest.mark.parametrize("exhibit", READERS)
def test_runs_of_another_configuration_are_refused_with_the_keys_and_the_remedy(tiny_copy, capsys, exhibit):
    tiny.change({"training.learning_rate": 0.5, "training.gradient_clip": 2.0})
    before = {path: path.read_bytes() for path in RESULTS.rglob("*") if path.is_file()}
    lines = refused(capsys, "make", exhibit)
    assert lines == [
        f"{RESULTS}: runs/real/seed0, runs/gspo/seed0 were made by another configuration (training.learning_rate was "
        "0.001, is 0.5; training.gradient_clip was 1.0, is 2.0); give the change a name of its own as an overlay "
        "(paper_configs/variants), undo it, or make the runs again with `snakemake --forcerun train`"
    ]
    assert {path: path.read_bytes() for path in RESULTS.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("exhibit", "name", "remedy"),
    [
        *((exhibit, "runs/gspo/seed0", "train") for exhibit in READERS),
        *((exhibit, "evaluations/gspo/seed0", "evaluate_base evaluate") for exhibit in READ_EVALUATIONS),
    ],
)
def test_several_versions_of_the_code_are_refused_with_their_commits(tiny_copy, capsys, exhibit, name, remedy):
    change(name, code_digest="0" * 16, git={"commit": "f" * 40, "modified_files": 2})
    [line] = refused(capsys, "make", exhibit)
    assert "were made by 2 versions of the code" in line
    assert f"{name} by commit ffffffffffff with modified files" in line
    assert line.endswith(f"or make all again with `snakemake --forcerun {remedy}`")


def test_curves_are_read_while_evaluations_are_made_again(tiny_copy):
    change("evaluations/gspo/seed0", code_digest="0" * 16, config_digest="0" * 16)
    for name in ("training_curves", "gradient_measured"):
        assert main(["make", name, *CONFIG]) == 0


def test_code_that_is_older_but_the_same_for_all_is_read(tiny_copy):
    for name in ("runs/real/seed0", "runs/gspo/seed0"):
        change(name, code_digest="0" * 16)
    for exhibit in READERS:
        assert main(["make", exhibit, *CONFIG]) == 0, exhibit


def test_figures_refuse_a_mixture_and_name_damage_in_one_sentence(tiny_copy, capsys):
    change("runs/gspo/seed0", code_digest="0" * 16)
    [line] = refused(capsys, "make", "gradient_measured")
    assert line.startswith("results/smoke+tiny: its runs were made by 2 versions of the code")
    change("runs/gspo/seed0", code_digest=read_json(RESULTS / "runs/real/seed0" / RECORD)["code_digest"])
    assert main(["make", "gradient_measured", *CONFIG]) == 0
    samples = RESULTS / "runs/gspo/seed0/gradient_samples.parquet"
    samples.write_bytes(samples.read_bytes()[:-7])
    for forged in (False, True):
        if forged:
            relink(RESULTS)
        [line] = refused(capsys, "make", "gradient_measured")
        assert re.search(r"gradient_samples.parquet: is damaged .*; .*delete", line)
    curves = RESULTS / "tables/training_curves.csv"
    curves.write_bytes(curves.read_bytes()[:-3])
    for forged in (False, True):
        if forged:
            relink(RESULTS)
        [line] = refused(capsys, "make", "training_dynamics")
        assert "training_curves.csv: its last line is cut off; " in line


def test_a_run_without_a_record_is_not_read(tiny_copy, capsys):
    (RESULTS / "runs/gspo/seed0" / RECORD).unlink()
    [line] = refused(capsys, "make", "training_curves")
    assert line.startswith(f"{RESULTS}/runs/gspo/seed0/{RECORD}: no such file; ")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda lines: lines[:-1], "ends with step 1 of 2"),
        (lambda lines: [lines[0], lines[2]], "line 2 holds step 2 instead of 1"),
        (lambda lines: [*lines[:2], lines[2][:-4]], "line 3 is damaged"),
        (lambda lines: [*lines[:2], '{"step": 2}'], "line 3: lacks reward_mean"),
        (lambda lines: [*lines[:2], lines[2].replace('"prompts": 4', '"prompts": "four"')], "prompts is 'four'"),
        (lambda lines: [*lines[:2], re.sub('"val_pass_at_1": [^,}]*', '"val_pass_at_1": 7.0', lines[2])], "is 7.0"),
        (lambda lines: [*lines[:2], re.sub('"val_pass_at_1": [^,}]*', '"val_pass_at_1": true', lines[2])], "is true"),
        (lambda lines: [*lines[:2], re.sub('"entropy": [^,}]*', '"entropy": Infinity', lines[2])], "entropy is inf"),
        (lambda lines: [*lines[:2], re.sub('"entropy": [^,}]*', '"entropy": "0.5"', lines[2])], "entropy is '0.5'"),
    ],
)
def test_lost_or_damaged_lines_of_metrics_are_named(tiny_copy, capsys, spoil, sentence):
    path = RESULTS / "runs/real/seed0/metrics.jsonl"
    path.write_text("\n".join(spoil(path.read_text().splitlines())) + "\n")
    relink(RESULTS)
    [line] = refused(capsys, "make", "training_curves")
    assert line.startswith(f"{path}: ")
    assert sentence in line
    assert "delete the run's folder" in line


@pytest.mark.parametrize("exhibit", ["benchmarks", "claims"])
def test_a_truncated_evaluation_is_named(tiny_copy, capsys, exhibit):
    path = RESULTS / "evaluations/gspo/seed0/add3.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    [line] = refused(capsys, "make", exhibit)
    assert line.startswith(f"{path}: is damaged (")


def test_an_evaluation_that_is_called_again_names_rows_that_are_not_what_it_counted(tiny_copy, capsys):
    folder = RESULTS / "evaluations/base"
    again = ["evaluate", *CONFIG, "--model", str(RESULTS / "base/model"), "--output", str(folder), "--processes", "1"]
    assert main(again) == 0
    path = folder / "add3.parquet"
    rows = pd.read_parquet(path)
    rows.assign(correct=~rows["correct"]).to_parquet(path)
    assert main(again) == 1
    assert f"real: {path}: doesn't hold what evaluation.json counted; delete it" in capsys.readouterr().err
    path.write_bytes(path.read_bytes()[:-9])
    assert main(again) == 1
    assert f"real: {path}: is damaged (" in capsys.readouterr().err
    path.unlink()
    assert main(again) == 0
    assert pd.read_parquet(path).equals(rows)


@pytest.mark.parametrize(
    "name",
    [
        "runs/real/seed0/metrics.jsonl",
        "runs/real/seed0/timings.jsonl",
        "runs/real/seed0/provenance.json",
        "evaluations/base/add3.parquet",
    ],
)
def test_a_plan_names_a_damaged_file(tiny_copy, capsys, name):
    assert main(["plan", *CONFIG]) == 0
    path = RESULTS / name
    path.write_bytes(path.read_bytes()[:-9])
    capsys.readouterr()
    assert main(["plan", *CONFIG]) == 1
    assert capsys.readouterr().err.startswith(f"real: {path}: ")
