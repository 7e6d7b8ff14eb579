"""Run by torchrun: one update of the real FSDP2 worker against this package's own objectives on one process.

    torchrun --nproc-per-node=R gradient_probe.py CHECKPOINT UNTIED REPORT

UNTIED: a checkpoint whose head has weights of its own, as those of the paper have.
REPORT: JSON, ``method/split`` -> relative error of the gradient of all parameters (norm of the difference over norm);
``method/whole step`` -> relative error of the parameters' change by one outer step of the torch engine; and
``method/objective per micro-batch`` -> the error of what this engine avoids.
"""

import json
import os
import sys
from functools import cache, partial
from pathlib import Path

import torch
import torch.distributed
from omegaconf import open_dict
from tensordict import TensorDict
from transformers import Qwen2ForCausalLM
from verl.utils import tensordict_utils as tu
from verl.utils.config import omega_conf_to_dataclass
from verl.workers.config import ActorConfig, TrainingWorkerConfig
from verl.workers.utils.losses import ppo_loss

from real.config import load, resolve
from real.config.paper_scale import Lora
from real.engines.torch.adamw import AdamW
from real.engines.torch.policy import load_checkpoint, token_log_probs
from real.engines.torch.train import update as torch_engine_update
from real.engines.torch.update import Batch, kl_to_reference
from real.engines.verl.balance import order_rows
from real.engines.verl.coverage import OWN_LOSSES
from real.engines.verl.kernels import Kernels
from real.engines.verl.settings import compose_config
from real.engines.verl.worker import RealTrainingWorker
from real.models.forwards import Verdict, compare
from real.objectives import OBJECTIVES, group_advantage, make_objective
from real.tasks.arithmetic import VOCABULARY

GROUPS, ROLLOUTS = 4, 8
TEMPERATURE = 0.6
SPLITS = {
    "row by row": {"rows": 1},
    "by tokens": {"tokens": 130},
    "whole": {"rows": None},
    "padded": {"rows": 4, "remove_padding": False},
    "on-policy": {"rows": 4, "first": True},
    "by tokens, from logits": {"tokens": 130, "head": "logits"},
    "a group lost": {"rows": 4, "lost": 2},
    "over an adapter": {"tokens": 130, "lora": Lora(rank=4, alpha=8)},
}


# verl's fused head takes the place of the forward of the class, for every model that comes later
LIBRARY_FORWARD = Qwen2ForCausalLM.forward


def policy(checkpoint: str) -> torch.nn.Module:
    """The torch engine's model."""
    return load_checkpoint(checkpoint, torch.device("cpu"), verdict(checkpoint))


@cache
def verdict(checkpoint: str) -> Verdict:
    """Which forward it has."""
    Qwen2ForCausalLM.forward = LIBRARY_FORWARD
    return compare(Path(checkpoint))


def rollouts(checkpoint: str) -> Batch:
    """32 random rows of 4 groups, rows shuffled; log-ratios up to ±2, so that ratios pass 3 and every clip range."""
    generator = torch.Generator().manual_seed(0)
    rows, width = GROUPS * ROLLOUTS, 12
    lengths = torch.randint(1, width + 1, (rows,), generator=generator)
    mask = (torch.arange(width)[None, :] < lengths[:, None]).float()
    response = torch.randint(6, len(VOCABULARY), (rows, width), generator=generator) * mask.long()
    prompts = [
        torch.randint(6, len(VOCABULARY), (int(n),), generator=generator).tolist()
        for n in torch.randint(2, 7, (rows,), generator=generator)
    ]
    reward = torch.randint(0, 2, (GROUPS, ROLLOUTS), generator=generator).float()
    reward[:, 0], reward[:, 1] = 1.0, 0.0
    reward[0] = 1.0  # a one-sided group
    order = torch.randperm(rows, generator=generator)
    group = torch.arange(GROUPS).repeat_interleave(ROLLOUTS)[order]
    model = policy(checkpoint)
    with torch.no_grad():
        log_prob = token_log_probs(model, prompts, response, mask, TEMPERATURE)
    noise = (4 * torch.rand(log_prob.shape, generator=generator) - 2) * mask
    other = (torch.rand(log_prob.shape, generator=generator) - 0.5) * mask
    return Batch(prompts, response, mask, log_prob - noise, log_prob - other, group, reward.flatten()[order])


def reference_gradient(model: torch.nn.Module, batch: Batch, method: str, kl: float) -> dict[str, torch.Tensor]:
    """Autograd of the undivided objective, all rows at once."""
    log_prob = token_log_probs(model, batch.prompts, batch.response, batch.mask, TEMPERATURE)
    loss = make_objective(method)(log_prob - batch.old_log_prob, batch.mask, batch.group, batch.reward)
    if kl:
        penalty = kl_to_reference(log_prob, batch.reference_log_prob, batch.mask)
        loss = loss + kl * penalty / batch.mask.sum()
    loss.backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def adapter_gradient(
    model: torch.nn.Module, lora: Lora, adapter: dict[str, torch.Tensor], *objective
) -> dict[str, torch.Tensor]:
    """That of an adapter, by the chain rule from the gradient of the whole weights W + alpha / rank B A."""
    scale, before, after = lora.alpha / lora.rank, "base_model.model.", ".lora_A.default.weight"
    layers = [name.removeprefix(before).removesuffix(after) for name in adapter if name.endswith(after)]
    pairs = {layer: [f"{before}{layer}.lora_{part}.default.weight" for part in "AB"] for layer in layers}
    weights = dict(model.named_parameters())
    with torch.no_grad():
        for layer, (a, b) in pairs.items():
            weights[f"{layer}.weight"] += scale * adapter[b] @ adapter[a]
    whole = reference_gradient(model, *objective)
    found = {}
    for layer, (a, b) in pairs.items():
        gradient = whole[f"{layer}.weight"]
        found |= {a: scale * adapter[b].T @ gradient, b: scale * gradient @ adapter[a].T}
    return found


def fill_adapter(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Random numbers for both matrices of every adapter, of which one begins at 0; the whole matrices by name."""
    generator = torch.Generator().manual_seed(torch.distributed.get_rank())
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                shard = parameter.to_local()
                shard.copy_(0.1 * torch.randn(shard.shape, generator=generator))
    return parameters(module, lambda parameter: parameter.detach().clone())


def to_verl(batch: Batch, rows: list[int]) -> TensorDict:
    """Rows in the layout that verl's trainer hands to its workers."""

    def jagged(parts):
        return torch.nested.as_nested_tensor(list(parts), layout=torch.jagged)

    lengths = batch.mask.sum(dim=1).long()
    cut = {row: slice(0, int(lengths[row])) for row in rows}
    prompts = [torch.tensor(batch.prompts[row]) for row in rows]
    responses = [batch.response[row, cut[row]] for row in rows]
    sequences = [torch.cat(pair) for pair in zip(prompts, responses, strict=True)]
    advantage = group_advantage(batch.group, batch.reward)
    # rows of no group fill the batch up
    counted = [torch.full_like(part, int(batch.group[row] >= 0)) for row, part in zip(rows, responses, strict=True)]
    return TensorDict(
        {
            "prompts": jagged(prompts),
            "responses": jagged(responses),
            "input_ids": jagged(sequences),
            "position_ids": jagged([torch.arange(len(sequence)) for sequence in sequences]),
            "response_mask": jagged(counted),
            "loss_mask": jagged(counted),
            "old_log_probs": jagged([batch.old_log_prob[row, cut[row]] for row in rows]),
            "ref_log_prob": jagged([batch.reference_log_prob[row, cut[row]] for row in rows]),
            "advantages": jagged([advantage[row] * batch.mask[row, cut[row]] for row in rows]),
            "group": batch.group[rows],
            "label": batch.reward[rows].long(),
        },
        batch_size=len(rows),
    )


def worker(checkpoint: str, method: str, rows: int, tokens: int | None, remove_padding: bool, head="fused", **training):
    """The worker as verl builds it, for a run of ours."""
    run = resolve(load(["paper_configs/verl_smoke.yaml", "tests/verl/all_methods.yaml"]), method, 0)
    geometry = {"prompts": GROUPS, "rollouts": ROLLOUTS, "mini_batch_prompts": GROUPS, "micro_batch_rows": rows}
    run = run.model_copy(
        update={
            "training": run.training.model_copy(update={**geometry, **training}),
            "cluster": run.cluster.model_copy(update={"micro_batch_tokens": tokens}),
        }
    )
    kernels = Kernels("sdpa", head, tokens)
    config = compose_config(run, Path(checkpoint), (Path("train"), Path("validation")), Path("work"), kernels)
    with open_dict(config):
        config.actor_rollout_ref.model.use_remove_padding = remove_padding
    actor: ActorConfig = omega_conf_to_dataclass(config.actor_rollout_ref.actor)
    model = omega_conf_to_dataclass(config.actor_rollout_ref.model)
    actor.model_config = model
    engine = actor.engine
    engine.use_dynamic_bsz = tokens is not None
    engine.max_token_len_per_gpu = engine.infer_max_token_len_per_gpu = tokens
    engine.micro_batch_size_per_gpu = engine.infer_micro_batch_size_per_gpu = rows
    Qwen2ForCausalLM.forward = LIBRARY_FORWARD
    built = RealTrainingWorker(
        TrainingWorkerConfig(
            model_type="language_model",
            model_config=model,
            engine_config=engine,
            optimizer_config=actor.optim,
            checkpoint_config=actor.checkpoint,
        )
    )
    built.reset()
    built.set_loss_fn(partial(ppo_loss, config=actor))
    return built, run


def parameters(module: torch.nn.Module, what) -> dict[str, torch.Tensor]:
    """Whole tensors of the sharded parameters that are trained (or their gradients) by name."""
    found = {name: what(parameter) for name, parameter in module.named_parameters() if parameter.requires_grad}
    return {name: value.full_tensor() if hasattr(value, "full_tensor") else value for name, value in found.items()}


def relative_error(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    """Norm of the difference over norm, of all parameters together."""
    assert found.keys() == expected.keys()
    difference = sum(float((found[name].double() - expected[name].double()).square().sum()) for name in expected)
    return (difference / sum(float(value.double().square().sum()) for value in expected.values())) ** 0.5


def split_error(
    checkpoint: str,
    batch: Batch,
    method: str,
    rows: int | None = 4,
    tokens: int | None = None,
    remove_padding: bool = True,
    head: str = "fused",
    first: bool = False,
    lost: int | None = None,
    lora: Lora | None = None,
) -> float:
    """Relative error of one update's gradient under one split; of group ``lost`` nothing may be left in it."""
    share = GROUPS * ROLLOUTS // int(os.environ["WORLD_SIZE"])
    built, run = worker(checkpoint, method, rows or share, tokens, remove_padding, head, gradient_clip=1e9, lora=lora)
    for group in built.engine.optimizer.param_groups:
        group["lr"] = 0.0
    if first:
        batch = Batch(**{**vars(batch), "old_log_prob": on_policy(checkpoint, batch)})
    adapter = fill_adapter(built.engine.module) if lora else {}
    expected = batch
    if lost is not None:
        expected = batch.select(torch.nonzero(batch.group != lost)[:, 0])
        group = torch.where(batch.group == lost, -1, batch.group)
        batch = Batch(**{**vars(batch), "group": group, "reward": batch.reward * (group >= 0)})
    rank = torch.distributed.get_rank()
    data = to_verl(batch, list(range(rank * share, (rank + 1) * share)))
    tu.assign_non_tensor(data, temperature=TEMPERATURE, global_batch_size=GROUPS * ROLLOUTS, calculate_entropy=False)
    built.objective, built.rollouts, built.keep_rows = make_objective(method), ROLLOUTS, False
    built.updates = 0 if first else 1
    found: dict[str, torch.Tensor] = {}
    step = built.engine.optimizer_step

    def optimizer_step():
        found.update(parameters(built.engine.module, lambda parameter: parameter.grad.clone()))
        return step()

    # verl clears gradients when the update ends
    built.engine.optimizer_step = optimizer_step
    built.train_batch(data)
    objective = (expected, method, run.settings.kl_coefficient)
    if lora:
        return relative_error(found, adapter_gradient(policy(checkpoint), lora, adapter, *objective))
    return relative_error(found, reference_gradient(policy(checkpoint), *objective))


def naive_error(checkpoint: str, batch: Batch, method: str, rows: int = 4) -> float:
    """Relative error of the gradient where the objective is applied to each micro-batch by itself."""
    model = policy(checkpoint)
    for start in range(0, GROUPS * ROLLOUTS, rows):
        part = batch.select(torch.arange(start, start + rows))
        log_prob = token_log_probs(model, part.prompts, part.response, part.mask, TEMPERATURE)
        loss = make_objective(method)(log_prob - part.old_log_prob, part.mask, part.group, part.reward)
        (loss * rows / (GROUPS * ROLLOUTS)).backward()
    found = {name: parameter.grad for name, parameter in model.named_parameters()}
    return relative_error(found, reference_gradient(policy(checkpoint), batch, method, 0.0))


def on_policy(checkpoint: str, batch: Batch) -> torch.Tensor:
    """(N, T) log-probs of the policy itself."""
    model = policy(checkpoint)
    with torch.no_grad():
        return token_log_probs(model, batch.prompts, batch.response, batch.mask, TEMPERATURE)


def step_error(checkpoint: str, batch: Batch, method: str) -> float:
    """Relative error of what one outer step of two mini-batches does to the parameters, against the torch engine."""
    order = batch.group.argsort(stable=True)
    batch = batch.select(order)
    batch.old_log_prob = on_policy(checkpoint, batch)
    built, run = worker(checkpoint, method, 4, None, True, mini_batch_prompts=GROUPS // 2, warmup_steps=0)
    rate = run.training.learning_rate
    for group in built.engine.optimizer.param_groups:
        group["lr"] = rate
    lengths = [len(p) + int(n) for p, n in zip(batch.prompts, batch.mask.sum(dim=1), strict=True)]
    ranks, half = torch.distributed.get_world_size(), GROUPS // 2
    rows = order_rows(batch.group.tolist(), lengths, [range(half), range(half, GROUPS)], ranks)
    share = len(rows) // ranks
    data = to_verl(batch, rows[torch.distributed.get_rank() * share :][:share])
    tu.assign_non_tensor(
        data,
        temperature=TEMPERATURE,
        global_batch_size=half * ROLLOUTS,
        mini_batch_size=half * ROLLOUTS,
        calculate_entropy=False,
        epochs=1,
        dataloader_kwargs={"shuffle": False},
        objective=method,
        hyperparameters=dict(run.settings.hyperparameters),
        rollouts=ROLLOUTS,
        keep_rows=False,
    )
    start = parameters(built.engine.module, lambda parameter: parameter.detach().clone())
    built.train_mini_batch(data)
    end = parameters(built.engine.module, lambda parameter: parameter.detach().clone())

    model = policy(checkpoint)
    optimizer = AdamW(model.parameters(), (0.9, 0.999), run.training.weight_decay)
    objective = make_objective(method, **run.settings.hyperparameters)
    # step 2: past the warm-up
    torch_engine_update(model, optimizer, objective, batch, run, 2)
    expected = {name: parameter.detach() - start[name] for name, parameter in model.named_parameters()}
    return relative_error({name: end[name] - start[name] for name in end}, expected)


def main(checkpoint: str, untied: str, report: str) -> None:
    batch, of_untied = rollouts(checkpoint), rollouts(untied)
    errors = {}
    for method in OBJECTIVES:
        for split, options in SPLITS.items():
            errors[f"{method}/{split}"] = split_error(checkpoint, batch, method, **options)
        errors[f"{method}/untied head"] = split_error(untied, of_untied, method, tokens=130)
        errors[f"{method}/whole step"] = step_error(checkpoint, batch, method)
    for method in OBJECTIVES:
        if method in OWN_LOSSES:
            continue
        errors[f"{method}/objective per micro-batch"] = naive_error(checkpoint, batch, method)
    if torch.distributed.get_rank() == 0:
        Path(report).write_text(json.dumps(errors, indent=2), encoding="utf-8")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
