"""verl's synchronous trainer with whole groups, our metrics and resumable files; registered as ``real_sync``."""

import math
import time
from pathlib import Path
from typing import Any

import ray
import torch
import transfer_queue as tq
from omegaconf import OmegaConf
from tensordict import TensorDict
from transfer_queue import KVBatchMeta
from verl.trainer.main_ppo import TaskRunnerV1
from verl.trainer.ppo.padding_utils import upsample_batch_to_divisible_size
from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer
from verl.trainer.ppo.v1.trainer_base import register_trainer
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync
from verl.utils import tensordict_utils as tu
from verl.utils.metric import reduce_metrics
from verl.utils.py_functional import rename_dict
from verl.utils.seqlen_balancing import log_seqlen_unbalance

from real.config import VerlRun
from real.engines.alarms import Alarms
from real.engines.finite import not_finite
from real.engines.run_files import log_line
from real.engines.verl.balance import mini_batches, order_rows
from real.engines.verl.journal import (
    Journal,
    delete_older_checkpoints,
    line_of,
    step_line,
    timings_line,
    validation_score,
)
from real.engines.verl.lost import LOOK_SECONDS, said, stop_if_any_ended, stop_if_many, whole_groups
from real.engines.verl.mismatch import kl_divergence, threshold
from real.engines.verl.worker import RealActorRolloutRefWorker

TRAINER = "real_sync"


@register_trainer(TRAINER)
class RealTrainer(PPOTrainerSync):
    """Reads its settings from ``config.trainer.v1.real_sync`` (settings.py); hooks.py lists what it overrides."""

    def __init__(self, config: Any):
        super().__init__(config)
        ours = OmegaConf.to_container(config.trainer.v1[TRAINER])
        self.ours = VerlRun.model_validate(ours["run"])
        self.journal = Journal(Path(ours["work_folder"]))
        self.name = f"{self.ours.method} seed {self.ours.seed}"
        self.alarm_above = threshold(self.ours.training.temperature, self.ours.cluster, ours["head"])

    @property
    def trainer_mode(self) -> str:
        """verl asks in several places whether this is its synchronous trainer; it is."""
        return "sync"

    @trainer_mode.setter
    def trainer_mode(self, _: str) -> None:
        """The registered name, which only finds the class."""

    def _init_resource_pool_mgr(self) -> None:
        super()._init_resource_pool_mgr()
        for role in self.role_worker_mapping:
            self.role_worker_mapping[role] = ray.remote(RealActorRolloutRefWorker)

    def _build_replay_buffer(self) -> ReplayBuffer:
        """verl's, which looks whether its rollouts can still come while it waits for them."""
        buffer = super()._build_replay_buffer()
        wait, looked = buffer._wait_for_next_poll, time.monotonic()

        def wait_and_look(partition_id: str, last_debug_time: float) -> float:
            nonlocal looked
            if time.monotonic() - looked > LOOK_SECONDS:
                stop_if_any_ended(self.global_steps, self._rollout_actors())
                looked = time.monotonic()
            return wait(partition_id, last_debug_time)

        buffer._wait_for_next_poll = wait_and_look
        return buffer

    def _rollout_actors(self) -> dict[str, Any]:
        """Handles of all that a rollout passes through."""
        servers = self.llm_server_manager
        return {
            "the balancer of vLLM's servers": servers.global_load_balancer,
            **{f"vLLM's server {at}": server for at, server in enumerate(servers.server_handles)},
            **{f"worker {at} of rollouts": one for at, one in enumerate(self.agent_loop_manager.agent_loop_workers)},
        }

    def _load_checkpoint(self) -> None:
        super()._load_checkpoint()
        self._delete_older_checkpoints()
        self.journal.rewind(self.global_steps)
        self.alarms = Alarms(self.journal.lines(), self.alarm_above)
        if self.global_steps:
            print(f"{self.name}: resumes after step {self.global_steps} of {self.total_training_steps}", flush=True)

    def _validate(self) -> dict[str, float]:
        found = super()._validate()
        lines, step = self.journal.lines(), self.global_steps
        validates = step % self.config.trainer.test_freq == 0 or step == self.total_training_steps
        if step == 0:
            self.journal.write(line_of(step=0, val_pass_at_1=validation_score(found)))
        elif lines[-1]["step"] == step and validates:
            # killed between the checkpoint and its validation; these are the same weights
            self.journal.write({**lines[-1], "val_pass_at_1": validation_score(found)})
        return found

    def _save_checkpoint(self) -> None:
        self.journal.write(self.line)
        super()._save_checkpoint()
        self._delete_older_checkpoints()

    def _delete_older_checkpoints(self) -> None:
        settings = self.config.trainer
        delete_older_checkpoints(Path(settings.default_local_dir), self.global_steps, settings.max_actor_ckpt_to_keep)

    def _balance_batch(self, batch: KVBatchMeta, metrics: dict, *_: Any, **__: Any) -> KVBatchMeta:
        """Order the rows so that groups stay whole in a mini-batch, and give each its ``group`` and ``label``.

        Rows that only fill a mini-batch, in the place of groups that lost a rollout, have a group below 0.
        """
        training, (batch, group, label) = self.ours.training, self._whole_groups(batch)
        seed = f"mini-batches {self.ours.seed} {self.global_steps}"
        batches = mini_batches(set(group), training.mini_batch_prompts, seed)
        real = len(batch)
        batch = upsample_batch_to_divisible_size(
            batch, training.mini_batch_prompts * training.rollouts, self.tokenizer.eos_token_id
        )
        filling = [len(set(group)) + at // training.rollouts for at in range(len(batch) - real)]
        batches[-1] += sorted(set(filling))
        nobody = [-1] * len(filling)
        columns = {"group": torch.tensor(group + nobody), "label": torch.tensor(label + [0] * len(filling))}
        fields = TensorDict(columns, batch_size=len(batch))
        batch = tq.kv_batch_put(keys=batch.keys, partition_id=batch.partition_id, fields=fields) or batch

        lengths = [tag["seq_len"] for tag in batch.tags]
        workers = self.actor_rollout_wg
        if "actor" not in workers._dispatch_info:
            workers._dispatch_info["actor"] = workers._query_dispatch_info("actor")
        ranks = max(workers._dispatch_info["actor"]) + 1  # data-parallel size of the policy's workers
        order = order_rows(group + filling, lengths, batches, ranks)
        batch.reorder(order)
        block = len(order) // ranks
        parts = [order[start : start + block] for start in range(0, len(order), block)]
        metrics.update(log_seqlen_unbalance(seqlen_list=lengths, partitions=parts, prefix="global_seqlen"))
        return batch

    def _whole_groups(self, batch: KVBatchMeta) -> tuple[KVBatchMeta, list[int], list[int]]:
        """The rows of the groups that lost no rollout, with the number of each one's prompt, from 0, and its label.

        Raises:
            VerlError: too many groups lost one.
        """
        names = ["uid", "index", "extra_fields"]
        data = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=names)
        uid, index, extra = (tu.get(data, name) for name in names)
        prompts = sorted(set(zip(index, uid, strict=True)))
        found = [prompts.index(prompt) for prompt in zip(index, uid, strict=True)]
        whole = whole_groups(found, self.ours.training.rollouts)
        self.lost = self.ours.training.prompts - len(whole)
        if self.lost:
            print(f"{self.name}: {said(self.global_steps, self.lost, self.ours.training.prompts)}", flush=True)
        stop_if_many(self.global_steps, self.lost, self.ours.training.prompts, self.journal.lines())
        rows = [row for row, name in enumerate(found) if name in whole]
        if gone := set(batch.keys) - {batch.keys[row] for row in rows}:
            tq.kv_clear(keys=sorted(gone), partition_id=batch.partition_id)
            batch = batch.select_keys([batch.keys[row] for row in rows])
        group = [whole.index(found[row]) for row in rows]
        return batch, group, [int(extra[row]["reward_extra_info"]["acc"]) for row in rows]

    def _compute_old_log_prob(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        batch = super()._compute_old_log_prob(batch, metrics)
        fields = ["entropy", "response_mask", "group", "label", "old_log_probs", "rollout_log_probs"]
        data = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=fields)
        mask, real = data["response_mask"].values().double(), data["group"] >= 0
        self.step_rows = {
            "group": data["group"][real].tolist(),
            "label": data["label"][real].tolist(),
            "length": data["response_mask"].offsets().diff()[real].tolist(),
            "lost_groups": self.lost,
            "entropy": float((data["entropy"].values().double() * mask).sum() / mask.sum()),
        }
        self.mismatch = kl_divergence(data["old_log_probs"].values(), data["rollout_log_probs"].values(), mask)
        return batch

    def _update_actor(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        settings, training, actor = self.ours.settings, self.ours.training, self.config.actor_rollout_ref.actor
        rows = training.mini_batch_prompts * training.rollouts
        keep = self.global_steps in training.gradient_sample_steps
        batch.extra_info |= {
            "calculate_entropy": False,
            "global_batch_size": rows,
            "mini_batch_size": rows,
            "epochs": actor.ppo_epochs,
            "seed": actor.data_loader_seed,
            "dataloader_kwargs": {"shuffle": actor.shuffle},
            "temperature": training.temperature,
            "objective": settings.objective,
            "hyperparameters": settings.hyperparameters,
            "rollouts": training.rollouts,
            "keep_rows": keep,
        }
        output = tu.get(self.actor_rollout_wg.update_actor(batch), "metrics")
        if keep:
            self.journal.keep_samples(self.global_steps, self.ours.method, output.pop("rows"))
        ours = {name: output.pop(name) for name in list(output) if name.startswith("update/")}
        found = rename_dict(output, "actor/")
        found["perf/mfu/actor"] = found.pop("actor/mfu")
        metrics.update(reduce_metrics({**found, **ours}))
        self.line = step_line(self.global_steps, **self.step_rows, verl=metrics)
        check_finite(self.line, self.name, self.config.trainer.save_freq)
        return batch

    def _compute_metrics(
        self, batch: KVBatchMeta, metrics: dict, timing_raw: dict, global_steps: int, epoch: int
    ) -> None:
        super()._compute_metrics(batch, metrics, timing_raw, global_steps, epoch)
        line = {**self.line, "val_pass_at_1": validation_score(metrics)}
        self.journal.write(line)
        self.journal.write(timings_line(global_steps, timing_raw), "timings")
        print(log_line(self.name, line, self.total_training_steps), flush=True)
        cut = [length >= self.ours.training.max_response_tokens for length in self.step_rows["length"]]
        beside = {"truncated_fraction": sum(cut) / len(cut), "mismatch": self.mismatch}
        for sentence in self.alarms.see({**line, **beside}):
            print(f"{self.name}: {sentence}", flush=True)


class TaskRunner(TaskRunnerV1.__ray_metadata__.modified_class):
    """verl's task runner; its process loads it from here, and so has RealTrainer registered."""


def check_finite(line: dict[str, Any], run: str, save_every: int) -> None:
    """Raise NotFiniteError where a step's gradient or log-probs are not finite; verl would skip such updates.

    Args:
        save_every: steps between checkpoints.
    """
    wrong = [key for key in ("grad_norm", "entropy", "score_abs_max") if not math.isfinite(line[key])]
    if wrong:
        what = ", ".join(f"{key} is {line[key]}" for key in wrong)
        saved = (line["step"] - 1) // save_every * save_every
        raise not_finite(run, line["step"], what, saved or None, "lower training.learning_rate")
