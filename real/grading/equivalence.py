r"""Whether an answer equals a ground truth, kind by kind; pairs of mathematics that no rule reads are asked about.

:func:`compare` is three-valued: True, False, or None where it needs a pair that the judge has no verdict on yet. The
caller collects those pairs, has isolated workers decide them, and calls again. docs/grading.md lists the conventions.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Protocol

from real.grading import values
from real.grading.forms import (
    Based,
    Choice,
    Dots,
    Form,
    Group,
    Interval,
    Labelled,
    Matrix,
    Qualified,
    Ratio,
    Reals,
    Relation,
    SetOperation,
    Text,
    Unread,
    Value,
    parts,
)
from real.grading.regions import is_set, same_set
from real.grading.trees import INFINITY, Tree, names, negative, quotient, written

# whose variable the other side needn't have
_BINDING = ("\\sum", "\\prod", "\\int", "\\lim")


class Judge(Protocol):
    """Who knows the verdicts of workers, and is told how a comparison went."""

    def ask(self, truth: str, answer: str) -> bool | None:
        """A worker's verdict on two pieces of LaTeX; None: there is none yet."""

    def evaluated(self) -> None:
        """Note that expressions were compared by their values at some points."""

    def doubt(self) -> None:
        """Note that a pair could not be decided."""


def compare(truth: Form, answer: Form, judge: Judge) -> bool | None:
    """Whether ``answer`` equals ``truth``; None: not known before the judge knows more."""
    if truth == answer:
        return True
    match truth, answer:
        case Qualified(form=left, qualifier=one), Qualified(form=right, qualifier=other):
            return compare(left, right, judge) if one == other else False
        case Qualified(form=left), _:
            return compare(left, answer, judge)
        case _, Qualified(form=right):
            return compare(truth, right, judge)
        case (Unread(), Relation()) | (Relation(), Unread()):
            return _unread(truth, answer, judge)
        case (Labelled(), _) | (_, Labelled()) | (Relation(), _) | (_, Relation()):
            return _equations(truth, answer, judge)
        case Value(), Value():
            return _values(truth, answer, judge)
        case (Based(), Based() | Value()) | (Value(), Based()):
            return _bases(truth, answer)
        case (Choice(letter=letter), Value() as other) | (Value() as other, Choice(letter=letter)):
            named = other.tree[0] in ("name", "const") and not other.unit and not other.percent
            return named and str(other.tree[1]).upper() == letter
        case (Text(words=words), Value(letters=letters)) | (Value(letters=letters), Text(words=words)):
            return bool(letters) and "".join(words) == letters.lower()
        case (Ratio(), Ratio() | Value()) | (Value(), Ratio()):
            return _ratios(truth, answer, judge)
        case Matrix(), Matrix():
            return _matrices(truth, answer, judge)
        case Unread(), _:
            return _unread(truth, answer, judge)
        case _, Unread():
            return _unread(truth, answer, judge)
    return _collections(truth, answer, judge)


def every(verdicts: Iterable[bool | None]) -> bool | None:
    """Three-valued and."""
    known = list(verdicts)
    return False if False in known else None if None in known else True


def either(verdicts: Iterable[bool | None]) -> bool | None:
    """Three-valued or."""
    known = list(verdicts)
    return True if True in known else None if None in known else False


def matching(truths: Sequence[Form], answers: Sequence[Form], judge: Judge) -> bool | None:
    """Whether the answers are the truths in some order; an answer may say the same twice."""
    if len(answers) > len(truths):
        answers = tuple(dict.fromkeys(answers))
    if len(truths) != len(answers):
        return False
    table = [[compare(truth, answer, judge) for answer in answers] for truth in truths]
    if _perfect([[verdict is True for verdict in row] for row in table]):
        return True
    return None if _perfect([[verdict is not False for verdict in row] for row in table]) else False


def _perfect(fits: Sequence[Sequence[bool]]) -> bool:
    """Whether rows and columns can be paired where they fit: augmenting paths, because fitting is not transitive."""
    row_of: dict[int, int] = {}

    def place(row: int, seen: set[int]) -> bool:
        for column, fit in enumerate(fits[row]):
            if fit and column not in seen:
                seen.add(column)
                if column not in row_of or place(row_of[column], seen):
                    row_of[column] = row
                    return True
        return False

    return all(place(row, set()) for row in range(len(fits)))


def _values(truth: Value, answer: Value, judge: Judge) -> bool:
    """Values in the same unit, where both name one; a percentage equals the bare number."""
    if truth.unit and answer.unit and truth.unit != answer.unit:
        return False
    if min(len(truth.letters), len(answer.letters)) > 3:  # words, of which one may be the other's anagram
        return truth.letters.lower() == answer.letters.lower()
    if truth.percent == answer.percent:
        return _same(truth.tree, answer.tree, judge)
    percent, bare = (truth.tree, answer.tree) if truth.percent else (answer.tree, truth.tree)
    hundredth = ("mul", (percent, ("num", Fraction(1, 100))))
    return _same(percent, bare, judge) or _same(hundredth, bare, judge)


def _same(truth: Tree, answer: Tree, judge: Judge) -> bool:
    if truth == answer:
        return True
    infinite = (INFINITY, negative(INFINITY))
    if truth in infinite or answer in infinite or names(truth) != names(answer):
        return False
    exact = values.rational(truth), values.rational(answer)
    if None not in exact:
        return exact[0] == exact[1]
    judge.evaluated()
    try:
        return values.same_value(truth, answer)
    except values.UndecidedError:
        judge.doubt()
        return False


def _bases(truth: Form, answer: Form) -> bool:
    """Digits in one base, which an answer may leave out."""
    if isinstance(answer, Based):
        return isinstance(truth, Value) and answer.base == 10 and values.rational(truth.tree) == int(answer.digits)
    if not isinstance(truth, Based) or not isinstance(answer, Value) or answer.unit or answer.percent:
        return False
    number = values.rational(answer.tree)
    return answer.tree[0] == "num" and number is not None and str(number) == truth.digits


def _ratios(truth: Form, answer: Form, judge: Judge) -> bool:
    """Ratios with proportional terms; one of two terms is also their quotient."""
    terms, others = ([form.tree for form in parts(one) or (one,) if isinstance(form, Value)] for one in (truth, answer))
    if len(terms) != len(others):
        quotients = [tree[0] if len(tree) == 1 else quotient(tree[0], tree[1]) for tree in (terms, others)]
        return {len(terms), len(others)} == {1, 2} and _same(quotients[0], quotients[1], judge)
    if any(values.rational(tree) == 0 for tree in (*terms, *others)):
        return all(_same(t, a, judge) for t, a in zip(terms, others, strict=True))
    crossed = [(("mul", (t, others[0])), ("mul", (a, terms[0]))) for t, a in zip(terms, others, strict=True)]
    return all(_same(t, a, judge) for t, a in crossed)


def _matrices(truth: Matrix, answer: Matrix, judge: Judge) -> bool | None:
    if [len(row) for row in truth.rows] != [len(row) for row in answer.rows]:
        return False
    rows = zip(truth.rows, answer.rows, strict=True)
    return every(compare(t, a, judge) for pair in rows for t, a in zip(*pair, strict=True))


def _unread(truth: Form, answer: Form, judge: Judge) -> bool | None:
    """Mathematics that the grammar has no rule for, by a worker; with words on a side, not at all."""
    sides = [_latex(form) for form in (truth, answer)]
    if not all(sides):
        return False
    bound = any(sign in side for side in sides for sign in _BINDING)
    return judge.ask(*sides) if bound or _letters(sides[0]) == _letters(sides[1]) else False


def _latex(form: Form) -> str:
    """A form as a worker may read it; empty: none may."""
    match form:
        case Unread(latex=latex):
            return latex
        case Value(tree=tree, percent=False):
            return written(tree)
        case Relation(left=left, right=right, operator="="):
            return f"{written(left)}={written(right)}"
        case Labelled(sides=(left, right)):
            return f"{written(left)}={written(right)}"
    return ""


def _letters(latex: str) -> frozenset[str]:
    """Letters outside of commands, which must be those of the other side."""
    plain = "".join(
        part.lstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") for part in f" {latex}".split("\\")
    )
    return frozenset(sign for sign in plain if sign.isalpha()) - {"e", "i", "d"}


def _equations(truth: Form, answer: Form, judge: Judge) -> bool | None:
    """What a label is said to be; an equation, which may be multiplied by a constant; an inequality likewise."""
    verdicts: list[bool | None] = []
    match truth, answer:
        case Labelled(), Labelled():
            if _compatible(truth.label, answer.label):
                verdicts.append(either(_chain(value, answer, judge) for value in truth.values))
        case Labelled(values=found), _ if not isinstance(answer, Relation):
            return either(compare(value, answer, judge) for value in found)
        case _, Labelled() if not isinstance(truth, Relation):
            return _chain(truth, answer, judge)
    sides = [_sides(form) for form in (truth, answer)]
    if True not in verdicts and sides[0] is not None and sides[1] is not None and sides[0][0] == sides[1][0]:
        verdicts.append(_proportional(*sides[0], sides[1][1], judge))
    return either(verdicts)


def _compatible(truth: str, answer: str) -> bool:
    """Whether two labels may name one thing: m_max and m, or f(x) and f, but not x and y; words may name anything."""
    return not truth or not answer or truth == answer


def _chain(truth: Form, answer: Labelled, judge: Judge) -> bool | None:
    """Whether a chain of values says the truth: one part is it, and all others are equal to it or approximate it."""
    exact = [compare(truth, value, judge) for value in answer.values]
    if not answer.approximations:
        return every(exact)
    near = [compare(truth, value, judge) for value in answer.approximations]
    if True in near:  # the truth is itself a rounded number
        rounds = [_approximates(value, near_one) for value in answer.values for near_one in answer.approximations]
        return all(rounds)
    rounded = [_approximates(value, near_one) for value in answer.values for near_one in answer.approximations]
    return every([*exact, all(rounded)])


def _approximates(exact: Form, near: Form) -> bool:
    """Whether a decimal is a value rounded, or cut off, at its last digit."""
    if not isinstance(exact, Value) or not isinstance(near, Value) or names(exact.tree):
        return False
    scale = Fraction(1)
    match near.tree:
        case ("num", digits):
            pass
        case ("mul", (("num", digits), ("pow", ("num", ten), ("num", exponent)))) if ten == 10 and abs(exponent) < 400:
            scale = Fraction(10) ** int(exponent)
        case _:
            return False
    unit = Fraction(1)
    while (digits / unit).denominator != 1 and unit > Fraction(1, 10**60):
        unit /= 10
    return values.approximates(digits * scale, exact.tree, unit * scale)


def _sides(form: Form) -> tuple[str, Tree] | None:
    """The operator of a relation and the difference of its sides."""
    if isinstance(form, Relation):
        return form.operator, ("add", (form.left, negative(form.right)))
    if isinstance(form, Labelled) and form.sides:
        return "=", ("add", (form.sides[0], negative(form.sides[1])))
    return None


def _proportional(operator: str, truth: Tree, answer: Tree, judge: Judge) -> bool:
    """Whether one difference is a constant times the other, for an inequality a positive one."""
    if names(truth) != names(answer) or not names(truth):
        return False
    try:
        factor = values.factor(truth, answer)
    except values.UndecidedError:
        judge.doubt()
        return False
    return factor is not None and (operator == "=" or factor > 0)


def _collections(truth: Form, answer: Form, judge: Judge) -> bool | None:
    """Lists, tuples, intervals and sets."""
    if is_set(truth) or is_set(answer):
        return _sets(truth, answer, judge)
    if isinstance(truth, Group) and isinstance(answer, Group):
        return _groups(truth, answer, judge)
    if isinstance(answer, Group) and answer.joined == "or" and not answer.opening:
        return every(compare(truth, item, judge) for item in answer.items)  # 1/2 or 0.5
    for one, other in ((truth, answer), (answer, truth)):
        if isinstance(one, Group) and len(one.items) == 1 and one.opening != "[":
            return compare(one.items[0], other, judge) if one is truth else compare(other, one.items[0], judge)
    return False


def _sets(truth: Form, answer: Form, judge: Judge) -> bool | None:
    if not all(isinstance(form, Group | Interval | SetOperation | Reals) for form in (truth, answer)):
        return False
    if (
        isinstance(truth, Interval)
        and isinstance(answer, Interval)
        and truth.of
        and answer.of
        and truth.of != answer.of
    ):
        return False
    for form in (truth, answer):
        if isinstance(form, Group) and not form.opening and form.joined != "or":
            return False
    found = same_set(truth, answer)
    if found is not None:
        return found
    pair = _as_interval(truth), _as_interval(answer)
    if pair[0] and pair[1]:
        if pair[0].closed != pair[1].closed:
            return False
        return every((compare(pair[0].low, pair[1].low, judge), compare(pair[0].high, pair[1].high, judge)))
    if isinstance(truth, SetOperation) and isinstance(answer, SetOperation) and truth.operation == answer.operation:
        return matching(truth.parts, answer.parts, judge)
    return False


def _as_interval(form: Form) -> Interval | None:
    if isinstance(form, Group) and len(form.items) == 2 and form.opening in ("(", "["):
        return Interval(form.items[0], form.items[1], (form.opening == "[", form.closing == "]"))
    return form if isinstance(form, Interval) else None


def _groups(truth: Group, answer: Group, judge: Judge) -> bool | None:
    """Bare lists and sets in any order, tuples in theirs; a bare list is a tuple in its order."""
    if Dots() in truth.items and Dots() in answer.items:
        return _progressions(truth.items, answer.items, judge)
    loose = [form.opening in ("", "{") for form in (truth, answer)]
    if all(loose):
        labels = [_labels(form) for form in (truth, answer)]
        if len(set(labels[0])) > 1 and len(set(labels[1])) <= 1:  # a=1, b=2 by 1, 2 alone
            return _in_order(truth.items, answer.items, judge)
        if len(set(labels[1])) > 1 and len(set(labels[0])) <= 1:
            return _in_order(truth.items, answer.items, judge)
        return matching(truth.items, answer.items, judge)
    brackets = {(truth.opening, truth.closing), (answer.opening, answer.closing)}
    if len(brackets) == 1 or brackets == {("", ""), ("(", ")")}:
        return _in_order(truth.items, answer.items, judge)
    return False


def _progressions(truths: Sequence[Form], answers: Sequence[Form], judge: Judge) -> bool | None:
    """Lists with an ellipsis: one may go on by more items before it, in equal steps."""
    shorter, longer = sorted((truths, answers), key=len)
    dots = shorter.index(Dots())
    more = len(longer) - len(shorter)
    if more:
        items = longer[: dots + more]
        steps = [form.tree[1] for form in items if isinstance(form, Value) and form.tree[0] == "num"]
        even = len({after - before for before, after in pairwise(steps)}) == 1
        if dots < 2 or len(steps) < len(items) or not even or longer[dots + more] != Dots():
            return False
    kept = [*longer[:dots], *longer[dots + more :]]
    return _in_order(shorter, kept, judge)


def _labels(group: Group) -> list[str]:
    """The labels of a list of which every item has one."""
    labels = [item.label for item in group.items if isinstance(item, Labelled)]
    return labels if len(labels) == len(group.items) else []


def _in_order(truths: Sequence[Form], answers: Sequence[Form], judge: Judge) -> bool | None:
    if len(truths) != len(answers):
        return False
    return every(compare(t, a, judge) for t, a in zip(truths, answers, strict=True))
