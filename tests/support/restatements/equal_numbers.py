"""Rewrites of integers, decimals, fractions and scientific notation that keep the value."""

import random
from fractions import Fraction

from tests.support.restatements import latex
from tests.support.restatements.golds import NUMBERS, Gold
from tests.support.restatements.latex import exact, frac, grouped
from tests.support.restatements.rules import equal

_FULL_WIDTH = str.maketrans("0123456789-.", "０１２３４５６７８９－．")


@equal("typography", "integer")
def thousands_commas(gold: Gold, rng: random.Random) -> str | None:
    """Commas may group the digits of a large number."""
    n = int(gold["value"])
    return grouped(n, rng.choice([",", "{,}", r",\!"])) if abs(n) > 999 else None


@equal("fn-thousands-comma-in-an-expression", "integer", "money")
def labelled_thousands(gold: Gold, rng: random.Random) -> str | None:
    """Commas may group the digits after a label as well."""
    n = gold["value"]
    sign = r"\$" if gold.family == "money" else ""
    return f"{rng.choice('NxkS')}={sign}{grouped(int(n))}" if n > 999 and n.denominator == 1 else None


@equal("fn-thousands-comma-in-an-expression", "root", "pi")
def thousands_in_an_expression(gold: Gold, rng: random.Random) -> str | None:
    """Commas may group the digits of a coefficient."""
    p, q = abs(gold["a"].numerator), gold["a"].denominator
    symbol = r"\pi" if gold.family == "pi" else rf"\sqrt{{{gold['b']}}}"
    sign = "-" if gold["a"] < 0 else ""
    return (
        (f"{sign}{grouped(p)}{symbol}" if q == 1 else rf"{sign}\frac{{{grouped(p)}{symbol}}}{{{q}}}")
        if p > 999
        else None
    )


@equal("value", "integer")
def leading_zero(gold: Gold, rng: random.Random) -> str | None:
    """Zeros before an integer add nothing."""
    return "0" * rng.randint(1, 2) + gold["digits"] if gold["value"] >= 0 and gold["digits"].isdigit() else None


@equal("value", "integer", "decimal", "money")
def trailing_zeros(gold: Gold, rng: random.Random) -> str | None:
    """Zeros after the decimal point's last digit add nothing."""
    digits = gold["digits"] + ("" if "." in gold["digits"] else ".") + rng.choice(["0", "00"])
    return rf"\${digits}" if gold.family == "money" else digits


@equal("value", *NUMBERS)
def plus_sign(gold: Gold, rng: random.Random) -> str | None:
    """A plus before a positive number changes nothing."""
    return None if gold["value"] <= 0 or gold.bare.startswith("+") else f"+{gold.bare}"


@equal("typography", *NUMBERS)
def in_parentheses(gold: Gold, rng: random.Random) -> str | None:
    """A number in parentheses is the number."""
    return rng.choice(["(%s)", r"\left(%s\right)", "{(%s)}"]) % gold.bare


@equal("fn-style-commands", "integer", "decimal")
def number_in_text_type(gold: Gold, rng: random.Random) -> str | None:
    """A number in upright type is the number."""
    return rf"\{rng.choice(['text', 'mathrm', 'textbf', 'mbox'])}{{{gold['digits']}}}"


@equal("value", "integer")
def sum_of_integers(gold: Gold, rng: random.Random) -> str | None:
    """An arithmetic expression has the value it works out to."""
    n, part = int(gold["value"]), rng.randint(1, 90)
    return rng.choice([f"{n - part} + {part}", f"{n + part} - {part}"])


@equal("value", "integer")
def product_of_integers(gold: Gold, rng: random.Random) -> str | None:
    """A product has the value it works out to."""
    n = int(gold["value"])
    factors = [k for k in range(2, 40) if n % k == 0 and abs(n) > k]
    dot = rng.choice([r"\cdot", r"\times", "*"])
    return f"{n // factors[-1]} {dot} {factors[-1]}" if factors else None


@equal("value", "integer")
def quotient_of_integers(gold: Gold, rng: random.Random) -> str | None:
    """A quotient has the value it works out to."""
    n, k = int(gold["value"]), rng.randint(2, 9)
    return rng.choice([rf"\frac{{{n * k}}}{{{k}}}", f"{n * k}/{k}", rf"{n * k} \div {k}"])


@equal("value", "integer")
def power_of_an_integer(gold: Gold, rng: random.Random) -> str | None:
    """A power has the value it works out to."""
    n = int(gold["value"])
    powers = [f"{b}^{{{e}}}" for b in range(2, 100) for e in range(2, 17) if b**e == n]
    return rng.choice(powers) if powers else None


@equal("value", "integer", "decimal")
def in_scientific_notation(gold: Gold, rng: random.Random) -> str | None:
    """Scientific notation writes the same number."""
    value = gold["value"]
    exponent = next((k for k in range(-9, 12) if 1 <= abs(value) / Fraction(10) ** k < 10), 0)
    mantissa = exact(value / Fraction(10) ** exponent)
    shape = rng.choice([r"%s \times 10^{%s}", r"%s \cdot 10^{%s}", "%se%s"])
    return shape % (mantissa, exponent) if exponent not in (0, 1) else None


@equal("typography", "scientific")
def e_notation(gold: Gold, rng: random.Random) -> str | None:
    """8.7e8 is how computers write 8.7 times ten to the eighth."""
    return (
        f"{gold['mantissa']}{rng.choice('eE')}{rng.choice(['', '+']) if gold['exponent'] > 0 else ''}{gold['exponent']}"
    )


@equal("value", "scientific")
def written_out(gold: Gold, rng: random.Random) -> str | None:
    """All digits written out are the same number."""
    return exact(gold["value"]) if abs(gold["exponent"]) < 13 else None


@equal("value", "scientific")
def moved_exponent(gold: Gold, rng: random.Random) -> str | None:
    """The point moved by as much as the exponent changes gives the same number."""
    shift = rng.choice([-2, -1, 1, 2])
    return rf"{exact(Fraction(gold['mantissa']) / Fraction(10) ** shift)} \times 10^{{{gold['exponent'] + shift}}}"


@equal("typography", "scientific")
def dot_for_times(gold: Gold, rng: random.Random) -> str | None:
    """A centred dot multiplies as a cross does."""
    dot = rng.choice([r"\cdot", r"{\times}", r"\, \times \,"])
    return f"{gold['mantissa']} {dot} 10^{{{gold['exponent']}}}"


@equal("fn-unicode", "scientific")
def unicode_power_of_ten(gold: Gold, rng: random.Random) -> str | None:
    """Unicode has superscript digits and a multiplication sign."""
    power = f"10{latex.superscript(gold['exponent'])}"
    return power if gold["mantissa"] == "1" else f"{gold['mantissa']}{rng.choice(['×', ' × ', '·'])}{power}"


@equal("fn-plain-ascii-mathematics", "scientific")
def ascii_power_of_ten(gold: Gold, rng: random.Random) -> str | None:
    """Keyboards write a product with a star and a power with a caret."""
    exponent = f"({gold['exponent']})" if gold["exponent"] < 0 else gold["exponent"]
    return rng.choice(["%s*10^%s", "%s * 10^%s", "%s*10**%s"]) % (gold["mantissa"], exponent)


@equal("fn-number-words", "integer")
def thousand_and_million(gold: Gold, rng: random.Random) -> str | None:
    """Thousand and million are numbers."""
    n = int(gold["value"])
    words = [
        (word, size) for word, size in [("thousand", 10**3), ("million", 10**6)] if n > 0 and n % (size // 10) == 0
    ]
    words = [(word, size) for word, size in words if n >= size]
    if not words:
        return None
    word, size = rng.choice(words)
    return rng.choice([r"%s \text{ %s}", r"\text{%s %s}", r"%s\,\mathrm{%s}"]) % (exact(Fraction(n, size)), word)


@equal("fn-number-words", "integer")
def dozens(gold: Gold, rng: random.Random) -> str | None:
    """A dozen is twelve."""
    n = int(gold["value"])
    return rng.choice([r"%s \text{ dozen}", r"\text{%s dozen}"]) % (n // 12) if n > 0 and n % 12 == 0 else None


@equal("fn-number-words", "integer")
def spelled_number(gold: Gold, rng: random.Random) -> str | None:
    """A number may be written in words."""
    n = int(gold["value"])
    return rng.choice([r"\text{%s}", r"\text{ %s }", r"\mathrm{%s}"]) % latex.words(n) if 0 <= n < 100 else None


@equal("fn-approximately", "integer", "decimal", "scientific")
def approximately_sign(gold: Gold, rng: random.Random) -> str | None:
    """An approximate answer may say so before the gold's very number."""
    return rng.choice([r"\approx %s", "≈ %s", r"\approx%s", r"\simeq %s"]) % gold.bare


@equal("fn-approximately", "integer", "decimal", "scientific")
def approximately_labelled(gold: Gold, rng: random.Random) -> str | None:
    """`x \\approx 9.6` names the answer and says that it is approximate."""
    return rng.choice([r"x \approx %s", r"v \approx %s", "T ≈ %s", r"R_0 \approx %s"]) % gold.bare


@equal("fn-approximately", "integer", "decimal", "scientific")
def approximately_word(gold: Gold, rng: random.Random) -> str | None:
    """The words for an approximation say no more than the sign."""
    word = rng.choice(["approximately", "about", "approx.", "roughly", "Approximately"])
    return rng.choice([r"\text{%s } %s", r"\text{%s }%s"]) % (word, gold.bare)


@equal("fn-unicode", "integer", "decimal")
def full_width_digits(gold: Gold, rng: random.Random) -> str | None:
    """Full-width digits are digits."""
    return gold["digits"].translate(_FULL_WIDTH)


@equal("typography", "integer", "decimal", "fraction")
def unicode_minus(gold: Gold, rng: random.Random) -> str | None:
    """Unicode's minus sign is a minus sign."""
    return gold.bare.replace("-", "−", 1) if gold.bare.startswith("-") else None


@equal("value", "integer", "fraction")
def chain_of_equal_values(gold: Gold, rng: random.Random) -> str | None:
    """A chain of equations ends in the value, and all its members are equal."""
    value, k = gold["value"], rng.randint(2, 6)
    first = rf"\frac{{{value.numerator * k}}}{{{value.denominator * k}}}"
    return rng.choice([f"{first} = {gold.bare}", f"x = {first} = {gold.bare}"])


@equal("fn-two-equal-forms", "integer", "fraction", "decimal")
def two_equal_forms(gold: Gold, rng: random.Random) -> str | None:
    """Both forms that are offered are the gold's value."""
    value, k = gold["value"], rng.randint(2, 5)
    other = frac(value) if gold.family == "decimal" else rf"\frac{{{value.numerator * k}}}{{{value.denominator * k}}}"
    other = (exact(value) or other) if gold.family == "fraction" else other
    return None if other == gold.bare else rng.choice([r"%s \text{ or } %s", r"%s = %s"]) % (gold.bare, other)
