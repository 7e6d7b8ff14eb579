"""Made-up golds in the style of the benchmarks' own, so that each rule has enough of them."""

import random
from collections.abc import Callable
from fractions import Fraction
from math import gcd

from tests.support.restatements.golds import GREEK, Gold, classify
from tests.support.restatements.latex import frac, grouped, terms

_FREE = [b for b in range(2, 150) if all(b % (k * k) for k in range(2, 13))]
_WORDS = [
    "east",
    "west",
    "north",
    "south",
    "even",
    "odd",
    "ellipse",
    "hyperbola",
    "parabola",
    "circle",
    "triangle",
    "increasing",
    "decreasing",
    "linear",
    "quadratic",
    "Navin",
    "Evelyn",
    "Monday",
    "Friday",
    "Saturday",
    "Alice",
    "Robert",
    "Michael",
    "blue",
    "green",
    "square",
    "rectangle",
    "acute",
    "obtuse",
    "convex",
]


def _integer(rng: random.Random) -> str:
    n = rng.choice([
        *(rng.randint(1, 99), rng.randint(100, 999), rng.randint(1000, 99999), -rng.randint(2, 500)),
        *(rng.randint(1, 90) * 10 ** rng.choice([3, 6]), 12 * rng.randint(2, 40), rng.randint(2, 12) ** 3),
    ])  # fmt: skip
    return str(n) if n < 10000 or rng.random() < 0.7 else grouped(n, r",\!")


def _rational(rng: random.Random, low: int = 2, high: int = 60) -> Fraction:
    while True:
        q = rng.choice([2, 3, 4, 5, 6, 8, 9, rng.randint(low, high)])
        p = rng.randint(1, 3 * q)
        if gcd(p, q) == 1:
            return Fraction(p * rng.choice([1, 1, -1]), q)


def _scientific(rng: random.Random) -> str:
    mantissa = rng.choice([f"{rng.randint(11, 99) / 10}", f"{rng.randint(101, 999) / 100}", str(rng.randint(2, 9))])
    return rf"{mantissa} \times 10^{{{rng.choice([-1, 1]) * rng.randint(3, 20)}}}"


def _coefficient(rng: random.Random) -> str:
    return rng.choice(["", "2", "3", "5", str(rng.randint(4, 30)), str(rng.randint(1000, 9999))])


def _over(top: str, rng: random.Random) -> str:
    sign = rng.choice(["", "", "-"])
    number = int("".join(c for c in top.split("\\")[0] if c.isdigit()) or 1)
    below = [c for c in (2, 3, 4, 5, 6, 8) if gcd(number, c) == 1]
    return f"{sign}{top}" if rng.random() < 0.5 or not below else rf"{sign}\frac{{{top}}}{{{rng.choice(below)}}}"


def _root(rng: random.Random) -> str:
    return _over(rf"{_coefficient(rng)}\sqrt{{{rng.choice(_FREE)}}}", rng)


def _item(rng: random.Random) -> str:
    return str(rng.randint(-30, 30)) if rng.random() < 0.7 else frac(_rational(rng, 2, 9))


def _items(rng: random.Random, low: int = 2, high: int = 4) -> str:
    return ", ".join(_item(rng) for _ in range(rng.randint(low, high)))


def _ends(rng: random.Random, count: int) -> list[str]:
    return [str(n) for n in sorted(rng.sample(range(-20, 60), count))]


def _interval(rng: random.Random) -> str:
    a, b = _ends(rng, 2)
    return rng.choice(["[%s,%s]", "[%s, %s)", "(%s,%s]"]) % (a, b)


def _ray(rng: random.Random) -> str:
    return rng.choice([r"(%s,\infty)", r"[%s,\infty)", r"(-\infty, %s)", r"(-\infty,%s]"]) % _item(rng)


def _union(rng: random.Random) -> str:
    a, b, c = _ends(rng, 3)
    if rng.random() < 0.5:
        return rng.choice([r"(-\infty, %s) \cup (%s, \infty)", r"(-\infty,%s] \cup [%s,\infty)"]) % (a, b)
    return rf"({a},{b}) \cup ({b},{c})"


def _matrix(rng: random.Random) -> str:
    rows, columns = rng.choice([(2, 2), (3, 1), (3, 3), (2, 3)])
    body = r" \\ ".join(" & ".join(str(rng.randint(-20, 20)) for _ in range(columns)) for _ in range(rows))
    return rf"\begin{{pmatrix}} {body} \end{{pmatrix}}"


def _polynomial(rng: random.Random, var: str | None = None) -> str:
    exponents = rng.sample(range(4), rng.randint(2, 3))
    return terms(
        {e: rng.choice([-1, 1]) * rng.choice([1, 1, rng.randint(2, 9)]) for e in exponents}, var or rng.choice("xnkt")
    )


def _tuples(rng: random.Random) -> str:
    size = rng.choice([2, 3])
    return ",".join(f"({','.join(str(rng.randint(-9, 20)) for _ in range(size))})" for _ in range(rng.randint(2, 4)))


def _based(rng: random.Random) -> str:
    base = rng.randint(4, 9)
    digits = str(rng.randint(1, base - 1)) + "".join(str(rng.randint(0, base - 1)) for _ in range(rng.randint(1, 3)))
    return rng.choice([f"{digits}_{base}", f"{digits}_{{{base}}}"])


def _labelled(rng: random.Random) -> str:
    return f"{rng.choice('kxnmN')}={_item(rng)}"


def _formula(rng: random.Random) -> str:
    return f"{rng.choice('MNmd')}={_polynomial(rng, rng.choice('nk'))}"


def _line(rng: random.Random) -> str:
    slope, intercept = rng.choice([-5, -3, -2, 2, 3, 4, 7]), rng.choice([-9, -4, -1, 1, 3, 5, 8])
    return f"y = {slope}x {'+' if intercept > 0 else '-'} {abs(intercept)}"


def _equation_of_motion(rng: random.Random) -> str:
    x = rng.choice("xyz")
    return rf"\frac{{d{x}}}{{dt}} = {rng.choice('krm')}{x} {rng.choice('+-')} {rng.choice('abc')}"


def _unit(rng: random.Random) -> str:
    unit = rng.choice(
        [r"\mbox{ cm}^2", r"\text{ cents}", r"\text{ m}", r"\text{ hours}", r"\text{ kg}", r"\text{ in}^2"]
    )
    return f"{rng.choice([str(rng.randint(2, 900)), f'{rng.randint(11, 99)}.5'])} {unit}"


def _money(rng: random.Random) -> str:
    large = grouped(rng.randint(1000, 99999), r",\!")
    amount = rng.choice([str(rng.randint(2, 999)), f"{rng.randint(2, 99)}.{rng.randint(10, 99)}", large])
    return rf"\${amount}"


def _decimal(rng: random.Random) -> str:
    small, negative = f"0.{rng.randint(1, 99):03d}", f"-{rng.randint(1, 99)}.{rng.randint(11, 99)}"
    return rng.choice([f"{rng.randint(1, 999) / 10}", small, negative])


def _complex(rng: random.Random) -> str:
    return f"{rng.choice([-12, -7, -3, 2, 4, 9, 16])} {rng.choice('+-')} {rng.choice(['', *'2357', '11'])}i"


def _percent(rng: random.Random) -> str:
    return rng.choice([rf"{rng.randint(1, 99)}\%", f"{rng.randint(1, 99)}.5%"])


MAKERS: dict[str, Callable[[random.Random], str]] = {
    "integer": _integer,
    "fraction": lambda rng: frac(_rational(rng)),
    "decimal": _decimal,
    "scientific": _scientific,
    "root": _root,
    "pi": lambda rng: _over(rf"{_coefficient(rng)}\pi", rng),
    "complex": _complex,
    "angle": lambda rng: rf"{rng.randint(1, 179)}^\circ",
    "seconds": lambda rng: rf"{rng.randint(1, 99) / 1000}^{{\prime \prime}}",
    "percent": _percent,
    "money": _money,
    "unit": _unit,
    "based": _based,
    "tuple": lambda rng: f"({_items(rng)})",
    "tuples": _tuples,
    "list": _items,
    "interval": _interval,
    "ray": _ray,
    "union": _union,
    "matrix": _matrix,
    "polynomial": _polynomial,
    "function": lambda rng: f"{rng.choice('fgp')}(x)={_polynomial(rng, 'x')}",
    "formula": _formula,
    "labelled": _labelled,
    "line": _line,
    "derivative": _equation_of_motion,
    "choice": lambda rng: rf"\text{{({rng.choice('ABCDE')})}}",
    "word": lambda rng: rf"\text{{{rng.choice(_WORDS)}}}",
    "greek": lambda rng: "\\" + rng.choice(list(GREEK)),
    "dots": lambda rng: rng.choice([r"1, 2, \ldots, %s", r"2, 3, \ldots, %s", r"0, 1, \ldots, %s"]) % rng.choice("nkm"),
}  # fmt: skip


def synthetic(family: str, rng: random.Random) -> Gold:
    """A random gold of a family; it is read as a real one is."""
    while True:
        gold = classify(MAKERS[family](rng))
        if gold.family == family:
            return gold
