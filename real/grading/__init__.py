r"""Grades of mathematical answers: ``grade(response, ground_truths)`` and ``grade_many`` for batches.

The answer is the last balanced ``\boxed{}`` after the last ``</think>``. One grammar reads it and the ground truth:
numbers, expressions, units, lists, tuples, sets, intervals, matrices, equations, choices and words. Every token has a
meaning there, or the answer is not understood. Expressions are compared exactly where they are rational, else by their
values at fixed points; sums, integrals and limits by sympy and math-verify in isolated processes with a deadline and a
memory limit. No text from a model is ever evaluated as code.

Statuses: ``exact`` (correct), ``symbolic`` (correct, by the values of expressions), ``wrong``, ``no_answer``,
``not_understood`` (not correct, because a part of the answer has no meaning to the grader), ``timeout`` and
``worker_died`` (not correct, because the comparison didn't end; a death is tried again once before it is reported).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from real.grading.equivalence import compare
from real.grading.extraction import final_answer
from real.grading.forms import is_understood
from real.grading.memo import Key, Memo
from real.grading.pool import BATCH_S, DEADLINE_S, GradingError, Pair, Patience, Verdict, decide
from real.grading.reading import readings

__all__ = ["Grade", "GradingError", "final_answer", "grade", "grade_many"]

GroundTruths = str | float | None | Sequence[str | float]
_INTEGER = re.compile(r"-?[0-9]{1,18}")
UNFINISHED = ("timeout", "worker_died")

_grades: Memo["Grade"] = Memo()
# of single responses, which a trainer grades one after the other: a tenth of its time may be lost to endless ones
_patience = Patience(recovery=0.1)


@dataclass(frozen=True, slots=True)
class Grade:
    """Whether a response is correct, the answer it was judged by, and how the verdict came about."""

    correct: bool
    answer: str | None
    status: str


def grade(response: str, ground_truths: GroundTruths, strict_format: bool = False) -> Grade:
    """Grade one response; see :func:`grade_many`. The calls of a process share one patience, which recovers."""
    return _graded([response], [ground_truths], strict_format, partial(decide, processes=1, patience=_patience))[0]


def grade_many(
    responses: Sequence[str],
    ground_truths: Sequence[GroundTruths],
    processes: int = 2,
    strict_format: bool = False,
    deadline_s: float = DEADLINE_S,
    batch_seconds: float = BATCH_S,
) -> list[Grade]:
    """Grade responses, in their order. Content never makes it raise.

    Args:
        ground_truths: one entry per response; a response is correct if its answer equals any text of its entry. An
            entry without text has no correct answer; real.tasks.datasets refuses such problems when it prepares data.
        processes: worker processes at most; none is started unless a pair of expressions needs one.
        strict_format: the released code's format rules (:func:`final_answer`).
        deadline_s: seconds that the comparison of one pair may take.
        batch_seconds: that pairs which needed more than their first try (:data:`real.grading.pool.FIRST_TRY_S`) may
            take in vain, summed over the processes; from then on such pairs are timeouts. Others are always decided.

    Raises:
        ValueError: the two sequences differ in length.
        GradingError: worker processes can't be started.
    """
    if len(responses) != len(ground_truths):
        raise ValueError(f"grade_many: {len(responses)} responses, but {len(ground_truths)} entries of ground truths")
    verdicts_on = partial(decide, processes=processes, deadline_s=deadline_s, patience=Patience(batch_seconds))
    return _graded(responses, ground_truths, strict_format, verdicts_on)


def _graded(
    responses: Sequence[str],
    ground_truths: Sequence[GroundTruths],
    strict_format: bool,
    verdicts_on: Callable[[Sequence[Pair]], dict[Pair, Verdict]],
) -> list[Grade]:
    answers = [final_answer(response, strict_format) for response in responses]
    keys = [(answer, _texts(entry)) for answer, entry in zip(answers, ground_truths, strict=True)]
    grades: dict[Key, Grade] = {}
    verdicts: dict[Pair, Verdict] = {}
    open_keys = list(dict.fromkeys(keys))
    while open_keys:
        asked: list[Pair] = []
        for key in open_keys:
            found = _grades.get(key) or _judge(*key, verdicts, asked)
            if found is not None:
                grades[key] = found
        # the memo keeps what a repetition would find again; time and memory may be kinder to the others
        for key in open_keys:
            if key in grades and grades[key].status not in UNFINISHED:
                _grades.keep(key, grades[key])
        open_keys = [key for key in open_keys if key not in grades]
        verdicts |= verdicts_on(asked)
    return [grades[key] for key in keys]


class _Judge:
    """The verdicts that are known, the pairs that are asked for, and how one grade came about."""

    def __init__(self, verdicts: dict[Pair, Verdict], asked: list[Pair]) -> None:
        self.verdicts, self.asked = verdicts, asked
        self.used: list[Verdict | None] = []
        self.doubtful = self.symbolic = False

    def ask(self, truth: str, answer: str) -> bool | None:
        """See :class:`real.grading.equivalence.Judge`."""
        verdict = self.verdicts.get((truth, answer))
        self.used.append(verdict)
        if verdict is None:
            self.asked.append((truth, answer))
            return None
        return verdict is True

    def evaluated(self) -> None:
        """See there."""
        self.symbolic = True

    def doubt(self) -> None:
        """See there."""
        self.doubtful = True


def _judge(
    answer: str | None, truths: tuple[str, ...], verdicts: dict[Pair, Verdict], asked: list[Pair]
) -> Grade | None:
    """The grade of an answer, or None where it needs verdicts on pairs; those are added to ``asked``."""
    if answer is None:
        return Grade(False, None, "no_answer")
    if _INTEGER.fullmatch(answer) and all(map(_INTEGER.fullmatch, truths)):  # most pairs; the rest would say the same
        equal = int(answer) in map(int, truths)
        return Grade(equal, answer, "exact" if equal else "wrong")
    judge = _Judge(verdicts, asked)
    try:
        return _compared(answer, truths, judge)
    except RecursionError:  # the grammar's bounds are far from it, but the caller's own stack may not be
        return Grade(False, answer, "not_understood")


def _compared(answer: str, truths: tuple[str, ...], judge: _Judge) -> Grade | None:
    """The grade of an answer by all readings of it and of the truths, or None."""
    equal: bool | None = False
    said = readings(answer)
    for truth in truths:
        for form in readings(truth, is_truth=True):
            for reading in said:
                result = compare(form, reading, judge)
                if result:
                    return Grade(True, answer, "symbolic" if judge.symbolic or judge.used else "exact")
                equal = None if result is None else equal
    if equal is None:
        return None
    # one that may still be found equal says more than one that never will
    unfinished = next((status for status in (*UNFINISHED, "not_understood") if status in judge.used), None)
    understood = all(map(is_understood, said)) and not judge.doubtful
    return Grade(False, answer, unfinished or ("wrong" if understood else "not_understood"))


def _texts(entry: GroundTruths) -> tuple[str, ...]:
    """Ground truths as text, out of their box if they have one; a whole float such as 142.0 loses its point."""
    if entry is None or isinstance(entry, str):
        boxed = final_answer(entry) if entry and "\\boxed" in entry else None
        return (boxed or entry,) if entry else ()
    if hasattr(entry, "tolist"):  # what pandas reads from a parquet file
        return _texts(entry.tolist())
    if isinstance(entry, Sequence):
        return tuple(text for item in entry for text in _texts(item))
    return (str(int(entry)) if float(entry).is_integer() else str(entry),)
