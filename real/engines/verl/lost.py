"""Groups that lost a rollout, to a timeout or a process that died: they are left out whole, and counted.

Of a part of a group REAL's objective, and GRPO's advantage, would be another one. verl itself asks for a group again
only if all of its rollouts are lost, and otherwise trains on what there is.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from real.engines.verl.hooks import VerlError

# a run stops where a step lost more than this share of its groups and more than one, or all, or where steps in a row
# lost any
LOST_SHARE = 0.05
STEPS_IN_A_ROW = 3


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
