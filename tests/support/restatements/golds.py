"""Ground truths by family, with the parts that the rules work on."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from tests.support.restatements.units import UNITS

NUMBERS = ("integer", "fraction", "decimal", "scientific")
REALS = (*NUMBERS, "root", "pi")
VALUES = (*REALS, "complex", "angle", "percent", "money", "unit", "based")
FAMILIES = (
    *VALUES,
    *("seconds", "tuple", "tuples", "list", "interval", "ray", "union", "matrix"),
    *("polynomial", "function", "formula", "labelled", "line", "derivative", "choice", "word", "greek", "dots"),
    "expression",
)
GREEK = dict(
    zip(
        ["alpha", "beta", "gamma", "delta", "lambda", "mu", "sigma", "omega", "theta", "phi", "tau"],
        "αβγδλμσωθφτ",
        strict=True,
    )
)

_INT = r"-?\d+"
_ITEM = rf"(?:{_INT}(?:\.\d+|/\d+)?|-?\\frac\{{\d+\}}\{{\d+\}})"
_ITEMS = rf"{_ITEM}(?:, ?{_ITEM})+"


@dataclass(frozen=True)
class Gold:
    """A ground truth as the benchmark writes it, its family, and its parts (`gold["value"]`)."""

    text: str
    family: str
    parts: dict[str, Any] = field(hash=False)

    def __getitem__(self, part: str) -> Any:
        return self.parts[part]

    @property
    def bare(self) -> str:
        """The text as a response would write it, without dollar signs and a final period."""
        return bare(self.text)


def bare(text: str) -> str:
    return re.sub(r"(?<!\\)\$", "", text).strip().removesuffix(".")


def number(text: str) -> Fraction:
    """The value of an integer, a decimal or a fraction."""
    if match := re.fullmatch(r"(-?)\\[dt]?frac ?\{?(-?\d+)\}? ?\{?(\d+)\}?", text):
        return Fraction(int(match[2]), int(match[3])) * (-1 if match[1] else 1)
    return Fraction(text)


def polynomial(text: str) -> tuple[str, dict[int, int]] | None:
    """The variable and the coefficients by exponent, where the text is an expanded polynomial in one letter."""
    text = text.replace(" ", "")
    letters = set(re.findall("[a-zA-Z]", text))
    if len(letters) != 1 or letters & set("ei") or text in letters:
        return None
    term = rf"([+-]?)(\d*)(?:({letters.copy().pop()})(?:\^(?:(\d)|\{{(\d+)\}}))?)?"
    coefficients: dict[int, int] = {}
    at = 0
    while at < len(text):
        match = re.compile(term).match(text, at)
        if not match or not (match[2] or match[3]) or (at and not match[1]):
            return None
        exponent = int(match[4] or match[5] or 1) if match[3] else 0
        if exponent in coefficients:
            return None
        coefficients[exponent] = int(f"{match[1]}{match[2] or 1}")
        at = match.end()
    return letters.pop(), coefficients


def _fraction(m: re.Match) -> dict | None:
    return {"value": number(m[0])}


def _mixed(m: re.Match) -> dict | None:
    return {"value": int(m[1]) + Fraction(int(m[2]), int(m[3]))}


def _scientific(m: re.Match) -> dict | None:
    mantissa, exponent = m[1] or "1", int(m[2])
    return {"mantissa": mantissa, "exponent": exponent, "value": Fraction(mantissa) * Fraction(10) ** exponent}


def _root(m: re.Match) -> dict | None:
    coefficient = Fraction(int(f"{m[1]}{m['a'] or 1}"), int(m.groupdict().get("c") or 1))
    radicand = int(m["b"].strip("{}"))
    square = any(radicand % (k * k) == 0 for k in range(2, 40))
    return None if square else {"a": coefficient, "b": radicand}


def _pi(m: re.Match) -> dict | None:
    return {"a": Fraction(int(f"{m[1]}{m['a'] or 1}"), int(m.groupdict().get("c") or 1))}


def _complex(m: re.Match) -> dict | None:
    re_, im = int(m[1]), int(f"{m[2]}{m[3] or 1}")
    return {"re": re_, "im": im} if re_ and im else None


def _value(m: re.Match) -> dict | None:
    return {"value": Fraction(re.sub(r"[,!\\]", "", m[1])), "digits": re.sub(r"[,!\\]", "", m[1])}


def _unit(m: re.Match) -> dict | None:
    name = m[2].strip() + (m[3] or "")
    return {"value": Fraction(m[1]), "digits": m[1], "unit": UNITS[name]} if name in UNITS else None


def _split(text: str) -> list[str]:
    return [item.strip() for item in text.split(",")]


def _tuple(m: re.Match) -> dict | None:
    items = _split(m[1])
    return {"items": items, "values": [number(item) for item in items]}


def _list(m: re.Match) -> dict | None:
    parts = _tuple(m)
    assert parts
    thousands = re.fullmatch(r"-?\d{1,3}(, ?\d{3})+", m[1])
    return None if thousands or len(set(parts["values"])) < len(parts["values"]) else parts


def _tuples(m: re.Match) -> dict | None:
    tuples = [tuple(_split(t)) for t in re.findall(r"\(([^()]*)\)", m[0])]
    even = len({len(t) for t in tuples}) == 1 and len(set(tuples)) == len(tuples)
    return {"tuples": tuples} if even else None


def _interval(m: re.Match) -> dict | None:
    a, b = number(m[2]), number(m[3])
    return {"left": m[1], "a": m[2], "b": m[3], "right": m[4], "ends": (a, b)} if a < b else None


def _ray(m: re.Match) -> dict | None:
    up = m[2] is not None
    closed = m[1] == "[" if up else m[4] == "]"
    return {"up": up, "closed": closed, "a": m[2] if up else m[3], "value": number(m[2] if up else m[3])}


def _union(m: re.Match) -> dict | None:
    """Two rays outward (`outward`), or two intervals that touch in a point (`touching`)."""
    if m["a"] == r"-\infty" and m["d"] == r"\infty":
        return {"sort": "outward", **m.groupdict()} if number(m["b"]) < number(m["c"]) else None
    touching = r"\infty" not in (m["a"] + m["d"]) and m["q"] + m["r"] == ")(" and m["b"] == m["c"]
    rising = touching and number(m["a"]) < number(m["b"]) < number(m["d"])
    return {"sort": "touching", **m.groupdict()} if rising else None


def _matrix(m: re.Match) -> dict | None:
    rows = [[entry.strip() for entry in row.split("&")] for row in m[1].split(r"\\")]
    if not all(re.fullmatch(_ITEM, entry) for row in rows for entry in row) or len({len(row) for row in rows}) > 1:
        return None
    return {"rows": rows, "values": [[number(entry) for entry in row] for row in rows]}


def _polynomial(m: re.Match) -> dict | None:
    read = polynomial(m[0])
    return {"var": read[0], "coefs": read[1]} if read else None


def _function(m: re.Match) -> dict | None:
    if re.fullmatch(rf"{_INT}|{m[2]}", m[3]):
        return {"name": m[1], "var": m[2], "coefs": {1: 1} if m[3] == m[2] else {0: int(m[3])}}
    read = polynomial(m[3])
    return {"name": m[1], "var": m[2], "coefs": read[1]} if read and read[0] == m[2] else None


def _formula(m: re.Match) -> dict | None:
    read = polynomial(m[2])
    return {"label": m[1], "var": read[0], "coefs": read[1]} if read and read[0] != m[1] else None


def _line(m: re.Match) -> dict | None:
    read = polynomial(m[1])
    return {"m": read[1][1], "b": read[1].get(0, 0)} if read and read[0] == "x" and max(read[1]) == 1 else None


def _named(*names: str) -> Callable[[re.Match], dict | None]:
    return lambda m: dict(zip(names, m.groups(), strict=True))


_LEFT, _RIGHT = r"(?:\\left)?", r"(?:\\right)?"
_END = rf"{_ITEM}|-?\\infty"
_READERS = [
    ("integer", r"([+-]?\d+|\d{1,3}(?:,\\!\d{3})+)", _value),
    ("decimal", r"(-?\d+\.\d+)", _value),
    ("fraction", r"-?\\[dt]?frac\{-?\d+\}\{\d+\}|-?\\frac ?\d\d|-?\d+/\d+", _fraction),
    ("fraction", r"(\d+) ?\\frac\{(\d+)\}\{(\d+)\}", _mixed),
    ("scientific", r"(\d+(?:\.\d+)?) ?\\times 10\^\{?(-?\d+)\}?", _scientific),
    ("scientific", r"(\d+(?:\.\d+)?)e(-?\d+)", _scientific),
    ("scientific", r"()10\^\{?(-?\d+)\}?", _scientific),
    ("root", r"(-?)(?P<a>\d*) ?\\sqrt(?P<b>\d|\{\d+\})", _root),
    ("root", r"(-?)\\frac\{(?P<a>\d*) ?\\sqrt(?P<b>\{\d+\})\}\{(?P<c>\d+)\}", _root),
    ("pi", r"(-?)(?P<a>\d*) ?\\pi", _pi),
    ("pi", r"(-?)\\d?frac\{(?P<a>\d*) ?\\pi\}\{(?P<c>\d+)\}", _pi),
    ("complex", r"(-?\d+) ?([+-]) ?(\d*)i", _complex),
    ("angle", r"(\d+)\^\{?\\circ\}?", _value),
    ("seconds", r"(\d+\.\d+)\^\{\\prime \\prime\}", _value),
    ("percent", r"(\d+(?:\.\d+)?) ?\\?%", _value),
    ("money", r"\\\$(\d+(?:\.\d\d)?|\d{1,3}(?:,\\!\d{3})+)", _value),
    ("unit", r"(\d+(?:\.\d+)?) ?\\(?:mbox|text)\{ ?([a-z]+)\}(\^\d)?", _unit),
    ("based", r"(\d+)_\{?(\d)\}?", _named("digits", "base")),
    ("tuple", rf"{_LEFT}\( ?({_ITEMS}) ?{_RIGHT}\)", _tuple),
    ("list", rf"({_ITEMS})", _list),
    ("list", rf"\\\{{({_ITEMS})\\\}}", _list),
    ("tuples", rf"\({_ITEMS}\)(?:, ?\({_ITEMS}\))+", _tuples),
    ("interval", rf"{_LEFT}(\[) ?({_ITEM}), ?({_ITEM}) ?{_RIGHT}([\])])", _interval),
    ("interval", rf"{_LEFT}(\() ?({_ITEM}), ?({_ITEM}) ?{_RIGHT}(\])", _interval),
    ("ray", rf"([\[(])(?:({_ITEM}), ?\\infty|-\\infty, ?({_ITEM}))([\])])", _ray),
    ("union", rf"(?P<p>[(\[])(?P<a>{_END}), ?(?P<b>{_END})(?P<q>[)\]]) ?\\cup ?"
              rf"(?P<r>[(\[])(?P<c>{_END}), ?(?P<d>{_END})(?P<s>[)\]])", _union),
    ("matrix", r"\\begin\{pmatrix\}(.*)\\end\{pmatrix\}", _matrix),
    ("polynomial", r"[a-zA-Z0-9^{} +-]+", _polynomial),
    ("function", r"([a-zA-Z])\(([a-z])\) ?= ?(.+)", _function),
    ("labelled", rf"([a-zA-Z]) ?= ?({_ITEM})", _named("label", "number")),
    ("line", r"y ?= ?(.+)", _line),
    ("formula", r"([a-zA-Z]) ?= ?(.+)", _formula),
    ("derivative", r"\\frac\{d([a-z])\}\{d([a-z])\} = ([a-z])\1 ([+-]) ([a-z])", _named("x", "t", "k", "sign", "a")),
    ("choice", r"\\text\{\(([A-E])\)\}", _named("letter")),
    ("word", r"\\text\{([A-Za-z]{3,})\}", _named("word")),
    ("greek", rf"\\({'|'.join(GREEK)})", _named("letter")),
    ("dots", r"(\d+), (\d+), \\ldots, ?([a-z])", _named("first", "second", "last")),
]  # fmt: skip


def classify(text: str) -> Gold:
    for family, pattern, parts in _READERS:
        match = re.fullmatch(pattern, bare(text))
        if match and (read := parts(match)) is not None:
            return Gold(text, family, read)
    return Gold(text, "expression", {})


def read_golds(truths: Iterable[object]) -> list[Gold]:
    """The golds of ground truths as the benchmarks hold them.

    Left out: those whose alternatives differ in more than spaces and braces (a change could hit the other one), those
    with an odd number of dollar signs, and those with a sentence.
    """
    golds = {}
    for truth in truths:
        texts = [str(t) for t in (truth if isinstance(truth, list) else [truth])]
        one = len({re.sub(r"[\s{}]", "", text) for text in texts}) == 1
        sentence = re.search(r"(?<![\\{a-z])[a-z]{4,}(?![a-z{(])", re.sub(r"\\text\{[^}]*\}|\\begin.*", "", texts[0]))
        if one and not sentence and len(re.findall(r"(?<!\\)\$", texts[0])) % 2 == 0:
            golds[texts[0]] = classify(texts[0])
    return list(golds.values())
