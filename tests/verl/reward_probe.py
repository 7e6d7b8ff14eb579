r"""Run by test_reward.py: hostile and good answers in a Ray actor of two threads, under a private Ray.

    python reward_probe.py REPORT

REPORT: JSON with ``scores`` and ``seconds`` of each answer, the grader's ``status`` of the hostile one, Ray's
``address``, and the names of all ``processes`` of this session while Ray runs.
"""

import json
import os
import sys
import time
from pathlib import Path

import psutil

from real.config import load, resolve
from real.engines.verl.train import config_environment, on_a_started_ray

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = (r"</think>\boxed{\sum_{k=1}^{3} 9^{9^{9^{9}}}}", [r"\sqrt{2}"])
GOOD = (r"</think>\boxed{\frac{\sqrt{8}}{2}}", [r"\sqrt{2}"])


class Grader:
    """What a reward worker of verl does with an answer."""

    def score(self, response: str, truths: list[str]) -> tuple[dict, float]:
        from real.engines.verl.reward import compute_score

        start = time.monotonic()
        return compute_score("train", response, truths, strict_format=True), time.monotonic() - start

    def status(self, response: str, truths: list[str]) -> str:
        from real.grading import grade

        return grade(response, truths, strict_format=True).status


def main(report: str) -> None:
    folder = ROOT / "paper_configs"
    scale = load([folder / "verl_smoke.yaml"], methods_file=folder / "methods.yaml", local_file=Path("absent"))
    config_environment(resolve(scale, "real", 0))
    # after the environment is set, as in real.engines.verl.train; so nothing here may import verl before
    import ray

    on_a_started_ray(lambda: ray.init(address="local", num_cpus=2, include_dashboard=False))
    grader = ray.remote(Grader).options(max_concurrency=2).remote()
    found = ray.get([grader.score.remote(*answer) for answer in (HOSTILE, HOSTILE, GOOD)], timeout=120)
    status = ray.get(grader.status.remote(*HOSTILE), timeout=60)
    ours = [process for process in psutil.process_iter(["name"]) if os.getsid(process.pid) == os.getsid(0)]
    content = {
        "scores": [score for score, _ in found],
        "seconds": [seconds for _, seconds in found],
        "status": status,
        "address": ray.nodes()[0]["NodeManagerAddress"],
        "processes": [process.info["name"] for process in ours],
    }
    ray.shutdown()
    Path(report).write_text(json.dumps(content), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
