"""Whether two expressions have one value: exactly where both are rational, else at fixed points to fifty digits.

Everything here is bounded: numbers by their bits, precision by the digits of the expressions, so that an expression of
a thousand characters takes milliseconds. What exceeds the bounds is undecided.
"""

from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from math import comb, factorial, gcd, lcm
from typing import Any
from zlib import crc32

from real.grading.trees import Tree, has, names, parts

# where expressions are compared: fractions of 97; of both signs where an absolute value may tell them apart; integers
# for floors, factorials and binomials, among them powers, squares and all remainders of small divisors
POSITIVE = ((131, 59, 83, 149), (71, 113, 41, 67))
SIGNED = ((-103, 37, -61, -89), (53, -127, 109, -47))
INTEGERS = ((8, 4, 3, 2), (15, 9, 6, 5), (10, 7, 5, 3), (16, 3, 2, 9), (9, 8, 7, 4), (25, 6, 12, 7), (7, 5, 4, 11))

DIGITS = 50
MAX_BITS = 20_000
MAX_FACTORIAL = 2_000
_WHOLE = frozenset(("floor", "ceil", "factorial", "binom", "gcd", "lcm"))
_SIGNED = frozenset(("abs", "sign", "sgn", "max", "min"))


class UndecidedError(Exception):
    """A value beyond the bounds, or none."""


def same_value(left: Tree, right: Tree) -> bool:
    """Whether two expressions have one value wherever they are defined.

    Variables are positive, as most that stand for quantities are: √(r²) is r. Where an absolute value or a sign occurs
    they are of both signs.

    Raises:
        UndecidedError: a side has no value at any point, or one beyond the bounds.
    """
    agreed = 0
    for point in points(left, right):
        verdict = _agree(left, right, point)
        if verdict is False:
            return False
        agreed += verdict is True
    if not agreed:
        raise UndecidedError
    return True


def points(*trees: Tree) -> list[dict[str, Fraction]]:
    """Values of all names where trees are compared."""
    found = sorted(frozenset().union(*map(names, trees)))
    if not found:
        return [{}]
    whole = any(has(tree, lambda part: part[0] == "call" and part[1] in _WHOLE) for tree in trees)
    signed = any(has(tree, lambda part: part[0] == "call" and part[1] in _SIGNED) for tree in trees)
    rows = INTEGERS if whole else POSITIVE + (SIGNED if signed else ())
    # more names than numbers: the row goes on, shifted, so that no two are equal
    return [
        {name: (Fraction(row[i % 4]) if whole else Fraction(row[i % 4], 97)) + i // 4 for i, name in enumerate(found)}
        for row in rows
    ]


def _agree(left: Tree, right: Tree, point: Mapping[str, Fraction]) -> bool | None:
    """Whether the sides agree at a point; None: one has no value there."""
    import mpmath

    digits = DIGITS + max(_digits(left), _digits(right))
    try:
        with mpmath.workdps(digits):
            values = value(left, point), value(right, point)
            largest = max(map(abs, values))
            if largest > mpmath.mpf(10) ** 20:  # so that 2^1009 differs from 2^1009+1
                more = int(mpmath.log10(largest)) + 1
                if more > MAX_BITS // 3:
                    raise UndecidedError
                with mpmath.workdps(digits + more):
                    values = value(left, point), value(right, point)
                    return bool(abs(values[0] - values[1]) <= mpmath.mpf(10) ** (10 - digits))
            return bool(abs(values[0] - values[1]) <= largest * mpmath.mpf(10) ** (10 - digits))
    except (ZeroDivisionError, ValueError, OverflowError, mpmath.libmp.NoConvergence, UndecidedError):
        return None


@lru_cache(maxsize=1024)
def _digits(tree: Tree) -> int:
    """Decimal digits of the longest number in a tree."""
    if tree[0] == "num":
        return max(tree[1].numerator.bit_length(), tree[1].denominator.bit_length()) // 3
    return max((_digits(part) for part in parts(tree)), default=0)


@lru_cache(maxsize=1024)
def rational(tree: Tree) -> Fraction | None:
    """The exact value of a tree of rational numbers, None where it has none or takes more than MAX_BITS."""
    match tree:
        case ("num", value):
            return value
        case ("add", terms):
            return _folded(terms, lambda a, b: a + b)
        case ("mul", factors):
            return _folded(factors, lambda a, b: a * b)
        case ("pow", base, exponent):
            below, above = rational(base), rational(exponent)
            return None if below is None or above is None else _power(below, above)
        case ("deg", inside):
            return rational(inside)
        case ("call", name, arguments):
            values = [rational(argument) for argument in arguments]
            return None if None in values else _called(name, [value for value in values if value is not None])
    return None


def _folded(trees: tuple[Tree, ...], step: Any) -> Fraction | None:
    total: Fraction | None = None
    for tree in trees:
        value = rational(tree)
        if value is None:
            return None
        total = value if total is None else step(total, value)
        if _bits(total) > MAX_BITS:
            return None
    return total


def _bits(value: Fraction) -> int:
    return value.numerator.bit_length() + value.denominator.bit_length()


def _power(base: Fraction, exponent: Fraction) -> Fraction | None:
    if base == 0 and exponent <= 0:
        return None
    if exponent.denominator == 1:
        return base ** int(exponent) if _bits(base) * abs(exponent) <= MAX_BITS else None
    # the root of a perfect power
    roots = [_root(abs(part), exponent.denominator) for part in (base.numerator, base.denominator)]
    if base < 0 or None in roots:
        return None
    return _power(Fraction(roots[0] or 0, roots[1] or 1), Fraction(exponent.numerator))


def _root(number: int, degree: int) -> int | None:
    """The integer whose power a number is."""
    if degree > 64 or number.bit_length() > MAX_BITS:
        return None
    low, high = 0, 1 << (number.bit_length() // degree + 1)
    while low < high:
        middle = (low + high) // 2
        if middle**degree < number:
            low = middle + 1
        else:
            high = middle
    return low if low**degree == number else None


def _called(name: str, arguments: list[Fraction]) -> Fraction | None:
    first = arguments[0]
    whole = all(argument.denominator == 1 and abs(argument) <= MAX_FACTORIAL for argument in arguments)
    if len(arguments) == 1:
        if name == "abs":
            return abs(first)
        if name in ("floor", "ceil"):
            return Fraction(first // 1 if name == "floor" else -(-first // 1))
        if name == "factorial" and whole and first >= 0:
            return Fraction(factorial(int(first)))
    if name in ("max", "min"):
        return max(arguments) if name == "max" else min(arguments)
    if name in ("gcd", "lcm") and whole:
        return Fraction((gcd if name == "gcd" else lcm)(*map(int, arguments)))
    if name == "binom" and len(arguments) == 2 and whole and 0 <= arguments[1] <= first:
        return Fraction(comb(int(first), int(arguments[1])))
    return None


def value(tree: Tree, point: Mapping[str, Fraction]) -> Any:
    """The value of a tree at a point, as an mpmath number of the current precision.

    Raises:
        UndecidedError, ZeroDivisionError, ValueError, OverflowError: it has none, or one beyond the bounds.
    """
    import mpmath

    match tree:
        case ("num", number):
            return _real(number)
        case ("name", name):
            return _real(point[name])
        case ("const", "inf"):
            raise UndecidedError
        case ("const", constant):
            return {"pi": mpmath.pi, "e": mpmath.e, "i": mpmath.mpc(0, 1)}[constant] * mpmath.mpf(1)
        case ("add", terms):
            return mpmath.fsum(value(term, point) for term in terms)
        case ("mul", factors):
            return mpmath.fprod(value(factor, point) for factor in factors)
        case ("pow", base, exponent):
            return _raised(value(base, point), value(exponent, point))
        case ("deg", inside):
            return value(inside, point)
        case ("apply", name, arguments):
            return _arbitrary(name, [value(argument, point) for argument in arguments])
        case ("call", name, arguments):
            return _function(name, arguments, point)
    raise UndecidedError


def _raised(base: Any, exponent: Any) -> Any:
    import mpmath

    if base == 0:
        if not (mpmath.im(exponent) == 0 and exponent > 0):
            raise UndecidedError
        return mpmath.mpf(0)
    if exponent == mpmath.mpf(1) / 3 and mpmath.im(base) == 0 and base < 0:
        return -mpmath.cbrt(-base)  # ∛-8 is -2
    if abs(exponent) * (abs(mpmath.log(abs(base), 2)) + 5) > MAX_BITS:
        raise UndecidedError
    return mpmath.power(base, exponent)


def _arbitrary(name: str, arguments: list[Any]) -> Any:
    """An unknown function: one that obeys no law, the same wherever its name occurs."""
    import mpmath

    seed = mpmath.mpf(crc32(name.encode()) % 997 + 3) / 331
    return seed + mpmath.fsum(mpmath.cos(seed * (at + 2) * one + at) for at, one in enumerate(arguments, 1))


def _function(name: str, arguments: tuple[Tree, ...], point: Mapping[str, Fraction]) -> Any:
    import mpmath

    exact = [rational(argument) for argument in arguments]
    if name in _WHOLE and None not in exact:
        found = _called(name, [one for one in exact if one is not None])
        if found is None:
            raise UndecidedError
        return _real(found)
    values = [_angle(name, argument, value(argument, point)) for argument in arguments]
    if any(abs(one) > 10**4 for one in values) and name not in (
        "abs",
        "max",
        "min",
        "log",
        "ln",
        "lg",
        "floor",
        "ceil",
    ):
        raise UndecidedError
    first = values[0]
    simple = {
        "ln": mpmath.log, "exp": mpmath.exp, "abs": abs, "factorial": mpmath.factorial, "binom": mpmath.binomial,
        "floor": mpmath.floor, "ceil": mpmath.ceil, "max": max, "min": min, "arcsin": mpmath.asin,
        "arccos": mpmath.acos, "arctan": mpmath.atan, "arccot": mpmath.acot, "sgn": mpmath.sign, "sign": mpmath.sign,
        "Re": mpmath.re, "Im": mpmath.im, "arg": mpmath.arg, "lg": mpmath.log10, "log": _logarithm,
    }  # fmt: skip
    if name in ("floor", "ceil"):
        return _rounded(simple[name], first)
    if name in ("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "coth"):
        return getattr(mpmath, name)(first)
    if name not in simple:
        raise UndecidedError
    return simple[name](*values)


def _logarithm(number: Any, base: Any = 10) -> Any:
    import mpmath

    return mpmath.log(number, base)


def _rounded(function: Any, number: Any) -> Any:
    """Floor or ceiling; what is an integer but for rounding is that integer."""
    import mpmath

    nearest = mpmath.nint(mpmath.re(number))
    return nearest if abs(number - nearest) < mpmath.mpf(10) ** (5 - DIGITS) * (1 + abs(nearest)) else function(number)


def _angle(function: str, argument: Tree, found: Any) -> Any:
    """Degrees as radians where a trigonometric function takes them."""
    import mpmath

    in_degrees = has(argument, lambda part: part[0] == "deg")
    return found * mpmath.pi / 180 if in_degrees and function in ("sin", "cos", "tan", "cot", "sec", "csc") else found


def approximates(number: Fraction, tree: Tree, unit: Fraction) -> bool:
    """Whether a number is the value of a tree without names, rounded to a multiple of ``unit`` or cut off there."""
    import mpmath

    try:
        with mpmath.workdps(DIGITS + _digits(("num", number))):
            exact, ulp, found = value(tree, {}), _real(unit), _real(number)
            if mpmath.im(exact) != 0:
                return False
            rounded = abs(exact - found) <= ulp / 2
            return bool(rounded or (exact * found >= 0 and 0 <= abs(exact) - abs(found) < ulp))
    except (ZeroDivisionError, ValueError, OverflowError, UndecidedError):
        return False


def _real(number: Fraction) -> Any:
    import mpmath

    return mpmath.mpf(number.numerator) / number.denominator


def factor(left: Tree, right: Tree) -> Any:
    """The number that ``right`` is times ``left`` at every point; None: there is no such number.

    Raises:
        UndecidedError: they have values at no point.
    """
    import mpmath

    found = []
    with mpmath.workdps(DIGITS):
        for point in points(left, right) + points(("add", (left, ("call", "abs", (right,))))):
            try:
                one, other = value(left, point), value(right, point)
                if mpmath.im(one) or mpmath.im(other) or one == 0:
                    continue
                found.append(other / one)
            except (ZeroDivisionError, ValueError, OverflowError, UndecidedError):
                continue
        if len(found) < 2:
            raise UndecidedError
        same = all(abs(ratio - found[0]) <= abs(found[0]) * mpmath.mpf(10) ** (10 - DIGITS) for ratio in found)
        return found[0] if same and found[0] != 0 else None
