r"""From text to forms: what an answer says, or may say.

The steps are the same for a ground truth and for an answer. Phrases such as "the answer is" go, a qualifier is set
aside, a list falls into items, and each item is tried against what it may be, from the most particular form to an
expression. An item that nothing fits is Unread, and is compared as text alone or, where it holds no words, by a worker.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

from real.grading import relations, vocabulary
from real.grading.expressions import expression
from real.grading.forms import (
    Dots,
    Form,
    Group,
    Interval,
    Labelled,
    Matrix,
    Qualified,
    Ratio,
    Reals,
    SetOperation,
    Unread,
    Value,
)
from real.grading.quantities import based, plain_units, value
from real.grading.spelling import for_worker, holds, spelled
from real.grading.tokens import Braces, Environment, Node, Token, UnreadableError, joined, tokens
from real.grading.trees import Tree, negative
from real.grading.wording import choice, text

# beyond these, text is compared as text alone
MAX_CHARACTERS = 1000
# longer ones are not kept between calls
CACHED_CHARACTERS = 200

_OPENING = {"(": ")", "[": "]", "\\{": "\\}"}
_CLOSING = frozenset(_OPENING.values())
_SET_SIGNS = ("\\cup", "\\cap", "\\setminus")
_MATRICES = vocabulary.words("matrix pmatrix bmatrix Bmatrix smallmatrix array pmatrix* bmatrix*")


def readings(text: str, is_truth: bool = False) -> tuple[Form, ...]:
    """All that ``text`` may mean, the likelier first: 1,234 is a number or a list of two. Never raises."""
    return _kept(text, is_truth) if len(text) <= CACHED_CHARACTERS else _readings(text, is_truth)


def _readings(text: str, is_truth: bool) -> tuple[Form, ...]:
    if len(text) > MAX_CHARACTERS:
        return (Unread(" ".join(text.split())),)
    try:
        found = tokens(text)
    except UnreadableError:
        return (Unread(" ".join(text.split())),)
    spellings = dict.fromkeys((joined(found, commas=True), joined(found, commas=False)))
    if not is_truth:
        spellings |= dict.fromkeys(plain_units(stripped(nodes)) for nodes in tuple(spellings))
    return tuple(answer(nodes) for nodes in spellings)


_kept = lru_cache(maxsize=2048)(_readings)


def answer(nodes: Sequence[Node]) -> Form:
    """The form of a whole answer."""
    nodes = stripped(nodes)
    try:
        plain, qualifier = _qualified(nodes)
        form = several(plain)
        return Qualified(form, qualifier) if qualifier else form
    except UnreadableError:
        return Unread(spelled(nodes), for_worker(nodes))


def stripped(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """The nodes without phrases and punctuation around them, out of braces around all."""
    nodes = tuple(nodes)
    while True:
        before = nodes
        while nodes and nodes[-1].kind == "mark" and nodes[-1].text in (".", ",", ";", ":"):
            nodes = nodes[:-1]
        while len(nodes) > 1 and nodes[0].kind == "mark" and nodes[0].text in (",", ";", ":", "."):
            nodes = nodes[1:]
        nodes = _without_opening(_without_closing(nodes))
        if len(nodes) == 1 and isinstance(nodes[0], Braces):
            nodes = nodes[0].nodes
        if nodes == before:
            return nodes


def _without_opening(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """Without words such as "the final answer is:"; they must leave something."""
    at = 0
    while at < len(nodes) and nodes[at].kind == "word" and nodes[at].text.lower() in vocabulary.OPENINGS:
        at += 1
        if nodes[at - 1].text.lower() == "equal" and [node.text for node in nodes[at : at + 1]] == ["to"]:
            at += 1
    rest = nodes[at:]
    if at and rest and rest[0].text in (":", ",", "=") and rest[0].kind == "mark":
        rest = rest[1:]
    return rest if rest and at else nodes


def _without_closing(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """Without words such as "in total" after something else than words."""
    last = [node.text.lower() if node.kind == "word" else "" for node in nodes[-4:]]
    for phrase in vocabulary.CLOSINGS:
        at = len(nodes) - len(phrase)
        if last[-len(phrase) :] == phrase and at > 0 and nodes[at - 1].kind != "word":
            return nodes[:at]
    return nodes


def _qualified(nodes: Sequence[Node]) -> tuple[Sequence[Node], str]:
    """The nodes before a qualifier such as "for all x > 0", and its text.

    Raises:
        UnreadableError: what follows the qualifying word says more than a condition.
    """
    for at, node in enumerate(nodes):
        if at and (node.text == "\\forall" or (node.kind == "word" and node.text.lower() in vocabulary.QUALIFIERS)):
            rest = nodes[at:]
            _check_condition(rest)
            return stripped(nodes[:at]), spelled(rest)
    start = _remark(nodes)
    return (nodes[:start], spelled(nodes[start:])) if start else (nodes, "")


def _remark(nodes: Sequence[Node]) -> int:
    """Where a condition in brackets begins that ends the nodes, as in n + 1 (n > 0); 0: nowhere."""
    depth = 0
    for at in range(len(nodes) - 1, 0, -1):
        text = nodes[at].text
        depth += (text in _CLOSING) - (text in _OPENING)
        if depth == 0:
            inner = nodes[at + 1 : -1]
            condition = any(node.text in ("<", ">", "\\le", "\\ge", "\\in", "\\ne") for node in inner)
            return at if text == "(" and nodes[at].spaced and condition and not holds(inner, "=") else 0
    return 0


def _check_condition(nodes: Sequence[Node]) -> None:
    """Raise UnreadableError unless all is mathematics and words of conditions, and one condition alone."""
    words = [node.text.lower() for node in nodes if node.kind == "word"]
    once = [word for word in words if word in ("if", "when", "for", "where", "given", "whenever")]
    if len(once) != len(set(once)) or not set(words) <= vocabulary.QUALIFYING or len(nodes) < 2:
        raise UnreadableError("a condition that is not understood")
    for part in split(nodes, (",", ";"))[1:]:
        if any(node.text == "=" for node in part) and not any(node.kind == "word" for node in part):
            raise UnreadableError("another value after a condition")


def split(nodes: Sequence[Node], signs: Sequence[str]) -> list[Sequence[Node]]:
    """The parts of nodes between marks, commands or words outside of brackets."""
    return [part for part, _ in pieces(nodes, lambda node: node.text in signs and node.kind in ("mark", "command"))]


def pieces(nodes: Sequence[Node], separates: Callable[[Node], bool]) -> list[tuple[Sequence[Node], str]]:
    """The parts between separators outside of brackets, each with the text of the separator after it."""
    found: list[tuple[Sequence[Node], str]] = []
    depth, start = 0, 0
    for at, node in enumerate(nodes):
        if node.kind == "mark":
            depth += (node.text in _OPENING) - (node.text in _CLOSING)
        if depth == 0 and separates(node):
            found.append((nodes[start:at], node.text))
            start = at + 1
    return [*found, (nodes[start:], "")]


def _separates(node: Node) -> bool:
    if node.kind == "mark":
        return node.text in (",", ";", "\\\\")
    return _conjunction(node) is not None


def _conjunction(node: Node) -> str | None:
    text = node.text.lower()
    if node.kind in ("word", "command"):
        return "and" if text in ("and", "\\and") else "or" if text in ("or", "\\or") else None
    return None


def several(nodes: Sequence[Node]) -> Form:
    """A bare list where commas, semicolons or conjunctions separate outside of brackets, else its only item."""
    by_semicolon = split(nodes, (";",))
    if len(by_semicolon) > 1 and all(len(split(part, (",",))) > 1 for part in by_semicolon if part):
        return _bare([several(part) for part in by_semicolon if part], ",")
    found = pieces(nodes, _separates)
    separators = {sign.lower().strip("\\") for part, sign in found[:-1] if part}
    parts = [part for part, _ in found if stripped(part)]
    if len(parts) > 1 and relations.is_domain(parts[-1]):  # x = π/6 + kπ, k ∈ ℤ
        return several(nodes[: len(nodes) - len(parts[-1]) - 1])
    if not parts:
        raise UnreadableError("nothing")
    items = [form for part in parts for form in signs(stripped(part))]
    if len(items) == 1:
        return items[0]
    if separators <= {"and", ","} and all(isinstance(one, Interval | SetOperation) for one in items):
        return SetOperation("\\cap", tuple(items))  # x > 1 and x < 3
    return _bare(items, "or" if separators == {"or"} else ",")


def _bare(items: Sequence[Form], by: str) -> Form:
    """A list; a label before its first item alone is the label of all."""
    first = items[0]
    if isinstance(first, Labelled) and len(first.values) == 1 and not first.approximations:
        rest = items[1:]
        if all(isinstance(one, Value | Group) for one in rest) and type(first.values[0]) in {type(one) for one in rest}:
            items = [Labelled(first.label, (one,)) for one in (first.values[0], *rest)]
    return Group("", tuple(items), "", by)


def signs(nodes: Sequence[Node]) -> list[Form]:
    """The item, or the two that ± stands for."""
    texts = [node.text for node in nodes]
    within = _is_bracketed(nodes, "\\{")
    if within or not holds(nodes, "\\pm"):
        return [item(nodes)]
    if texts[:1] == ["\\pm"] and len(nodes) > 1:
        return [item(nodes[1:]), item(_signed(nodes, "+", "-"))]
    return [item(_signed(nodes, "-", "+")), item(_signed(nodes, "+", "-"))][::-1]


def _signed(nodes: Sequence[Node], lower: str, upper: str) -> tuple[Node, ...]:
    r"""The nodes with the signs that ``\mp`` and ``\pm`` have at once."""
    found: list[Node] = []
    for node in nodes:
        if isinstance(node, Braces):
            found.append(Braces(_signed(node.nodes, lower, upper), node.spaced))
        elif node.text in ("\\pm", "\\mp"):
            found.append(Token("mark", upper if node.text == "\\pm" else lower, node.spaced))
        else:
            found.append(node)
    return tuple(found)


def item(nodes: Sequence[Node]) -> Form:
    """The form of something that is no bare list."""
    nodes = stripped(nodes)
    if not nodes:
        raise UnreadableError("nothing")
    if chosen := choice(nodes):
        return chosen
    if len(nodes) == 1 and nodes[0].text == "\\ldots":
        return Dots()
    try:
        if (found := relations.relation(nodes, item)) is not None:
            return found
        for rule in (_sets, _matrix, _bracketed, _ratio, based, text):
            if (form := rule(nodes)) is not None:
                return form
        return value(nodes)
    except UnreadableError:
        return Unread(spelled(nodes), for_worker(nodes))


def _is_bracketed(nodes: Sequence[Node], opening: str) -> bool:
    """Whether one pair of brackets is around all nodes."""
    if len(nodes) < 2 or nodes[0].kind != "mark" or nodes[0].text != opening or nodes[-1].text not in _CLOSING:
        return False
    depth = 0
    for at, node in enumerate(nodes):
        if node.kind == "mark":
            depth += (node.text in _OPENING) - (node.text in _CLOSING)
        if depth == 0:
            return at == len(nodes) - 1
    return False


def _sets(nodes: Sequence[Node]) -> Form | None:
    r"""Sets joined by ``\cup``, ``\cap`` or ``\setminus``, one kind at a time; ``\mathbb{R}``."""
    if [node.text for node in nodes] == ["\\R"]:
        return Reals()
    for sign in _SET_SIGNS:
        parts = split(nodes, (sign,))
        if len(parts) > 1:
            return SetOperation(sign, tuple(item(part) for part in parts))
    return None


def _matrix(nodes: Sequence[Node]) -> Matrix | None:
    """A matrix, in brackets or not, times a factor before it."""
    if not isinstance(nodes[-1], Environment):
        for opening in ("(", "["):
            if _is_bracketed(nodes, opening) and any(isinstance(node, Environment) for node in nodes):
                return _matrix(nodes[1:-1])
        return None
    found = nodes[-1]
    if found.name not in _MATRICES:
        return None
    factor = _factor(nodes[:-1])
    return Matrix(tuple(tuple(_times(factor, item(cell)) for cell in row) for row in found.rows))


def _factor(nodes: Sequence[Node]) -> Tree | None:
    """What stands before a matrix."""
    if not nodes:
        return None
    if [node.text for node in nodes] == ["-"]:
        return expression((Token("mark", "-"), Token("number", "1")))
    return expression(nodes[:-1] if nodes[-1].text in ("\\cdot", "\\times") else nodes)


def _times(factor: Tree | None, cell: Form) -> Form:
    if factor is None:
        return cell
    if not isinstance(cell, Value):
        raise UnreadableError("a factor of no number")
    return Value(negative(cell.tree) if factor == ("num", -1) else ("mul", (factor, cell.tree)))


def _bracketed(nodes: Sequence[Node]) -> Form | None:
    r"""A tuple, an interval, a set, or the content of brackets around a single thing."""
    opening = next((sign for sign in _OPENING if _is_bracketed(nodes, sign)), None)
    if opening is None:
        return None
    closing, inside = nodes[-1].text, nodes[1:-1]
    if (opening == "\\{") != (closing == "\\}"):
        return None
    if opening == "\\{" and (built := relations.set_builder(inside, several)) is not None:
        return built
    parts = [stripped(part) for part in split(inside, (",", ";")) if stripped(part)]
    items = tuple(form for part in parts for form in signs(part))
    if (opening, closing) in (("(", "]"), ("[", ")")):
        if len(items) != 2:
            raise UnreadableError("no interval")
        return Interval(items[0], items[1], (opening == "[", closing == "]"))
    if opening == "(" and len(items) == 1 and len(parts) == 1:
        return items[0] if not isinstance(items[0], Unread) else None
    if not items:
        raise UnreadableError("empty brackets")
    if len(items) == 1 and opening == "[":
        return items[0]
    return Group(opening.strip("\\"), items, closing.strip("\\"))


def _ratio(nodes: Sequence[Node]) -> Ratio | None:
    """Numbers with colons between."""
    parts = split(nodes, (":",))
    return Ratio(tuple(value(part) for part in parts)) if len(parts) > 1 and all(parts) else None
