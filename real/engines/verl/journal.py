"""One step of verl as one line of metrics.jsonl (docs/metrics.md), and the files a running job appends to."""

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import compress
from pathlib import Path
from typing import Any

import pandas as pd

from real.engines.run_files import metrics_line, samples_frame, samples_table
from real.system.files import read_json_lines, write_json_lines

# of verl's timers, in seconds; what they hold is said in docs/metrics.md
TIMERS = {
    "gen": "sample_seconds",
    "update_actor": "update_seconds",
    "testing": "validate_seconds",
    "step": "step_seconds",
}


# below a job's work folder: verl writes a step's number there once its checkpoint is complete
TRACKER = Path("checkpoints/latest_checkpointed_iteration.txt")
STEP_FOLDER = "global_step_"


def delete_older_checkpoints(folder: Path, newest: int, keep: int) -> None:
    """Delete all checkpoints but the ``keep`` newest complete ones.

    verl deletes those that its own process has saved (utils/checkpoint/checkpoint_manager.py; its issue 7395), so that
    every resumed job would leave its predecessor's behind.

    Args:
        folder: of checkpoints; newest: step of the last complete one: a later folder is what a killed save left.
    """
    numbers = {path: path.name.removeprefix(STEP_FOLDER) for path in folder.glob(f"{STEP_FOLDER}*")}
    # a folder of another name, such as somebody's copy, is left alone
    steps = {path: int(number) for path, number in numbers.items() if number.isdecimal()}
    kept = sorted(step for step in steps.values() if step <= newest)[-keep:]
    for path, step in steps.items():
        if step not in kept:
            shutil.rmtree(path, ignore_errors=True)


def line_of(**values: Any) -> dict[str, Any]:
    """A line of metrics.jsonl, with what this engine alone counts: the groups that lost a rollout (lost.py)."""
    return {**metrics_line(**values), "lost_groups": values.get("lost_groups")}


def step_line(
    step: int,
    group: Sequence[int],
    label: Sequence[int],
    length: Sequence[int],
    entropy: float,
    verl: Mapping[str, Any],
    lost_groups: int = 0,
) -> dict[str, Any]:
    """The metrics of one outer step.

    Args:
        group: (N,) number of each rollout's prompt; label: (N,) 0/1 correctness; length: (N,) response tokens.
        entropy: token mean over all rollouts, in nats.
        verl: the step's metrics by verl's names, with the ``update/`` sums of worker.py averaged over mini-batches.
    """
    size, solved = Counter(group), Counter(compress(group, label))
    return line_of(
        step=step,
        lost_groups=lost_groups,
        reward_mean=sum(label) / len(label),
        solve_all=sum(solved[name] == size[name] for name in size),
        solve_none=sum(solved[name] == 0 for name in size),
        prompts=len(size),
        entropy=entropy,
        response_length_mean=sum(length) / len(length),
        # a ratio of means over equally many mini-batches is the ratio of the sums
        clipped_fraction=verl["update/clipped_tokens"] / verl["update/tokens"],
        grad_norm=float(verl["actor/grad_norm"]),
        score_positive_mean=_ratio(verl["update/positive_sum"], verl["update/positive_count"]),
        score_negative_mean=_ratio(verl["update/negative_sum"], verl["update/negative_count"]),
        score_abs_max=float(verl["update/score_abs_max"]),
        learning_rate=float(verl["update/learning_rate"]),
    )


def validation_score(verl: Mapping[str, Any]) -> float | None:
    """Mean correctness over validation problems and samples; None where the step was not validated."""
    found = [float(value) for name, value in verl.items() if name.startswith("val-core/") and "/acc/mean@" in name]
    return found[0] if found else None


class Journal:
    """What a job appends to in its work folder.

    ``metrics.jsonl``, ``timings.jsonl``, ``samples.jsonl`` (the gradient samples), and ``kernels.jsonl``: which kernels
    made the steps after ``step``.

    A step's line is on disk before its checkpoint is complete, so that a job that resumes there has it; validation,
    which comes after the checkpoint, is filled in. A resumed job drops the lines of steps that it does again.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def lines(self, name: str = "metrics") -> list[dict[str, Any]]:
        """The lines written so far."""
        path = self.folder / f"{name}.jsonl"
        return read_json_lines(path) if path.exists() else []

    def write(self, line: Mapping[str, Any], name: str = "metrics") -> None:
        """Append the line of a step, in the place of one that it has already."""
        lines = [*(other for other in self.lines(name) if other["step"] != line["step"]), line]
        write_json_lines(self.folder / f"{name}.jsonl", lines)

    def keep_samples(self, step: int, method: str, rows: Sequence[Sequence[float]]) -> None:
        """Write a step's (score, label, weight) rows."""
        score, reward, weight = zip(*rows, strict=True)
        self.write({"step": step, "method": method, "score": score, "reward": reward, "weight": weight}, "samples")

    def rewind(self, step: int) -> None:
        """Drop what belongs to steps after ``step``, the last one whose checkpoint is complete."""
        for name in ("metrics", "timings", "samples", "kernels"):
            kept = [line for line in self.lines(name) if line["step"] <= step]
            write_json_lines(self.folder / f"{name}.jsonl", kept)

    def samples(self) -> pd.DataFrame:
        """All gradient samples, in the order of their steps."""
        return samples_table(samples_frame(**line) for line in self.lines("samples"))


def timings_line(step: int, timers: Mapping[str, float]) -> dict[str, float]:
    """Seconds of a step by phase."""
    return {"step": step, **{name: float(timers[timer]) for timer, name in TIMERS.items() if timer in timers}}


def _ratio(total: float, count: float) -> float | None:
    return float(total / count) if count else None
