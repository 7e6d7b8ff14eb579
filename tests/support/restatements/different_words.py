"""Rewrites by words, spaces and relations that change the value: nothing between two tokens may be dropped."""

import random
import re

from tests.support.restatements.golds import NUMBERS, REALS, Gold
from tests.support.restatements.rules import different

_MERGE = "fp-words-dropped-digits-merge"
_SPACES = "fp-spaces-dropped-digits-merge"
_WORDS = "fp-words-dropped-meaning-changed"
_EQUATION = "fp-right-side-of-any-equation"


def _halves(gold: Gold, rng: random.Random) -> tuple[str, str] | None:
    """The digits in two parts, each a number of its own, which no reading puts together again."""
    digits = gold["digits"]
    cuts = [k for k in range(1, len(digits)) if digits[k] != "0" or len(digits) == k + 1]
    cuts = [k for k in cuts if len(digits) - k != 3]  # three digits at the end are thousands
    if not digits.isdigit() or digits.startswith("0") or not cuts:
        return None
    cut = rng.choice(cuts)
    return digits[:cut], digits[cut:]


def _between(gold: Gold, rng: random.Random, *words: str) -> str | None:
    halves = _halves(gold, rng)
    return halves and halves[0] + rng.choice(words) + halves[1]


@different(_MERGE, "integer")
def hours_and_minutes(gold: Gold, rng: random.Random) -> str | None:
    """Hours and minutes are two numbers, which don't run together."""
    return (text := _between(gold, rng, r" \text{ hours } ", r" \text{ h } ", r"\text{ hours and }")) and (
        text + rng.choice([r" \text{ minutes}", r"\text{ min}"])
    )


@different(_MERGE, "integer")
def days_and_hours(gold: Gold, rng: random.Random) -> str | None:
    """Days and hours are two numbers, which don't run together."""
    return (text := _between(gold, rng, r" \text{ days, } ", r" \text{ days } ")) and text + r" \text{ hours}"


@different(_MERGE, "integer")
def feet_and_inches(gold: Gold, rng: random.Random) -> str | None:
    """Feet and inches are two numbers, which don't run together."""
    return (text := _between(gold, rng, r" \text{ feet } ", r"\text{ ft }")) and text + r" \text{ inches}"


@different(_MERGE, "integer")
def from_one_to_another(gold: Gold, rng: random.Random) -> str | None:
    """`5 to 6` is a range or a ratio and not 56."""
    return _between(gold, rng, r" \text{ to } ", r"\text{ to }", r" \text{ through } ")


@different(_MERGE, "integer")
def quotient_with_a_remainder(gold: Gold, rng: random.Random) -> str | None:
    """`12 R 3` is a quotient and a remainder and not 123."""
    return _between(gold, rng, r" \text{ R } ", r" \text{ remainder } ", r"\text{ r }")


@different(_MERGE, "integer")
def one_out_of_another(gold: Gold, rng: random.Random) -> str | None:
    """`1 out of 2` is a half and not 12."""
    return _between(gold, rng, r" \text{ out of } ", r"\text{ of }", r" \text{ in } ", r" \text{ over } ")


@different(_MERGE, "integer")
def one_times_another(gold: Gold, rng: random.Random) -> str | None:
    """A product in words is less than its factors' digits in a row."""
    return _between(gold, rng, r" \text{ times } ", r"\text{ times }", r" \text{ plus } ", r" \text{ multiplied by } ")


@different(_MERGE, "integer")
def one_to_the_power_of_another(gold: Gold, rng: random.Random) -> str | None:
    """A power in words isn't its numbers' digits in a row."""
    halves = _halves(gold, rng)
    if not halves or len(halves[1]) > 2 or int(halves[0]) ** int(halves[1]) == gold["value"]:
        return None
    return rf"{halves[0]}\text{{ to the power }}{halves[1]}"


@different(_MERGE, "integer")
def one_and_another(gold: Gold, rng: random.Random) -> str | None:
    """Two numbers joined by a word are two answers."""
    return _between(gold, rng, r" \text{ and } ", r" \text{ or } ", r"\text{ and }", r" \text{and} ")


@different(_SPACES, "integer")
def digits_with_a_space(gold: Gold, rng: random.Random) -> str | None:
    """Two numbers with a space between are two numbers."""
    return _between(gold, rng, " ", "  ", "\\ ")


@different(_SPACES, "integer")
def digits_with_a_wide_space(gold: Gold, rng: random.Random) -> str | None:
    """Two numbers with a wide space between are two numbers."""
    return _between(gold, rng, r"\quad ", r"\qquad ", "~~", r"\;\; ")


@different("list", "integer")
def digits_with_a_comma(gold: Gold, rng: random.Random) -> str | None:
    """Two numbers with a comma or a semicolon between are a list."""
    return _between(gold, rng, ", ", "; ", " , ", "、", ";")


@different("value", "integer")
def digits_with_a_sign(gold: Gold, rng: random.Random) -> str | None:
    """A product, a sum or a quotient of the parts is less than their digits in a row."""
    return _between(gold, rng, r" \cdot ", r" \times ", " + ", "/", "*", ":")


@different("list", "integer")
def range_of_integers(gold: Gold, rng: random.Random) -> str | None:
    """A range has more than one value."""
    n, k = int(gold["value"]), rng.randint(1, 4)
    return (
        rng.choice([f"{n}-{n + k}", f"{n}–{n + k}", rf"{n} \text{{ to }} {n + k}", rf"{n}, \ldots, {n + k}"])
        if n > 0
        else None
    )


@different(_WORDS, *REALS, "angle", "polynomial", "word", "tuple", "list", "expression")
def negated_by_a_word(gold: Gold, rng: random.Random) -> str | None:
    """`not` says that the answer is something else."""
    return (
        rng.choice([r"\text{not } %s", r"\text{not }%s", r"\text{anything but } %s", r"\text{ is not } %s"]) % gold.bare
    )


@different(_WORDS, *REALS, "tuple", "list", "polynomial", "expression")
def said_to_be_wrong(gold: Gold, rng: random.Random) -> str | None:
    """An answer that is called wrong isn't given."""
    shapes = [
        r"%s \text{ is wrong}",
        r"%s \text{ is not the answer}",
        r"%s \text{ is incorrect}",
        r"%s\text{ is not correct}",
    ]
    return rng.choice(shapes) % gold.bare


@different(_EQUATION, *REALS)
def not_a_solution(gold: Gold, rng: random.Random) -> str | None:
    """A value that is no solution isn't the answer."""
    return (
        rng.choice([r"x=%s \text{ is not a solution}", r"x = %s \text{ is extraneous}", r"%s \text{ is not a root}"])
        % gold.bare
    )


@different("relation", *REALS, "angle", "complex")
def inequation(gold: Gold, rng: random.Random) -> str | None:
    """`x \\ne 5` leaves all the other values."""
    shapes = [r"x \ne %s", r"x \neq %s", r"x \not= %s", "x ≠ %s", r"\ne %s", r"\neq %s", "x != %s"]
    return rng.choice(shapes) % gold.bare


@different("relation", *REALS, "angle")
def comparison(gold: Gold, rng: random.Random) -> str | None:
    """An inequality has many solutions."""
    sign = rng.choice([">", "<", r"\ge", r"\le", "≥", "≤", r"\gg", r"\geqslant", ">=", "<="])
    return rng.choice([f"x {sign} {gold.bare}", f"{sign} {gold.bare}", f"{gold.bare} {sign} x"])


@different(_WORDS, *REALS, "angle", "percent", "unit")
def bounded_by_a_word(gold: Gold, rng: random.Random) -> str | None:
    """A bound is not a value."""
    word = rng.choice(["at least", "at most", "no more than", "no less than", "up to", "a minimum of"])
    return rng.choice([r"\text{%s } %s", r"\text{%s }%s"]) % (word, gold.bare)


@different(_WORDS, *REALS, "angle", "percent", "unit")
def compared_by_a_word(gold: Gold, rng: random.Random) -> str | None:
    """What is less or greater than a value isn't the value."""
    word = rng.choice(["less than", "greater than", "more than", "over", "under", "fewer than", "below"])
    return rng.choice([r"\text{%s } %s", r"\text{%s }%s"]) % (word, gold.bare)


@different(_WORDS, *NUMBERS)
def or_more(gold: Gold, rng: random.Random) -> str | None:
    """`5 or more` is a bound."""
    shapes = [
        r"%s \text{ or more}",
        r"%s \text{ or less}",
        r"%s \text{ or greater}",
        r"%s \text{ and up}",
        r"%s\text{ or fewer}",
    ]
    return rng.choice(shapes) % gold.bare


@different(_WORDS, *REALS)
def multiplied_by_a_word(gold: Gold, rng: random.Random) -> str | None:
    """Twice a number is another number unless it is zero."""
    word = rng.choice(["twice", "half of", "double", "three times", "triple", "a third of", "twice the"])
    return rng.choice([r"\text{%s } %s", r"\text{%s }%s"]) % (word, gold.bare) if _nonzero(gold) else None


@different(_WORDS, *REALS)
def turned_by_a_word(gold: Gold, rng: random.Random) -> str | None:
    """The negative of a positive number is another number."""
    positive = _nonzero(gold) and not gold.bare.startswith(("-", "+"))
    return (
        rng.choice([r"\text{negative } %s", r"\text{negative }%s", r"\text{minus } %s"]) % gold.bare
        if positive
        else None
    )


@different(_WORDS, "integer", "pi", "root")
def any_multiple(gold: Gold, rng: random.Random) -> str | None:
    """A number's multiples are many."""
    shapes = [
        r"\text{any multiple of } %s",
        r"\text{multiples of }%s",
        r"\text{a divisor of } %s",
        r"\text{all factors of } %s",
    ]
    return rng.choice(shapes) % gold.bare if _plain(gold) else None


@different(_WORDS, "integer", "decimal")
def million_added(gold: Gold, rng: random.Random) -> str | None:
    """A million or a dozen times a number is another number."""
    word = rng.choice(["million", "dozen", "thousand", "billion", "hundred"])
    return rng.choice([r"%s \text{ %s}", r"%s\text{ %s}", "%s %s"]) % (gold.bare, word) if _nonzero(gold) else None


@different(_WORDS, "integer")
def text_before_the_value(gold: Gold, rng: random.Random) -> str | None:
    r"""A part of a calculation in \text is a part of the calculation."""
    texts = [r"\text{1/}%s", r"\text{2 + }%s", r"\text{10 - }%s", r"\text{2}%s", r"\text{-}%s"]
    return rng.choice(texts) % gold["digits"] if gold["value"] > 5 else None


@different(_WORDS, "integer", "fraction", "decimal")
def ordinal_or_power_in_words(gold: Gold, rng: random.Random) -> str | None:
    """The square, the root or the factorial of a number is another number unless it is small."""
    shapes = [r"%s \text{ squared}", r"%s\text{ cubed}", r"\text{the square root of } %s", r"%s \text{ factorial}"]
    shapes = shapes if gold.family == "integer" else shapes[:3]
    return rng.choice(shapes) % gold.bare if gold["value"] > 2 else None


def _nonzero(gold: Gold) -> bool:
    return gold.parts.get("value", 1) != 0


def _plain(gold: Gold) -> bool:
    """Whether no power, root or reciprocal of the value is the value."""
    return abs(gold.parts.get("value", 2)) not in (0, 1)


@different(_EQUATION, *REALS)
def square_of_the_variable(gold: Gold, rng: random.Random) -> str | None:
    """`x^2 = 5` says that x is a root of 5."""
    return rng.choice(["x^2=%s", "x^2 = %s", "x^{3} = %s", "n^2 = %s", "x² = %s"]) % gold.bare if _plain(gold) else None


@different(_EQUATION, *REALS)
def reciprocal_of_the_variable(gold: Gold, rng: random.Random) -> str | None:
    """`1/x = 5` says that x is a fifth."""
    return (
        rng.choice(["1/x=%s", r"\frac{1}{x} = %s", "x^{-1} = %s", r"\frac1n=%s"]) % gold.bare if _plain(gold) else None
    )


@different(_EQUATION, *REALS)
def root_of_the_variable(gold: Gold, rng: random.Random) -> str | None:
    """`\\sqrt{x} = 5` says that x is 25."""
    return rng.choice([r"\sqrt{x}=%s", r"\sqrt{n} = %s", r"\sqrt[3]{x} = %s"]) % gold.bare if _plain(gold) else None


@different(_EQUATION, *REALS)
def multiple_of_the_variable(gold: Gold, rng: random.Random) -> str | None:
    """`2x = 5` says that x is a half of 5."""
    return rng.choice(["2x=%s", "3n = %s", r"\frac{x}{2} = %s", "-x = %s"]) % gold.bare if _nonzero(gold) else None


@different(_EQUATION, *REALS)
def shifted_variable(gold: Gold, rng: random.Random) -> str | None:
    """`x + 1 = 5` says that x is 4."""
    return rng.choice(["x+1=%s", "x - 3 = %s", "n+2 = %s", "%s = x+1", "2 + x = %s"]) % gold.bare


@different(_EQUATION, "integer", "root", "pi")
def function_of_the_variable(gold: Gold, rng: random.Random) -> str | None:
    """An equation for a logarithm, a factorial or a product of variables isn't one for the variable (but 2! is 2)."""
    # a sum of letters is left out: problems ask for m+n, and labelled cases call `m+n = 21` right
    return (
        rng.choice([r"\log x = %s", "xy = %s", "x! = %s", "x - y = %s"]) % gold.bare
        if _plain(gold) and gold.parts.get("value") != 2
        else None
    )


@different("approximation", "integer", "decimal")
def approximately_another(gold: Gold, rng: random.Random) -> str | None:
    """A value that isn't near the gold is no approximation of it."""
    other = int(gold["value"]) + rng.choice([-1, 1]) * rng.randint(2, 9)
    sign = rng.choice([r"\approx", "≈"])
    return rng.choice([f"{gold.bare} {sign} {other}", f"{other} {sign} {gold.bare}", f"{sign} {other}"])


@different("list", *REALS, "complex", "angle", "polynomial", "tuple", "tuples", "matrix", "expression")
def one_candidate_more(gold: Gold, rng: random.Random) -> str | None:
    """Who offers another answer beside the right one hasn't decided."""
    other = rng.choice(["1009", "-4321", r"\frac{997}{13}"])
    comma = rng.choice([", ", r" \text{ or } ", r" \text{ and } ", r",\ "])
    return rng.choice([f"{gold.bare}{comma}{other}", f"{other}{comma}{gold.bare}"])


@different("list", "integer", "decimal", "word")
def one_candidate_more_in_text(gold: Gold, rng: random.Random) -> str | None:
    r"""A second answer within one \text is a second answer."""
    if gold.family == "word":
        return (
            rf"\text{{{gold['word']} {rng.choice(['or', 'and'])} {'circle' if gold['word'] != 'circle' else 'square'}}}"
        )
    other = int(gold["value"]) + rng.randint(1, 9)
    return (
        rf"\text{{{gold.bare} {rng.choice(['or', 'and', 'or maybe'])} {other}}}"
        if re.fullmatch(r"[\d.-]+", gold.bare)
        else None
    )


@different("list", *REALS)
def sign_left_open(gold: Gold, rng: random.Random) -> str | None:
    """Both signs are two answers unless the number is zero."""
    positive = _nonzero(gold) and not gold.bare.startswith(("-", "+"))
    return (
        rng.choice([r"\pm %s", "±%s", r"x = \pm %s", r"\mp %s", r"%s, -%s"]).replace("%s", gold.bare)
        if positive
        else None
    )
