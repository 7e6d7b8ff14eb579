"""The RL loop: sample, grade, update; one process, one straight function.

Per outer step: P prompts are drawn, G responses to each are sampled, the grader gives 0/1 rewards, and the
rollouts are cut into mini-batches of whole groups, each of which makes one AdamW update, one epoch.

A saved state holds the model, the optimizer, the position (the last step), what was measured and, where the policy that
samples is behind (``training.staleness``), the weights that are still to sample. Data order and
sampling need no state: prompts and the numbers that responses are drawn by are functions of (seed, step) alone, through
generators of their own, and nothing reads a global generator. So a resumed run continues as if it had never stopped.

NaN and infinity raise FloatingPointError in all that a step calls, before the optimizer steps with them; the step makes
NotFiniteError of it (engines/finite.py).

What was left out of the paper's set-up, and why: the sampler's own log-probs serve as log π_old (both come from one
model in one precision here, so a second forward pass would change them by 1e-6); no entropy bonus (its coefficient is
0 in all released scripts).
"""

import copy
import random
import time
from collections import deque
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from real.config import TorchRun
from real.counterfactual import make_any_objective
from real.engines.alarms import Alarms
from real.engines.finite import explained, require_finite
from real.engines.run_files import log_line, made_by, metrics_line
from real.engines.torch.adamw import AdamW
from real.engines.torch.measure import gradient_samples, step_metrics, write_results
from real.engines.torch.policy import load_checkpoint, require_sound, save_checkpoint, token_log_probs
from real.engines.torch.update import Batch, Gradient, accumulate_gradient, learning_rate_at
from real.grading import grade_many
from real.models.batched_sampler import Rollouts, sample
from real.models.device import prepare_torch
from real.models.forwards import Verdict, settled
from real.models.lean import Model
from real.objectives import Objective
from real.system.interrupts import Stopped, graceful_stop
from real.system.work_folder import WorkFolder, open_work_folder
from real.tasks.arithmetic import TrainingPrompts, answer_of, decode, encode, held_out_problems, text_of

# batches of validation problems sampled at once
VALIDATION_CHUNK = 150


class Learner:
    """What a run trains with; ``reference`` is None where no KL term needs it, ``name`` is for messages."""

    def __init__(self, run: TorchRun, base: Path, known: Verdict | None = None):
        """The run before its first step; ``known``: which forward ``base`` is run by."""
        self.run, self.name = run, f"{run.method} seed {run.seed}"
        settings, training, task, device = run.settings, run.training, run.task, prepare_torch(run.device)
        known = settled(base, known)
        self.model = load_checkpoint(base, device, known)
        self.reference = (
            load_checkpoint(base, device, known).requires_grad_(False) if settings.kl_coefficient > 0 else None
        )
        self.optimizer = AdamW(self.model.parameters(), betas=(0.9, 0.999), weight_decay=training.weight_decay)
        self.objective = make_any_objective(settings.objective, **settings.hyperparameters)
        self.prompts = TrainingPrompts(task.training_families, task.seed, task.test_problems, task.validation_problems)
        # another instance, so that the optimizer never meets weights that were swapped under it; loaded as the model
        # was, and left so: torch rounds by where in memory weights begin, and by whether they require gradients
        self.behind = load_checkpoint(base, device, known) if training.staleness else self.model
        # state dicts from before each of the last steps, oldest first
        self.past: deque[dict[str, Any]] = deque()

    def sampling_policy(self) -> Model:
        """The policy that samples the step that is about to begin; called once per outer step, before its updates.

        With staleness k it has the weights after step t − 1 − k, the first ones before that many steps: where sampling
        and learning run at the same time (asynchronous RL), rollouts come from a policy that is behind. Here one
        process does both in turn, so that k outer steps of delay are exactly k, and a run repeats to the byte.
        """
        staleness = self.run.training.staleness
        if staleness:
            # copied, tied weights once: the optimizer changes the model's own tensors in place
            self.past.append(copy.deepcopy(self.model.state_dict()))
            # the first weights stay in front until k steps are done
            self.behind.load_state_dict(self.past.popleft() if len(self.past) > staleness else self.past[0])
        return self.behind


def train(
    run: TorchRun,
    base: Path,
    output: Path,
    work_folder: Path,
    protected: bool = False,
    accepted: Collection[str] = (),
    known: Verdict | None = None,
) -> list[dict[str, Any]]:
    """Train one (method, seed) from the checkpoint ``base`` into ``output``.

    Writes ``metrics.jsonl``, ``timings.jsonl``, ``gradient_samples.parquet`` and, last, ``model/``. After an
    interruption it resumes from ``work_folder``; on a CPU the results are byte-identical to an uninterrupted run.

    Args:
        protected, accepted: of ``work_folder``; see :func:`open_work_folder`.
        known: which forward ``base`` is run by; None: that is found out first.

    Returns:
        The other versions of the code that did some of its steps; see :meth:`WorkFolder.goes_on_after`.

    Raises:
        FolderInUseError, OtherRunError: see :func:`open_work_folder`.
        NotFiniteError: NaN or infinity; the last saved state is from before it.
        Stopped: it was asked to end, and has saved its last step.
        ConfigError: the configured device is missing.
        CheckpointError: ``base`` holds no checkpoint.
    """
    learner = Learner(run, base, known)
    with open_work_folder(work_folder, made_by(run, base, __name__), protected, accepted) as work:
        saved = work.load()
        earlier = work.goes_on_after(saved["metrics"][-1]["step"] if saved else 0)
        state = first_state(learner, base) if saved is None else resumed(learner, saved)
        work.note(metrics=state["metrics"], timings=state["timings"])
        train_steps(learner, state, work)
        write_results(output, state)
        save_checkpoint(learner.model, output / "model")
        work.remove()
    return earlier


def first_state(learner: Learner, base: Path) -> dict[str, Any]:
    """What is measured before the first step: the validation of the base model."""
    with explained(learner.name, 0, None, f"make the base model ({base}) again: it is damaged"):
        first = metrics_line(step=0, val_pass_at_1=validate(learner.model, learner.run, 0))
    return {"metrics": [first], "timings": [], "samples": [], "mini_batches": 0, "one_sided": 0}


def resumed(learner: Learner, state: dict[str, Any]) -> dict[str, Any]:
    """What was measured until a saved state, whose weights the learner takes."""
    learner.model.load_state_dict(state.pop("model"))
    learner.optimizer.load_state_dict(state.pop("optimizer"))
    learner.past.extend(state.pop("past", []))
    done, steps = state["metrics"][-1]["step"], learner.run.training.steps
    goes_on = f"resumes after step {done} of {steps}"
    if done == steps:
        goes_on = f"all {steps} steps were done before; the results are written from the saved state"
    print(f"{learner.name}: {goes_on}", flush=True)
    return state


def train_steps(learner: Learner, state: dict[str, Any], work: WorkFolder) -> None:
    """The steps that ``state`` lacks, saved to ``work`` every few steps, at the last one and when asked to end."""
    run, name = learner.run, learner.name
    training = run.training
    done = state["metrics"][-1]["step"]
    saved = done or None
    alarms = Alarms(state["metrics"])
    with graceful_stop() as stopping:
        for step in tqdm(range(done + 1, training.steps + 1), name, disable=None):
            with explained(name, step, saved, "lower training.learning_rate"):
                batch, truncated = train_step(learner, state, step)
                line = state["metrics"][-1]
                tqdm.write(log_line(name, line, training.steps))
                for sentence in alarms.see({**line, "truncated_fraction": truncated}):
                    tqdm.write(f"{name}: {sentence}")
                # asked once: what is said to be saved is
                stop = stopping()
                if stop or step % training.checkpoint_every == 0 or step == training.steps:
                    require_sound(learner.model, batch.prompts, batch.response, batch.mask, training.temperature)
                    weights, moments = learner.model.state_dict(), learner.optimizer.state_dict()
                    behind = {"past": list(learner.past)} if learner.past else {}
                    work.save({**state, "model": weights, "optimizer": moments, **behind})
                    saved = step
                    work.note(metrics=state["metrics"], timings=state["timings"])
            if stop and step < training.steps:
                raise Stopped(
                    f"{name}: stopped after step {step} of {training.steps}, which is saved in {work.folder}; the "
                    "same command, or snakemake again, goes on from there"
                )
    print(
        f"{name}: {state['one_sided']} of {state['mini_batches']} mini-batches had no two-sided group, and so no "
        "gradient of the objective",
        flush=True,
    )


def train_step(learner: Learner, state: dict[str, Any], step: int) -> tuple[Batch, float]:
    """One outer step, measured into ``state``; its rollouts, and the share of them that the response limit cut."""
    run, model, objective = learner.run, learner.model, learner.objective
    training = run.training
    began = time.perf_counter()
    batch, rollouts = collect(learner.sampling_policy(), learner.reference, learner.prompts, run, step)
    sampled = time.perf_counter()
    seen = update(model, learner.optimizer, objective, batch, run, step, run.training.staleness > 0)
    updated = time.perf_counter()
    line = step_metrics(rollouts, batch, seen, run, step)
    if step % training.validation_every == 0 or step == training.steps:
        line["val_pass_at_1"] = validate(model, run, step)
    state["metrics"].append(line)
    seconds = {"sample_seconds": sampled - began, "update_seconds": updated - sampled}
    state["timings"].append({"step": step, **seconds, "validate_seconds": time.perf_counter() - updated})
    if step in training.gradient_sample_steps:
        state["samples"] += [gradient_samples(step, run.method, objective, *pair) for pair in seen]
    state["mini_batches"] += len(seen)
    state["one_sided"] += sum(not objective.live_rows(part.group, part.reward).any() for part, _ in seen)
    return batch, float(rollouts.truncated.double().mean())


def collect(
    model: Model, reference: Model | None, prompts: TrainingPrompts, run: TorchRun, step: int
) -> tuple[Batch, Rollouts]:
    """Rollouts of one outer step, graded; rows are grouped by prompt."""
    training = run.training
    texts = prompts.draw(training.prompts, random.Random(f"prompts {run.seed} {step}"))
    generator = _generator(run.seed, step, 0)
    rollouts, reward = _graded(model, texts, training.rollouts, run, generator, "rollout")
    per_row = [encode(text) for text in texts for _ in range(training.rollouts)]
    reference_log_prob = torch.zeros_like(rollouts.log_prob)
    if reference is not None:
        with torch.no_grad():
            reference_log_prob = token_log_probs(
                reference, per_row, rollouts.response, rollouts.mask, training.temperature
            )
        require_finite("reference model's log-prob", reference_log_prob)
    group = torch.arange(training.prompts, device=reward.device).repeat_interleave(training.rollouts)
    batch = Batch(per_row, rollouts.response, rollouts.mask, rollouts.log_prob, reference_log_prob, group, reward)
    return batch, rollouts


def update(
    model: Model,
    optimizer: AdamW,
    objective: Objective,
    batch: Batch,
    run: TorchRun,
    step: int,
    stale: bool = False,
) -> list[tuple[Batch, Gradient]]:
    """One epoch over the step's rollouts: an optimizer update per mini-batch, each returned with what it saw.

    Args:
        stale: whether another policy than ``model`` sampled them.
    """
    training = run.training
    optimizer.learning_rate = learning_rate_at(training, step)
    rows = training.mini_batch_prompts * training.rollouts
    seen: list[tuple[Batch, Gradient]] = []
    for indices in torch.arange(len(batch.prompts), device=batch.group.device).split(rows):
        mini_batch = batch.select(indices)
        # it steps by its momentum even where no group of the mini-batch is two-sided
        optimizer.zero_grad()
        gradient = accumulate_gradient(
            model,
            mini_batch,
            objective,
            run.settings.kl_coefficient,
            training.temperature,
            training.micro_batch_rows,
            as_sampled=not seen and not stale,
        )
        gradient.norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), training.gradient_clip))
        require_finite("gradient's norm", gradient.norm)
        optimizer.step()
        seen.append((mini_batch, gradient))
    return seen


def validate(model: Model, run: TorchRun, step: int) -> float:
    """pass@1 on the validation problems: mean correctness over problems and samples."""
    task, training = run.task, run.training
    held_out = held_out_problems(task.seed, task.test_problems, task.validation_problems)
    problems = [problem for (_, split), group in held_out.items() if split == "validation" for problem in group]
    generator = _generator(run.seed, step, 1)
    correct = 0.0
    for start in range(0, len(problems), VALIDATION_CHUNK):
        chunk = [text_of(problem) for problem in problems[start : start + VALIDATION_CHUNK]]
        _, reward = _graded(model, chunk, training.validation_samples, run, generator, "validation rollout")
        correct += reward.sum().item()
    return correct / (len(problems) * training.validation_samples)


def _graded(
    model: Model, texts: list[str], count: int, run: TorchRun, generator: torch.Generator, what: str
) -> tuple[Rollouts, torch.Tensor]:
    """``count`` responses to each prompt, side by side, and their rewards."""
    training = run.training
    uniform = torch.rand(len(texts) * count, training.max_response_tokens, generator=generator)
    rollouts = sample(model, [encode(text) for text in texts], uniform, training.temperature, 1.0)
    require_finite(f"log-prob of a {what}'s token", rollouts.log_prob)
    return rollouts, _rewards(rollouts, [text for text in texts for _ in range(count)])


def _rewards(rollouts: Rollouts, prompts: list[str]) -> torch.Tensor:
    """(N,) 0/1 correctness of each response; as in the released code, one without ``</think>`` is wrong."""
    texts = [decode(row) for row in rollouts.response.tolist()]
    grades = grade_many(texts, [answer_of(prompt) for prompt in prompts], processes=1, strict_format=True)
    return torch.tensor([float(grade.correct) for grade in grades], device=rollouts.response.device)


def _generator(seed: int, step: int, stream: int) -> torch.Generator:
    """Random numbers of one (seed, step, stream)."""
    return torch.Generator().manual_seed(random.Random(f"rollouts {seed} {step} {stream}").getrandbits(63))
