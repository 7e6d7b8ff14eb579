"""The real stack on what no other launch has: a step of GSPO, and full DAPO to its table."""

import pandas as pd
import pytest
import yaml
from launches import SCALE, lines, overlay, train

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
