"""The real stack on what no other launch has: a step of GSPO, an adapter, a dead worker, and full DAPO to its table."""

import json
import os
import re

import pandas as pd
import pytest
import yaml
from conftest import LAUNCH_SECONDS, end, left_behind
from launches import SCALE, lines, overlay, train

from real.engines.torch.policy import load_checkpoint

pytestmark = pytest.mark.slow
ONE_STEP = {"steps": 1, "validation_every": 1, "gradient_sample_steps": [1]}


def require_step(folder) -> dict:
    """The one step's line of metrics, which must be sound."""
    line = lines(folder)[-1]
    assert (line["step"], line["prompts"]) == (1, 8)
    assert line["grad_norm"] > 0
    assert line["reward_mean"] * 64 == int(line["reward_mean"] * 64), "0/1 correctness, whatever is trained on"
    return line


def test_gspo_makes_a_step(project):
    config, results = overlay(project, "step_of_gspo", {"training": ONE_STEP})
    project.run(*train(config, "gspo"))
    require_step(results / "runs/gspo/seed0")


def test_an_adapter_is_trained_on_two_ranks_although_a_rollout_is_lost(project, monkeypatch):
    """The step trains on the seven other groups, and the model at the end is a whole one."""
    monkeypatch.setenv("VERL_USE_EXTERNAL_MODULES", f"{os.environ['VERL_USE_EXTERNAL_MODULES']},lost_rollout")
    steps = {"steps": 2, "validation_every": 2, "gradient_sample_steps": [1], "lora": {"rank": 4, "alpha": 8}}
    config, results = overlay(project, "adapter", {"training": steps, "cluster": {"gpus_per_node": 2}})
    said = project.run(*train(config, "real"))
    output = results / "runs" / "real" / "seed0"
    first, second = lines(output)[1:]
    assert (first["prompts"], first["lost_groups"]) == (7, 1)
    assert "step 1: 1 of 8 groups lost a rollout and are left out" in said
    assert (second["prompts"], second["lost_groups"]) == (8, 0)
    assert len(pd.read_parquet(output / "gradient_samples.parquet")) == 7 * 8
    assert first["grad_norm"] > 0

    (kernels,) = json.loads((output / "provenance.json").read_text())["kernels"]
    assert (kernels["step"], kernels["attention"], kernels["head"]) == (0, "sdpa", "fused")
    assert "attention: sdpa; head: fused with its loss" in said

    trained, start = (load_checkpoint(folder / "model", "cpu") for folder in (output, results / "base"))
    moved = {
        name: float((weight - before).abs().max())
        for (name, weight), before in zip(trained.named_parameters(), start.parameters(), strict=True)
    }
    linear = {name for name in moved if name.endswith("_proj.weight")}
    assert min(moved[name] for name in linear) > 0, "the adapter is in the weights"
    assert max(moved[name] for name in moved if name not in linear) < 1e-2, "of what has none, only rounding"
    assert not (output / "model" / "lora_adapter").exists()


def test_a_training_whose_rollout_worker_was_killed_ends_and_names_it(project, monkeypatch):
    """verl alone would wait for its rollouts for ever."""
    monkeypatch.setenv("VERL_USE_EXTERNAL_MODULES", f"{os.environ['VERL_USE_EXTERNAL_MODULES']},dead_worker")
    config, _ = overlay(project, "dead_worker", {"training": ONE_STEP})
    log = project.folder / "dead_worker.log"
    started = project.start(*train(config, "real"), log=log)
    try:
        assert started.wait(LAUNCH_SECONDS) == 1
        assert left_behind(started) == []
    finally:
        end(started)
    assert re.search(r"step 1: worker \d of rollouts has ended", log.read_text())


def test_the_overlay_of_full_dapo_runs_to_its_table_and_its_report(project):
    """As it is shipped, but for its buffer of 1,024 tokens, which is longer than this scale's responses."""
    shaped = {"dapo_full": {"training": {"overlong_buffer_tokens": 8}}}
    few = {"methods": ["dapo_full"], "variants": shaped, "training": ONE_STEP, "evaluation": {"samples": 2}}
    (project.folder / "few.yaml").write_text(yaml.safe_dump(few))
    files = [SCALE, "paper_configs/variants/full_dapo.yaml", "few.yaml"]
    # one job at a time: Ray on two cores gives up beside a second vLLM
    project.run("-m", "snakemake", "--cores", "1", "--configfile", *files)
    results = project.folder / "results/verl_smoke+full_dapo+few"
    line = require_step(results / "runs/dapo_full/seed0")
    assert line["solve_all"] == line["solve_none"] == 0, "one-sided groups were replaced"
    labels = ["Base model", "DAPO (dynamic_sampling true, overlong_buffer_tokens 8)"]
    assert list(pd.read_csv(results / "tables/benchmarks.csv")["label"]) == labels
    assert labels[1] in (results / "report.html").read_text()
