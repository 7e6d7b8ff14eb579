"""The reward function that verl's reward workers call: real.grading."""

from collections.abc import Sequence
from typing import Any

from real.grading import grade


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Sequence[str],
    extra_info: Any = None,
    *,
    strict_format: bool,
    **_: Any,
) -> dict[str, float]:
    """0/1 correctness of one response.

    It can't hang a step: what needs a worker process is compared there under a deadline, and counts as wrong past it.

    Args:
        solution_str: the decoded response; ground_truth: every answer that counts as correct.
        strict_format: training.strict_format: the released rules, by which a response without ``</think>`` is wrong.

    Returns:
        ``score``, what is trained on (full DAPO's shaping is added to it), and ``acc``, which nothing is added to.
    """
    correct = float(grade(solution_str, list(ground_truth), strict_format=strict_format).correct)
    return {"score": correct, "acc": correct}
