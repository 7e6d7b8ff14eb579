"""Rewrites of fractions, roots, multiples of pi and complex numbers that keep the value."""

import random
from fractions import Fraction

import sympy

from tests.support.restatements.golds import Gold
from tests.support.restatements.latex import exact, frac, repeating, rounded, slash, times
from tests.support.restatements.rules import equal

_VULGAR = dict(
    zip(
        ["1/2", "1/3", "2/3", "1/4", "3/4", "1/5", "2/5", "3/5", "4/5", "1/6", "5/6", "1/8", "3/8", "5/8", "7/8"],
        "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞",
        strict=True,
    )
)


def _sign(value: Fraction) -> str:
    return "-" if value < 0 else ""


def irrational(gold: Gold) -> sympy.Expr:
    """The value of a root or of a multiple of pi."""
    a = sympy.Rational(gold["a"].numerator, gold["a"].denominator)
    return a * (sympy.pi if gold.family == "pi" else sympy.sqrt(gold["b"]))


@equal("fn-plain-ascii-mathematics", "fraction")
def slash_fraction(gold: Gold, rng: random.Random) -> str | None:
    """A slash divides as a bar does."""
    return rng.choice([slash(gold["value"]), slash(gold["value"]).replace("/", " / ")])


@equal("value", "fraction")
def unreduced_fraction(gold: Gold, rng: random.Random) -> str | None:
    """A fraction need not be in lowest terms."""
    value, k = gold["value"], rng.randint(2, 12)
    return rng.choice([r"\frac{%s}{%s}", "%s/%s"]) % (value.numerator * k, value.denominator * k)


@equal("value", "fraction")
def sign_of_a_fraction(gold: Gold, rng: random.Random) -> str | None:
    """A minus may stand before a fraction, over its bar or under it."""
    p, q = abs(gold["value"].numerator), gold["value"].denominator
    return (
        rng.choice([r"\frac{-%s}{%s}", r"\frac{%s}{-%s}", r"-\frac{%s}{%s}", "(-%s)/%s"]) % (p, q)
        if gold["value"] < 0
        else None
    )


@equal("value", "fraction")
def mixed_number(gold: Gold, rng: random.Random) -> str | None:
    """An improper fraction may be written as a mixed number."""
    whole, rest = divmod(abs(gold["value"].numerator), gold["value"].denominator)
    return rf"{_sign(gold['value'])}{whole}\frac{{{rest}}}{{{gold['value'].denominator}}}" if whole and rest else None


@equal("value", "fraction")
def exact_decimal(gold: Gold, rng: random.Random) -> str | None:
    """A fraction that ends as a decimal is that decimal."""
    text = exact(gold["value"])
    if not text or "." not in text:
        return text
    no_zero = text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text
    return rng.choice([text, f"{text}0", no_zero])


@equal("fn-repeating-decimal", "fraction")
def repeating_decimal(gold: Gold, rng: random.Random) -> str | None:
    """A line over the period makes a decimal exact."""
    return repeating(gold["value"])


@equal("fn-repeating-decimal", "fraction")
def repeating_percentage(gold: Gold, rng: random.Random) -> str | None:
    """A percentage with a period is an exact hundredth part."""
    text = repeating(gold["value"] * 100)
    return text and rf"{text}\%"


@equal("value", "fraction", "decimal")
def percentage_of_a_fraction(gold: Gold, rng: random.Random) -> str | None:
    """A percentage is a number of hundredths."""
    text = exact(gold["value"] * 100)
    return (
        rng.choice([r"%s\%%", "%s%%", r"%s\,\%%", r"%s \text{ percent}"]) % text
        if text and abs(gold["value"]) < 1
        else None
    )


@equal("fn-fraction-shorthand", "fraction")
def fraction_shorthand(gold: Gold, rng: random.Random) -> str | None:
    r"""\frac takes one character each where there are no braces."""
    p, q = abs(gold["value"].numerator), gold["value"].denominator
    shapes = [r"\frac{%s}%s"] * (q < 10) + [r"\frac%s{%s}"] * (p < 10)
    shapes += [r"\frac%s%s", r"\frac %s %s", r"\frac %s%s", r"\dfrac%s%s"] * (p < 10 and q < 10)
    return _sign(gold["value"]) + rng.choice(shapes) % (p, q) if shapes else None


@equal("fn-unicode", "fraction")
def vulgar_fraction(gold: Gold, rng: random.Random) -> str | None:
    """Unicode has characters for the commonest fractions."""
    whole, rest = divmod(abs(gold["value"]), 1)
    return f"{_sign(gold['value'])}{whole or ''}{_VULGAR[str(rest)]}" if str(rest) in _VULGAR else None


@equal("typography", "fraction")
def tex_over(gold: Gold, rng: random.Random) -> str | None:
    r"""TeX's own \over makes a fraction."""
    return rf"{_sign(gold['value'])}{{{abs(gold['value'].numerator)} \over {gold['value'].denominator}}}"


@equal("value", "fraction")
def sum_of_fractions(gold: Gold, rng: random.Random) -> str | None:
    """A sum of fractions has the value it works out to."""
    part = Fraction(rng.randint(1, 5), rng.choice([2, 3, 4, 5, gold["value"].denominator]))
    rest = gold["value"] - part
    return (
        rng.choice([f"{frac(rest)} + {frac(part)}", f"{frac(gold['value'] + part)} - {frac(part)}"]) if rest else None
    )


@equal("value", "fraction")
def product_of_fractions(gold: Gold, rng: random.Random) -> str | None:
    """A product of fractions has the value it works out to."""
    part = Fraction(rng.randint(1, 5), rng.choice([2, 3, 5, 7]))
    dot = rng.choice([r"\cdot", r"\times"])
    return f"{frac(gold['value'] / part)} {dot} {frac(part)}"


@equal("value", "decimal")
def fraction_of_a_decimal(gold: Gold, rng: random.Random) -> str | None:
    """A decimal is a fraction of a power of ten."""
    value = gold["value"]
    places = len(gold["digits"].partition(".")[2])
    return rng.choice([frac(value), rf"\frac{{{int(value * 10**places)}}}{{{10**places}}}"])


@equal("typography", "decimal")
def no_zero_before_the_point(gold: Gold, rng: random.Random) -> str | None:
    """The zero before a decimal point may be left out."""
    return gold["digits"].replace("0.", ".", 1) if gold["digits"].lstrip("-").startswith("0.") else None


@equal("fn-unicode", "root")
def unicode_root(gold: Gold, rng: random.Random) -> str | None:
    """Unicode has a root sign."""
    p, q = abs(gold["a"].numerator), gold["a"].denominator
    text = f"{p if p > 1 else ''}√{gold['b']}"
    return f"{_sign(gold['a'])}({text})/{q}" if q > 1 else f"{_sign(gold['a'])}{text}"


@equal("fn-plain-ascii-mathematics", "root")
def ascii_root(gold: Gold, rng: random.Random) -> str | None:
    """Keyboards write a root as a function or as a power."""
    p, q = abs(gold["a"].numerator), gold["a"].denominator
    name = rng.choice(["sqrt(%s)", "%s^(1/2)", "%s**(1/2)", "%s^0.5"]) % gold["b"]
    return f"{_sign(gold['a'])}{f'{p}*' if p > 1 else ''}{name}{f'/{q}' if q > 1 else ''}"


@equal("value", "root")
def root_as_a_power(gold: Gold, rng: random.Random) -> str | None:
    """A square root is the power one half."""
    half = rng.choice(["1/2", r"\frac{1}{2}", r"\frac12"])
    power = f"{gold['b']}^{{{half}}}"
    return power if gold["a"] == 1 else rf"{frac(gold['a'])} \cdot {power}"


@equal("value", "root")
def factor_under_the_root(gold: Gold, rng: random.Random) -> str | None:
    """A factor goes under the root as its square."""
    inside = gold["a"] ** 2 * gold["b"]
    return rf"{_sign(gold['a'])}\sqrt{{{frac(inside)}}}" if abs(gold["a"]) != 1 else None


@equal("value", "root")
def root_in_the_denominator(gold: Gold, rng: random.Random) -> str | None:
    """The denominator need not be rational."""
    top = abs(gold["a"]) * gold["b"]
    below = ("" if top.denominator == 1 else str(top.denominator)) + rf"\sqrt{{{gold['b']}}}"
    return rf"{_sign(gold['a'])}\frac{{{top.numerator}}}{{{below}}}"


@equal("typography", "root")
def root_beside_a_fraction(gold: Gold, rng: random.Random) -> str | None:
    """A coefficient may stand before the root, with a dot or a space."""
    dot = rng.choice([r" \cdot ", r"\,", " ", r" \times "])
    return None if abs(gold["a"]) == 1 else rf"{frac(gold['a'])}{dot}\sqrt{{{gold['b']}}}"


@equal("fn-fraction-shorthand", "root")
def root_shorthand(gold: Gold, rng: random.Random) -> str | None:
    """A root, or a denominator after a root, of one digit needs no braces."""
    p, q, b = abs(gold["a"].numerator), gold["a"].denominator, gold["b"]
    top = (str(p) if p > 1 else "") + (rf"\sqrt{b}" if b < 10 else rf"\sqrt{{{b}}}")
    if (q == 1 and b > 9) or q > 9:
        return None
    return _sign(gold["a"]) + (top if q == 1 else rng.choice([r"\frac{%s}%s", r"\dfrac{%s}%s"]) % (top, q))


@equal("value", "root", "pi")
def approximation_after_the_value(gold: Gold, rng: random.Random) -> str | None:
    """An approximation that follows the exact value adds what is true and takes nothing back."""
    places = rng.randint(2, 5)
    sign = rng.choice([r"\approx", "≈"])
    return f"{gold.bare} {sign} {rounded(irrational(gold), places)}"


@equal("fn-unicode", "pi")
def unicode_pi(gold: Gold, rng: random.Random) -> str | None:
    """Unicode has the letter pi."""
    p, q = abs(gold["a"].numerator), gold["a"].denominator
    return f"{_sign(gold['a'])}{p if p > 1 else ''}π{f'/{q}' if q > 1 else ''}"


@equal("fn-plain-ascii-mathematics", "pi")
def ascii_pi(gold: Gold, rng: random.Random) -> str | None:
    """Keyboards write pi with two letters."""
    p, q = abs(gold["a"].numerator), gold["a"].denominator
    return f"{_sign(gold['a'])}{f'{p}*' if p > 1 else ''}pi{f'/{q}' if q > 1 else ''}"


@equal("value", "pi")
def pi_beside_a_fraction(gold: Gold, rng: random.Random) -> str | None:
    """The coefficient of pi may stand before it, behind it, or be a decimal."""
    a, text = gold["a"], exact(gold["a"])
    shapes = [
        rf"{frac(a)}\pi",
        rf"{frac(a)} \cdot \pi",
        rf"\pi \cdot {frac(abs(a))}" if a > 0 else rf"-\pi \cdot {frac(abs(a))}",
    ]
    return None if abs(a) == 1 else rng.choice(shapes + [rf"{text}\pi"] * bool(text))


@equal("fn-fraction-shorthand", "pi")
def pi_shorthand(gold: Gold, rng: random.Random) -> str | None:
    r"""\frac takes a command for an argument."""
    p, q = abs(gold["a"].numerator), gold["a"].denominator
    shapes = [rf"\frac{{{p}\pi}}{q}"] if p > 1 else [rf"\frac\pi{q}", rf"\frac \pi {q}", rf"\dfrac\pi{q}"]
    return _sign(gold["a"]) + rng.choice(shapes) if 1 < q < 10 else None


@equal("value", "complex")
def imaginary_part_first(gold: Gold, rng: random.Random) -> str | None:
    """A sum may be written in either order."""
    text = times(Fraction(gold["im"]), "i")
    return f"{text} {'+' if gold['re'] > 0 else '-'} {abs(gold['re'])}"


@equal("typography", "complex")
def dot_before_the_unit(gold: Gold, rng: random.Random) -> str | None:
    """The imaginary unit may be set upright, or with a dot."""
    size = str(abs(gold["im"])) if abs(gold["im"]) > 1 else ""
    unit = rng.choice([r"\mathrm{i}", r"\,i", r"\cdot i" if size else r"\mathrm{i}"])
    return f"{gold['re']} {'+' if gold['im'] > 0 else '-'} {size}{unit}"


@equal("value", "complex")
def bracketed_imaginary_part(gold: Gold, rng: random.Random) -> str | None:
    """A sign may stand before a term or within it."""
    return f"{gold['re']} + ({gold['im']})i"


@equal("fn-plain-ascii-mathematics", "complex")
def ascii_complex(gold: Gold, rng: random.Random) -> str | None:
    """Keyboards write a product with a star."""
    return f"{gold['re']} {'+' if gold['im'] > 0 else '-'} {abs(gold['im'])}*i"
