"""Groups that lost a rollout are left out whole, and counted; a run whose rollouts can't come any more ends.

Of a part of a group REAL's objective, and GRPO's advantage, would be another one. verl itself asks for a group again
only if all of its rollouts are lost, and otherwise trains on what there is.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import ray

from real.engines.verl.hooks import VerlError

# a run stops where a step lost more than this share of its groups and more than one, or all, or where steps in a row
# lost any
LOST_SHARE = 0.05
STEPS_IN_A_ROW = 3
# between two looks at the processes, while a step waits for rollouts
LOOK_SECONDS = 60


def whole_groups(group: Sequence[int], rollouts: int) -> list[int]:
    """The groups that have all their G rollouts, in order."""
    return sorted(name for name, count in Counter(group).items() if count == rollouts)


def stop_if_many(step: int, lost: int, prompts: int, past: Sequence[Mapping[str, Any]]) -> None:
    """Raise VerlError where so many groups are lost that something is broken.

    Args:
        lost: groups of this step that lost a rollout, of ``prompts``.
        past: the lines of metrics.jsonl so far.
    """
    before = [line["lost_groups"] or 0 for line in past if line["step"] < step][-STEPS_IN_A_ROW + 1 :]
    what = ""
    if lost == prompts or lost > max(1, LOST_SHARE * prompts):
        what = f"{lost} of {prompts} groups lost a rollout"
    elif lost and len(before) == STEPS_IN_A_ROW - 1 and all(before):
        what = f"{STEPS_IN_A_ROW} steps in a row have groups that lost a rollout"
    if what:
        raise VerlError(
            f"step {step}: {what}, so rollouts are not lost by chance; the log above says how vLLM or the reward "
            "workers failed. The last checkpoint is intact: mend the cause and run the same command again"
        )


def said(step: int, lost: int, prompts: int) -> str:
    """What the log says of a step that lost groups."""
    return f"step {step}: {lost} of {prompts} groups lost a rollout and are left out; the step trains on the others"


def stop_if_any_ended(step: int, actors: Mapping[str, Any], patience: float = 5) -> None:
    """Raise VerlError where a Ray actor on which rollouts depend has ended: verl would wait for them for ever.

    Args:
        actors: handles by what the message calls them.
        patience: seconds in which a living one may answer; a busy one doesn't, and counts as alive.
    """
    asked = {actor.__ray_ready__.remote(): name for name, actor in actors.items()}
    answered, _ = ray.wait(list(asked), num_returns=len(asked), timeout=patience)
    for answer in answered:
        try:
            ray.get(answer)
        except ray.exceptions.ActorDiedError:
            raise VerlError(
                f"step {step}: {asked[answer]} has ended, so its rollouts can't come; Ray's line above has the reason, "
                "often a lack of memory"
            ) from None
