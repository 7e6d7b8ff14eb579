"""Changes of a number: its digits, sign, point, exponent, parts, and what is done to it."""

import random
from fractions import Fraction

from tests.support.restatements.equal_fractions import irrational
from tests.support.restatements.golds import NUMBERS, REALS, Gold
from tests.support.restatements.latex import exact, frac, rounded, times
from tests.support.restatements.rules import different


def _text(gold: Gold, value: Fraction) -> str:
    """Another value as the gold's family writes it."""
    if gold.family == "pi":
        return times(value, r"\pi")
    if gold.family == "root":
        return times(value, rf"\sqrt{{{gold['b']}}}")
    if gold.family == "scientific":
        return rf"{exact(value / Fraction(10) ** gold['exponent'])} \times 10^{{{gold['exponent']}}}"
    return frac(value) if gold.family == "fraction" else exact(value) or frac(value)


def _value(gold: Gold) -> Fraction:
    return gold["value"] if "value" in gold.parts else gold["a"]


@different("value", *REALS)
def opposite_sign(gold: Gold, rng: random.Random) -> str | None:
    """A number other than zero isn't its opposite."""
    return _text(gold, -_value(gold)) if _value(gold) else None


@different("value", "integer", "decimal", "fraction", "root", "pi")
def neighbour(gold: Gold, rng: random.Random) -> str | None:
    """A number plus or minus a little is another number."""
    step = rng.choice([-2, -1, 1, 2])
    other = _value(gold) + step
    return _text(gold, other) if other else None


@different("value", "integer", "decimal")
def changed_digit(gold: Gold, rng: random.Random) -> str | None:
    """A number with another digit is another number."""
    at = rng.choice([k for k, c in enumerate(gold["digits"]) if c.isdigit()])
    digit = str((int(gold["digits"][at]) + rng.randint(1, 9)) % 10)
    return gold["digits"][:at] + digit + gold["digits"][at + 1 :]


@different("value", "integer")
def lost_digit(gold: Gold, rng: random.Random) -> str | None:
    """A number without one of its digits is smaller; so is every true beginning of it."""
    digits = str(int(gold["value"]))
    at = rng.randrange(len(digits))
    return digits[:at] + digits[at + 1 :] if gold["value"] > 9 else None


@different("value", "integer", "decimal")
def added_digit(gold: Gold, rng: random.Random) -> str | None:
    """A number with one more digit, which isn't a zero, is another number."""
    return gold["digits"] + str(rng.randint(1, 9))


@different("value", "integer", "decimal")
def swapped_digits(gold: Gold, rng: random.Random) -> str | None:
    """Two unlike digits in the other order make another number."""
    d = gold["digits"]
    places = [k for k in range(len(d) - 1) if d[k].isdigit() and d[k + 1].isdigit() and d[k] != d[k + 1]]
    k = rng.choice(places) if places else 0
    return d[:k] + d[k + 1] + d[k] + d[k + 2 :] if places else None


@different("value", "integer", "decimal", "money", "percent")
def moved_point(gold: Gold, rng: random.Random) -> str | None:
    """A point moved by one or three places makes another number (two places would be a percentage)."""
    sign, end = {"money": (r"\$", ""), "percent": ("", r"\%")}.get(gold.family, ("", ""))
    other = exact(gold["value"] * Fraction(10) ** rng.choice([-3, -1, 1, 3]))
    return f"{sign}{other}{end}" if gold["value"] else None


@different("value", "scientific")
def neighbouring_exponent(gold: Gold, rng: random.Random) -> str | None:
    """Another exponent of ten makes another number."""
    return rf"{gold['mantissa']} \times 10^{{{gold['exponent'] + rng.choice([-2, -1, 1, 2])}}}"


@different("value", "scientific")
def exponent_of_other_sign(gold: Gold, rng: random.Random) -> str | None:
    """A large number is not a small one."""
    return (
        rng.choice([r"%s \times 10^{%s}", "%se%s"]) % (gold["mantissa"], -gold["exponent"])
        if gold["exponent"]
        else None
    )


@different("value", "scientific")
def other_mantissa(gold: Gold, rng: random.Random) -> str | None:
    """Another mantissa makes another number."""
    mantissa = exact(Fraction(gold["mantissa"]) + Fraction(rng.choice([-3, -1, 1, 4]), 10))
    return rng.choice([r"%s \times 10^{%s}", "%se%s"]) % (mantissa, gold["exponent"])


@different("value", "scientific")
def mantissa_alone(gold: Gold, rng: random.Random) -> str | None:
    """A power of ten can't be left out."""
    return gold["mantissa"] if gold["exponent"] else None


@different("value", "scientific")
def flattened_exponent(gold: Gold, rng: random.Random) -> str | None:
    """Ten to the eighth is neither 108 nor ten times eight."""
    m, e = gold["mantissa"], gold["exponent"]
    return rng.choice([rf"{m} \times 10{e}", rf"{m} \times 10 \times {e}"]) if e > 2 else None


@different("value", "fraction")
def reciprocal(gold: Gold, rng: random.Random) -> str | None:
    """A fraction upside down is another one unless it is 1 or -1."""
    return frac(1 / gold["value"]) if gold["value"] and abs(gold["value"]) != 1 else None


@different("value", "fraction")
def other_numerator(gold: Gold, rng: random.Random) -> str | None:
    """Another numerator over the same denominator makes another fraction."""
    value = gold["value"]
    return rf"\frac{{{value.numerator + rng.choice([-2, -1, 1, 2, 10])}}}{{{value.denominator}}}"


@different("value", "fraction")
def other_denominator(gold: Gold, rng: random.Random) -> str | None:
    """Another denominator under the same numerator makes another fraction."""
    value = gold["value"]
    return rf"\frac{{{value.numerator}}}{{{value.denominator + rng.choice([1, 2, 3, 10])}}}" if value else None


@different("value", "fraction")
def parts_without_a_bar(gold: Gold, rng: random.Random) -> str | None:
    """Numerator and denominator without their bar are a list, a product or another number."""
    p, q = gold["value"].numerator, gold["value"].denominator
    return (
        rng.choice(["%s, %s", r"%s \cdot %s", "%s%s", "%s.%s", r"(%s, %s)", r"\binom{%s}{%s}"]) % (p, q)
        if p and q > 1
        else None
    )


@different("value", "fraction")
def half_a_fraction(gold: Gold, rng: random.Random) -> str | None:
    """The numerator alone isn't the fraction."""
    return str(gold["value"].numerator) if gold["value"] and gold["value"].denominator > 1 else None


@different("rounding", "fraction")
def rounded_fraction(gold: Gold, rng: random.Random) -> str | None:
    """By convention a rounded decimal isn't the fraction."""
    places = rng.choice([2, 3, 4, 6, 10])
    return rounded(gold["value"], places) if exact(gold["value"] * 10**places) is None else None


@different("rounding", "fraction")
def long_decimal_of_a_fraction(gold: Gold, rng: random.Random) -> str | None:
    """Even forty-one digits are not all of them."""
    return rounded(gold["value"], rng.choice([20, 41])) if exact(gold["value"]) is None else None


@different("rounding", "root", "pi")
def rounded_irrational(gold: Gold, rng: random.Random) -> str | None:
    """No decimal is an irrational number."""
    return rng.choice(["%s", "x = %s", r"\approx %s"]) % rounded(irrational(gold), rng.randint(1, 6))


@different("rounding", "root", "pi")
def long_decimal_of_an_irrational(gold: Gold, rng: random.Random) -> str | None:
    """Even forty-one digits are not all of them."""
    return rounded(irrational(gold), rng.choice([20, 41]))


@different("rounding", "integer", "decimal")
def almost_the_number(gold: Gold, rng: random.Random) -> str | None:
    """A number that differs far behind the point differs."""
    point = "" if "." in gold["digits"] else "."
    return gold["digits"] + point + "0" * rng.choice([5, 9, 16, 30]) + str(rng.randint(1, 9))


@different("value", "integer")
def power_of_the_value(gold: Gold, rng: random.Random) -> str | None:
    """A power, a root, a reciprocal or the factorial of a number is another number unless it is small."""
    shapes = ["%s^2", "%s^{3}", r"\sqrt{%s}", "%s!", r"\frac{1}{%s}", "1/%s", r"\log %s", r"2^{%s}", "%s^{-1}"]
    return rng.choice(shapes) % gold["digits"] if gold["value"] > 2 else None


@different("value", "fraction", "root", "pi")
def square_of_the_value(gold: Gold, rng: random.Random) -> str | None:
    """The square or the reciprocal of such a number is another number."""
    shapes = [r"\left(%s\right)^2", r"\left(%s\right)^{-1}", r"\left(%s\right)^3", r"\left(%s\right)^{1/2}"]
    return rng.choice(shapes) % gold.bare if abs(_value(gold)) not in (0, 1) or gold.family != "fraction" else None


@different("value", *NUMBERS)
def residue_class(gold: Gold, rng: random.Random) -> str | None:
    """A residue class has many members."""
    return rng.choice([r"%s \pmod{%s}", r"%s \pmod %s", r"x \equiv %s \pmod{%s}"]) % (gold.bare, rng.choice([7, 9, 13]))


@different("value", *REALS, "polynomial")
def constant_added(gold: Gold, rng: random.Random) -> str | None:
    """An unknown constant or factor makes many values of one."""
    factors = ["x", r"\epsilon"] if gold.family != "polynomial" and _value(gold) else []
    return gold.bare + rng.choice([" + C", "+c", r" + 2\pi q", *factors])


@different("value", *REALS)
def imaginary_factor(gold: Gold, rng: random.Random) -> str | None:
    """A real number times the imaginary unit isn't real unless it is zero."""
    return f"{gold.bare}{rng.choice(['i', ' i'])}" if _value(gold) else None


@different("value", "root")
def other_radicand(gold: Gold, rng: random.Random) -> str | None:
    """The roots of two numbers differ."""
    return times(gold["a"], rf"\sqrt{{{gold['b'] + rng.choice([-1, 1, 2, 10])}}}")


@different("value", "root")
def root_of_other_degree(gold: Gold, rng: random.Random) -> str | None:
    """A cube root isn't a square root."""
    return times(gold["a"], rf"\sqrt[{rng.choice([3, 4])}]{{{gold['b']}}}")


@different("value", "root")
def root_sign_lost(gold: Gold, rng: random.Random) -> str | None:
    """A number isn't its root."""
    a, b = gold["a"], gold["b"]
    return rng.choice(
        [
            frac(a * b),
            frac(a),
            rf"{frac(a)} + \sqrt{{{b}}}",
            rf"\sqrt{{{frac(abs(a) * b)}}}" if abs(a) != 1 else frac(b),
        ]
    )


@different("value", "pi")
def pi_lost(gold: Gold, rng: random.Random) -> str | None:
    """A number isn't its product with pi, nor with the square of pi."""
    a = gold["a"]
    return rng.choice([frac(a), times(a, r"\pi^2"), rf"{frac(a)} + \pi", times(a, r"\phi"), times(a, "e")])


@different("value", "root", "pi")
def other_factor(gold: Gold, rng: random.Random) -> str | None:
    """Another factor makes another number."""
    return _text(gold, gold["a"] * Fraction(rng.choice([2, 3, 5]), rng.choice([1, 7])))


@different("value", "complex")
def conjugate(gold: Gold, rng: random.Random) -> str | None:
    """The conjugate has the other imaginary part."""
    return f"{gold['re']} {'-' if gold['im'] > 0 else '+'} {_size(gold['im'])}i"


def _size(n: int) -> str:
    return str(abs(n)) if abs(n) != 1 else ""


@different("value", "complex")
def parts_swapped(gold: Gold, rng: random.Random) -> str | None:
    """Real and imaginary part have their own places unless they are the same."""
    re, im = gold["re"], gold["im"]
    return f"{im} {'+' if re > 0 else '-'} {_size(re)}i" if re != im else None


@different("value", "complex")
def imaginary_unit_lost(gold: Gold, rng: random.Random) -> str | None:
    """A complex number with an imaginary part isn't real, nor a pair."""
    re, im = gold["re"], gold["im"]
    return rng.choice(
        [f"{re} {'+' if im > 0 else '-'} {abs(im)}", f"{re}", f"{_size(im)}i", f"{re}, {im}", str(re * re + im * im)]
    )


@different("value", "complex")
def other_part(gold: Gold, rng: random.Random) -> str | None:
    """Another real or imaginary part makes another number."""
    re, im = gold["re"], gold["im"]
    if rng.random() < 0.5:
        return f"{re} {'+' if im > 0 else '-'} {abs(im) + rng.randint(1, 3)}i"
    return f"{re + rng.choice([-1, 1])} {'+' if im > 0 else '-'} {_size(im)}i"
