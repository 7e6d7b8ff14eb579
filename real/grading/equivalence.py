r"""Whether an answer equals a ground truth: by exact comparison where possible, else by asking about pairs of LaTeX.

:func:`compare` is three-valued: True, False, or None where it needs a pair that ``ask`` has no verdict on yet. The
caller collects those pairs, has isolated workers decide them, and calls again.

Conventions: percentages equal the bare number (8 % is 8 and 0.08); units and a missing base subscript are forgiven;
lists are unordered, tuples ordered; an unreduced fraction is correct; a rounded decimal is not.
"""

import re
from collections.abc import Callable, Iterable, Sequence

from real.grading.forms import Based, Equation, Form, Group, Matrix, Number, Symbolic, Union, Words, exact

Ask = Callable[[str, str], bool | None]

_COMMAND = re.compile(r"\\([a-zA-Z]+)")
_GREEK = re.compile(
    r"alpha|beta|gamma|delta|epsilon|varepsilon|zeta|eta|theta|kappa|lambda|mu|nu|xi|rho|sigma|tau|phi|varphi|chi|psi|"
    r"omega|Gamma|Delta|Theta|Lambda|Sigma|Phi|Psi|Omega|hbar",
)
_FUNCTION_WORDS = re.compile(r"arcsin|arccos|arctan|sinh|cosh|tanh|sin|cos|tan|cot|sec|csc|log|ln|exp|sqrt|pi|max|min")
_LABEL = re.compile(
    r"\\?[a-zA-Z]+'*(?:_(?:\w|\{[^{}]*\}))?(?:\([a-zA-Z](?:,[a-zA-Z])*\))?|\([a-zA-Z\\]+(?:,[a-zA-Z\\]+)*\)"
)


def compare(truth: Form, answer: Form, ask: Ask) -> bool | None:
    """Whether ``answer`` equals ``truth``; None: not known before ``ask`` knows more."""
    if truth == answer:
        return True
    match truth, answer:
        case Equation(), Equation():
            return _equations(truth, answer, ask)
        case _, Equation(right=value):
            return compare(truth, value, ask)
        case Equation(left=left, right=value), _:
            return compare(value, answer, ask) if _is_label(left) else False
        case Number(), Number():
            return _numbers(truth, answer)
        case Based(), Based():
            return False
        case Based(digits=digits), Number(value=value):
            return value.denominator == 1 and str(value.numerator) == digits
        case Number(value=value), Based(digits=digits):
            return value.denominator == 1 and str(value.numerator) == digits
        case Group(), Group():
            return _groups(truth, answer, ask)
        case Union(), Union():
            return matching(truth.parts, answer.parts, ask)
        case Matrix(), Matrix():
            if [len(row) for row in truth.rows] != [len(row) for row in answer.rows]:
                return False
            pairs = zip(truth.rows, answer.rows, strict=True)
            return every(compare(t, a, ask) for rows in pairs for t, a in zip(*rows, strict=True))
        case Group(items=(Symbolic(latex=letter),), opening="("), Symbolic(latex=text) if (
            text.upper() == letter or re.match(rf"\({letter}\)(?![-+*/^=])", text)
        ):
            return True  # a choice in small letters, or followed by what it says
        case Group(items=(only,)), _:
            return compare(only, answer, ask) if truth.opening != "[" else False
        case _, Group(items=(only,)):
            return compare(truth, only, ask) if answer.opening != "[" else False
        case (Words(), Words()) | (Words(), Symbolic()) | (Symbolic(), Words()):
            return _words(truth, answer, ask)
        case (Number() | Symbolic(), Number() | Symbolic()) | (Matrix(), Symbolic()) | (Symbolic(), Matrix()):
            return _ask(truth, answer, ask)
    return False


def every(verdicts: Iterable[bool | None]) -> bool | None:
    """Three-valued and."""
    known = list(verdicts)
    return False if False in known else None if None in known else True


def either(verdicts: Iterable[bool | None]) -> bool | None:
    """Three-valued or."""
    known = list(verdicts)
    return True if True in known else None if None in known else False


def matching(truths: Sequence[Form], answers: Sequence[Form], ask: Ask, same_labels: bool = False) -> bool | None:
    """Whether the answers are the truths in any order. Equality is transitive, so that first fits suffice."""
    if len(truths) != len(answers):
        return False
    free, waiting = list(answers), []
    for truth in truths:
        verdicts = [_labelled(truth, answer, ask) if same_labels else compare(truth, answer, ask) for answer in free]
        if True in verdicts:
            del free[verdicts.index(True)]
        elif None in verdicts:
            waiting.append(truth)
        else:
            return False
    return None if waiting else True


def _numbers(truth: Number, answer: Number) -> bool:
    if truth.percent == answer.percent:
        return truth.value == answer.value
    percent, bare = (truth, answer) if truth.percent else (answer, truth)
    return bare.value in (percent.value, percent.value / 100)


def _groups(truth: Group, answer: Group, ask: Ask) -> bool | None:
    if len(truth.items) != len(answer.items):
        return False
    if truth.opening in ("", "{") and answer.opening in ("", "{"):
        equations = [item for item in (*truth.items, *answer.items) if isinstance(item, Equation)]
        several = len({item.left.latex for item in equations}) > 1
        return matching(truth.items, answer.items, ask, same_labels=several)
    brackets = {(truth.opening, truth.closing), (answer.opening, answer.closing)}
    if len(brackets) == 1 or brackets == {("", ""), ("(", ")")}:
        return every(compare(t, a, ask) for t, a in zip(truth.items, answer.items, strict=True))
    return False


def _labelled(truth: Form, answer: Form, ask: Ask) -> bool | None:
    """Comparison inside a list that names several things: f(n)=n, g(n)=1 is not f(n)=1, g(n)=n."""
    if isinstance(truth, Equation) and isinstance(answer, Equation) and truth.left.latex != answer.left.latex:
        return False
    return compare(truth, answer, ask)


def _equations(truth: Equation, answer: Equation, ask: Ask) -> bool | None:
    """Equal sides in either order, equal values of labels with one name, or one a multiple of the other."""
    if truth.left == answer.right and truth.right == answer.left:
        return True
    verdicts = []
    if _is_label(truth.left) and _is_label(answer.left):
        # m_max and m, or f(x) and f, may be the same thing, x and y are not
        names = {re.sub(r"\W*([a-zA-Z]*).*", r"\1", form.latex).lower() for form in (truth.left, answer.left)}
        if len(names) == 1:
            verdicts.append(compare(truth.right, answer.right, ask))
    sides = [exact(f"{form.left.latex}={form.right.latex}") for form in (truth, answer)]
    if True not in verdicts and symbols(sides[0]) == symbols(sides[1]):
        verdicts.append(ask(*sides))
    return either(verdicts)


def _words(truth: Form, answer: Form, ask: Ask) -> bool | None:
    """Words by their letters; abc and cab are equal products but different words, so math-verify is asked."""
    letters = [re.sub(r"[\s{}()]", "", form.latex).lower() for form in (truth, answer)]
    if letters[0] == letters[1]:
        return True
    return _ask(truth, answer, ask) if sorted(letters[0]) == sorted(letters[1]) else False


def _ask(truth: Form, answer: Form, ask: Ask) -> bool | None:
    """A verdict on two expressions, refused at once where their variables or infinities differ."""
    sides = [_latex(truth), _latex(answer)]
    if symbols(sides[0]) != symbols(sides[1]) or ("infty" in sides[0]) != ("infty" in sides[1]):
        return False
    return ask(*sides)


def _latex(form: Form) -> str:
    if isinstance(form, Number):
        sign, value = "-" if form.value < 0 else "", abs(form.value)
        return (
            f"{sign}{value}" if value.denominator == 1 else f"{sign}\\frac{{{value.numerator}}}{{{value.denominator}}}"
        )
    return form.text if isinstance(form, Symbolic) else form.latex


def symbols(latex: str) -> frozenset[str]:
    """Letters and Greek letters that can be variables; e, i and d may be constants or operators and don't count."""
    found = {name for name in _COMMAND.findall(latex) if _GREEK.fullmatch(name)}
    plain = _FUNCTION_WORDS.sub("", _COMMAND.sub(" ", latex))
    return frozenset(found | {character for character in plain if character.isalpha()} - {"e", "i", "d", "j"})


def _is_label(form: Form) -> bool:
    """Whether the left side of an equation only names its right side."""
    return bool(_LABEL.fullmatch(form.latex))
