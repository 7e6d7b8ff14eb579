r"""Answers as small trees: numbers, lists, tuples, intervals, matrices, equations, and everything else as LaTeX.

:func:`readings` turns text into the trees it may mean. Nothing is evaluated: numbers become exact fractions by
pattern, all other mathematics stays text for math-verify.
"""

import re
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

from real.grading.normal import normal

# beyond these, text is compared as text alone
MAX_CHARACTERS = 1000
MAX_EXPONENT = 2000
MAX_DEPTH = 40

_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
_DECIMAL = r"(?:\d+\.?\d*|\.\d+)"
_NUMBER = re.compile(rf"(?P<sign>[-+]?)(?P<value>{_DECIMAL})(?:[eE](?P<exponent>[-+]?\d{{1,4}}))?")
_POWER_OF_TEN = re.compile(
    rf"(?P<sign>[-+]?)(?:(?P<value>{_DECIMAL})(?:\\times ?|\\cdot ?|\*))?10\^(?:\{{(?P<long>[-+]?\d+)\}}|(?P<short>\d))"
)
_FRACTION = re.compile(
    rf"(?P<sign>[-+]?)(?P<whole>\d*)\\frac\{{(?P<over>[-+]?{_DECIMAL})\}}\{{(?P<under>[-+]?{_DECIMAL})\}}"
)
_SLASH = re.compile(rf"(?P<sign>[-+]?)\(?(?P<over>[-+]?{_DECIMAL})\)?/[({{]?(?P<under>[-+]?{_DECIMAL})[)}}]?")
_GROUPED_BY_COMMAS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_BASED = re.compile(r"(?P<digits>[0-9A-F]+)_(?:\{(?P<long>\d+)\}|(?P<short>\d))")
_MATRIX = re.compile(
    r"\\begin\{(?P<kind>[pbvBV]?matrix|smallmatrix|array)\}(?:\{[lcr|]*\})?(?P<body>.*)\\end\{(?P=kind)\}", re.DOTALL
)
_RELATION = re.compile(r"\\le(?![a-zA-Z])|\\ge(?![a-zA-Z])|<|>")
_SET_BUILDER = re.compile(r"\\\{[a-zA-Z](?:\\in ?\\mathbb\{R\})?(?::|\||\\mid ?)(?P<condition>.*)\\\}")
_LETTERS = re.compile(r"[A-Za-z]{3,}")
_CHOICE = re.compile(r"\(([A-J])\)")


@dataclass(frozen=True)
class Form:
    """A reading of an answer; ``latex`` is what math-verify would be given."""

    latex: str = field(compare=False)


@dataclass(frozen=True)
class Number(Form):
    """An exact rational; ``percent``: it was followed by %, which is not applied."""

    value: Fraction
    percent: bool


@dataclass(frozen=True)
class Based(Form):
    """Digits with a base subscript, such as 52_8."""

    digits: str
    base: int


@dataclass(frozen=True)
class Words(Form):
    """A word, in lower case."""

    text: str


@dataclass(frozen=True)
class Group(Form):
    """Items between brackets; empty brackets: a bare list. ``{}`` and bare lists are unordered."""

    opening: str
    items: tuple[Form, ...]
    closing: str


@dataclass(frozen=True)
class Union(Form):
    """Sets joined by ∪."""

    parts: tuple[Form, ...]


@dataclass(frozen=True)
class Matrix(Form):
    """Rows of entries."""

    rows: tuple[tuple[Form, ...], ...]


@dataclass(frozen=True)
class Equation(Form):
    """left = right; of a chain, the first and the last part."""

    left: Form
    right: Form


@dataclass(frozen=True)
class Symbolic(Form):
    """Mathematics in LaTeX that no pattern reads."""

    text: str


@lru_cache(maxsize=2**15)
def readings(text: str) -> tuple[Form, ...]:
    """All trees that ``text`` may mean, the likelier first: 1,234 is a number or a list of two."""
    if _INTEGER.fullmatch(text):  # most answers; the rest of this function would say the same
        return (Number(text, Fraction(int(text)), False),)
    if len(text) > MAX_CHARACTERS or _depth(text) > MAX_DEPTH:
        return (Words(text, " ".join(text.split())),)
    s = normal(text)
    if _GROUPED_BY_COMMAS.fullmatch(s):
        return _number(s.replace(",", "")) or Symbolic(s, s), _list(s)
    return (_list(s),)


def _list(s: str) -> Form:
    """A bare list where commas or semicolons separate at the top level, else its only item."""
    items = [item for part in split(s, ",;") if part for item in _signs(part)]
    forms = tuple(_item(item) for item in items)
    return forms[0] if len(forms) == 1 else Group(s, "", forms, "")


def _item(s: str) -> Form:
    if number := _number(s):
        return number
    if based := _based(s):
        return based
    if s.endswith("%") and (number := _number(s[:-1])):
        return Number(s, number.value, True)
    if match := _MATRIX.fullmatch(s):
        rows = [row for row in re.split(r"\\\\(?:\[[^]]*\])?", match["body"]) if row]
        return Matrix(s, tuple(tuple(_item(cell) for cell in row.split("&")) for row in rows))
    if "=" in s and not re.search(r"\\ne(?![a-zA-Z])|[<>]=", s):
        parts = split(s, "=")
        if len(parts) > 1 and parts[0] and parts[-1]:
            return Equation(s, _list(parts[0]), _list(parts[-1]))
    if found := re.match(r"[a-zA-Z]\w*\\in(?![a-zA-Z]) ?", s):
        return _list(s[found.end() :])
    if builder := _SET_BUILDER.fullmatch(s):
        return _item(builder["condition"])
    if interval := _inequality(s):
        return interval
    if "\\cup" in s and len(parts := split(s.replace("\\cup ", "\\cup"), "\\cup")) > 1:
        return Union(s, tuple(_item(part) for part in parts))
    if bracketed := _bracketed(s):
        return bracketed
    if _LETTERS.fullmatch(s):
        return Words(s, s.lower())
    return Symbolic(s, exact(s))


def _number(s: str) -> Number | None:
    """Integers, decimals, fractions, mixed numbers and scientific notation, exactly."""
    exponent, divisor = 0, Fraction(1)
    if match := _NUMBER.fullmatch(s):
        value, exponent = Fraction(match["value"]), int(match["exponent"] or 0)
    elif match := _POWER_OF_TEN.fullmatch(s):
        value, exponent = Fraction(match["value"] or 1), int(match["long"] or match["short"])
    elif (match := _FRACTION.fullmatch(s)) or (match := _SLASH.fullmatch(s)):
        value, divisor = Fraction(match["over"]), Fraction(match["under"])
    else:
        return None
    if abs(exponent) > MAX_EXPONENT or divisor == 0:
        return None
    value = value * Fraction(10) ** exponent / divisor
    if match.groupdict().get("whole"):
        if value < 0:
            return None
        value += int(match["whole"])
    return Number(s, -value if match["sign"] == "-" else value, False)


def _based(s: str) -> Based | None:
    match = _BASED.fullmatch(s)
    if not match or not any(digit.isdigit() for digit in match["digits"]):
        return None
    base = int((match["long"] or match["short"])[:3])
    if not 2 <= base <= 36 or any(int(digit, 36) >= base for digit in match["digits"]):
        return None
    return Based(s, match["digits"].lstrip("0") or "0", base)


def _bracketed(s: str) -> Form | None:
    r"""A tuple, an interval, a set, or the content of brackets around a single thing."""
    opening = "\\{" if s.startswith("\\{") else s[:1]
    closing = "\\}" if s.endswith("\\}") else s[-1:]
    if opening not in ("(", "[", "\\{", "{") or closing not in (")", "]", "\\}", "}"):
        return None
    if opening in ("\\{", "{") and closing != opening.replace("{", "}"):
        return None
    inside = s[len(opening) : -len(closing)]
    if not _balanced(inside):
        return None
    if opening == "{":
        return _list(inside)
    items = [item for part in split(inside, ",;") if part for item in _signs(part)]
    if opening == "(" and closing == ")" and len(items) == 1:
        return Group(s, "(", (_item(items[0]),), ")") if _CHOICE.fullmatch(s) else _item(items[0])
    return Group(s, opening[-1], tuple(_item(item) for item in items), closing[-1])


def _inequality(s: str) -> Group | None:
    """x > 2, 2 < x and 2 < x ≤ 3 as intervals of their one letter."""
    relations = _RELATION.findall(s)
    if not 1 <= len(relations) <= 2:
        return None
    parts = [part.strip() for part in _RELATION.split(s)]
    variable = re.compile(r"\\?[a-zA-Z]+(?:_\w)?")
    upward = [relation in ("<", "\\le") for relation in relations]
    closed = [relation.startswith("\\") for relation in relations]
    infinite = Symbolic("\\infty", "\\infty"), Symbolic("-\\infty", "-\\infty")
    if len(parts) == 3 and len(set(upward)) == 1 and variable.fullmatch(parts[1]):
        low, high = (parts[0], parts[2]) if upward[0] else (parts[2], parts[0])
        low_closed, high_closed = closed if upward[0] else closed[::-1]
        return Group(s, "[" if low_closed else "(", (_item(low), _item(high)), "]" if high_closed else ")")
    if len(parts) == 2 and re.fullmatch(r"\|[a-zA-Z]\|", parts[0]) and upward[0]:
        return Group(s, "(["[closed[0]], (_item(f"-{parts[1]}"), _item(parts[1])), ")]"[closed[0]])
    if len(parts) == 2 and variable.fullmatch(parts[1]) and not variable.fullmatch(parts[0]):
        parts, upward = parts[::-1], [not upward[0]]
    if len(parts) == 2 and variable.fullmatch(parts[0]):
        bound = _item(parts[1])
        if upward[0]:
            return Group(s, "(", (infinite[1], bound), "]" if closed[0] else ")")
        return Group(s, "[" if closed[0] else "(", (bound, infinite[0]), ")")
    return None


def split(s: str, separators: str) -> list[str]:
    r"""Parts of ``s`` between top-level separators: one of several characters, or one command."""
    marks = [separators] if separators.startswith("\\") else list(separators)
    parts, depth, start, i = [], 0, 0, 0
    while i < len(s):
        if depth == 0 and (mark := next((m for m in marks if s.startswith(m, i)), "")):
            parts.append(s[start:i])
            i += len(mark)
            start = i
            continue
        if s[i] == "\\":
            i += 1
            depth += {"{": 1, "}": -1}.get(s[i : i + 1], 0)
        elif s[i] in "([{":
            depth += 1
        elif s[i] in ")]}":
            depth -= 1
        i += 1
    return [*parts, s[start:]]


def _is_set(s: str) -> bool:
    r"""Whether \{ \} is around all of ``s``: a set with ± is one set, a tuple with ± stands for two tuples."""
    return s.startswith("\\{") and s.endswith("\\}") and _balanced(s[2:-2])


def _balanced(s: str) -> bool:
    """Whether no bracket of ``s`` closes one outside of it; ( and [ may close each other, as in intervals."""
    depth = 0
    for character in s:
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            return False
    return depth == 0


def _depth(s: str) -> int:
    """How deeply brackets are nested."""
    depth = deepest = 0
    for character in s:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return deepest


def _signs(s: str) -> list[str]:
    """``s``, or the two values that ± stands for."""
    if "\\pm" not in s or _is_set(s):
        return [s]
    pairs = [("\\pm", "+", "-"), ("\\mp", "-", "+")]
    both = []
    for i in (1, 2):
        text = s
        for pair in pairs:
            text = text.replace(pair[0] + " ", pair[0]).replace(pair[0], pair[i])
        both.append(re.sub(r"(^|[=(\[{])\+", r"\1", text))
    return both


def exact(s: str) -> str:
    """Decimals, mixed and scientific numbers in an expression as fractions and powers, so that nothing is rounded."""
    s = re.sub(r"(?<![\d.])(\d+)\\frac\{(\d+)\}\{(\d+)\}", r"(\1+\\frac{\2}{\3})", s)
    # without a sign between them, latex2sympy adds 2(3) up as it would 2\\frac{1}{3}
    s = re.sub(r"(?<![\^_\d.])(\d+)(?=\()|(?<=\))(?=[(\d]|\\frac)", r"\1\\cdot ", s)
    s = re.sub(r"(?<=\d)[eE]([-+]?\d{1,3})(?![\d.])", r"\\cdot 10^{\1}", s)
    # latex2sympy has no symbols y' and E_0; what they are called instead doesn't matter, on both sides
    s = re.sub(r"([a-zA-Z}])('+)", lambda match: f"{match[1]}_{{{'prime' * len(match[2])}}}", s)
    s = re.sub(r"(\\[a-zA-Z]+)|E", lambda match: match[1] or "\\varrho ", s)
    return re.sub(r"(?<![\d.])(\d*\.\d+)(?![\d.])", _as_fraction, s)


def _as_fraction(match: re.Match[str]) -> str:
    value = Fraction(match[0])
    return f"\\frac{{{value.numerator}}}{{{value.denominator}}}"
