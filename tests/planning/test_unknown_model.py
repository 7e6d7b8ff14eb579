"""Costs advise: a checkpoint that costs.yaml doesn't know is planned as far as can be, checked, and trained."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from real.commands import start
from real.commands.command_line import main
from real.config import ConfigError, load
from real.planning import preflight
from real.planning.costs import Amount
from real.planning.plan import plan
from real.planning.preflight import PreflightError, check, require
from tests.support.checkout import copy_checkout, planned
from tests.support.gpus import list_gpus
from tests.support.paths import ROOT
from tests.support.weights import write_weights

COSTS = "paper_configs/reported/costs.yaml"
UNKNOWN = (
    f"time, disk of checkpoints and money (device-hours) can't be estimated, because {COSTS} has no facts about "
    "model.name acme/Unknown-3B; for estimates add facts there, with their sources, under the key models.Unknown-3B"
)
H100 = "NVIDIA H100 80GB HBM3, 81559, 81008, 9.0, 550.54"


def write_scale(folder: Path, **changes: str) -> str:
    """1.5b.yaml with another model, and other values of some keys."""
    text = (ROOT / "paper_configs" / "1.5b.yaml").read_text()
    for key, value in {"name": "acme/Unknown-3B", "attention": "sdpa", **changes}.items():
        text, count = re.subn(rf"^  {key}: \S+", f"  {key}: {value}", text, flags=re.M)
        assert count == 1, key
    path = folder / "COPY.yaml"
    path.write_text(text)
    return str(path)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The files that a plan reads, to change, as the working folder, on a machine of eight GPUs."""
    shutil.copytree(ROOT / "paper_configs", tmp_path / "paper_configs", ignore=shutil.ignore_patterns("local.yaml"))
    (tmp_path / "datasets").mkdir()
    shutil.copy(ROOT / "datasets" / "sources.yaml", tmp_path / "datasets")
    list_gpus(monkeypatch, tmp_path, *(f"{index}, GPU-{index}, {H100}" for index in range(8)))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ready(monkeypatch):
    """As if everything that the engine needs were installed."""
    monkeypatch.setattr(preflight, "engine_problems", lambda cluster: [])


def damage_costs() -> str:
    """Spoil one key of costs.yaml; the sentence about it."""
    text = Path(COSTS).read_text(encoding="utf-8")
    Path(COSTS).write_text(
        text.replace("dynamic_sampling:\n  low: 1.3", "dynamic_sampling:\n  low: much"), encoding="utf-8"
    )
    return f"{COSTS}: dynamic_sampling.low is 'much'; must be a number: write it in digits, without quotes"


def test_the_plan_holds_what_is_known_and_says_what_is_not_why_and_what_to_do(project, capsys):
    assert main(["plan", "--config", write_scale(project), "--rate", "2"]) == 0
    printed = capsys.readouterr().out
    known = plan(load(["paper_configs/1.5b.yaml"])).rows
    planned = plan(load([write_scale(project)]))
    assert [(row.name, row.steps, row.tokens) for row in planned.rows] == [
        (row.name, row.steps, row.tokens) for row in known
    ]
    for row, of_known in zip(planned.rows, known, strict=True):
        assert row.seconds is row.device_hours is None
        assert row.kept == (of_known.kept if row.name.startswith("evaluate ") else None)
    assert planned.bytes_needed is None
    sentence = f"–: {UNKNOWN}; no total counts them"
    assert [line for line in printed.splitlines() if "can't be estimated" in line] == [sentence]
    assert sentence in (ROOT / "docs" / "planning.md").read_text()
    assert "Not counted" not in printed, "which is about time"


def test_runs_that_exist_are_measured_all_the_same(project):
    experiment = load([write_scale(project)])
    work = Path(experiment.results) / "work" / "real" / "seed0"
    work.mkdir(parents=True)
    (work / "timings.jsonl").write_text(json.dumps({"step": 1, "step_seconds": 10}) + "\n")
    row = next(row for row in plan(experiment).rows if row.name == "train real, seed 0")
    assert (row.seconds, row.steps_done) == (Amount(14_000, 14_000, "extrapolated"), 1)
    assert row.device_hours == Amount(14_000 * 8 / 3600, 14_000 * 8 / 3600, "extrapolated")


def test_the_check_names_problems_alone_and_advises_about_the_rest(project, ready, capsys):
    assert main(["plan", "--config", write_scale(project), "--check", "--gpus", "4"]) == 1
    said = capsys.readouterr()
    assert said.out == f"{UNKNOWN}; the disk isn't checked\n"
    assert "costs.yaml" not in said.err
    starts = [line.removeprefix("real: ").split()[0] for line in said.err.splitlines()]
    assert starts[:2] == ["resources.gpu:", "model.name:"]
    assert all(start.startswith("datasets/prepared/") for start in starts[2:])


def test_advice_alone_is_ready(project, ready, monkeypatch, capsys):
    monkeypatch.setattr(preflight, "model_problems", lambda *_: [])
    monkeypatch.setattr(preflight, "dataset_problems", lambda *_: [])
    assert main(["plan", "--config", write_scale(project), "--check"]) == 0
    assert capsys.readouterr().out == f"{UNKNOWN}; the disk isn't checked\nready\n"


def test_a_local_checkpoints_disk_is_counted_from_its_own_files(project, ready, monkeypatch):
    (project / "mine").mkdir()
    for number in (1, 2):
        write_weights(project / "mine" / f"model-{number}.safetensors", "F32", 500_000_000)
    experiment = load([write_scale(project, name=str(project / "mine"), keep_checkpoints="1")])
    planned = plan(experiment)
    rows = {row.name: row for row in planned.rows}
    assert rows["base model"].kept == Amount(0, 0), "linked"
    assert rows["train real, seed 0"].kept == Amount(2e9, 4e9)
    assert rows["train real, seed 0"].peak == Amount(2e9 + 12e9, 4e9 + 24e9)
    monkeypatch.setattr(preflight, "read_free_bytes", lambda folder: planned.bytes_needed - 1)
    found = check(experiment, inputs=False)
    assert found.problems[0].startswith("results/: 79 GB are needed at most")
    assert found.advice[0].startswith("time and money (device-hours) can't be estimated, because")
    assert found.advice[0].endswith("under the key models.mine")
    (project / "mine" / "model-2.safetensors").write_bytes(b"damaged")
    assert plan(experiment).bytes_needed is None


def test_a_damaged_or_missing_file_of_costs_ends_a_plan_and_stops_no_training(project, ready, capsys):
    experiment = load(["paper_configs/1.5b.yaml"])
    sentence = damage_costs()
    assert main(["plan", "--config", "paper_configs/1.5b.yaml"]) == 1
    assert capsys.readouterr().err == f"real: {sentence}\n"
    require(experiment, granted_gpus=8, inputs=False)
    cannot = "time, disk and money (device-hours) can't be estimated, and the disk isn't checked"
    assert capsys.readouterr().out.startswith(f"{cannot}: {sentence}\n")
    Path(COSTS).unlink()
    with pytest.raises(ConfigError, match=f"{COSTS}: no such file"):
        plan(experiment)
    require(experiment, granted_gpus=8, inputs=False)
    assert capsys.readouterr().out.startswith(f"{cannot}: {COSTS}: no such file")


def test_a_damaged_result_of_another_run_stops_no_training(project, ready):
    experiment = load(["paper_configs/1.5b.yaml"])
    for damaged in ("{]\n", '{"step": 1, "step_seconds": "long"}\n', '{"step": 1, "step_seconds": null}\n'):
        work = Path(experiment.results) / "work" / "grpo" / "seed0"
        work.mkdir(parents=True, exist_ok=True)
        (work / "timings.jsonl").write_text(damaged)
        found = check(experiment, granted_gpus=8, inputs=False)
        assert found.problems == []
        assert f"{work / 'timings.jsonl'}: " in found.advice[0]


@pytest.mark.parametrize("spoil", [lambda: None, damage_costs, lambda: Path(COSTS).unlink()])
def test_training_starts_whatever_costs_say(project, ready, monkeypatch, spoil):
    spoil()
    begun = []

    def train(run, base, output, *_):
        output.mkdir(parents=True)
        begun.append(run.model.name)
        return []

    monkeypatch.setattr("real.engines.verl.train.train", train)
    monkeypatch.setattr("real.records.custody.data_identity", lambda name: {"source": name, "content": name})
    monkeypatch.setenv("TMPDIR", str(project))
    monkeypatch.setattr("tempfile.tempdir", None)
    experiment = load([write_scale(project)])
    start.train_run(experiment, "real", 0, granted_gpus=8)
    assert begun == ["acme/Unknown-3B"]
    with pytest.raises(PreflightError, match=r"granted 4 of the 8"):
        start.train_run(experiment, "real", 0, granted_gpus=4)


@pytest.mark.slow
def test_the_workflow_and_the_status_take_it(tmp_path):
    checkout = copy_checkout(tmp_path / "checkout")
    assert planned(checkout, "--configfile", write_scale(tmp_path))["train"] == 12
    done = subprocess.run(
        [sys.executable, "-m", "real", "status", "--config", write_scale(tmp_path)],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "real, seed 0" in done.stdout
