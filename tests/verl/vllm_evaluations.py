"""Evaluations by vLLM, for the tests beside this file: a random policy, the command, and what ends it."""

import multiprocessing.resource_tracker
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import torch
from conftest import LAUNCH_SECONDS

from real.config import PAPER_EVALUATION, Policy
from real.engines.torch.policy import build_policy, save_checkpoint
from real.evaluation.evaluate import evaluate
from real.records.made_from import evaluation_origin
from real.tasks.arithmetic import TOKEN_ID, held_out_problems
from tests.support.paths import ROOT

CONTEXT = 60
# the ends of what vLLM takes. At 0.01 the model is sampled greedily (with seed 108 the logits of the two likeliest
# tokens differ by 0.14 or more all along the tested responses); at 2 its choices are open
COLD, WARM = 0.01, 2.0
SETTINGS = PAPER_EVALUATION.model_copy(
    update={"samples": 3, "max_response_tokens": 16, "chunk_problems": 3, "temperature": WARM, "top_p": 0.95}
)
PROBLEMS = held_out_problems(0, 8, 4)["mix4", "test"]
CODE = evaluation_origin(None, library="vllm").identity["code_digest"]
# what `python -m real evaluate` needs to ask for the same
COMMAND = ["--config", "paper_configs/smoke.yaml", "--benchmarks", "mix4", "--samples", "3", "--temperature", str(WARM)]
COMMAND += ["--top-p", "0.95", "--max-response-tokens", "16", "--chunk-problems", "3", "--any-format"]


def write_policy(folder: Path) -> Path:
    """A random policy of the laptop's vocabulary with heads of 32 numbers, which vLLM's CPU attention has code for."""
    shape = Policy(hidden_size=64, layers=2, attention_heads=2, feed_forward_size=128)
    model = build_policy(shape, CONTEXT, seed=108)
    model.generation_config.eos_token_id = [TOKEN_ID["<eos>"], TOKEN_ID["?"]]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(6.0 if parameter.dim() > 1 else 1.0)
        model.model.norm.weight.mul_(2.0)
    save_checkpoint(model, folder)
    return folder


def own_processes() -> list[psutil.Process]:
    """Living descendants of this process, without the one that multiprocessing keeps for itself."""
    tracker = multiprocessing.resource_tracker._resource_tracker._pid
    return [child for child in psutil.Process().children(recursive=True) if child.pid != tracker and is_alive(child)]


def is_alive(process: psutil.Process) -> bool:
    """A process that was killed is a zombie until its parent asks for it, which vLLM may leave undone."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def run(sampler, output: Path) -> None:
    settings = SETTINGS.model_copy(update={"strict_format": False})
    evaluate(sampler, {"mix4": PROBLEMS}, settings, output, output / ".partial", processes=1, code=CODE)


def files(folder: Path) -> dict[str, bytes]:
    """Content by name, but for the work folder and the provenance, which tells times."""
    paths = [path for path in folder.iterdir() if not path.name.startswith(".") and path.name != "provenance.json"]
    return {path.name: path.read_bytes() for path in paths}


def command(checkpoint: Path, output: Path, *flags: str) -> list[str]:
    asked = ["--model", str(checkpoint), "--output", str(output), "--device", "cpu", "--sampler", "vllm", *flags]
    return [sys.executable, "-m", "real", "evaluate", *COMMAND, *asked]


def interrupt(arguments: list[str], number: signal.Signals, when: Callable[[psutil.Process], bool]) -> str:
    """Signal the command, and it alone, as soon as ``when``; its standard error. All its processes must end."""
    started = subprocess.Popen(arguments, cwd=ROOT, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    process, deadline = psutil.Process(started.pid), time.monotonic() + LAUNCH_SECONDS
    while not when(process):
        assert started.poll() is None, started.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    family = process.children(recursive=True)
    assert family
    os.kill(started.pid, number)
    errors = started.communicate(timeout=LAUNCH_SECONDS)[1]
    assert started.returncode == 130, errors
    left = psutil.wait_procs(family, timeout=30)[1]
    assert left == []
    return errors


def continued_after_sigterm(sampler, checkpoint: Path, folder: Path, *flags: str) -> None:
    """End an evaluation with some flags by SIGTERM, go on without: the rows are those of the sampler in one piece."""
    output = folder / "killed"
    errors = interrupt(
        command(checkpoint, output, *flags),
        signal.SIGTERM,
        when=lambda _: len(list(output.glob(".partial/chunks-*/*.chunk"))) > 0,
    )
    assert "run the same command again" in errors
    assert not files(output)
    done = subprocess.run(command(checkpoint, output), cwd=ROOT, text=True, capture_output=True, check=True)
    assert 1 <= done.stdout.count(" chunk ") < 3
    sampler.name = str(checkpoint)
    run(sampler, folder / "whole")
    assert files(output) == files(folder / "whole")
