"""verl's worker with and without REAL's extra pass; started by benchmarks/exact_pass.py under torchrun."""

import argparse
import itertools
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tensordict import TensorDict
from transformers.models.auto import AutoModelForCausalLM
from transformers.models.qwen2 import Qwen2Config
from verl.utils import tensordict_utils as tu
from verl.utils.config import omega_conf_to_dataclass
from verl.workers.config import ActorConfig, HFModelConfig, TrainingWorkerConfig
from verl.workers.utils.losses import ppo_loss

from benchmarks.turns import clock_of, milliseconds, ratio, relative_error, take_turns
from real.config import VerlRun, load, resolve
from real.engines.torch.policy import build_policy, save_checkpoint
from real.engines.verl.kernels import settled
from real.engines.verl.losses import RecordedLoss
from real.engines.verl.settings import compose_config
from real.engines.verl.worker import RealTrainingWorker
from real.objectives import group_advantage, make_objective
from real.tasks.arithmetic import VOCABULARY

ROLLOUTS = 8
DRIFT = 0.3  # standard deviation of the tokens' log-ratios, in nats


@dataclass(frozen=True)
class Shape:
    """A scale to take the settings from, and defaults of what is measured on it."""

    scale: str
    prompt_tokens: int
    response_tokens: int
    rows: tuple[int, ...]
    vocabulary: int


SHAPES = {
    "tiny": Shape("paper_configs/verl_smoke.yaml", 10, 40, (4, 8, 16, 32), len(VOCABULARY)),
    "1.5b": Shape("paper_configs/1.5b.yaml", 256, 4000, (1, 2, 4, 8), 151_936),
}


class RememberingWorker(RealTrainingWorker):
    """The worker, whose pass without gradients can be replaced by its last result."""

    result: tuple[torch.Tensor, torch.Tensor]
    remember = False

    def _log_ratios(self, data: TensorDict) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.remember:
            self.result = super()._log_ratios(data)
        return self.result


def random_model(shape: str, tokens: int, device: str) -> torch.nn.Module:
    """A randomly initialised policy: the smoke scale's, or one with the sizes of DeepSeek-R1-Distill-Qwen-1.5B."""
    if shape == "tiny":
        return build_policy(load([SHAPES[shape].scale]).scale.policy, tokens, 0)
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=SHAPES[shape].vocabulary,
        hidden_size=1536,
        num_hidden_layers=28,
        num_attention_heads=12,
        num_key_value_heads=2,
        intermediate_size=8960,
        max_position_embeddings=131_072,
        tie_word_embeddings=False,
    )
    # on the device: a CPU takes half a minute to draw 1.8 billion numbers
    with torch.device(device):
        return AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)


def settings(options: argparse.Namespace, method: str) -> VerlRun:
    """The scale's run of a method, cut to one mini-batch on one device."""
    run = resolve(load([SHAPES[options.shape].scale]), "real", 0)
    method_settings = resolve(load([SHAPES["1.5b"].scale]), method, 0).settings
    geometry = {"prompts": options.groups, "mini_batch_prompts": options.groups, "rollouts": ROLLOUTS}
    training = run.training.model_copy(update={**geometry, "max_response_tokens": options.response_tokens})
    devices = {"device": options.device, "nodes": 1, "gpus_per_node": 1, "offload": False}
    cluster = run.cluster.model_copy(update={**devices, "attention": options.attention[0]})
    changes = {"method": method, "settings": method_settings, "training": training, "cluster": cluster}
    return run.model_copy(update=changes)


def actor_and_model(run: VerlRun, checkpoint: Path, head: str) -> tuple[ActorConfig, HFModelConfig]:
    """verl's own configuration of the policy's worker, as the trainer composes it.

    Args:
        head: ``logits``, or the backend of verl's fused linear cross-entropy, ``torch`` or ``triton``.
    """
    kernels = replace(settled(run, run.cluster.attention), head="logits" if head == "logits" else "fused")
    config = compose_config(run, checkpoint, (Path("train"), Path("validation")), Path("work"), kernels)
    if head != "logits":
        config.actor_rollout_ref.model.fused_kernel_options.impl_backend = head
    actor = omega_conf_to_dataclass(config.actor_rollout_ref.actor)
    actor.model_config = model = omega_conf_to_dataclass(config.actor_rollout_ref.model)
    return actor, model


def build_worker(actor: ActorConfig, model: HFModelConfig) -> RememberingWorker:
    """The worker with its model on the device, at a learning rate of 0."""
    actor.engine.use_dynamic_bsz = True
    worker = RememberingWorker(
        TrainingWorkerConfig(
            model_type="language_model",
            model_config=model,
            engine_config=actor.engine,
            optimizer_config=actor.optim,
            checkpoint_config=actor.checkpoint,
        )
    )
    worker.reset()
    for group in worker.engine.optimizer.param_groups:
        group["lr"] = 0.0
    worker.rollouts, worker.keep_rows = ROLLOUTS, False
    return worker


def rows_of(options: argparse.Namespace, old_log_prob: torch.Tensor | None) -> TensorDict:
    """A mini-batch in the layout of verl's trainer, on the CPU as there: random tokens, equal lengths, mixed rewards.

    Args:
        old_log_prob: (N, T); zeros where None.
    """
    generator = torch.Generator().manual_seed(0)
    count, prompt, response = options.groups * ROLLOUTS, options.prompt_tokens, options.response_tokens
    sequence = torch.randint(SHAPES[options.shape].vocabulary, (count, prompt + response), generator=generator)
    group, label = torch.arange(options.groups).repeat_interleave(ROLLOUTS), torch.arange(count) % 2
    ones = torch.ones(count, response)
    old = torch.zeros(count, response) if old_log_prob is None else old_log_prob
    columns = {
        "prompts": sequence[:, :prompt],
        "responses": sequence[:, prompt:],
        "input_ids": sequence,
        "position_ids": torch.arange(prompt + response).expand(count, -1),
        "response_mask": ones.long(),
        "loss_mask": ones.long(),
        "old_log_probs": old,
        "advantages": group_advantage(group, label.float())[:, None] * ones,
    }
    jagged = {name: torch.nested.as_nested_tensor(list(rows), layout=torch.jagged) for name, rows in columns.items()}
    data = TensorDict({**jagged, "group": group, "label": label}, batch_size=count)
    tu.assign_non_tensor(
        data,
        temperature=0.6,
        global_batch_size=count,
        calculate_entropy=False,
        disable_auto_offload=True,
    )
    return data


def update(worker: RememberingWorker, data: TensorDict, method: str, loss: RecordedLoss, remember: bool) -> None:
    """One update that is not the first of its step."""
    worker.objective, worker.recorder, worker.loss_fn = make_objective(method), loss, loss
    worker.updates, worker.remember = 1, remember
    with worker.engine.train_mode(disable_auto_offload=True):
        worker.train_batch(data.copy())


def gradient_of(worker: RememberingWorker, make_update: Callable[[], None]) -> list[torch.Tensor]:
    """The gradient of an update, on the CPU; verl clears it when the update ends."""
    found: list[torch.Tensor] = []
    step = worker.engine.optimizer_step

    def copy_and_step() -> object:
        found.extend(parameter.grad.full_tensor().cpu() for parameter in worker.engine.module.parameters())
        return step()

    worker.engine.optimizer_step = copy_and_step
    make_update()
    worker.engine.optimizer_step = step
    return found


def peak_memory(device: str, make_update: Callable[[], None]) -> float | None:
    """GiB that an update allocates at most."""
    if device == "cpu":
        return None
    torch.cuda.reset_peak_memory_stats()
    make_update()
    return torch.cuda.max_memory_allocated() / 2**30


def measure(
    worker: RememberingWorker, losses: dict[str, RecordedLoss], options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """A row of the table per number of rows in a micro-batch and kernel of attention."""
    length = options.prompt_tokens + options.response_tokens

    def cut(rows: int) -> None:
        worker.engine_config.max_token_len_per_gpu = rows * length

    # row by row, so that there is a pass; with zeros as old log-probs it returns the policy's log-probs
    cut(1)
    update(worker, rows_of(options, None), "real", losses["real"], remember=False)
    drift = DRIFT * torch.randn(worker.result[0].shape, generator=torch.Generator().manual_seed(0))
    data = rows_of(options, worker.result[0] - drift)
    sides = {
        "with": partial(update, worker, data, "real", losses["real"], False),
        "without": partial(update, worker, data, "real", losses["real"], True),
        "DAPO": partial(update, worker, data, "dapo", losses["dapo"], False),
    }
    first = None
    for rows, attention in itertools.product(options.rows, options.attention):
        cut(rows)
        # the model reads the name at every forward pass
        worker.engine.module.config._attn_implementation = attention
        sides["with"]()
        seconds = take_turns(sides, options.turns, clock_of(options.device))
        gradient = gradient_of(worker, sides["with"])
        first = first or gradient
        yield {
            "head": options.head,
            "attention": attention,
            "rows per micro-batch": rows,
            **{f"{name}, ms": milliseconds(seconds[name]) for name in sides},
            **{f"with / {name}": ratio(seconds["with"], seconds[name]) for name in ("without", "DAPO")},
            "GiB": peak_memory(options.device, sides["with"]),
            "error": f"{relative_error(gradient, first):.1e}",
        }


def verl_worker(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Build the worker, measure it, and leave; a row per number of rows in a micro-batch."""
    if os.environ.get("WORLD_SIZE") != "1":
        sys.exit("verl's worker needs torchrun, with one process; benchmarks/README.md has the command")
    shape = SHAPES[options.shape]
    options.prompt_tokens = options.prompt_tokens or shape.prompt_tokens
    options.response_tokens = options.response_tokens or shape.response_tokens
    options.rows = sorted(options.rows or shape.rows)
    run = settings(options, "real")
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "model"
        save_checkpoint(
            random_model(options.shape, options.prompt_tokens + options.response_tokens, options.device), checkpoint
        )
        actor, model = actor_and_model(run, checkpoint, options.head)
        baseline, _ = actor_and_model(settings(options, "dapo"), checkpoint, options.head)
        worker = build_worker(actor, model)
        losses = {}
        for method, config in (("real", actor), ("dapo", baseline)):
            worker.set_loss_fn(partial(ppo_loss, config=config))
            losses[method] = worker.recorder
    name = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    print(
        f"verl's worker, {name}, torch {torch.__version__}, {options.shape} in {run.cluster.precision}, gradient "
        f"checkpointing "
        f"{'on' if run.cluster.gradient_checkpointing else 'off'}, {options.turns} turns: "
        f"{options.groups * ROLLOUTS} rows of {options.prompt_tokens} + {options.response_tokens} tokens"
    )
    yield from measure(worker, losses, options)
    torch.distributed.destroy_process_group()
