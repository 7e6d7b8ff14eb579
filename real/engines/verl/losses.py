"""The loss that a verl worker back-propagates, and a record of what it did to each row.

REAL's objectives couple the rollouts of a group, and verl's losses see micro-batches. So the weights dL/dlog_prob are
known before the backward pass (worker.py), stand in the column ``advantages``, and the registered loss
``real_surrogate`` back-propagates them. GRPO, DAPO and GSPO are verl's own losses.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor
from verl.trainer.ppo.core_algos import agg_loss, get_policy_loss_fn, kl_penalty, register_policy_loss
from verl.utils.metric import AggregationType, Metric
from verl.workers.config import ActorConfig
from verl.workers.utils.losses import ppo_loss
from verl.workers.utils.padding import no_padding_2_padding

from real.engines.verl.coverage import SURROGATE
from real.exact import surrogate
from real.objectives import sequence_score


@register_policy_loss(SURROGATE)
def real_surrogate(
    old_log_prob: Tensor,
    log_prob: Tensor,
    advantages: Tensor,
    response_mask: Tensor,
    loss_agg_mode: str,
    config: ActorConfig,
    rollout_is_weights: Tensor | None = None,
) -> tuple[Tensor, dict[str, Any]]:
    """Σ weight · log_prob over a micro-batch; its value is not the loss, its gradient is the mini-batch objective's.

    Args:
        log_prob, advantages: (n, T); ``advantages`` holds dL/dlog_prob of the whole mini-batch's objective.

    Returns:
        The scalar times the data-parallel size, because FSDP averages gradients over ranks.
    """
    return surrogate(log_prob, advantages) * config.global_batch_info["dp_size"], {}


@dataclass(frozen=True)
class RecordedRow:
    """What the update did to one rollout.

    Attributes:
        group: number of its prompt in the step; below 0 for a row that only pads the batch.
        label: 0 or 1; length: response tokens; score: s̄ at the update.
        weight: Σ_t dL/dlog_prob_t of the mini-batch's objective (without the KL term).
        unweighted: response tokens whose weight is exactly 0.
    """

    group: int
    label: int
    length: int
    score: float
    weight: float
    unweighted: int


class RecordedLoss:
    """verl's ``ppo_loss``, with the KL term as a token mean over the mini-batch, keeping a RecordedRow per rollout.

    verl averages the KL term as it does the policy loss; the paper's GRPO averages the loss by sequences and the KL by
    tokens (docs/method.md), so it is added here, by verl's own functions.
    """

    def __init__(self, config: ActorConfig):
        self.kl_coefficient = config.kl_loss_coef if config.use_kl_loss else 0.0
        self.kl_type = config.kl_loss_type
        self.config = copy.copy(config)
        # the dataclass freezes its fields; this is a copy of our own
        self.config.__dict__["use_kl_loss"] = False
        # set by the worker where a mini-batch fits one micro-batch: log-ratios, mask, data -> (n, T) weights
        self.weigh: Callable[[Tensor, Tensor, TensorDict], Tensor] | None = None
        self._rows: list[RecordedRow] = []

    def take_rows(self) -> list[RecordedRow]:
        """Rows since the last call."""
        rows, self._rows = self._rows, []
        return rows

    def __call__(
        self, model_output: dict[str, Tensor], data: TensorDict, dp_group: Any = None
    ) -> tuple[Tensor, dict[str, Any]]:
        """Loss and metrics of one micro-batch; the signature is verl's."""
        # float32, if autocast has left another: lengths and scores are sums over thousands of tokens
        log_prob = no_padding_2_padding(model_output["log_probs"], data).float()
        padded = data.select("response_mask", "old_log_probs").to_padded_tensor()
        mask = padded["response_mask"].to(log_prob.dtype)
        log_ratio = (log_prob.detach() - padded["old_log_probs"]) * mask
        if self.weigh is not None:
            weights = self.weigh(log_ratio, mask, data)
            data["advantages"] = nested(weights, data["response_mask"])
        loss, metrics = ppo_loss(self.config, model_output, data, dp_group)
        self._record(log_prob, log_ratio, mask, data)
        if self.kl_coefficient > 0:
            reference = data.select("ref_log_prob").to_padded_tensor()["ref_log_prob"]
            kl = agg_loss(
                loss_mat=kl_penalty(logprob=log_prob, ref_logprob=reference, kl_penalty=self.kl_type),
                loss_mask=mask.bool(),
                loss_agg_mode="token-mean",
                **self.config.global_batch_info,
            )
            loss = loss + self.kl_coefficient * kl
            metrics["kl_loss"] = Metric(value=kl, aggregation=AggregationType.SUM)
        return loss, metrics

    def _record(self, log_prob: Tensor, log_ratio: Tensor, mask: Tensor, data: TensorDict) -> None:
        """Keep a row per rollout; the weights are those that the policy loss itself gives by autograd."""
        columns = data.select("old_log_probs", "advantages").to_padded_tensor()
        with torch.enable_grad():
            leaf = log_prob.detach().clone().requires_grad_()
            loss, _ = get_policy_loss_fn(self.config.policy_loss.loss_mode)(
                old_log_prob=columns["old_log_probs"],
                log_prob=leaf,
                advantages=columns["advantages"],
                response_mask=mask.bool(),
                loss_agg_mode=self.config.loss_agg_mode,
                config=self.config,
            )
            (gradient,) = torch.autograd.grad(loss, leaf)
        weights = gradient * mask / self.config.global_batch_info["dp_size"]
        self._rows += [
            RecordedRow(*values)
            for values in zip(
                data["group"].tolist(),
                data["label"].tolist(),
                mask.sum(dim=1).long().tolist(),
                sequence_score(log_ratio.double(), mask.double()).tolist(),
                weights.double().sum(dim=1).tolist(),
                ((weights == 0) & (mask == 1)).sum(dim=1).tolist(),
                strict=True,
            )
        ]


def nested(padded: Tensor, like: Tensor) -> Tensor:
    """(n, T) as a jagged tensor with the row lengths of ``like``."""
    lengths = like.offsets().diff().tolist()  # type: ignore[attr-defined]
    return torch.nested.as_nested_tensor(
        [row[:length] for row, length in zip(padded, lengths, strict=True)], layout=torch.jagged
    )
