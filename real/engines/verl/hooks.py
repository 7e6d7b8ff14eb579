"""What of verl this engine builds on, and for which version.

Registered, which verl invites: the policy loss ``real_surrogate`` (losses.py), the trainer ``real_sync`` (trainer.py),
a reward function (reward.py), a task runner handed to ``run_ppo`` (trainer.py), and ``actor_worker_cls`` of the
worker that holds the model (worker.py).

Overridden, which verl 0.9.1 does not promise to keep (files below its ``verl/``):

- ``PPOTrainer._init_resource_pool_mgr`` (trainer/ppo/v1/trainer_base.py:788): names our worker class
- ``PPOTrainer._build_replay_buffer`` (trainer_base.py:139): its buffer ends a wait for rollouts that can't come
- ``PPOTrainer._balance_batch`` (trainer_base.py:1608): groups stay whole in a mini-batch
- ``PPOTrainer._compute_old_log_prob`` (trainer_base.py:1634): entropy as a token mean; mismatch with the sampler
- ``PPOTrainer._update_actor`` (trainer_base.py:1827): hands the objective to the workers
- ``PPOTrainer._compute_metrics`` (trainer_base.py:1868): writes metrics.jsonl
- ``PPOTrainer._validate`` (trainer_base.py:1031): validation of step 0, and of a resumed step
- ``PPOTrainer._save_checkpoint`` (trainer_base.py:948): a step's line is written before it, older ones deleted after it
- ``PPOTrainer._load_checkpoint`` (trainer_base.py:850): metrics.jsonl goes on where it was; older ones are deleted
- ``PPOTrainer.trainer_mode`` (trainer_base.py:129): compared with "sync" in several places
- ``TrainingWorker.train_mini_batch`` (workers/engine_workers.py:243): which update of the step it is
- ``TrainingWorker.train_batch`` (engine_workers.py:343): the pass without gradients
- ``TrainingWorker.set_loss_fn`` (engine_workers.py:170): records what each row's gradient was
- ``_select_fsdp2_wrap_targets`` (utils/fsdp_utils.py:549): a head that is fused with its loss is not sharded by itself
- ``SingleTurnAgentLoop.__init__`` (experimental/agent_loop): the chat template alone writes prompts

Any other version is refused: it may have renamed one of these, and would then train something else.
"""

from real.system.code import versions
from real.system.errors import ExpectedError

VERL_VERSION = "0.9.1"


class VerlError(ExpectedError):
    """verl can't run this; the message says what to do."""


def check_version() -> None:
    """Raise VerlError unless verl 0.9.1 is installed."""
    found = versions("verl").get("verl")
    if found is None:
        raise VerlError(
            "engine 'verl' needs packages that this environment lacks; build theirs with `make gpu-env` and activate it"
        )
    if found != VERL_VERSION:
        raise VerlError(
            f"verl {found} is installed, but the engine overrides methods of {VERL_VERSION} "
            f"(real/engines/verl/hooks.py); install verl=={VERL_VERSION}"
        )
