r"""Values: expressions with the units, percents and number words that stand around them."""

from collections.abc import Sequence
from fractions import Fraction

from real.grading import vocabulary
from real.grading.expressions import expression
from real.grading.forms import Based, Value
from real.grading.spelling import spelled
from real.grading.tokens import Braces, Node, Token, UnreadableError
from real.grading.trees import Tree

Unit = dict[str, int]

_MONEY = {"\\$": "dollar", "€": "euro", "£": "pound"}
MAX_UNIT_NODES = 16
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def value(nodes: Sequence[Node]) -> Value:
    """A number or an expression, with what it is measured in.

    Raises:
        UnreadableError: a part of it is neither.
    """
    nodes, unit = _money(_without_approximation(nodes))
    nodes, percent = _percent(nodes)
    if not unit and (start := _unit_start(nodes)):
        unit = tuple(sorted((unit_of(nodes[start:]) or {}).items()))
        nodes = nodes[:start]
    spoken = _spoken(nodes)
    if spoken is not None:
        return Value(spoken, unit, percent)
    letters = nodes[0].text if len(nodes) == 1 and nodes[0].kind == "word" and len(nodes[0].text) > 2 else ""
    return Value(expression(nodes), unit, percent, letters)


def _without_approximation(nodes: Sequence[Node]) -> Sequence[Node]:
    """Without "approximately" before a value: the value itself must be that of the ground truth."""
    first = nodes[0] if nodes else None
    if first is not None and (
        first.text in ("\\approx", "~", "\\sim")
        or (first.kind == "word" and first.text.lower() in vocabulary.APPROXIMATELY)
    ):
        nodes = nodes[2:] if len(nodes) > 1 and nodes[1].text == "." else nodes[1:]
    if not nodes:
        raise UnreadableError("nothing")
    return nodes


def _money(nodes: Sequence[Node]) -> tuple[Sequence[Node], tuple[tuple[str, int], ...]]:
    """The nodes without a currency's sign before the number."""
    signed = nodes[0].text == "-" and len(nodes) > 1
    at = 1 if signed else 0
    if nodes[at].kind == "mark" and nodes[at].text in _MONEY and len(nodes) > at + 1:
        return (*nodes[:at], *nodes[at + 1 :]), ((_MONEY[nodes[at].text], 1),)
    return nodes, ()


def _percent(nodes: Sequence[Node]) -> tuple[Sequence[Node], bool]:
    """The nodes without "%" or "per cent" at their end."""
    words = [node.text.lower() for node in nodes[-2:]]
    if len(nodes) > 1 and (words[-1] == "%" or (nodes[-1].kind == "word" and words[-1] in vocabulary.PERCENT)):
        return nodes[:-1], True
    return (nodes[:-2], True) if len(nodes) > 2 and words == ["per", "cent"] else (nodes, False)


def _unit_start(nodes: Sequence[Node]) -> int:
    """Where a unit begins that goes on to the end; 0: nowhere."""
    trigonometric = any(node.kind == "command" and node.text[1:] in vocabulary.FUNCTIONS for node in nodes)
    for at in range(max(1, len(nodes) - MAX_UNIT_NODES), len(nodes)):
        node, before = nodes[at], nodes[at - 1]
        raised = node.text in ("^", "_") or (before.text in ("^", "_") and before.kind == "mark")
        if raised or node.text in ("\\cdot", "\\times", "-"):
            continue
        if node.text in ("°", "'") and node.kind == "mark" and (trigonometric or not _countable(before)):
            continue
        if node.text == "\\frac" and at + 3 != len(nodes):
            continue
        if unit_of(nodes[at:]):
            return at
    return 0


def _countable(node: Node) -> bool:
    """Whether a degree sign or a prime after it measures: after a number or a bracket, not after a name."""
    return node.kind in ("number", "braces", "environment") or node.text in (")", "]", "\\pi") or node.kind == "name"


def unit_of(nodes: Sequence[Node]) -> Unit | None:
    """A unit with its exponents, where all nodes are one."""
    found: Unit = {}
    at, sign, power = 0, 1, 0
    while at < len(nodes):
        node = nodes[at]
        text = node.text.lower() if node.kind == "word" else node.text
        if text in ("/", "per") and node.kind in ("mark", "word"):
            sign, at = -1, at + 1
            continue
        if text in ("\\cdot", "\\times", "*", "-", "a", "of", ".") and at:
            at += 1
            continue
        if node.kind == "word" and text in vocabulary.POWERS and at + 1 < len(nodes):
            power, at = vocabulary.POWERS[text], at + 1
            continue
        if text == "\\frac" and at + 2 < len(nodes):
            parts = [unit_of(one.nodes) if isinstance(one, Braces) else None for one in nodes[at + 1 : at + 3]]
            if parts[0] is None or parts[1] is None:
                return None
            for part, direction in zip(parts, (1, -1), strict=True):
                _add(found, part or {}, direction)
            at += 3
            continue
        part, length = _one_unit(nodes[at:])
        if part is None:
            return None
        at += length
        exponent, length = _exponent(nodes[at:])
        at += length
        _add(found, part, sign * exponent * (power or 1))
        sign, power = 1, 0
    return found if found and sign == 1 and not power else None


def plain_units(nodes: Sequence[Node]) -> tuple[Node, ...]:
    r"""The nodes with a unit of plain letters at the end as if it stood in ``\text``: 2 m/s, 3 m^2.

    Only an answer is read so. In a ground truth such letters are variables.
    """
    at = next(
        (at for at in range(len(nodes) - 1, 0, -1) if nodes[at - 1].kind in ("number", "braces") and nodes[at].spaced),
        0,
    )
    unit = nodes[at:]
    if not at or not any(node.text in ("/", "^") for node in unit):
        return tuple(nodes)
    marked = tuple(
        node._replace(roman=True) if isinstance(node, Token) and node.kind == "name" else node for node in unit
    )
    return (*nodes[:at], *marked) if unit_of(marked) else tuple(nodes)


def _add(found: Unit, part: Unit, times: int) -> None:
    for name, exponent in part.items():
        found[name] = found.get(name, 0) + exponent * times


def _one_unit(nodes: Sequence[Node]) -> tuple[Unit | None, int]:
    """A unit without its exponent, and how many nodes it takes."""
    node = nodes[0]
    following = nodes[1] if len(nodes) > 1 else None
    if isinstance(node, Braces):
        return unit_of(node.nodes), 1
    if node.kind == "word":
        name = vocabulary.unit_named(node.text, node.roman)
        return ({name: 1} if name else None), 1
    if node.text == "°":
        if following is not None and following.kind == "name" and following.text in "CFK":
            return {f"degree {following.text}": 1}, 2
        return {"degree": 1}, 1
    if node.text == "'":
        count = next((at for at, one in enumerate(nodes) if one.text != "'"), len(nodes))
        return ({"arcmin" if count == 1 else "arcsec": 1}, count) if count < 3 else (None, count)
    if node.kind == "name" and [one.text for one in nodes[1:3]] in (["_", "\\odot"], ["_", "{}"]):
        solar = node.text in "MLR" and (nodes[2].text == "\\odot" or spelled([nodes[2]]) in ("\\odot", "☉"))
        return ({f"{node.text} of the sun": 1}, 3) if solar else (None, 1)
    if node.kind == "name" and node.text in "kMGm" and following is not None and following.text == "\\Omega":
        return {f"{node.text}ohm": 1}, 2
    if node.kind == "name" and node.roman:
        name = vocabulary.UNITS.get(node.text)
        return ({name: 1} if name else None), 1
    if node.text == "\\mu" and following is not None and following.roman and len(following.text) == 1:
        name = vocabulary.UNITS.get(
            f"u{following.text}", f"u{following.text}" if following.text in "gsVAFLlJN" else None
        )
        return ({name: 1} if name else None), 2
    named = {"\\Omega": "ohm", "\\AA": "angstrom"}.get(node.text)
    if node.kind == "command" and named is None and node.text[1:] in ("cm", "kg", "km", "mm", "meter", "degree"):
        named = vocabulary.unit_named(node.text[1:], True)
    return ({named: 1} if named else None), 1


def _exponent(nodes: Sequence[Node]) -> tuple[int, int]:
    """The exponent that follows a unit, and how many nodes it takes."""
    if nodes and nodes[0].kind == "word" and nodes[0].text.lower() in ("squared", "cubed"):
        return vocabulary.POWERS[nodes[0].text.lower()], 1
    if len(nodes) < 2 or nodes[0].text != "^":
        return 1, 0
    if nodes[1].text == "-" and len(nodes) > 2 and nodes[2].text.isdigit():
        return -int(nodes[2].text[:2]), 3
    text = spelled([nodes[1]])
    return (int(text), 2) if text.removeprefix("-").isdigit() and len(text) < 4 else (1, 0)


def _spoken(nodes: Sequence[Node]) -> Tree | None:
    """The value of number words, and of a number with million or dozen after it; None: there are none."""
    words = [node.text.lower() for node in nodes if not (node.kind == "mark" and node.text == "-")]
    spoken = bool(nodes) and all(node.kind == "word" or node.text == "-" for node in nodes) and nodes[0].text != "-"
    if spoken and (total := spoken_number(words)) is not None:
        return ("num", Fraction(total))
    scale = 1
    while len(nodes) > 1 and nodes[-1].kind == "word" and nodes[-1].text.lower() in vocabulary.SCALES:
        scale *= vocabulary.SCALES[nodes[-1].text.lower()]
        nodes = nodes[:-1]
    if scale == 1:
        return None
    return ("mul", (expression(nodes), ("num", Fraction(scale))))


def spoken_number(words: Sequence[str]) -> int | None:
    """The number that words spell: forty-two, one hundred and five, two million."""
    total = group = 0
    last = ""
    for word in words:
        if word == "and" and last in vocabulary.SCALES:
            continue
        if word in vocabulary.SMALL:
            fits = not last or last in vocabulary.SCALES or (last.endswith("ty") and 0 < vocabulary.SMALL[word] < 10)
            if not fits:
                return None
            group += vocabulary.SMALL[word]
        elif word in ("hundred", "dozen") and group:
            group *= vocabulary.SCALES[word]
        elif word in vocabulary.SCALES and group:
            total, group = total + group * vocabulary.SCALES[word], 0
        elif word in ("a", "one") and not last:
            group = 1
        else:
            return None
        last = word
    return total + group if last else None


def based(nodes: Sequence[Node]) -> Based | None:
    r"""Digits with a base: 52_8, (52)_8, 52_{\text{eight}}, 52_{\text{base }8} or 52\text{ base }8."""
    texts = [node.text for node in nodes]
    if "_" in texts:
        at = texts.index("_")
        digits, base = nodes[:at], _unwrapped(nodes[at + 1 :])
    elif "base" in texts:
        at = texts.index("base")
        digits, base = nodes[:at], nodes[at:]
        if at > 1 and texts[at - 1] == "(" and texts[-1] == ")":
            digits, base = nodes[: at - 1], nodes[at:-1]
        if digits and digits[-1].text == "in":
            digits = digits[:-1]
    else:
        return None
    if len(digits) > 2 and (digits[0].text, digits[-1].text) == ("(", ")"):
        digits = digits[1:-1]
    digits = _unwrapped(digits)
    found = _base(base)
    text = "".join(node.text for node in digits).upper()
    if found is None or not digits or any(node.kind not in ("number", "name", "word") for node in digits):
        return None
    if any(node.spaced for node in digits[1:]) or not any(sign.isdigit() for sign in text):
        return None
    if any(sign not in _DIGITS[:found] for sign in text):
        return None
    return Based(text.lstrip("0") or "0", found)


def _unwrapped(nodes: Sequence[Node]) -> Sequence[Node]:
    return nodes[0].nodes if len(nodes) == 1 and isinstance(nodes[0], Braces) else nodes


def _base(nodes: Sequence[Node]) -> int | None:
    """The base that nodes name."""
    if nodes and nodes[0].text.lower() == "base":
        nodes = nodes[1:]
    if len(nodes) != 1:
        return None
    text = nodes[0].text.lower()
    found = int(text) if text.isdigit() and len(text) < 3 else vocabulary.BASES.get(text)
    return found if found is not None and 2 <= found <= 36 else None


def is_number_word(words: Sequence[str]) -> bool:
    """Whether words spell a number."""
    return spoken_number([part for word in words for part in word.split("-")]) is not None
