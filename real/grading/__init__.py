r"""Answer extraction and equivalence: the last balanced ``\boxed{}`` after the last ``</think>``, compared as text."""

from collections.abc import Sequence
from dataclasses import dataclass

BOX = r"\boxed{"
END_THINK = "</think>"


@dataclass(frozen=True)
class Grade:
    """Whether a response is correct, the answer read from it, and how that was decided.

    ``status``: ``exact``, ``symbolic``, ``wrong``, ``no_answer``, ``timeout`` or ``worker_died``.
    """

    correct: bool
    answer: str | None
    status: str


def grade(response: str, ground_truths: str | Sequence[str], strict_format: bool = False) -> Grade:
    """Grade one response.

    Args:
        ground_truths: the answer, or several of which any counts.
        strict_format: a response without ``</think>`` has no answer; else its whole text is read.
    """
    truths = [ground_truths] if isinstance(ground_truths, str) else ground_truths
    _, closed, final = response.rpartition(END_THINK)
    answer = None if strict_format and not closed else last_boxed(final)
    if answer is None:
        return Grade(False, None, "no_answer")
    correct = answer.strip() in {truth.strip() for truth in truths}
    return Grade(correct, answer, "exact" if correct else "wrong")


def grade_many(
    responses: Sequence[str],
    ground_truths: Sequence[str | Sequence[str]],
    processes: int = 2,
    strict_format: bool = False,
) -> list[Grade]:
    """Grade many responses, in order."""
    pairs = zip(responses, ground_truths, strict=True)
    return [grade(response, truths, strict_format) for response, truths in pairs]


def last_boxed(text: str) -> str | None:
    r"""Content of the last ``\boxed{}`` whose braces balance."""
    start = text.rfind(BOX)
    while start >= 0:
        depth = 1
        for end in range(start + len(BOX), len(text)):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            if depth == 0:
                return text[start + len(BOX) : end]
        start = text.rfind(BOX, 0, start)
    return None
