"""How numbers and polynomials are written; nothing here is shared with the grader that is judged by it."""

import random
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

import sympy

_SUPERSCRIPTS = str.maketrans("0123456789+-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻")
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def superscript(text: object) -> str:
    return str(text).translate(_SUPERSCRIPTS)


def subscript(text: object) -> str:
    return str(text).translate(_SUBSCRIPTS)


def words(n: int) -> str:
    """A number below a hundred in English."""
    if n < 20:
        return _ONES[n]
    return _TENS[n // 10 - 2] + (f"-{_ONES[n % 10]}" if n % 10 else "")


def frac(value: Fraction | int, command: str = r"\frac") -> str:
    value = Fraction(value)
    if value.denominator == 1:
        return str(value.numerator)
    return f"{'-' if value < 0 else ''}{command}{{{abs(value.numerator)}}}{{{value.denominator}}}"


def slash(value: Fraction) -> str:
    return str(Fraction(value))


def exact(value: Fraction) -> str | None:
    """The decimal that is the value, where it ends."""
    places = next((k for k in range(40) if (value * 10**k).denominator == 1), None)
    if places is None:
        return None
    digits = f"{abs(int(value * 10**places)):0{places + 1}d}"
    whole = digits[: len(digits) - places]
    return f"{'-' if value < 0 else ''}{whole}{'.' if places else ''}{digits[len(digits) - places :]}"


def rounded(value: sympy.Expr | Fraction, places: int) -> str:
    """The value rounded to a number of decimal places."""
    number = sympy.Rational(value.numerator, value.denominator) if isinstance(value, Fraction) else value
    digits = Decimal(str(sympy.N(number, places + 40)))
    return f"{digits.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN, Context(prec=places + 40)):f}"


def repeating(value: Fraction) -> str | None:
    r"""The value as a decimal with its period under \overline, where the period is short."""
    whole, rest = divmod(abs(value.numerator), value.denominator)
    digits, seen = "", {}
    while rest and rest not in seen and len(digits) < 9:
        seen[rest] = len(digits)
        digit, rest = divmod(rest * 10, value.denominator)
        digits += str(digit)
    if rest not in seen:
        return None
    return rf"{'-' if value < 0 else ''}{whole}.{digits[: seen[rest]]}\overline{{{digits[seen[rest] :]}}}"


def times(value: Fraction, symbol: str) -> str:
    """A rational number times a symbol, in one fraction."""
    top = symbol if abs(value.numerator) == 1 else f"{abs(value.numerator)}{symbol}"
    whole = top if value.denominator == 1 else rf"\frac{{{top}}}{{{value.denominator}}}"
    return f"-{whole}" if value < 0 else whole


def terms(coefs: dict[int, int], var: str, order: list[int] | None = None, power: str = "^{%s}", dot: str = "") -> str:
    """A polynomial; `power` writes an exponent and `dot` stands between a coefficient and the variable."""
    text = ""
    for exponent in order or sorted(coefs, reverse=True):
        coefficient = coefs[exponent]
        if not coefficient:
            continue
        name = var + (power % exponent if exponent > 1 else "") if exponent else ""
        size = str(abs(coefficient)) if abs(coefficient) != 1 or not name else ""
        text += ("-" if coefficient < 0 else "+") + size + (dot if size and name else "") + name
    return text.removeprefix("+") or "0"


def grouped(n: int, comma: str = ",") -> str:
    return f"{n:,}".replace(",", comma)


def shuffled(items: list, rng: random.Random) -> list:
    """The items in another order, or none where there is just one."""
    if len(items) < 2:
        return []
    order = rng.sample(items, len(items))
    return order if order != list(items) else [*items[1:], items[0]]
