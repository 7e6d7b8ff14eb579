r"""What an answer may be: a value, words, a choice, a list, an interval, a set, a matrix, an equation and so on.

real.grading.reading makes these of tokens and real.grading.equivalence compares them, each kind by its own rule.
"""

from dataclasses import dataclass, field

from real.grading.trees import Tree


@dataclass(frozen=True)
class Form:
    """A reading of an answer or of a part of one."""


@dataclass(frozen=True)
class Value(Form):
    """An expression.

    Attributes:
        unit: (name, exponent) pairs in their order by name; empty: none is named.
        percent: % followed, which is not applied.
        letters: the spelling, where it is one plain word that may be a word rather than a product.
    """

    tree: Tree
    unit: tuple[tuple[str, int], ...] = ()
    percent: bool = False
    letters: str = field(default="", compare=False)


@dataclass(frozen=True)
class Based(Form):
    """Digits with a base, such as 52_8."""

    digits: str
    base: int


@dataclass(frozen=True)
class Text(Form):
    """Words, in small letters, without articles."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class Choice(Form):
    """A letter that names one of the choices given."""

    letter: str


@dataclass(frozen=True)
class Dots(Form):
    """An ellipsis in a list."""


@dataclass(frozen=True)
class Group(Form):
    r"""Items between brackets, ``(``, ``[`` or ``{``; empty brackets: a bare list.

    Attributes:
        joined: ``or`` where a bare list is joined by that word alone, else a comma.
    """

    opening: str
    items: tuple[Form, ...]
    closing: str
    joined: str = field(default=",", compare=False)


@dataclass(frozen=True)
class Interval(Form):
    """All real numbers between two, written by brackets of two kinds or by inequalities of the label ``of``."""

    low: Form
    high: Form
    closed: tuple[bool, bool]
    of: str = field(default="", compare=False)


@dataclass(frozen=True)
class Reals(Form):
    """All real numbers."""


@dataclass(frozen=True)
class SetOperation(Form):
    r"""Sets joined by one of ``\cup``, ``\cap`` and ``\setminus``."""

    operation: str
    parts: tuple[Form, ...]


@dataclass(frozen=True)
class Matrix(Form):
    """Rows of entries."""

    rows: tuple[tuple[Form, ...], ...]


@dataclass(frozen=True)
class Labelled(Form):
    """A label and its value, or a chain of equal values, of which the last may approximate the others.

    Attributes:
        label: its letters, which tell one quantity from another; empty: there is none, or words.
        values: equal by what the answer says.
        approximations: that follow an approximation sign.
        sides: first and last side as expressions, where both are some.
    """

    label: str
    values: tuple[Form, ...]
    approximations: tuple[Form, ...] = ()
    sides: tuple[Tree, Tree] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Relation(Form):
    """left = right or left < right (``<=``) between expressions of which none is a label."""

    operator: str
    left: Tree
    right: Tree


@dataclass(frozen=True)
class Ratio(Form):
    """Numbers joined by colons."""

    terms: tuple[Form, ...]


@dataclass(frozen=True)
class Qualified(Form):
    """Something with the condition under which it holds."""

    form: Form
    qualifier: str


@dataclass(frozen=True)
class Unread(Form):
    """What the grammar has no rule for.

    Attributes:
        text: in one spelling.
        latex: as a worker is given it; empty: it holds words, so that no parser of mathematics may read it.
    """

    text: str
    latex: str = field(default="", compare=False)


def parts(form: Form) -> tuple[Form, ...]:
    """The forms that a form is made of."""
    match form:
        case Group(items=items):
            return items
        case Interval(low=low, high=high):
            return (low, high)
        case SetOperation(parts=inner) | Ratio(terms=inner):
            return inner
        case Matrix(rows=rows):
            return tuple(cell for row in rows for cell in row)
        case Labelled(values=values, approximations=approximations):
            return (*values, *approximations)
        case Qualified(form=inner_form):
            return (inner_form,)
    return ()


def is_understood(form: Form) -> bool:
    """Whether the grammar or the parser of a worker has a rule for all of a form."""
    return bool(form.latex) if isinstance(form, Unread) else all(map(is_understood, parts(form)))
