"""Rewrites that add, drop or respell a unit, a percent sign or a base, and those of words, letters and choices."""

import random

from tests.support.restatements import units
from tests.support.restatements.golds import GREEK, Gold
from tests.support.restatements.latex import exact, frac, subscript
from tests.support.restatements.rules import equal

BARE = ("integer", "decimal", "scientific")


@equal("unit", *BARE, "fraction", "root", "pi")
def unit_in_text(gold: Gold, rng: random.Random) -> str | None:
    """A unit is forgiven where the gold names none."""
    return gold.bare + rng.choice(units.IN_TEXT)


@equal("unit", *BARE, "fraction")
def unit_with_powers(gold: Gold, rng: random.Random) -> str | None:
    """A unit may hold powers of its own."""
    return gold.bare + rng.choice(units.WITH_POWERS)


@equal("unit", "integer")
def counted_things(gold: Gold, rng: random.Random) -> str | None:
    """What is counted may be named after the number."""
    return gold.bare + rng.choice(units.COUNTED)


@equal("fn-units-joined-by-a-sign", *BARE)
def joined_units(gold: Gold, rng: random.Random) -> str | None:
    """Units are multiplied and divided by signs."""
    return gold.bare + rng.choice(units.JOINED)


@equal("fn-units-with-a-symbol", *BARE)
def unit_with_a_symbol(gold: Gold, rng: random.Random) -> str | None:
    """Some units are symbols."""
    return gold.bare + rng.choice(units.SYMBOLS)


@equal("fn-plain-unit", *BARE)
def plain_unit(gold: Gold, rng: random.Random) -> str | None:
    """A unit may stand in plain letters."""
    return gold.bare + rng.choice(units.PLAIN)


@equal("unit", "integer", "decimal")
def dollar_sign(gold: Gold, rng: random.Random) -> str | None:
    """A sign of a currency is a unit."""
    return rng.choice([r"\$%s", r"\$ %s", "€%s", "£%s"]) % gold.bare if gold["value"] > 0 else None


@equal("unit", "integer", "decimal")
def degrees_added(gold: Gold, rng: random.Random) -> str | None:
    """Degrees are a unit, which is forgiven where the gold names none."""
    return gold.bare + rng.choice([r"^\circ", r"^{\circ}", "°", r"\text{ degrees}"])


@equal("unit", "unit")
def unit_dropped(gold: Gold, rng: random.Random) -> str | None:
    """The gold's unit may be left out."""
    return gold["digits"]


@equal("unit", "unit")
def unit_respelled(gold: Gold, rng: random.Random) -> str | None:
    """The gold's unit may be spelled otherwise."""
    return gold["digits"] + rng.choice(gold["unit"].spellings)


@equal("unit", "money")
def money_in_words(gold: Gold, rng: random.Random) -> str | None:
    """The dollar sign means dollars, and may be left out."""
    return gold["digits"] + rng.choice(["", r"\text{ dollars}", " dollars", r"\text{ USD}"])


@equal("unit", "angle")
def degrees_dropped(gold: Gold, rng: random.Random) -> str | None:
    """The sign for degrees may be dropped."""
    return gold["digits"]


@equal("unit", "angle")
def degrees_respelled(gold: Gold, rng: random.Random) -> str | None:
    """There are several signs, and a word, for degrees."""
    return gold["digits"] + rng.choice(
        ["°", r"\text{ degrees}", r"^{\circ}", r"\degree", " degrees", r"^\circ", r"\,^\circ"]
    )


@equal("fn-unicode", "seconds")
def unicode_seconds(gold: Gold, rng: random.Random) -> str | None:
    """Unicode has a double prime."""
    return gold["digits"] + rng.choice(["″", "''", r"\text{″}", r"^{\prime\prime}"])


@equal("unit", "percent")
def percent_dropped(gold: Gold, rng: random.Random) -> str | None:
    """By convention a percentage equals the bare number."""
    return gold["digits"]


@equal("unit", "percent")
def percent_as_a_fraction(gold: Gold, rng: random.Random) -> str | None:
    """A percentage is a number of hundredths."""
    return rng.choice([exact(gold["value"] / 100), frac(gold["value"] / 100)])


@equal("unit", "percent")
def percent_in_words(gold: Gold, rng: random.Random) -> str | None:
    """The percent sign may be a word."""
    return gold["digits"] + rng.choice(
        [r"\text{ percent}", " percent", r"\text{ per cent}", r"\text{ pct}", r"\,\%", "%"]
    )


@equal("fn-base-notation", "based")
def base_outside_brackets(gold: Gold, rng: random.Random) -> str | None:
    """A base may stand after the bracketed digits."""
    return rng.choice(["(%s)_%s", "(%s)_{%s}", r"\left(%s\right)_{%s}"]) % (gold["digits"], gold["base"])


@equal("fn-base-notation", "based")
def base_in_words(gold: Gold, rng: random.Random) -> str | None:
    """A base may be called a base."""
    shapes = [
        r"%s_{\text{base }%s}",
        r"%s_{\text{base %s}}",
        r"%s \text{ base }%s",
        r"%s\text{ (base %s)}",
        r"%s_{\text{%s}}",
    ]
    return rng.choice(shapes) % (gold["digits"], gold["base"])


@equal("fn-base-notation", "based")
def base_dropped(gold: Gold, rng: random.Random) -> str | None:
    """By convention the base may be missing."""
    return gold["digits"]


@equal("fn-unicode", "based")
def unicode_base(gold: Gold, rng: random.Random) -> str | None:
    """Unicode has subscript digits."""
    return gold["digits"] + subscript(gold["base"])


@equal("choice", "choice")
def choice_letter(gold: Gold, rng: random.Random) -> str | None:
    """A choice is its letter, with or without brackets, large or small."""
    letter = gold["letter"]
    shapes = [r"%s", "(%s)", r"\text{%s}", r"\textbf{(%s)}", r"\mathrm{%s}", r"\text{%s}", r"\textbf{%s}", "%s)"]
    return rng.choice([*(shape % letter for shape in shapes), letter.lower(), rf"\text{{{letter.lower()}}}"])


@equal("fn-choice-with-its-text", "choice")
def choice_called_option(gold: Gold, rng: random.Random) -> str | None:
    """Option, choice and answer say that a letter is a choice."""
    shapes = [
        r"\text{Option %s}",
        r"\text{Option }%s",
        r"\text{option (%s)}",
        r"\text{Choice %s}",
        r"\text{Option (%s)}",
    ]
    return rng.choice(shapes) % gold["letter"]


@equal("fn-choice-with-its-text", "choice")
def choice_with_its_text(gold: Gold, rng: random.Random) -> str | None:
    """A choice may be followed by what it says."""
    shapes = [r"\text{%s: ellipse}", r"\text{(%s) ellipse}", "(%s) 42", r"\text{(%s) } 42", r"\text{%s. two circles}"]
    return rng.choice([*shapes, r"\text{(%s) } \frac{3}{2}", r"\textbf{(%s)}\ 12", r"(%s)\ \sqrt{2}"]) % gold["letter"]


@equal("fn-words-with-an-article-or-noun", "word")
def article_or_noun(gold: Gold, rng: random.Random) -> str | None:
    """An article, `due` before a direction and `function` after a function's quality say nothing new."""
    word = gold["word"]
    if word in ("east", "west", "north", "south"):
        shapes = ["due %s", "%s direction", "the %s", "Due %s", "the %s direction"]
    elif word in ("even", "odd", "linear", "quadratic", "increasing", "decreasing", "convex"):
        shapes = ["%s function", "an %s function" if word[0] in "aeiou" else "a %s function"]
    elif word[0].isupper() or word in ("acute", "obtuse", "blue", "green"):
        return None
    else:
        shapes = ["an %s" if word[0] in "aeiou" else "a %s", "the %s"]
    return rf"\text{{{rng.choice(shapes) % word}}}"


@equal("word", "word")
def word_in_other_type(gold: Gold, rng: random.Random) -> str | None:
    """A word's type, its first letter's size and a period after it say nothing."""
    word = gold["word"]
    shapes = ["%s", r"\mathrm{%s}", r"\textbf{%s}", r"\text{ %s }", r"\text{%s.}", r"\mbox{%s}", r"\textit{%s}"]
    return rng.choice(shapes) % rng.choice([word, word.capitalize()])


@equal("fn-unicode", "greek")
def unicode_letter(gold: Gold, rng: random.Random) -> str | None:
    """Unicode has the Greek letters."""
    return GREEK[gold["letter"]]


@equal("fn-plain-ascii-mathematics", "greek")
def spelled_letter(gold: Gold, rng: random.Random) -> str | None:
    """A Greek letter may be spelled on a keyboard."""
    return gold["letter"]
