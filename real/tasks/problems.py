"""One schema for every problem that is asked of a model, whatever its source."""

from dataclasses import dataclass

# the paper's test sets, in the order of its tables
MATH_BENCHMARKS = ("aime", "aime25", "math", "amc", "minerva", "olympiad_bench")


@dataclass(frozen=True)
class Problem:
    """One prompt with every answer that counts as correct.

    Attributes:
        problem_id: unique over benchmarks and splits.
        benchmark: name of the set it belongs to.
        prompt: chat messages, each ``{"role": …, "content": …}``, before the chat template.
        ground_truths: at least one; a response is correct if its answer equals any of them.
        split: ``test``, ``validation`` or ``train``.
    """

    problem_id: str
    benchmark: str
    prompt: tuple[dict[str, str], ...]
    ground_truths: tuple[str, ...]
    split: str
