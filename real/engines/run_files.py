"""The files that every engine writes for every run (docs/metrics.md)."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from real.config import Run
from real.models.checkpoints import content_digest
from real.system.code import code_digest

METRICS = (
    "step",
    "reward_mean",
    "solve_all",
    "solve_none",
    "prompts",
    "entropy",
    "response_length_mean",
    "clipped_fraction",
    "grad_norm",
    "score_positive_mean",
    "score_negative_mean",
    "score_abs_max",
    "learning_rate",
    "val_pass_at_1",
)
# columns of gradient_samples.parquet
SAMPLES = {"step": "int64", "method": "str", "score": "float64", "reward": "int64", "weight": "float64"}


def made_by(run: Run, base: Path, module: str) -> dict[str, Any]:
    """What the state of a run depends on, as :func:`open_work_folder` takes it: also its engine and its base model."""
    return {"config": run.learnt_from(), "code": code_digest(module), "base model": content_digest(base)}


def metrics_line(**values: Any) -> dict[str, Any]:
    """A line of metrics.jsonl with every key, null where nothing was measured."""
    return {key: values.get(key) for key in METRICS}


def samples_frame(
    step: int, method: str, score: Sequence[float], reward: Sequence[float], weight: Sequence[float]
) -> pd.DataFrame:
    """Rows of gradient_samples.parquet: one per rollout, (N,) each."""
    rows = {"step": step, "method": method, "score": score, "reward": reward, "weight": weight}
    return pd.DataFrame(rows, index=range(len(score))).astype(SAMPLES)


def samples_table(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """gradient_samples.parquet from its parts, each a :func:`samples_frame`, if there are any."""
    return pd.concat([samples_frame(0, "", (), (), ()), *frames], ignore_index=True)


def log_line(run: str, line: Mapping[str, Any], steps: int) -> str:
    """A step of ``steps`` in the log."""
    text = f"{run}: step {line['step']}/{steps} reward {line['reward_mean']:.3f}"
    if line["val_pass_at_1"] is not None:
        text += f" validation {line['val_pass_at_1']:.3f}"
    return f"{text} entropy {line['entropy']:.3f} grad_norm {line['grad_norm']:.2f}"
