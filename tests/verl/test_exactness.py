"""One update by verl's FSDP2 engine: its gradient is the undivided objective's, however the rows are split."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import LAUNCH_SECONDS
from safetensors.torch import load_file, save_file

from real.config import Policy
from real.engines.torch.policy import build_policy, save_checkpoint
from tests.support.paths import ROOT

METHODS = ["real", "real_bce", "real_product", "grpo", "dapo", "gspo"]


@pytest.fixture(scope="module", params=[1, 2], ids=["1 rank", "2 ranks"])
def errors(request, tmp_path_factory):
    """``method/split`` -> relative error of the gradient, from one launch of gradient_probe.py."""
    folder = tmp_path_factory.mktemp("probe")
    model = build_policy(Policy(hidden_size=32, layers=2, attention_heads=2, feed_forward_size=64), 64, seed=0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3.0 if parameter.dim() > 1 else 1.0)
    save_checkpoint(model, folder / "model")
    untie(folder / "model", folder / "untied")
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={request.param}", "--standalone"]
    given = [str(folder / name) for name in ("model", "untied", "report.json")]
    probe = [str(Path(__file__).with_name("gradient_probe.py")), *given]
    done = subprocess.run([*command, *probe], cwd=ROOT, timeout=LAUNCH_SECONDS, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "report.json").read_text())


def untie(model: Path, target: Path) -> None:
    """A copy whose head has weights of its own."""
    shutil.copytree(model, target)
    weights = load_file(model / "model.safetensors")
    head = weights["model.embed_tokens.weight"].roll(1, 0).contiguous()
    save_file({**weights, "lm_head.weight": head}, target / "model.safetensors", {"format": "pt"})
    config = json.loads((model / "config.json").read_text())
    (target / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": False}))


HEADS = ["by tokens, from logits", "untied head"]
SPLITS = ["row by row", "by tokens", "whole", "padded", "on-policy", *HEADS, "a group lost", "over an adapter"]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("method", METHODS)
def test_the_gradient_does_not_depend_on_ranks_micro_batches_or_the_head(errors, method, split):
    """verl's GRPO, DAPO and GSPO too: they equal real.objectives with negatives at ratios above 3 and a KL term.

    A group that lost a rollout is in no sum and in no divisor.
    """
    assert errors[f"{method}/{split}"] < 1e-5


@pytest.mark.parametrize("method", METHODS)
def test_one_outer_step_moves_the_policy_as_the_torch_engine_does(errors, method):
    """Adam divides by the gradient's root mean square, which enlarges rounding where gradients are tiny."""
    assert errors[f"{method}/whole step"] < 1e-3


@pytest.mark.parametrize("method", ["real", "real_bce", "real_product"])
def test_the_measure_sees_what_happens_without_it(errors, method):
    assert errors[f"{method}/objective per micro-batch"] > 0.05
