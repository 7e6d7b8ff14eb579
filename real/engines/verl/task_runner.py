"""verl's task runner, which also knows our trainer."""

from typing import Any

import ray
from verl.trainer.main_ppo import TaskRunnerV1


@ray.remote
class TaskRunner(TaskRunnerV1.__ray_metadata__.modified_class):
    """Runs in a process of its own, where the trainer has to be registered again."""

    def run(self, config: Any) -> None:
        """Train; see verl's TaskRunnerV1."""
        # imported here: by that it is registered in this process
        import real.engines.verl.trainer  # noqa: F401

        super().run(config)
