"""What a run measures: one step as one line of metrics.jsonl (docs/metrics.md), and the files of a finished run."""

from pathlib import Path
from typing import Any

import torch

from real.config import TorchRun
from real.engines.run_files import metrics_line, samples_frame, samples_table
from real.engines.torch.update import Batch, Gradient, clipped_fraction, learning_rate_at, scores
from real.exact import sequence_weights
from real.models.batched_sampler import Rollouts
from real.objectives import Objective
from real.system.files import write_json_lines, write_table


def step_metrics(
    rollouts: Rollouts, batch: Batch, seen: list[tuple[Batch, Gradient]], run: TorchRun, step: int
) -> dict[str, Any]:
    """One line of metrics.jsonl; the definitions are those of the paper's Figure 4 (see docs/metrics.md)."""
    group_size = run.training.rollouts
    solved = batch.reward.reshape(-1, group_size).sum(dim=1)
    score = torch.cat([scores(gradient, mini_batch) for mini_batch, gradient in seen])
    reward = torch.cat([mini_batch.reward for mini_batch, _ in seen])
    tokens = rollouts.mask.sum()
    clipped = [clipped_fraction(g, b) * float(b.mask.sum()) for b, g in seen]
    return metrics_line(
        step=step,
        reward_mean=batch.reward.mean().item(),
        solve_all=int((solved == group_size).sum()),
        solve_none=int((solved == 0).sum()),
        prompts=len(solved),
        entropy=(rollouts.entropy.sum() / tokens).item(),
        response_length_mean=rollouts.mask.sum(dim=1).double().mean().item(),
        clipped_fraction=sum(clipped) / float(tokens),
        grad_norm=sum(gradient.norm for _, gradient in seen) / len(seen),
        score_positive_mean=_mean(score[reward == 1]),
        score_negative_mean=_mean(score[reward == 0]),
        score_abs_max=score.abs().max().item(),
        learning_rate=learning_rate_at(run.training, step),
    )


def gradient_samples(step: int, method: str, objective: Objective, batch: Batch, gradient: Gradient) -> dict[str, Any]:
    """Arguments of :func:`real.engines.run_files.samples_frame` for one mini-batch; a state may hold them."""
    weight = sequence_weights(objective, gradient.log_ratio, batch.mask, batch.group, batch.reward)
    return {
        "step": step,
        "method": method,
        "score": scores(gradient, batch).double().tolist(),
        "reward": batch.reward.tolist(),
        "weight": weight.double().tolist(),
    }


def write_results(output: Path, state: dict[str, Any]) -> None:
    """The files of a finished run, from its state."""
    output.mkdir(parents=True, exist_ok=True)
    for name in ("metrics", "timings"):
        write_json_lines(output / f"{name}.jsonl", state[name])
    write_table(output / "gradient_samples.parquet", samples_table(samples_frame(**kept) for kept in state["samples"]))


def _mean(values: torch.Tensor) -> float | None:
    return values.mean().item() if len(values) else None
