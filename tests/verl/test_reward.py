r"""Rewards as verl computes them: its own reward worker with our function, and answers that never finish."""

import asyncio
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import LAUNCH_SECONDS, end, left_behind
from runs import changed, composed, run_of
from verl import DataProto
from verl.experimental.reward_loop.reward_loop import RewardLoopWorker

from real.config import Policy
from real.engines.torch.policy import build_policy, save_checkpoint
from real.engines.verl.reward import compute_score
from real.tasks.arithmetic import BOX, CLOSERS, END_BOX, END_THINK, EOS, OPENERS, THINK, encode

HOSTILE = r"</think>\boxed{\sum_{k=1}^{3} 9^{9^{9^{9}}}}"
# the deadline of one comparison and, on a busy machine, the start of a worker
SECONDS = 60
RIGHT = {"score": 1.0, "acc": 1.0}
WRONG = {"score": 0.0, "acc": 0.0}


@pytest.mark.parametrize(
    ("response", "truths", "expected"),
    [
        (r"<think>3+1;4</think>the answer is \boxed{4}", ["4"], RIGHT),
        (r"<think>3+1;5</think>the answer is \boxed{5}", ["4"], WRONG),
        (r"the answer is \boxed{4}", ["4"], WRONG),
        (r"<think>\boxed{4}</think>so it is four", ["4"], WRONG),
        ("", ["4"], WRONG),
        (r"</think>\boxed{\frac{1}{2}}", ["7", "0.5"], RIGHT),
        (r"</think>\boxed{8}", ["7", "0.5"], WRONG),
        (r"</think>\boxed{\frac{\sqrt{8}}{2}}", np.array(["3", r"\sqrt{2}"], dtype=object), RIGHT),
    ],
    ids=["right", "wrong", "no </think>", "no box after it", "empty", "one of two", "none of two", "array, symbolic"],
)
def test_a_response_is_judged_by_the_released_format_against_every_ground_truth(response, truths, expected):
    more = {"extra_info": {"index": 0}, "reward_router_address": None}
    assert compute_score("train", response, truths, strict_format=True, **more) == expected


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (r"so it is \boxed{4}", RIGHT),
        (r"so it is \boxed{5}", WRONG),
        (r"<think>\boxed{5}</think>so it is \boxed{4}", RIGHT),
        ("so it is 4", WRONG),
    ],
    ids=["right", "wrong", "after </think>", "no box"],
)
def test_outside_the_released_format_a_response_without_the_end_of_thinking_is_read_whole(response, expected):
    assert compute_score("train", response, ["4"], strict_format=False) == expected


def test_the_format_is_never_taken_for_granted():
    with pytest.raises(TypeError, match="strict_format"):
        compute_score("train", r"\boxed{4}", ["4"])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A checkpoint with the laptop's tokenizer."""
    folder = tmp_path_factory.mktemp("checkpoint") / "model"
    shape = Policy(hidden_size=8, layers=1, attention_heads=1, feed_forward_size=8)
    save_checkpoint(build_policy(shape, 64, seed=0), folder)
    return folder


def rewarded(checkpoint: Path, method: str, tokens: list[str], truths: list[str], strict: bool = True) -> dict:
    """What verl's reward worker returns for a response of the laptop's task, limit 40 tokens."""
    run = changed(run_of("verl_smoke", "all_methods", method), training={"strict_format": strict})
    config = composed(run, checkpoint)
    response = torch.tensor([encode(tokens)])
    padding = torch.zeros(1, 40 - response.shape[1], dtype=torch.long)
    data = DataProto.from_single_dict(
        {
            "responses": torch.cat([response, padding], dim=1),
            "attention_mask": torch.cat([torch.ones(1, 3 + response.shape[1]).long(), padding], dim=1),
            "data_source": np.array(["train"], dtype=object),
            "reward_model": np.array([{"ground_truth": truths, "style": "rule"}], dtype=object),
            "extra_info": np.array([{"index": 0}], dtype=object),
        }
    )

    async def run() -> dict:
        return await RewardLoopWorker(config).compute_score(data)

    return asyncio.run(run())


def response_of(length: int, answer: str) -> list[str]:
    """``length`` tokens that end with an answer."""
    tail = [END_THINK, CLOSERS[0], BOX, answer, END_BOX, EOS]
    return [THINK, OPENERS[0], *"1" * (length - 2 - len(tail)), *tail]


def test_verls_reward_worker_finds_our_function_and_keeps_the_end_of_thinking(checkpoint):
    """It decodes without special tokens, so a tokenizer that counts </think> among them would have no reward at all."""
    for answer, expected in (("4", RIGHT), ("5", WRONG)):
        found = rewarded(checkpoint, "real", response_of(12, answer), ["4"])
        assert found == {"reward_score": expected["score"], "reward_extra_info": expected}


@pytest.mark.parametrize(("strict", "expected"), [(True, WRONG), (False, RIGHT)])
def test_verls_reward_worker_is_told_the_runs_format(checkpoint, strict, expected):
    found = rewarded(checkpoint, "real", [CLOSERS[0], BOX, "4", END_BOX, EOS], ["4"], strict)
    assert found == {"reward_score": expected["score"], "reward_extra_info": expected}


@pytest.mark.parametrize(("length", "penalty"), [(32, 0.0), (36, -0.5), (40, -1.0)])
def test_full_dapo_lowers_the_score_over_the_last_8_tokens_and_not_the_correctness(checkpoint, length, penalty):
    for answer, expected in (("4", RIGHT), ("5", WRONG)):
        found = rewarded(checkpoint, "dapo_full", response_of(length, answer), ["4"])
        assert float(found["reward_score"]) == expected["score"] + penalty
        assert found["reward_extra_info"] == expected


def test_an_answer_that_never_finishes_is_wrong_within_the_deadline_in_a_thread():
    start = time.monotonic()
    with ThreadPoolExecutor(1) as threads:
        graded = threads.submit(compute_score, "train", HOSTILE, [r"\sqrt{2}"], strict_format=True)
        assert graded.result(SECONDS) == WRONG
    assert time.monotonic() - start < SECONDS


def test_the_same_in_a_ray_actor_beside_a_good_answer_and_no_process_is_left(tmp_path):
    """Two hostile answers occupy both threads of an actor; what comes after them is judged, and Ray ends."""
    report, log = tmp_path / "report.json", (tmp_path / "log.txt")
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("reward_probe.py")), str(report)],
            cwd=tmp_path,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        code = process.wait(LAUNCH_SECONDS)
    except subprocess.TimeoutExpired:
        end(process)
        raise
    assert code == 0, log.read_text()[-3000:]
    assert left_behind(process) == []
    found = json.loads(report.read_text())
    assert found["scores"] == [WRONG, WRONG, RIGHT]
    assert max(found["seconds"]) < SECONDS
    assert found["status"] in ("timeout", "worker_died"), "the answer is one that the grader can't finish"
    assert found["address"] == "127.0.0.1", "a private Ray is reachable from this machine alone"
    assert "raylet" in found["processes"], "the search for processes sees Ray's"
