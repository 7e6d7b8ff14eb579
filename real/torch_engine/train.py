"""The RL loop: sample, grade, update; one process, one straight function.

Per outer step: P prompts are drawn, G responses to each are sampled, the grader gives 0/1 rewards, and the
rollouts are cut into mini-batches of whole groups, each of which makes one AdamW update, one epoch. Everything random
is a function of (seed, step), so a resumed run continues as if it had never stopped.

What was left out of the paper's set-up, and why: the sampler's own log-probs serve as log π_old (both come from one
model in one precision here, so a second forward pass would change them by 1e-6); no entropy bonus (its coefficient is
0 in all released scripts).
"""

import random
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from tqdm import tqdm
from transformers import PreTrainedModel

from real.arithmetic import TrainingPrompts, answer_of, decode, encode, held_out_problems, text_of
from real.config import TorchRun, Training, digest
from real.exact import sequence_weights
from real.files import write_json_lines, write_table
from real.grading import grade_many
from real.metrics import metrics_line, samples_frame
from real.objectives import Objective, make_objective
from real.provenance import code_digest
from real.torch_engine.policy import load_checkpoint, prepare_torch, save_checkpoint, token_log_probs
from real.torch_engine.sampler import Rollouts, sample
from real.torch_engine.update import Batch, Gradient, accumulate_gradient, clipped_fraction, scores
from real.torch_engine.work_folder import open_work_folder

# batches of validation problems sampled at once
VALIDATION_CHUNK = 150


def learning_rate_at(training: Training, step: int) -> float:
    """Linear warm-up from 0 in the first outer step, then constant; ``step`` counts from 1.

    Source: ``get_constant_schedule_with_warmup`` of the authors' code, which steps once per outer step.
    """
    return training.learning_rate * min(1.0, (step - 1) / max(1, training.warmup_steps))


def train(run: TorchRun, base: Path, output: Path, work_folder: Path) -> None:
    """Train one (method, seed) from the checkpoint ``base`` into ``output``.

    Writes ``metrics.jsonl``, ``timings.jsonl``, ``gradient_samples.parquet`` and, last, ``model/``. After an
    interruption it resumes from ``work_folder``; on a CPU the results are byte-identical to an uninterrupted run.

    Raises:
        FolderInUseError: another process holds ``work_folder``.
        ConfigError: the configured device is missing.
        FileNotFoundError: ``base`` holds no checkpoint.
    """
    device = prepare_torch(run.device)
    training, settings = run.training, run.settings
    model, _ = load_checkpoint(base, device)
    reference = load_checkpoint(base, device)[0].requires_grad_(False) if settings.kl_coefficient > 0 else None
    objective = make_objective(settings.objective, **settings.hyperparameters)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=0.0, betas=(0.9, 0.999), weight_decay=training.weight_decay, fused=True
    )
    task = run.task
    prompts = TrainingPrompts(task.training_families, task.seed, task.test_problems, task.validation_problems)

    fingerprint = digest(run, code_digest(__name__), (base / "model.safetensors").read_bytes().hex())
    with open_work_folder(work_folder, fingerprint) as work:
        state = work.load()
        if state is None:
            state = {
                "metrics": [metrics_line(step=0, val_pass_at_1=validate(model, run, 0))],
                "timings": [],
                "samples": [],
            }
        else:
            model.load_state_dict(state.pop("model"))
            optimizer.load_state_dict(state.pop("optimizer"))
            done = state["metrics"][-1]["step"]
            print(f"{run.method} seed {run.seed}: resumes after step {done} of {training.steps}", flush=True)
        first = state["metrics"][-1]["step"] + 1
        for step in tqdm(range(first, training.steps + 1), f"{run.method} {run.seed}", disable=None):
            clock = [time.perf_counter()]
            batch, rollouts = collect(model, reference, prompts, run, step)
            clock.append(time.perf_counter())
            seen = update(model, optimizer, objective, batch, run, step)
            clock.append(time.perf_counter())
            line = step_metrics(rollouts, batch, seen, run, step)
            if step % training.validation_every == 0 or step == training.steps:
                line["val_pass_at_1"] = validate(model, run, step)
            clock.append(time.perf_counter())

            state["metrics"].append(line)
            state["timings"].append({"step": step, **_durations(clock)})
            if step in training.gradient_sample_steps:
                state["samples"] += [_gradient_samples(step, run.method, objective, *pair) for pair in seen]
            tqdm.write(_log_line(run, line))
            if step % training.checkpoint_every == 0 and step < training.steps:
                work.save({**state, "model": model.state_dict(), "optimizer": optimizer.state_dict()})
        _write_results(output, state["metrics"], state["timings"], state["samples"])
        save_checkpoint(model, output / "model")
        work.remove()


def collect(
    model: PreTrainedModel, reference: PreTrainedModel | None, prompts: TrainingPrompts, run: TorchRun, step: int
) -> tuple[Batch, Rollouts]:
    """Rollouts of one outer step, graded; rows are grouped by prompt."""
    training = run.training
    texts = prompts.draw(training.prompts, random.Random(f"prompts {run.seed} {step}"))
    ids = [encode(text) for text in texts]
    uniform = torch.rand(
        len(ids) * training.rollouts, training.max_response_tokens, generator=_generator(run.seed, step, 0)
    )
    rollouts = sample(model, ids, uniform, training.temperature, 1.0)
    per_row = [prompt for prompt in ids for _ in range(training.rollouts)]
    reward = _rewards(rollouts, [text for text in texts for _ in range(training.rollouts)])
    reference_log_prob = torch.zeros_like(rollouts.log_prob)
    if reference is not None:
        with torch.no_grad():
            reference_log_prob = token_log_probs(
                reference, per_row, rollouts.response, rollouts.mask, training.temperature
            )
    group = torch.arange(training.prompts, device=reward.device).repeat_interleave(training.rollouts)
    batch = Batch(per_row, rollouts.response, rollouts.mask, rollouts.log_prob, reference_log_prob, group, reward)
    return batch, rollouts


def update(
    model: PreTrainedModel,
    optimizer: torch.optim.Optimizer,
    objective: Objective,
    batch: Batch,
    run: TorchRun,
    step: int,
) -> list[tuple[Batch, Gradient]]:
    """One epoch over the step's rollouts: an optimizer update per mini-batch, each returned with what it saw."""
    training = run.training
    for parameters in optimizer.param_groups:
        parameters["lr"] = learning_rate_at(training, step)
    rows = training.mini_batch_prompts * training.rollouts
    seen = []
    for indices in torch.arange(len(batch.prompts), device=batch.group.device).split(rows):
        mini_batch = batch.select(indices)
        # zeros rather than None: AdamW steps by its momentum even where no group of the mini-batch is two-sided
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        gradient = accumulate_gradient(
            model,
            mini_batch,
            objective,
            run.settings.kl_coefficient,
            training.temperature,
            training.micro_batch_rows,
        )
        gradient.norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), training.gradient_clip))
        optimizer.step()
        seen.append((mini_batch, gradient))
    return seen


def validate(model: PreTrainedModel, run: TorchRun, step: int) -> float:
    """pass@1 on the validation problems: mean correctness over problems and samples."""
    task, training = run.task, run.training
    held_out = held_out_problems(task.seed, task.test_problems, task.validation_problems)
    problems = [problem for (_, split), group in held_out.items() if split == "validation" for problem in group]
    generator = _generator(run.seed, step, 1)
    correct = 0.0
    for start in range(0, len(problems), VALIDATION_CHUNK):
        chunk = [text_of(problem) for problem in problems[start : start + VALIDATION_CHUNK]]
        asked = [text for text in chunk for _ in range(training.validation_samples)]
        uniform = torch.rand(len(asked), training.max_response_tokens, generator=generator)
        rollouts = sample(model, [encode(text) for text in chunk], uniform, training.temperature, 1.0)
        correct += _rewards(rollouts, asked).sum().item()
    return correct / (len(problems) * training.validation_samples)


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


def _gradient_samples(step: int, method: str, objective: Objective, batch: Batch, gradient: Gradient) -> pd.DataFrame:
    weight = sequence_weights(objective, gradient.log_ratio, batch.mask, batch.group, batch.reward)
    return samples_frame(
        step, method, scores(gradient, batch).double().tolist(), batch.reward.tolist(), weight.double().tolist()
    )


def _rewards(rollouts: Rollouts, prompts: list[str]) -> torch.Tensor:
    """(N,) 0/1 correctness of each response; as in the released code, one without ``</think>`` is wrong."""
    texts = [decode(row) for row in rollouts.response.tolist()]
    grades = grade_many(texts, [answer_of(prompt) for prompt in prompts], processes=1, strict_format=True)
    return torch.tensor([float(grade.correct) for grade in grades], device=rollouts.response.device)


def _generator(seed: int, step: int, stream: int) -> torch.Generator:
    """Random numbers of one (seed, step, stream)."""
    return torch.Generator().manual_seed(random.Random(f"rollouts {seed} {step} {stream}").getrandbits(63))


def _mean(values: torch.Tensor) -> float | None:
    return values.mean().item() if len(values) else None


def _durations(clock: list[float]) -> dict[str, float]:
    """Seconds between the four times taken in a step."""
    phases = ("sample_seconds", "update_seconds", "validate_seconds")
    return {phase: clock[i + 1] - clock[i] for i, phase in enumerate(phases)}


def _write_results(
    output: Path, metrics: list[dict[str, Any]], timings: list[dict[str, float]], samples: list[pd.DataFrame]
) -> None:
    output.mkdir(parents=True, exist_ok=True)
    for name, lines in (("metrics", metrics), ("timings", timings)):
        write_json_lines(output / f"{name}.jsonl", lines)
    write_table(output / "gradient_samples.parquet", pd.concat([samples_frame(0, "", (), (), ()), *samples]))


def _log_line(run: TorchRun, line: dict[str, Any]) -> str:
    text = f"{run.method} seed {run.seed}: step {line['step']}/{run.training.steps} reward {line['reward_mean']:.3f}"
    if line["val_pass_at_1"] is not None:
        text += f" validation {line['val_pass_at_1']:.3f}"
    return f"{text} entropy {line['entropy']:.3f} grad_norm {line['grad_norm']:.2f}"
