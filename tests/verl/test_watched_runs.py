"""A real run on two ranks, watched: nothing listens where another machine could connect.

Nor is a secret of the environment, which all its processes inherit, written anywhere. An evaluation is watched by
test_end_to_end.py.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from launches import lines, overlay, train
from watching import Sockets, elsewhere, watch

from real.engines.torch.policy import load_checkpoint

pytestmark = pytest.mark.slow

SECRET = "s3cr3t-0f-th1s-t3st"


@dataclass(frozen=True)
class Watched:
    """One training on two ranks: the sockets it listened at, its log and results, and the files of Ray and these."""

    seen: Sockets
    log: Path
    output: Path
    written: dict[Path, bytes]


@pytest.fixture(scope="module")
def trained(project) -> Watched:
    """GRPO with its reference model, on two ranks, which must meet, too; what Ray writes besides results is kept."""
    changes = {"training": {"steps": 1, "gradient_sample_steps": [1]}, "cluster": {"gpus_per_node": 2}}
    config, results = overlay(project, "two_ranks", changes)
    log = project.folder / "two_ranks.log"
    # short: Ray's sockets lie below, and a socket's path has at most 107 characters
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="ray") as folder:
        for variable in ("WANDB_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(variable, SECRET)
        patch.setenv("RAY_TMPDIR", folder)
        seen = watch(project.start(*train(config, "grpo"), log=log), log)
        files = [path for place in (results, Path(folder)) for path in place.rglob("*") if path.is_file()]
        written = {path: path.read_bytes() for path in files}
    return Watched(seen, log, results / "runs" / "grpo" / "seed0", written)


def test_two_ranks_train_together(trained):
    """Two FSDP2 ranks and two vLLM replicas: groups stay whole in a mini-batch and are spread over the ranks."""
    line = lines(trained.output)[-1]
    assert (line["step"], line["prompts"]) == (1, 8)
    assert line["grad_norm"] > 0
    assert line["reward_mean"] * 64 == int(line["reward_mean"] * 64), "0/1 correctness"
    assert len(pd.read_parquet(trained.output / "gradient_samples.parquet")) == 64
    load_checkpoint(trained.output / "model", "cpu")


def test_training_writes_no_secret(trained):
    names = {path.name for path in trained.written}
    assert {"provenance.json", "metrics.jsonl", "gcs_server.out", "raylet.out"} <= names
    assert SECRET not in trained.log.read_text()
    assert [path for path, content in trained.written.items() if SECRET.encode() in content] == []


def test_training_listens_on_loopback_alone(trained):
    names = {said.partition(": ")[2] for said in trained.seen.values()}
    assert {"gcs_server", "raylet"} <= names, "Ray's own servers were watched"
    assert any(name.startswith("ray::") for name in names), "verl's workers were watched"
    assert elsewhere(trained.seen) == []
