r"""gsm8k.yaml from its JSON lines to an evaluation, with a random model of 0.1 million parameters on two ranks."""

import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import LAUNCH_SECONDS, Project, copied
from launches import lines, write_model

pytestmark = pytest.mark.slow
# the model says these as single tokens, so that a third of its responses is right, by what it says last
WORDS = (r"\boxed{7}", r"\boxed{7.0}", r"\boxed{14/2}", r"\boxed{8}")
# an odd number of validation problems: two graders share them, as eight share GSM8K's 1,319
COUNTS = {"gsm8k_train": 16, "gsm8k": 5}
CUT = {
    "training": {
        "steps": 2,
        "prompts": 8,
        "mini_batch_prompts": 2,  # four updates per step, as it is shipped
        "max_response_tokens": 16,
        "validation_every": 1,
        "gradient_sample_steps": [1, 2],
    },
    "cluster": {
        "device": "cpu",
        "gpus_per_node": 2,
        "ray_cpus": 16,
        "precision": "float32",
        "vllm_batched_tokens": 1024,
        "vllm_sequences": 64,
        "vllm_eager": True,
        "reward_workers": 2,
    },
    "evaluation": {"max_response_tokens": 16},
}


def write_datasets(project: Project) -> Path:
    """Put a few lines in place of GSM8K's, all of which 7 answers; the mirror that holds them."""
    mirror = project.folder / "mirror"
    mirror.mkdir()
    path = project.folder / "datasets" / "sources.yaml"
    sources = yaml.safe_load(path.read_text())
    for name, count in COUNTS.items():
        rows = [{"question": f"What is {number} + 7 - {number}?", "answer": "So.\n#### 7"} for number in range(count)]
        content = "".join(json.dumps(row) + "\n" for row in rows).encode()
        (mirror / sources[name]["file"]).write_bytes(content)
        sources[name] |= {"rows": count, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    path.write_text(yaml.safe_dump(sources))
    return mirror


def test_the_gsm8k_scale_trains_two_steps_on_two_ranks_and_is_evaluated(tmp_path):
    project = copied(tmp_path / "project")
    model = write_model(tmp_path / "random", WORDS)
    tiny = CUT | {"model": {"name": str(model), "revision": None}}
    tiny["datasets"] = {"mirror": str(write_datasets(project))}
    (project.folder / "tiny.yaml").write_text(yaml.safe_dump(tiny))
    results = Path("results/gsm8k+tiny")
    run, evaluation = results / "runs/real/seed0", results / "evaluations/real/seed0/gsm8k.parquet"
    targets = map(str, (run / "metrics.jsonl", evaluation))
    files = ("paper_configs/gsm8k.yaml", "tiny.yaml")
    command = ("-m", "snakemake", "--cores", "2", *targets, "--configfile", *files)
    project.run(*command, timeout=2 * LAUNCH_SECONDS)

    first, *steps = lines(project.folder / run)
    assert [line["step"] for line in (first, *steps)] == [0, 1, 2]
    assert [line["prompts"] for line in steps] == [8, 8]
    assert all(0 < line["reward_mean"] < 1 for line in steps), "no response has </think>, and the right ones count"
    assert all(line["grad_norm"] > 0 for line in steps)
    assert {round(line["val_pass_at_1"] * 5, 6) for line in (first, *steps)} <= set(range(6))
    rows = pd.read_parquet(project.folder / evaluation)
    assert len(rows) == 5 * 4
    assert rows["correct"].any()
    assert not rows["response"].str.contains("</think>").all(), "by the released rules these would be wrong"
