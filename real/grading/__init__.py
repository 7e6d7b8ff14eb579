r"""Grades of mathematical answers: ``grade(response, ground_truths)`` and ``grade_many`` for batches.

The answer is the last balanced ``\boxed{}`` after the last ``</think>``. Numbers, lists, intervals, words, units and
bases are compared exactly, by pattern; expressions by sympy and math-verify in isolated processes with a hard deadline
and a memory limit. No text from a model is ever evaluated as code.

Statuses: ``exact`` and ``symbolic`` (correct, without and with a worker), ``wrong``, ``no_answer``, ``not_understood``
(not correct, because the parser would have dropped a part of one side), ``timeout`` and ``worker_died`` (not correct,
because the comparison didn't end; a death is tried again once before it is reported).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from real.grading.equivalence import compare
from real.grading.extraction import final_answer
from real.grading.forms import readings
from real.grading.memo import Key, Memo
from real.grading.pool import BATCH_S, DEADLINE_S, GradingError, Pair, Patience, Verdict, decide

__all__ = ["Grade", "GradingError", "final_answer", "grade", "grade_many"]

GroundTruths = str | float | None | Sequence[str | float]
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


def _judge(
    answer: str | None, truths: tuple[str, ...], verdicts: dict[Pair, Verdict], asked: list[Pair]
) -> Grade | None:
    """The grade of an answer, or None where it needs verdicts on pairs; those are added to ``asked``."""
    if answer is None:
        return Grade(False, None, "no_answer")
    used = []

    def ask(truth: str, other: str) -> bool | None:
        verdict = verdicts.get((truth, other))
        used.append(verdict)
        if verdict is None:
            asked.append((truth, other))
            return None
        return verdict is True

    equal: bool | None = False
    try:
        for truth in truths:
            for form in readings(truth):
                for reading in readings(answer):
                    result = compare(form, reading, ask)
                    if result:
                        return Grade(True, answer, "symbolic" if used else "exact")
                    equal = None if result is None else equal
    except RecursionError:  # nested deeper than it can be followed
        return Grade(False, answer, "not_understood")
    if equal is None:
        return None
    # one that may still be found equal says more than one that never will
    return Grade(False, answer, next((status for status in (*UNFINISHED, "not_understood") if status in used), "wrong"))


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
