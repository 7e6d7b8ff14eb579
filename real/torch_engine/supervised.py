"""The base model: supervised phases on worked solutions, the last ones by a weak teacher.

A straight loop: draw prompts, write solutions, minimise the token mean of the cross-entropy of the response.
"""

import math
import random
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from real.arithmetic import (
    FAMILIES,
    LONGEST_PROMPT,
    Teacher,
    TrainingPrompts,
    encode,
    longest_solution,
    worked_solution,
)
from real.config import ArithmeticScale, Phase, digest
from real.files import write_json_lines
from real.provenance import code_digest
from real.torch_engine.policy import build_policy, move, prepare_torch, save_checkpoint, token_log_probs
from real.torch_engine.work_folder import open_work_folder

EASY_OPERANDS = 3
LOG_EVERY = 50


def learning_rate_at(phase: Phase, step: int) -> float:
    """Linear warm-up, then cosine decay to ``final_fraction`` of the peak; ``step`` counts from 0."""
    if step < phase.warmup_steps:
        return phase.learning_rate * (step + 1) / phase.warmup_steps
    progress = (step - phase.warmup_steps) / max(1, phase.steps - phase.warmup_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    return phase.learning_rate * (phase.final_fraction + (1 - phase.final_fraction) * cosine)


def draw_solutions(
    scale: ArithmeticScale, prompts: TrainingPrompts, phase_index: int, step: int
) -> tuple[list[list[int]], Tensor, Tensor]:
    """One step's rows, a function of (base.seed, phase, step) alone: prompt ids, (N, T) response, (N, T) mask."""
    phase = scale.base.phases[phase_index]
    rng = random.Random(f"base {scale.base.seed} {phase_index} {step}")
    easy = step < phase.easy_fraction * phase.steps
    families = [f for f in prompts.families if not easy or FAMILIES[f][0] <= EASY_OPERANDS]
    teacher = Teacher(phase.direct, phase.skip, phase.left_to_right, phase.misconception)
    texts = prompts.draw(scale.base.batch_rows, rng, families)
    answers = [encode(worked_solution(text, teacher, rng, scale.base.seed)) for text in texts]
    response = torch.zeros(len(texts), max(map(len, answers)), dtype=torch.long)
    mask = torch.zeros_like(response)
    for row, answer in enumerate(answers):
        response[row, : len(answer)] = torch.tensor(answer)
        mask[row, : len(answer)] = 1
    return [encode(text) for text in texts], response, mask


def train_base(scale: ArithmeticScale, results: Path, checkpoint_every: int = 200) -> None:
    """Train the base model into ``results/base``: ``model/``, ``metrics.jsonl`` (step, phase, loss, learning_rate).

    Resumes from ``results/work/base`` after an interruption, with the same result.
    """
    device = prepare_torch(scale.base_device)
    limit = max(scale.training.max_response_tokens, scale.evaluation.max_response_tokens)
    assert longest_solution(scale.task.training_families) <= limit, "checked by the config"
    model = move(build_policy(scale.policy, LONGEST_PROMPT + limit, scale.base.seed), device).train()
    task = scale.task
    prompts = TrainingPrompts(task.training_families, task.seed, task.test_problems, task.validation_problems)
    schedule = [(i, step) for i, phase in enumerate(scale.base.phases) for step in range(phase.steps)]
    fingerprint = digest(task, scale.policy, scale.base, limit, code_digest(__name__))

    with open_work_folder(results / "work" / "base", fingerprint) as work:
        optimizer = _new_optimizer(model)
        state = work.load()
        done, lines = 0, []
        if state is not None:
            done, lines = state["done"], state["lines"]
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            print(f"base: resumes after step {done} of {len(schedule)}", flush=True)
        for at in tqdm(range(done, len(schedule)), "base", initial=done, total=len(schedule), disable=None):
            phase_index, step = schedule[at]
            if step == 0:
                optimizer = _new_optimizer(model)
            rate = learning_rate_at(scale.base.phases[phase_index], step)
            ids, response, mask = draw_solutions(scale, prompts, phase_index, step)
            response, mask = response.to(device), mask.to(device)
            loss = -token_log_probs(model, ids, response, mask, 1.0).sum() / mask.sum()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for parameters in optimizer.param_groups:
                parameters["lr"] = rate
            optimizer.step()
            if (at + 1) % LOG_EVERY == 0 or at + 1 == len(schedule):
                lines.append({"step": at + 1, "phase": phase_index, "loss": loss.item(), "learning_rate": rate})
                tqdm.write(f"base: step {at + 1}/{len(schedule)} loss {loss.item():.3f}")
            if (at + 1) % checkpoint_every == 0:
                work.save(
                    {"done": at + 1, "lines": lines, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
                )
        save_checkpoint(model, results / "base" / "model")
        write_json_lines(results / "base" / "metrics.jsonl", lines)
        work.remove()


def _new_optimizer(model: torch.nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=0.0, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
