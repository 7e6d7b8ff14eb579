"""The DAG at scales of the verl engine: what it plans without a GPU, and that no edit retrains what is protected."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from real.config import load
from real.evidence.claims.measures import methods_of
from real.evidence.claims.schema import load_claims
from tests.support.checkout import copy_checkout, planned, shown_by_default, snakemake
from tests.support.paths import ROOT

PRODUCERS = {"base", "train", "evaluate", "evaluate_base"}
ONCE = {"all": 1, "base": 1, "evaluate_base": 1, **shown_by_default("1.5b"), "manifest": 1}
SWEEP = {
    "base": 1,
    "train": 16,
    "download_dataset": 2,  # training and validation set
    "prepare_dataset": 2,
    "learning_rate_sweep": 1,
}
# one Snakemake start takes seconds, a further dry run in the same process half of one
DRY_RUNS = """
import contextlib, io, json, sys
from snakemake.cli import main
printed = []
for arguments in json.loads(sys.argv[1]):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), contextlib.suppress(SystemExit):
        main(["--dry-run", "--printshellcmds", "--cores", "1", *arguments])
    printed.append(out.getvalue())
json.dump(printed, sys.stdout)
"""


def dry_runs(checkout: Path, *commands: list[str]) -> list[str]:
    """What dry runs print, one after the other in one process."""
    done = subprocess.run(
        [sys.executable, "-c", DRY_RUNS, json.dumps(commands)], cwd=checkout, text=True, capture_output=True, check=True
    )
    return json.loads(done.stdout)


def counts(printed: str) -> dict[str, int]:
    """Jobs per rule of one dry run."""
    table = re.search(r"Job stats:\njob +count\n[- ]+\n(.*?)\n\n", printed, re.S)
    assert table, printed
    jobs = {name: int(count) for name, count in (line.split() for line in table[1].splitlines())}
    assert jobs.pop("total") == sum(jobs.values())
    return jobs


def with_runs(methods: int, datasets: int) -> dict[str, int]:
    prepared = {"download_dataset": datasets, "prepare_dataset": datasets} if datasets else {}
    return {**ONCE, **prepared, "train": methods, "evaluate": methods}


def config(scale: str, *overlays: str) -> list[str]:
    files = [f"paper_configs/{scale}.yaml", *(f"paper_configs/variants/{overlay}.yaml" for overlay in overlays)]
    return ["--configfile", *files]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return copy_checkout(tmp_path_factory.mktemp("fresh") / "project")


@pytest.mark.slow
def test_every_scale_and_overlay_of_the_verl_engine_shows_its_whole_dag(checkout):
    overlays = {"ablations": 4, "dapo17k": 4, "full_dapo": 3, "one_sided_train": 4, "tau_sweep": 5}
    expected = {}
    for scale in ("1.5b", "7b", "single_gpu"):
        expected[scale,] = with_runs(4, datasets=7)
        expected |= {(scale, overlay): with_runs(methods, datasets=7) for overlay, methods in overlays.items()}
        expected[scale, "learning_rate_sweep_paper"] = SWEEP
    expected["verl_smoke",] = with_runs(1, datasets=0)
    expected |= {
        ("verl_smoke", overlay): with_runs(overlays[overlay], datasets=0)
        for overlay in ("ablations", "one_sided_train", "tau_sweep")
    }
    commands = [
        [*(["learning_rate_sweep"] if "learning_rate_sweep_paper" in names else []), *config(*names)]
        for names in expected
    ]
    printed = dry_runs(checkout, *commands)
    assert {names: counts(text) for names, text in zip(expected, printed, strict=True)} == expected


@pytest.mark.slow
def test_jobs_ask_for_the_gpus_of_the_config_and_are_told_what_they_got(checkout):
    whole, clamped, smoke = dry_runs(
        checkout, config("1.5b"), ["--resources", "gpu=2", *config("1.5b")], config("verl_smoke")
    )
    for printed, gpus in ((whole, 8), (clamped, 2)):
        assert len(re.findall(rf"python -m real train .* --method \S+ --seed 0 --gpus {gpus} --log ", printed)) == 4
        sampled = rf"python -m real evaluate .* --processes 8 --sampler vllm --gpus {gpus} --log "
        assert len(re.findall(sampled, printed)) == 5
    assert re.search(r"python -m real evaluate .* --processes 1 --sampler vllm  ?--log ", smoke)
    assert "--gpus" not in smoke


@pytest.mark.slow
def test_training_waits_for_its_prompts_and_its_validation_set(checkout):
    target = "results/7b+dapo17k/runs/real/seed0/metrics.jsonl"
    [printed] = dry_runs(checkout, [target, *config("7b", "dapo17k")])
    assert counts(printed) == {"base": 1, "train": 1, "download_dataset": 2, "prepare_dataset": 2}
    assert set(re.findall(r"python -m real prepare (\S+)", printed)) == {"dapo_math_17k", "aime"}


@pytest.mark.slow
def test_the_sweeps_target_names_the_overlay_of_the_scale(checkout):
    verl, laptop = dry_runs(
        checkout, ["learning_rate_sweep", *config("single_gpu")], ["learning_rate_sweep", *config("laptop")]
    )
    assert "paper_configs/single_gpu.yaml paper_configs/variants/learning_rate_sweep_paper.yaml" in verl
    assert "paper_configs/laptop.yaml paper_configs/variants/learning_rate_sweep.yaml" in laptop


@pytest.mark.slow
def test_how_to_run_a_claim_is_a_command_that_plans_what_the_claim_needs(checkout, monkeypatch):
    """Every command of the claims table dry-runs, and trains every method that its claims compare."""
    monkeypatch.chdir(ROOT)
    from real.evidence.claims.judge import judge

    content = load_claims()
    commands: dict[str, set[str]] = {}
    for row in judge(load(["paper_configs/published.yaml"], local_file=Path("absent")), content):
        methods = methods_of(content.claims[row.id].parameters) if row.kind == "claim" else []
        commands.setdefault(row.command, set()).update(methods)
    words = {command: shlex.split(command) for command in commands}
    assert {tuple(split[:1]) for split in words.values()} == {("snakemake",)}
    arguments = [[word for word in split[1:] if word not in ("--cores", "all")] for split in words.values()]
    for (command, methods), printed in zip(commands.items(), dry_runs(checkout, *arguments), strict=True):
        trained = set(re.findall(r"--method (\S+) --seed", printed))
        assert methods <= trained, command
        assert "claims" in counts(printed), command
        assert ("--resources gpu=8" in command) == bool(methods), command


def finish(checkout: Path, *arguments: str) -> None:
    """Make a scale look finished: empty files for every declared output, recorded by Snakemake as its own."""
    raw = checkout / "datasets" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    summary = snakemake(checkout, "--summary", *arguments)
    assert summary.returncode == 0, summary.stdout
    for line in summary.stdout.splitlines():
        path = checkout / line.split("\t")[0]
        if not line.startswith(("results/", "datasets/")):
            continue
        if path.name == "model":
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    done = snakemake(checkout, "--touch", "--forceall", "--cores", "1", *arguments)
    assert done.returncode == 0, done.stdout
    assert planned(checkout, *arguments) == {}


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.fixture
def finished(tmp_path):
    """A function: a checkout in which a scale looks finished."""

    def make(scale: str) -> Path:
        checkout = copy_checkout(tmp_path / scale)
        finish(checkout, *config(scale))
        return checkout

    return make


def touchable(checkout: Path, scale: str) -> Path:
    """The file by which Snakemake tells how old the base model's folder is."""
    return checkout / "results" / scale / "base" / "model" / ".snakemake_timestamp"


def edit_everything(checkout: Path, scale: str) -> None:
    """Code, configuration, methods, a rule's own text, and inputs newer than outputs."""
    with (checkout / "real" / "objectives.py").open("a") as file:
        file.write("\nEDITED = True\n")
    replace(checkout / "paper_configs" / f"{scale}.yaml", "learning_rate: 2.0e-6", "learning_rate: 1.0e-6")
    replace(checkout / "paper_configs" / f"{scale}.yaml", "train: deepscaler", "train: dapo_math_17k")
    replace(checkout / "paper_configs" / f"{scale}.yaml", "reward_workers: 8", "reward_workers: 4")
    replace(checkout / "paper_configs" / f"{scale}.yaml", "top_p: 0.95", "top_p: 0.9")
    replace(checkout / "paper_configs" / "methods.yaml", "tau: 0.5", "tau: 0.25")
    replace(checkout / "workflow" / "rules" / "training.smk", "python -m real train", "nice python -m real train")
    replace(
        checkout / "workflow" / "rules" / "evaluation.smk", "python -m real evaluate", "nice python -m real evaluate"
    )
    for path in (*(checkout / "datasets" / "prepared").iterdir(), touchable(checkout, scale)):
        os.utime(path)


@pytest.mark.slow
def test_at_a_protected_scale_edits_redraw_but_neither_retrain_nor_evaluate(finished):
    checkout = finished("single_gpu")
    edit_everything(checkout, "single_gpu")
    rules = set(planned(checkout, *config("single_gpu")))
    assert not rules & PRODUCERS
    assert {"claims", "gradient_magnitude", "gradient_measured", "manifest"} <= rules
    # forcing is the way: a retrained run is evaluated, a forced evaluation retrains nothing
    forced = planned(checkout, "--forcerun", "train", *config("single_gpu"))
    assert (forced["train"], forced["evaluate"], forced.keys() & PRODUCERS) == (4, 4, {"train", "evaluate"})
    forced = planned(checkout, "--forcerun", "evaluate", *config("single_gpu"))
    assert (forced["evaluate"], forced.keys() & PRODUCERS) == (4, {"evaluate"})


@pytest.mark.slow
def test_at_a_protected_scale_what_is_deleted_is_made_again_and_nothing_beside_it(finished):
    checkout = finished("single_gpu")
    edit_everything(checkout, "single_gpu")
    results = checkout / "results" / "single_gpu"
    shutil.rmtree(results / "runs" / "gspo")
    # needed again for that run, but the finished ones must not follow: the base model, and the training set just named
    shutil.rmtree(results / "base")
    jobs = planned(checkout, *config("single_gpu"))
    assert {rule: jobs.get(rule) for rule in PRODUCERS} == {"base": 1, "train": 1, "evaluate": 1, "evaluate_base": None}
    assert jobs["prepare_dataset"] == 1
    shutil.rmtree(results / "evaluations" / "base")
    assert planned(checkout, *config("single_gpu"))["evaluate_base"] == 1


@pytest.mark.slow
def test_at_a_protected_scale_no_run_is_repeated_for_the_loss_of_what_nothing_reads(finished):
    checkout = finished("single_gpu")
    results = checkout / "results" / "single_gpu"
    for name in ("runs/gspo/seed0/timings.jsonl", "evaluations/gspo/seed0/evaluation.json"):
        (results / name).unlink()
    (results / "claims.json").write_text("{}\n")  # Snakemake compares the content of small files
    assert planned(checkout, *config("single_gpu")) == {"report": 1, "manifest": 1, "all": 1}
    (results / "manifest.json").unlink()
    assert planned(checkout, *config("single_gpu")) == {"report": 1, "manifest": 1, "all": 1}


@pytest.mark.slow
def test_at_an_unprotected_scale_the_same_edits_retrain(finished):
    checkout = finished("smoke")
    objectives, scale = checkout / "real" / "objectives.py", checkout / "paper_configs" / "smoke.yaml"
    before = objectives.read_text()
    objectives.write_text(before + "\nEDITED = True\n")
    jobs = planned(checkout, *config("smoke"))
    assert (jobs["train"], jobs["evaluate"]) == (12, 12)
    assert "base" not in jobs
    objectives.write_text(before)
    replace(scale, "  gradient_clip: 1.0", "  gradient_clip: 2.0")
    jobs = planned(checkout, *config("smoke"))
    assert (jobs["train"], jobs["evaluate"]) == (12, 12)
    replace(scale, "  gradient_clip: 2.0", "  gradient_clip: 1.0")
    assert planned(checkout, *config("smoke")) == {}
    os.utime(touchable(checkout, "smoke"))
    assert planned(checkout, *config("smoke"))["train"] == 12
