"""The base model: supervised phases on worked solutions, the last ones by a weak teacher.

A straight loop: draw prompts, write solutions, minimise the token mean of the cross-entropy of the response.
"""

import math
import random
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from real.config import ArithmeticScale, Phase
from real.engines.finite import explained, require_finite
from real.engines.torch.adamw import AdamW
from real.engines.torch.policy import build_policy, require_sound, save_checkpoint, token_log_probs
from real.models.device import move, prepare_torch
from real.models.lean import Model
from real.system.code import code_digest
from real.system.files import write_json_lines
from real.system.interrupts import Stopped, graceful_stop
from real.system.work_folder import WorkFolder, open_work_folder
from real.tasks.arithmetic import (
    FAMILIES,
    LONGEST_PROMPT,
    Teacher,
    TrainingPrompts,
    encode,
    worked_solution,
)

# prompt ids, (N, T) response, (N, T) mask
Rows = tuple[list[list[int]], Tensor, Tensor]
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
    scale: ArithmeticScale, prompts: TrainingPrompts, phase_index: int, step: int, device: torch.device
) -> Rows:
    """One step's rows on ``device``, a function of (base.seed, phase, step) alone."""
    phase = scale.base.phases[phase_index]
    rng = random.Random(f"base {scale.base.seed} {phase_index} {step}")
    easy = step < phase.easy_fraction * phase.steps
    families = [f for f in prompts.families if not easy or FAMILIES[f][0] <= EASY_OPERANDS]
    teacher = Teacher(phase.direct, phase.skip, phase.left_to_right, phase.misconception)
    texts = prompts.draw(scale.base.batch_rows, rng, families)
    answers = [torch.tensor(encode(worked_solution(text, teacher, rng, scale.base.seed))) for text in texts]
    response = pad_sequence(answers, batch_first=True)
    mask = pad_sequence([torch.ones_like(answer) for answer in answers], batch_first=True)
    return [encode(text) for text in texts], response.to(device), mask.to(device)


def train_base(
    scale: ArithmeticScale, results: Path, checkpoint_every: int = 200, folder: str = "base"
) -> list[dict[str, Any]]:
    """Train the base model into ``results/<folder>``: ``model/``, ``metrics.jsonl`` (step, phase, loss, learning_rate).

    Resumes from ``results/work/<folder>`` after an interruption, with the same result.

    Returns:
        The other versions of the code that did some of its steps; see :meth:`WorkFolder.goes_on_after`.

    Raises:
        FolderInUseError, OtherRunError, NotFiniteError, Stopped: see :func:`real.engines.torch.train.train`.
    """
    device = prepare_torch(scale.base_device)
    limit = max(scale.training.max_response_tokens, scale.evaluation.max_response_tokens)
    model = move(build_policy(scale.policy, LONGEST_PROMPT + limit, scale.base.seed), device).train()
    config = {name: getattr(scale, name).model_dump(mode="json") for name in ("task", "policy", "base")}
    made_by = {
        "config": {**config, "max_response_tokens": limit, "base_device": scale.base_device},
        "code": code_digest(__name__),
    }
    with open_work_folder(results / "work" / folder, made_by, scale.protected, scale.accept_code) as work:
        state = work.load()
        earlier = work.goes_on_after(state["done"] if state else 0)
        lines = train_steps(model, scale, state or {"done": 0, "lines": [], "timings": []}, work, checkpoint_every)
        save_checkpoint(model, results / folder / "model")
        write_json_lines(results / folder / "metrics.jsonl", lines)
        work.remove()
    return earlier


def train_steps(
    model: Model, scale: ArithmeticScale, state: dict[str, Any], work: WorkFolder, checkpoint_every: int
) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl, after the steps that ``state`` lacks.

    They are saved to ``work`` every few steps, at the last one and when asked to end.
    """
    task = scale.task
    prompts = TrainingPrompts(task.training_families, task.seed, task.test_problems, task.validation_problems)
    schedule = [(i, step) for i, phase in enumerate(scale.base.phases) for step in range(phase.steps)]
    done, total, lines, timings = state["done"], len(schedule), state["lines"], state["timings"]
    work.note(timings=timings)
    saved = done or None
    optimizer = AdamW(model.parameters(), betas=(0.9, 0.98), weight_decay=0.01)
    if done:
        print(f"base: resumes after step {done} of {total}", flush=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    with graceful_stop() as stopping:
        progress = tqdm(schedule[done:], "base", initial=done, total=total, disable=None)
        began = time.perf_counter()
        for at, (phase_index, step) in enumerate(progress, done + 1):
            if step == 0:
                optimizer = AdamW(model.parameters(), betas=(0.9, 0.98), weight_decay=0.01)
            with explained("base", at, saved, f"lower base.phases[{phase_index}].learning_rate"):
                rows = draw_solutions(scale, prompts, phase_index, step, model.device)
                loss, rate = train_step(model, optimizer, rows, scale.base.phases[phase_index], step)
                if at % LOG_EVERY == 0 or at == total:
                    lines.append({"step": at, "phase": phase_index, "loss": loss, "learning_rate": rate})
                    tqdm.write(f"base: step {at}/{total} loss {loss:.3f}")
                # asked once: what is said to be saved is
                stop = stopping()
                if stop or at % checkpoint_every == 0 or at == total:
                    require_sound(model, *rows, 1.0)
                    timings.append({"step": at, "update_seconds": time.perf_counter() - began})
                    began = time.perf_counter()
                    measured = {"done": at, "lines": lines, "timings": timings}
                    work.save({**measured, "model": model.state_dict(), "optimizer": optimizer.state_dict()})
                    saved = at
                    work.note(timings=timings)
            if stop and at < total:
                raise Stopped(
                    f"base: stopped after step {at} of {total}, which is saved in {work.folder}; the same command, or "
                    "snakemake again, goes on from there"
                )
    return lines


def train_step(model: Model, optimizer: AdamW, rows: Rows, phase: Phase, step: int) -> tuple[float, float]:
    """One AdamW step on the rows of :func:`draw_solutions`; the loss before it, and its learning rate.

    Raises:
        FloatingPointError: a loss or gradient that is not finite; the optimizer did not step with it.
    """
    _, _, mask = rows
    loss = -token_log_probs(model, *rows, 1.0).sum() / mask.sum()
    require_finite("loss", loss.item())
    optimizer.zero_grad()
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    require_finite("gradient's norm", norm.item())
    rate = learning_rate_at(phase, step)
    optimizer.learning_rate = rate
    optimizer.step()
    return loss.item(), rate
