"""A checkpoint of which costs.yaml knows nothing, with prompts of its own, is checked and trained all the same."""

from pathlib import Path

import pandas as pd
import yaml
from conftest import LAUNCH_SECONDS, Project, copied
from launches import lines, write_model

from real.planning.costs import load_costs
from tests.support.data_server import entry, raw_file

CONFIG = "paper_configs/mine.yaml"
TRAINING = {"steps": 1, "prompts": 4, "rollouts": 2, "mini_batch_prompts": 2, "max_response_tokens": 16}
TRAINING |= {"gradient_sample_steps": [1], "validation_samples": 1}


def write_datasets(project: Project) -> Path:
    """Put small files in place of a training and a validation set; the mirror that holds them."""
    mirror = project.folder / "mirror"
    mirror.mkdir()
    path = project.folder / "datasets" / "sources.yaml"
    sources = yaml.safe_load(path.read_text())
    for name, split, count in (("deepscaler", "train", 8), ("aime", "test", 2)):
        file = mirror / f"{name}.parquet"
        content = raw_file(file, [f"What is {number} + 4?" for number in range(count)], ["7"] * count)
        sources[name] = entry(content, ["http://127.0.0.1:9/absent"], split=split, file=file.name, rows=count)
    path.write_text(yaml.safe_dump(sources))
    return mirror


def write_scale(project: Project, model: Path) -> None:
    """verl_smoke's settings for a checkpoint and prompts in place of the laptop's task; one small step."""
    scale = yaml.safe_load((project.folder / "paper_configs" / "verl_smoke.yaml").read_text())
    for section in ("task", "policy", "base"):
        del scale[section]
    scale |= {"scale": "mine", "evidence": "a random checkpoint", "model": {"name": str(model), "revision": None}}
    scale["data"] = {"train": "deepscaler", "validation": "aime", "max_prompt_tokens": 200}
    scale["training"] |= TRAINING
    scale["evaluation"]["benchmarks"] = ["aime"]
    scale["datasets"]["mirror"] = str(write_datasets(project))
    (project.folder / CONFIG).write_text(yaml.safe_dump(scale))


def test_a_checkpoint_that_costs_do_not_know_trains(tmp_path):
    project = copied(tmp_path / "project")
    model = write_model(tmp_path / "Unknown-0.1M")
    assert model.name not in load_costs(project.folder / "paper_configs" / "reported" / "costs.yaml").models
    write_scale(project, model)
    run = project.folder / "results" / "mine" / "runs" / "real" / "seed0"
    target = str((run / "metrics.jsonl").relative_to(project.folder))
    project.run("-m", "snakemake", "--cores", "2", target, "--configfile", CONFIG, timeout=2 * LAUNCH_SECONDS)

    first, step = lines(run)
    assert (first["step"], step["step"], step["prompts"]) == (0, 1, 4)
    assert len(pd.read_parquet(run / "gradient_samples.parquet")) == 4 * 2
    assert (run / "model" / "model.safetensors").exists()
    unknown = (
        "time and money (device-hours) can't be estimated, because paper_configs/reported/costs.yaml has no facts "
        f"about model.name {model}; "
    )
    log = project.folder / "results" / "mine" / "logs" / "train" / "real" / "seed0.log"
    assert unknown in log.read_text()
    advice, ready = project.run("-m", "real", "plan", "--config", CONFIG, "--check").splitlines()
    assert advice.startswith(unknown)
    assert ready == "ready"
