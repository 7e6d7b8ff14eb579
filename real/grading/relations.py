r"""Equations, inequalities and membership: what ``x = 5``, ``2 < x \le 3``, ``x \in [1, 2)`` and ``x \ne 9`` say.

A side that only names the other one is a label: ``x``, ``f(x)``, ``m_{\max}``, ``(x, y)``, ``|AB|``, ``\text{Area}``.
So x = 5 gives the value 5, and x² = 5 doesn't.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction

from real.grading import vocabulary
from real.grading.expressions import expression
from real.grading.forms import Form, Group, Interval, Labelled, Reals, Relation, SetOperation, Value
from real.grading.quantities import value
from real.grading.spelling import spelled
from real.grading.tokens import Braces, Node, Token, UnreadableError
from real.grading.trees import INFINITY, Tree, names, negative

Read = Callable[[Sequence[Node]], Form]

_SIGNS = {
    "=": "=", "\\equiv": "=", "\\approx": "≈", "\\sim": "≈", "<": "<", ">": ">", "\\le": "<=", "\\ge": ">=",
    "\\ne": "!=", "\\in": "in", "\\notin": "notin", "\\not": "not",
}  # fmt: skip
# other relations, which no rule reads
_OTHERS = vocabulary.words(
    "implies Rightarrow iff Leftrightarrow to rightarrow mapsto cong propto parallel perp subset subseteq pmod bmod "
    "mod ll gg"
)
_SIGNS |= {f"\\{name}": "other" for name in _OTHERS}
_REVERSED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_SETS = ("\\R", "\\Z", "\\N", "\\Q", "\\C")
_INFINITE = Value(INFINITY), Value(negative(INFINITY))
# before the letters of what they name
_FIGURES = ("\\angle", "\\triangle", "\\overline")
# functions whose value is named by more than a variable: P(X > 3), E[X]
_NAMING = frozenset("fghPEVFGTNSLRMICDW")


def relation(nodes: Sequence[Node], read: Read) -> Form | None:
    """The form of nodes with a relation sign outside of brackets; None: there is no such sign.

    Args:
        read: of a side that is a value.

    Raises:
        UnreadableError: a relation that no rule fits.
    """
    sides, signs = _sides(nodes)
    if not signs:
        return None
    if any(not side for side in sides[1:]) or (not sides[0] and signs[0] != "≈"):
        raise UnreadableError("a side is missing")
    if not sides[0]:  # ≈ 5
        sides, signs = sides[1:], signs[1:]
        if not signs:
            return read(sides[0])
    if set(signs) <= {"=", "≈"}:
        return _equation(sides, signs, read)
    if signs == ["in"] and label(sides[0]) is not None:
        return _members(sides[0], sides[1], read)
    if signs == ["!="] and label(sides[0]) is not None:
        return SetOperation("\\setminus", (Reals(), Group("{", (read(sides[1]),), "}")))
    if set(signs) <= set(_REVERSED):
        return _inequality(sides, signs, read)
    raise UnreadableError("signs that are not understood together")


def _sides(nodes: Sequence[Node]) -> tuple[list[Sequence[Node]], list[str]]:
    """The parts between relation signs, and the signs; plain text has <=, >=, != and := for one sign each."""
    sides: list[Sequence[Node]] = []
    signs: list[str] = []
    depth, start, at = 0, 0, 0
    while at < len(nodes):
        node = nodes[at]
        depth += (node.text in ("(", "[", "\\{") and node.kind == "mark") - (node.text in (")", "]", "\\}"))
        sign = _SIGNS.get(node.text, "") if node.kind in ("mark", "command") and depth == 0 else ""
        following = nodes[at + 1].text if at + 1 < len(nodes) else ""
        length = 1
        if depth == 0 and following == "=" and node.kind == "mark" and not nodes[at + 1].spaced:
            double = {"<": "<=", ">": ">=", ":": "=", "=": "=", "!": "!="}.get(node.text)
            if double and not (
                node.text == "!" and at and nodes[at - 1].kind in ("number", "name") and not node.spaced
            ):
                sign, length = double, 2
        if sign and sign == "≈" and signs and start == at:  # N = ≈ 27
            signs[-1] = sign
            start = at + length
        elif sign:
            sides.append(nodes[start:at])
            signs.append(sign)
            start = at + length
        at += length
    return [*sides, nodes[start:]], signs


def label(nodes: Sequence[Node]) -> str | None:
    """The letters of a label; empty: one of words or several names; None: nodes are no label."""
    if not nodes:
        return None
    if _is_capitals(nodes):
        return spelled(nodes)
    if any(node.kind == "word" and node.roman for node in nodes):
        return _label_of_words(nodes)
    texts = [node.text for node in nodes]
    first = nodes[0]
    if len(nodes) == 1 and first.kind == "word" and first.text.lower() in vocabulary.LABELS:
        return ""
    if texts.count(":") == 1:
        parts = texts.index(":")
        both = label(nodes[:parts]), label(nodes[parts + 1 :])
        return None if None in both else ""
    if first.text == "\\frac" and len(nodes) == 3:
        parts_of = [label(node.nodes) for node in nodes[1:] if isinstance(node, Braces) and _is_capitals(node.nodes)]
        return "" if len(parts_of) == 2 and None not in parts_of else None
    if first.kind == "command" and first.text in _FIGURES and len(nodes) > 1:
        rest = nodes[1].nodes if isinstance(nodes[1], Braces) and len(nodes) == 2 else nodes[1:]
        return label(rest) if rest and rest[0].text not in _FIGURES else None
    if first.text == "|" and texts[-1] == "|" and len(nodes) > 2 and texts[1] != "|":
        return label(nodes[1:-1])
    if first.text == "(" and texts[-1] == ")":
        inner = [node for node in nodes[1:-1] if node.text != ","]
        return "" if len(inner) > 1 and "," in texts and _are_names(nodes[1:-1]) else None
    if "+" in texts:
        return "" if _is_sum_of_names(nodes) else None
    return _label_of_name(nodes)


def _is_sum_of_names(nodes: Sequence[Node]) -> bool:
    """Whether single letters stand between plus signs: many problems ask for m+n."""
    return all((node.kind == "name") == (at % 2 == 0) for at, node in enumerate(nodes)) and all(
        node.text == "+" for node in nodes[1::2]
    )


def _are_names(nodes: Sequence[Node]) -> bool:
    """Whether names stand between commas."""
    part: list[Node] = []
    for node in (*nodes, Token("mark", ",")):
        if node.text == ",":
            if not part or _label_of_name(part) is None:
                return False
            part = []
        else:
            part.append(node)
    return True


def _is_capitals(nodes: Sequence[Node]) -> bool:
    """Whether nodes are a run of two capital letters or more, as lengths and angles are called."""
    letters, at = 0, 0
    while at < len(nodes):
        node = nodes[at]
        if node.text == "_" and at and at + 1 < len(nodes):
            at += 2
        elif node.kind in ("word", "name") and node.text.isupper():
            letters, at = letters + len(node.text), at + 1
        else:
            return False
    return letters > 1


def _label_of_words(nodes: Sequence[Node]) -> str | None:
    said = {node.text.lower() for node in nodes if node.kind == "word" and node.roman}
    operates = any(node.kind == "number" or (node.kind == "mark" and node.text in "+*/^%") for node in nodes)
    return "" if said <= vocabulary.LABELLING and not operates else None


def _label_of_name(nodes: Sequence[Node]) -> str | None:
    """A name with subscript and primes, or applied to something."""
    first = nodes[0]
    if not (first.kind == "name" or (first.kind == "command" and first.text[1:] in vocabulary.NAMES)):
        return _label_of_derivative(nodes)
    at = 1
    letters = first.text.strip("\\")
    while at < len(nodes) and nodes[at].text in ("_", "'") and nodes[at].kind == "mark":
        at += 2 if nodes[at].text == "_" else 1
    if at >= len(nodes):
        return letters
    if (nodes[at].text, nodes[-1].text) not in (("(", ")"), ("[", "]")):
        return None
    inside = nodes[at + 1 : -1]
    depth = 0
    for node in inside:
        depth += (node.text in ("(", "[")) - (node.text in (")", "]"))
        if depth < 0:
            return None
    simple = all(node.kind in ("name", "number") or node.text in (",", "_", "'") for node in inside)
    return letters if first.text in _NAMING or simple else None


def _label_of_derivative(nodes: Sequence[Node]) -> str | None:
    """The name of what is derived, of dx/dt and of a name with a dot over it."""
    if nodes[0].text not in ("\\frac", "\\dot", "\\ddot", "\\hat", "\\bar", "\\vec", "\\overline", "\\overrightarrow"):
        return None
    try:
        tree = expression(nodes)
    except UnreadableError:
        return None
    return "".join(sign for sign in str(tree[1]) if sign.isalpha()) + "'" if tree[0] == "name" else None


def _equation(sides: Sequence[Sequence[Node]], signs: Sequence[str], read: Read) -> Form:
    """A labelled value, a chain of values, or an equation between expressions."""
    about = [label(side) for side in sides]
    trees = _tree(sides[0]), _tree(sides[-1])
    both = (trees[0], trees[1]) if trees[0] is not None and trees[1] is not None else None
    named = [at for at, one in enumerate(about) if one is not None]
    if about[0] is not None and len(sides) > 1:
        values = [at for at in range(1, len(sides)) if at not in named or at == len(sides) - 1]
        return _labelled(about[0], values, sides, signs, read, both)
    if named == [len(sides) - 1] and _is_closed(sides[0]):
        return _labelled(about[-1] or "", list(range(len(sides) - 1)), sides, ["=", *signs], read, both)
    if not named and all(_is_closed(side) for side in sides):
        return _labelled("", list(range(len(sides))), sides, ["=", *signs], read, None)
    if len(sides) == 2 and signs == ["="] and both:
        return Relation("=", *both)
    raise UnreadableError("an equation that is not understood")


def _labelled(
    name: str,
    places: Sequence[int],
    sides: Sequence[Sequence[Node]],
    signs: Sequence[str],
    read: Read,
    both: tuple[Tree, Tree] | None,
) -> Form:
    """Sides that are values: those after ≈ approximate, unless no other is there."""
    # signs[i] stands before sides[i + 1], or, where a sign was put first, before sides[i]
    shift = 0 if len(signs) == len(sides) else -1
    exact = [read(sides[at]) for at in places if signs[at + shift] == "="]
    near = [read(sides[at]) for at in places if signs[at + shift] == "≈"]
    return Labelled(name, tuple(exact or near), tuple(near if exact else ()), both)


def _tree(nodes: Sequence[Node]) -> Tree | None:
    try:
        return expression(nodes)
    except UnreadableError:
        return None


def _is_closed(nodes: Sequence[Node]) -> bool:
    """Whether a side has no variable."""
    try:
        return not names(value(nodes).tree)
    except UnreadableError:
        return True


def _members(named: Sequence[Node], nodes: Sequence[Node], read: Read) -> Form:
    r"""x ∈ {1, 2} is the list; x ∈ [1, 2) the interval."""
    form = read(nodes)
    if isinstance(form, Group) and form.opening == "{":
        return Group("", form.items, "")
    if isinstance(form, Group) and len(form.items) == 2:
        closed = form.opening == "[", form.closing == "]"
        return Interval(form.items[0], form.items[1], closed, label(named) or "")
    if isinstance(form, Interval | SetOperation | Reals):
        return form
    raise UnreadableError("a set that is not understood")


def _inequality(sides: Sequence[Sequence[Node]], signs: Sequence[str], read: Read) -> Form:
    """An interval of a label, else a relation between expressions."""
    upward = [sign[0] == "<" for sign in signs]
    if len(set(upward)) != 1 or len(sides) > 3:
        raise UnreadableError("an inequality that is not understood")
    if not upward[0]:
        sides, signs = sides[::-1], [_REVERSED[sign] for sign in reversed(signs)]
    closed = [sign == "<=" for sign in signs]
    if len(sides) == 3:
        if _is_bars(sides[1]):
            low, high = read(sides[0]), read(sides[2])
            below = Interval(_minus(high), _minus(low), (closed[1], closed[0]))
            return SetOperation("\\cup", (below, Interval(low, high, (closed[0], closed[1]))))
        name = label(sides[1])
        if name is None:
            raise UnreadableError("an inequality of no label")
        return Interval(read(sides[0]), read(sides[2]), (closed[0], closed[1]), name or spelled(sides[1]))
    left, right = sides
    if _is_bars(left):
        high = read(right)
        return Interval(_minus(high), high, (closed[0], closed[0]))
    if _is_bars(right):
        bound = read(left)
        outside = (
            Interval(_INFINITE[1], _minus(bound), (False, closed[0])),
            Interval(bound, _INFINITE[0], (closed[0], False)),
        )
        return SetOperation("\\cup", outside)
    return _ray(left, right, closed[0], read)


def _ray(left: Sequence[Node], right: Sequence[Node], closed: bool, read: Read) -> Form:
    """left < right: all numbers beyond one that a label is compared with, also of -x and 2x."""
    if (name := label(left)) is not None and not (label(right) is not None and _is_closed(left)):
        return Interval(_INFINITE[1], read(right), (False, closed), name)
    if (name := label(right)) is not None:
        return Interval(read(left), _INFINITE[0], (closed, False), name)
    trees = expression(left), expression(right)
    for at, tree in enumerate(trees):
        factor = _multiple(tree)
        if factor is not None and not names(trees[1 - at]):
            bound = Value(("mul", (trees[1 - at], ("num", 1 / factor))))
            upper = (at == 0) == (factor > 0)
            if upper:
                return Interval(_INFINITE[1], bound, (False, closed))
            return Interval(bound, _INFINITE[0], (closed, False))
    return Relation("<=" if closed else "<", *trees)


def _multiple(tree: Tree) -> Fraction | None:
    """The factor of a number times a name."""
    match tree:
        case ("mul", (("num", factor), ("name", _))) if factor:
            return factor
    return None


def _is_bars(nodes: Sequence[Node]) -> bool:
    return len(nodes) == 3 and nodes[0].text == nodes[2].text == "|" and nodes[1].kind == "name"


def _minus(form: Form) -> Value:
    if not isinstance(form, Value):
        raise UnreadableError("a bound that is no value")
    return Value(negative(form.tree))


def is_domain(nodes: Sequence[Node]) -> bool:
    r"""Whether nodes only say what a name stands for: k \in \mathbb{Z}, x > 0 doesn't."""
    texts = [node.text for node in nodes]
    if texts[:1] == ["("] and texts[-1:] == [")"]:
        return is_domain(nodes[1:-1])
    if "\\in" not in texts:
        return False
    at = texts.index("\\in")
    rest = texts[at + 1 :]
    return label(nodes[:at]) is not None and bool(rest) and rest[0] in _SETS and len(rest) <= 3


def set_builder(nodes: Sequence[Node], read: Read) -> Form | None:
    r"""The condition of x : condition, x | condition and x \in \mathbb{R} : condition; None: no such thing."""
    at = next((i for i, node in enumerate(nodes) if node.kind == "mark" and node.text in (":", "|")), 0)
    if not at or at + 1 == len(nodes):
        return None
    head = nodes[:at]
    texts = [node.text for node in head]
    if "\\in" in texts:
        head = head[: texts.index("\\in")]
    return read(nodes[at + 1 :]) if label(head) is not None else None
