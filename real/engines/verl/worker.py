"""The worker that updates the policy: one exact gradient per mini-batch, whatever its ranks and micro-batches.

    scores of this rank's rows (no gradient)  ->  all ranks exchange (group, score, label)  ->  dL/ds̄ by the objective's
    own autograd  ->  back-propagated as fixed weights by ``real_surrogate``

The pass without gradients is skipped where nothing is lost: in the first mini-batch of a step, where the policy is the
one that sampled, so that every score is 0; and where every rank's rows fit one micro-batch, whose log-probs then serve
both purposes.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed
from tensordict import TensorDict
from torch import Tensor
from verl.utils import fsdp_utils
from verl.utils import tensordict_utils as tu
from verl.workers.engine_workers import ActorRolloutRefWorker, TrainingWorker
from verl.workers.utils.padding import no_padding_2_padding

from real.engines.verl.coverage import OWN_LOSSES
from real.engines.verl.losses import RecordedLoss, RecordedRow, nested
from real.exact import token_weights
from real.objectives import Objective, group_advantage, make_objective, sequence_score


class RealTrainingWorker(TrainingWorker):
    """verl's training worker with REAL's objectives."""

    recorder: RecordedLoss
    objective: Objective

    def set_loss_fn(self, loss_fn: Any) -> None:
        """Take verl's ``partial(ppo_loss, config=...)`` and record what it does."""
        self.recorder = self.loss_fn = RecordedLoss(loss_fn.keywords["config"])

    def train_mini_batch(self, data: TensorDict) -> TensorDict:
        """One outer step: every mini-batch once.

        Args:
            data: this rank's rows. Besides verl's columns it has ``group`` (n,) and ``label`` (n,), and the scalars
                ``objective``, ``hyperparameters``, ``rollouts`` (G) and ``keep_rows``.
        """
        self.objective = make_objective(tu.pop(data, "objective"), **tu.pop(data, "hyperparameters"))
        self.rollouts, self.keep_rows = tu.pop(data, "rollouts"), tu.pop(data, "keep_rows")
        self.updates = 0
        return super().train_mini_batch(data)

    def train_batch(self, data: TensorDict) -> TensorDict:
        """One update. Its metrics gain sums over the whole mini-batch (:func:`summary`), and its rows if kept."""
        tu.assign_non_tensor(
            data,
            # the divisor of verl's losses that average sequences: rows that fill a mini-batch are none
            global_batch_size=sum(self._gather(int((data["group"] >= 0).sum()))),
            use_remove_padding=self.model_config.get("use_remove_padding", False),
            use_dynamic_bsz=self.engine_config.use_dynamic_bsz,
            max_token_len_per_gpu=self.engine_config.max_token_len_per_gpu,
            micro_batch_size_per_gpu=self.engine_config.micro_batch_size_per_gpu,
            use_fused_kernels=self.engine_config.use_fused_kernels,
        )
        self.recorder.weigh = None
        if self.objective.name not in OWN_LOSSES:
            if self.updates > 0 and self._fits_one_micro_batch(data):
                self.recorder.weigh = self._weights
            else:
                log_ratio, mask = self._log_ratios(data)
                data["advantages"] = nested(self._weights(log_ratio, mask, data), data["response_mask"])
        self.updates += 1
        learning_rate = self.engine.optimizer.param_groups[0]["lr"]
        output = super().train_batch(data)
        rows = [row for part in self._gather(self.recorder.take_rows()) for row in part if row.group >= 0]
        metrics = tu.get(output, "metrics")
        metrics |= {f"update/{key}": value for key, value in summary(rows, self.objective).items()}
        metrics["update/learning_rate"] = learning_rate
        if self.keep_rows:
            normaliser = self.objective.normaliser(*_group_and_label(rows))
            metrics["rows"] = [[[row.score, row.label, abs(row.weight) * normaliser] for row in rows]]
        return output

    def _log_ratios(self, data: TensorDict) -> tuple[Tensor, Tensor]:
        """(n, T) log π_θ − log π_old of this rank's rows, at first 0, and their mask; by a pass without gradients."""
        padded = data.select("response_mask", "old_log_probs").to_padded_tensor()
        mask = padded["response_mask"].float()
        if self.updates == 0:
            return torch.zeros_like(mask), mask
        tu.assign_non_tensor(data, calculate_entropy=False)
        output = self.engine.infer_batch(data, loss_function=None)
        log_prob = no_padding_2_padding(output["model_output"]["log_probs"], data)
        # verl keeps the mini-batch on the CPU and moves micro-batches to the GPU; bfloat16 can't count past 256 tokens
        log_prob = log_prob.to(padded["old_log_probs"].device, torch.float32)
        return (log_prob - padded["old_log_probs"]) * mask, mask

    def _weights(self, log_ratio: Tensor, mask: Tensor, data: TensorDict) -> Tensor:
        """(n, T) dL/dlog_prob of this rank's rows, from the scores of all ranks' rows.

        Raises:
            ValueError: a group of the mini-batch has another number of rollouts than G.
        """
        score, length = sequence_score(log_ratio.double(), mask.double()), mask.sum(dim=1)
        mine = list(zip(data["group"].tolist(), score.tolist(), data["label"].tolist(), length.tolist(), strict=True))
        everyone = self._gather(mine)
        rows = [row for part in everyone for row in part if row[0] >= 0]
        check_groups([int(row[0]) for row in rows], self.rollouts)
        group, scores, label, lengths = (torch.tensor(column) for column in zip(*rows, strict=True))
        gradient = token_weights(
            self.objective, scores.double()[:, None], (lengths > 0).double()[:, None], group.long(), label.double()
        )[:, 0]
        rank = torch.distributed.get_rank(self.engine.get_data_parallel_group())
        start = sum(row[0] >= 0 for part in everyone[:rank] for row in part)
        real = data["group"] >= 0
        per_row = torch.zeros(len(mine), dtype=torch.float64)
        per_row[real.cpu()] = gradient[start : start + int(real.sum())]
        return (per_row.to(mask.device) / length.clamp(min=1))[:, None].to(mask.dtype) * mask

    def _fits_one_micro_batch(self, data: TensorDict) -> bool:
        """Whether every rank's rows of the mini-batch run through the model at once; the same answer on all ranks."""
        if self.engine_config.use_dynamic_bsz:
            fits = int(data["input_ids"].offsets()[-1]) <= self.engine_config.max_token_len_per_gpu
        else:
            fits = len(data) <= self.engine_config.micro_batch_size_per_gpu
        return all(self._gather(fits))

    def _gather(self, value: Any) -> list[Any]:
        """The value of every data-parallel rank, in rank order."""
        group = self.engine.get_data_parallel_group()
        found = [None] * torch.distributed.get_world_size(group)
        torch.distributed.all_gather_object(found, value, group)
        return found


def wrap_targets(model: torch.nn.Module, layers: Sequence[str]) -> list[torch.nn.Module]:
    """The modules that FSDP2 shards by themselves: verl's, but for the head where it is fused with its loss.

    The fused forward reads the head's weight without calling the head, so that FSDP2 must gather it with the model.
    """
    is_fused = hasattr(model, "_verl_fused_kernels_backend")
    head = model.get_output_embeddings() if is_fused else None  # type: ignore[operator]
    return [module for module in VERL_WRAP_TARGETS(model, layers) if module is not head]


VERL_WRAP_TARGETS = fsdp_utils._select_fsdp2_wrap_targets
fsdp_utils._select_fsdp2_wrap_targets = wrap_targets


class RealActorRolloutRefWorker(ActorRolloutRefWorker):
    """verl's worker of policy, sampler and reference, with our training worker for the policy."""

    actor_worker_cls = RealTrainingWorker


def check_groups(group: list[int], rollouts: int) -> None:
    """Raise ValueError unless every group has G rows: of a part of a group the objective would be another loss.

    Groups that lost a rollout never come here (lost.py), so this guards the way from the trainer to the workers.
    """
    wrong = {name: count for name, count in Counter(group).items() if count != rollouts}
    if wrong:
        name, count = min(wrong.items())
        raise ValueError(
            f"{len(wrong)} groups of a mini-batch are incomplete (group {name} has {count} of {rollouts} rollouts); "
            "groups were cut apart on their way to the workers, see the log above; the last checkpoint is intact"
        )


def summary(rows: list[RecordedRow], objective: Objective) -> dict[str, float]:
    """Sums over one mini-batch, from which step means follow exactly (real/engines/verl/journal.py)."""
    group, label = _group_and_label(rows)
    advantage = group_advantage(group, label)
    clipped = [row.unweighted for row, value in zip(rows, advantage.tolist(), strict=True) if value != 0]
    return {
        "positive_sum": sum(row.score for row in rows if row.label == 1),
        "positive_count": sum(row.label == 1 for row in rows),
        "negative_sum": sum(row.score for row in rows if row.label == 0),
        "negative_count": sum(row.label == 0 for row in rows),
        "score_abs_max": max(abs(row.score) for row in rows),
        "clipped_tokens": sum(clipped),
        "tokens": sum(row.length for row in rows),
    }


def _group_and_label(rows: list[RecordedRow]) -> tuple[Tensor, Tensor]:
    return torch.tensor([row.group for row in rows]), torch.tensor([float(row.label) for row in rows])
