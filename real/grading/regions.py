"""Sets of real numbers: whether two of them, written by intervals, inequalities, unions and differences, are one."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from real.grading.forms import Form, Group, Interval, Labelled, Reals, SetOperation, Value
from real.grading.forms import parts as parts_of
from real.grading.trees import Tree
from real.grading.values import DIGITS, UndecidedError, value

_ERRORS = (ZeroDivisionError, ValueError, OverflowError, UndecidedError, KeyError, TypeError)


def is_set(form: Form) -> bool:
    """Whether a form is a set of numbers by how it is written; brackets of two items may be a tuple."""
    return isinstance(form, Interval | SetOperation | Reals)


def same_set(left: Form, right: Form) -> bool | None:
    """Whether two sets hold the same real numbers; None: their bounds are no numbers.

    Both are asked at every bound of either, between neighbouring ones, and beyond the outermost.
    """
    import mpmath

    with mpmath.workdps(DIGITS):
        try:
            bounds = sorted({*_bounds(left), *_bounds(right)})
            places = list(bounds)
            if bounds:
                places += [bounds[0] - 1, bounds[-1] + 1]
            else:
                places = [mpmath.mpf(0)]
            places += [(a + b) / 2 for a, b in pairwise(bounds) if not _equal(a, b)]
            return all(_holds(left, place) == _holds(right, place) for place in places)
        except _ERRORS:
            return None


def _equal(left: Any, right: Any) -> bool:
    return bool(abs(left - right) <= abs(left + right) * 10.0 ** (10 - DIGITS))


def _bounds(form: Form) -> list[Any]:
    """All numbers that a set is described by."""
    if isinstance(form, Value):
        return [] if _infinite(form.tree) else [_number(form)]
    if isinstance(form, Group | Interval | SetOperation | Reals | Labelled):
        found = [bound for part in parts_of(form) for bound in _bounds(part)]
        if len(found) == 2 and found[0] > found[1] and _is_interval(form):
            raise UndecidedError  # (3, 1) is a pair of numbers
        return found
    raise UndecidedError


def _is_interval(form: Form) -> bool:
    return isinstance(form, Interval) or (isinstance(form, Group) and form.opening in ("(", "["))


def _number(form: Form) -> Any:
    """The real value of a form."""
    import mpmath

    if not isinstance(form, Value) or form.percent:
        raise UndecidedError
    found = value(form.tree, {})
    if mpmath.im(found) != 0:
        raise UndecidedError
    return mpmath.re(found)


def _infinite(tree: Tree) -> int:
    """1 for infinity, -1 for minus infinity, else 0."""
    if tree == ("const", "inf"):
        return 1
    return -1 if tree[0] == "mul" and tree[1][1:] == (("const", "inf"),) else 0


def _holds(form: Form, number: Any) -> bool:
    """Whether a set holds a number."""
    match form:
        case Reals():
            return True
        case SetOperation(operation="\\cup", parts=parts):
            return any(_holds(part, number) for part in parts)
        case SetOperation(operation="\\cap", parts=parts):
            return all(_holds(part, number) for part in parts)
        case SetOperation(parts=parts):
            return _holds(parts[0], number) and not any(_holds(part, number) for part in parts[1:])
        case Interval(low=low, high=high, closed=closed):
            return _within(low, high, closed, number)
        case Group(opening="{", items=items):
            return any(_equal(_number(item), number) for item in items)
        case Group(items=items, opening=opening, closing=closing) if len(items) == 2 and opening:
            return _within(items[0], items[1], (opening == "[", closing == "]"), number)
        case Group(items=items, joined="or"):
            return any(_holds(item, number) for item in items)
        case Labelled(values=(Value() as only,), approximations=()):
            return _equal(_number(only), number)
    raise UndecidedError


def _within(low: Form, high: Form, closed: Sequence[bool], number: Any) -> bool:
    for bound, is_closed, below in ((low, closed[0], True), (high, closed[1], False)):
        if isinstance(bound, Value) and (infinite := _infinite(bound.tree)):
            if infinite == (1 if below else -1):
                return False
            continue
        edge = _number(bound)
        if _equal(edge, number):
            if not is_closed:
                return False
        elif (number < edge) == below:
            return False
    return True
