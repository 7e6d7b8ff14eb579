"""The DAG at scales of the verl engine: what it plans without a GPU, and that no edit retrains what is protected."""

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest

from real.evidence.claims.measures import methods_of
from real.evidence.claims.schema import load_claims
from tests.support.checkout import copy_checkout, counts, dry_runs, planned, shown_by_default, snakemake
from tests.support.paths import ROOT
from tests.support.scales import shipped

PRODUCERS = {"base", "train", "evaluate", "evaluate_base"}
ONCE = {"all": 1, "base": 1, "evaluate_base": 1, **shown_by_default("1.5b"), "manifest": 1}
SWEEP = {
    "base": 1,
    "train": 16,
    "download_dataset": 2,  # training and validation set
    "prepare_dataset": 2,
    "learning_rate_sweep": 1,
}


def with_runs(methods: int, datasets: int) -> dict[str, int]:
    prepared = {"download_dataset": datasets, "prepare_dataset": datasets} if datasets else {}
    return {**ONCE, **prepared, "train": methods, "evaluate": methods}


def config(scale: str, *overlays: str) -> list[str]:
    files = [f"paper_configs/{scale}.yaml", *(f"paper_configs/variants/{overlay}.yaml" for overlay in overlays)]
    return ["--configfile", *files]


def whole_dags() -> dict[tuple[str, ...], dict[str, int]]:
    """A scale and its overlays -> the jobs of its target."""
    overlays = {"ablations": 4, "full_dapo": 3, "one_sided_train": 4, "tau_sweep": 5}
    expected = {}
    for scale, own, seeds in (("1.5b", 4, 3), ("7b", 4, 1), ("single_gpu", 3, 1)):
        expected[scale,] = with_runs(own * seeds, datasets=7)
        counted = overlays | {"dapo17k": own, "lora": own}
        expected |= {(scale, overlay): with_runs(methods * seeds, datasets=7) for overlay, methods in counted.items()}
        expected[scale, "learning_rate_sweep_paper"] = SWEEP
    expected["gsm8k",] = with_runs(4, datasets=2)  # its test set is the validation set too
    for overlay in ("ablations", "one_sided_train", "tau_sweep"):
        expected["gsm8k", overlay] = with_runs(overlays[overlay], datasets=2)
    expected["gsm8k", "lora"] = with_runs(4, datasets=2)
    expected["gsm8k", "learning_rate_sweep_paper"] = SWEEP
    expected["1.5b", "first_200_steps"] = with_runs(3 * 3, datasets=7)
    expected["7b", "released_rate"] = with_runs(4, datasets=7)
    expected["verl_smoke",] = with_runs(1, datasets=0)
    expected |= {
        ("verl_smoke", overlay): with_runs(overlays[overlay], datasets=0)
        for overlay in ("ablations", "one_sided_train", "tau_sweep")
    }
    return expected


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return copy_checkout(tmp_path_factory.mktemp("fresh") / "project")


ONE_RUN = "results/7b+dapo17k/runs/real/seed0/metrics.jsonl"


@pytest.fixture(scope="module")
def printed(checkout):
    """What dry runs print: by the names of a scale and its overlays, and some others."""
    commands = {
        names: [*(["learning_rate_sweep"] if "learning_rate_sweep_paper" in names else []), *config(*names)]
        for names in whole_dags()
    }
    commands["two gpus"] = ["--resources", "gpu=2", *config("1.5b")]
    commands["one run"] = [ONE_RUN, *config("7b", "dapo17k")]
    commands |= {f"sweep of {scale}": ["learning_rate_sweep", *config(scale)] for scale in ("single_gpu", "laptop")}
    return dict(zip(commands, dry_runs(checkout, *commands.values()), strict=True))


@pytest.mark.slow
def test_every_scale_and_overlay_of_the_verl_engine_shows_its_whole_dag(printed):
    assert {names: counts(printed[names]) for names in whole_dags()} == whole_dags()


@pytest.mark.slow
def test_jobs_ask_for_the_gpus_of_the_config_and_are_told_what_they_got(printed):
    for name, gpus in (("1.5b",), 8), ("two gpus", 2):
        train = rf"python -m real train .* --method \S+ --seed \d --gpus {gpus} --log "
        assert len(re.findall(train, printed[name])) == 4 * 3
        sampled = rf"python -m real evaluate .* --processes 8 --sampler vllm --gpus {gpus} --log "
        assert len(re.findall(sampled, printed[name])) == 1 + 4 * 3
    smoke = printed["verl_smoke",]
    assert re.search(r"python -m real evaluate .* --processes 1 --sampler vllm  ?--log ", smoke)
    assert "--gpus" not in smoke


@pytest.mark.slow
def test_training_waits_for_its_prompts_and_its_validation_set(printed):
    one_run = printed["one run"]
    assert counts(one_run) == {"base": 1, "train": 1, "download_dataset": 2, "prepare_dataset": 2}
    assert set(re.findall(r"python -m real prepare (\S+)", one_run)) == {"dapo_math_17k", "aime"}


@pytest.mark.slow
def test_the_sweeps_target_names_the_overlay_of_the_scale(printed):
    for scale, overlay in (("single_gpu", "learning_rate_sweep_paper"), ("laptop", "learning_rate_sweep")):
        command = f"paper_configs/{scale}.yaml paper_configs/variants/{overlay}.yaml"
        assert command in printed[f"sweep of {scale}"]


@pytest.mark.slow
def test_a_disk_that_cannot_hold_a_run_is_said_before_the_first_job(checkout):
    (checkout / "huge.yaml").write_text("cluster: {keep_checkpoints: 1000}\n")
    target = "results/7b+huge/runs/real/seed0/metrics.jsonl"
    done = snakemake(checkout, target, "--cores", "1", "--resources", "gpu=8", *config("7b"), "huge.yaml")
    assert done.returncode != 0
    assert "results/7b+huge: " in done.stdout
    assert "GB are needed at least" in done.stdout
    assert "Traceback" not in done.stdout
    assert not [*checkout.glob("results/**/*.log"), *checkout.glob("datasets/raw/*")], "no job began"


@pytest.mark.slow
def test_how_to_run_a_claim_is_a_command_that_plans_what_the_claim_needs(checkout, monkeypatch):
    """Every command of the claims table dry-runs, and trains every method that its claims compare."""
    monkeypatch.chdir(ROOT)
    from real.evidence.claims.judge import judge

    content = load_claims()
    commands: dict[str, set[str]] = {}
    for row in judge(shipped("published"), content):
        if content.claims[row.id].awaits:
            assert "does not have yet" in row.command, "its experiment is not built"
            continue
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
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


PROTECTED = config("single_gpu")


@pytest.fixture(scope="module")
def protected(tmp_path_factory):
    """A checkout in which a protected scale looks finished; not to be changed."""
    checkout = copy_checkout(tmp_path_factory.mktemp("protected") / "project")
    finish(checkout, *PROTECTED)
    return checkout


@pytest.fixture
def finished(protected, tmp_path):
    """A copy of it to change."""
    return Path(shutil.copytree(protected, tmp_path / "project", symlinks=True))


def edit_everything(checkout: Path) -> None:
    """Code, configuration, methods, a rule's own text, and inputs newer than outputs."""
    with (checkout / "real" / "objectives.py").open("a") as file:
        file.write("\nEDITED = True\n")
    scale = checkout / "paper_configs" / "single_gpu.yaml"
    replace(scale, "learning_rate: 2.0e-6", "learning_rate: 1.0e-6")
    replace(scale, "train: deepscaler", "train: dapo_math_17k")
    replace(scale, "reward_workers: 8", "reward_workers: 4")
    replace(scale, "top_p: 0.95", "top_p: 0.9")
    replace(checkout / "paper_configs" / "methods.yaml", "tau: 0.5", "tau: 0.25")
    replace(checkout / "workflow" / "rules" / "training.smk", "python -m real train", "nice python -m real train")
    replace(
        checkout / "workflow" / "rules" / "evaluation.smk", "python -m real evaluate", "nice python -m real evaluate"
    )
    # the base model's folder is as old as Snakemake's file in it
    base = checkout / "results" / "single_gpu" / "base" / "model" / ".snakemake_timestamp"
    for path in (*(checkout / "datasets" / "prepared").iterdir(), base):
        os.utime(path)


@pytest.mark.slow
def test_at_a_protected_scale_edits_redraw_but_neither_retrain_nor_evaluate(finished):
    edit_everything(finished)
    # forcing is the way: a retrained run is evaluated, a forced evaluation retrains nothing
    forcing = ([], ["--forcerun", "train"], ["--forcerun", "evaluate"])
    edited, train, evaluate = map(counts, dry_runs(finished, *([*forced, *PROTECTED] for forced in forcing)))
    assert not edited.keys() & PRODUCERS
    assert {"claims", "gradient_magnitude", "gradient_measured", "manifest"} <= edited.keys()
    assert (train["train"], train["evaluate"], train.keys() & PRODUCERS) == (3, 3, {"train", "evaluate"})
    assert (evaluate["evaluate"], evaluate.keys() & PRODUCERS) == (3, {"evaluate"})


@pytest.mark.slow
def test_at_a_protected_scale_what_is_deleted_is_made_again_and_nothing_beside_it(finished):
    edit_everything(finished)
    results = finished / "results" / "single_gpu"
    shutil.rmtree(results / "runs" / "dapo")
    # needed again for that run, but the finished ones must not follow: the base model, and the training set just named
    shutil.rmtree(results / "base")
    jobs = planned(finished, *PROTECTED)
    assert {rule: jobs.get(rule) for rule in PRODUCERS} == {"base": 1, "train": 1, "evaluate": 1, "evaluate_base": None}
    assert jobs["prepare_dataset"] == 1
    shutil.rmtree(results / "evaluations" / "base")
    assert planned(finished, *PROTECTED)["evaluate_base"] == 1


@pytest.mark.slow
def test_at_a_protected_scale_no_run_is_repeated_for_the_loss_of_what_nothing_reads(finished):
    results = finished / "results" / "single_gpu"
    for name in ("runs/dapo/seed0/timings.jsonl", "evaluations/dapo/seed0/evaluation.json"):
        (results / name).unlink()
    (results / "claims.json").write_text("{}\n")  # Snakemake compares the content of small files
    assert planned(finished, *PROTECTED) == {"report": 1, "manifest": 1, "all": 1}
    (results / "manifest.json").unlink()
    assert planned(finished, *PROTECTED) == {"report": 1, "manifest": 1, "all": 1}
