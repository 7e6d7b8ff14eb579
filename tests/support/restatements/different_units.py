"""Changes of a unit, a percentage, a base, a word, a letter or a choice."""

import random

from tests.support.restatements.golds import GREEK, Gold
from tests.support.restatements.rules import different

_LETTERS = "ABCDE"
_OTHER_WORDS = ("triangle", "circle", "north", "Thursday", "purple", "neither", "Charlotte", "hexagon")


@different("unit", "unit")
def other_unit(gold: Gold, rng: random.Random) -> str | None:
    """The same number of another unit is another quantity."""
    return gold["digits"] + rng.choice(gold["unit"].others) if gold["value"] else None


@different("unit", "money")
def other_currency(gold: Gold, rng: random.Random) -> str | None:
    """A cent isn't a dollar."""
    return (
        gold["digits"] + rng.choice([r"\text{ cents}", " cents", r"\text{ euros}", r"\text{¢}"])
        if gold["value"]
        else None
    )


@different("unit", "angle")
def other_angular_unit(gold: Gold, rng: random.Random) -> str | None:
    """A radian or a minute of arc isn't a degree."""
    return (
        gold["digits"] + rng.choice([r"\text{ radians}", "'", r"\text{ rad}", r"\pi", r"^{\prime\prime}"])
        if gold["value"]
        else None
    )


@different("unit", "seconds")
def minutes_of_arc(gold: Gold, rng: random.Random) -> str | None:
    """A minute of arc or a degree isn't a second of arc."""
    return (
        gold["digits"] + rng.choice([r"^{\prime}", "'", r"^\circ", "′", r"\text{ arcminutes}"])
        if gold["value"]
        else None
    )


@different("value", "angle")
def supplement(gold: Gold, rng: random.Random) -> str | None:
    """The supplement or the explement of an angle is another angle unless it is right or straight."""
    n = int(gold["value"])
    other = rng.choice([180 - n, 360 - n, n + 360, n + 1, 2 * n])
    return rf"{other}^\circ" if other not in (n, 0) else None


@different("value", "unit", "angle", "percent", "money")
def other_quantity(gold: Gold, rng: random.Random) -> str | None:
    """Another number of the same unit is another quantity."""
    other = gold["value"] + rng.choice([-1, 1, 3])
    text = gold.bare.replace(r",\!", "")
    return text.replace(gold["digits"], f"{float(other):g}", 1) if other > 0 and other < 10**5 else None


@different("value", "percent")
def rest_of_a_percentage(gold: Gold, rng: random.Random) -> str | None:
    """What is missing to the whole is another part unless both are halves."""
    rest = 100 - gold["value"]
    return (
        rng.choice([rf"{float(rest):g}\%", f"{float(gold['value']):g}\\text{{ per mille}}"])
        if rest not in (50, 100)
        else None
    )


@different("base", "based")
def other_base(gold: Gold, rng: random.Random) -> str | None:
    """The same digits in another base are another number unless it is one digit."""
    base = int(gold["base"])
    other = rng.choice([b for b in (base + 1, base + 2, 10, 16) if b != base])
    return (
        rng.choice(["%s_{%s}", r"%s_{\text{base }%s}", "(%s)_{%s}"]) % (gold["digits"], other)
        if len(gold["digits"]) > 1
        else None
    )


@different("base", "based")
def other_digits_in_a_base(gold: Gold, rng: random.Random) -> str | None:
    """Other digits in the same base are another number."""
    digits, base = gold["digits"], int(gold["base"])
    at = rng.randrange(len(digits))
    digit = str((int(digits[at]) + rng.randint(1, base - 1)) % base)
    return f"{digits[:at]}{digit}{digits[at + 1 :]}_{base}"


@different("base", "based")
def reversed_digits_in_a_base(gold: Gold, rng: random.Random) -> str | None:
    """The digits backwards are another number unless they read the same."""
    digits = gold["digits"]
    return f"{digits[::-1]}_{{{gold['base']}}}" if digits != digits[::-1] else None


@different("base", "based")
def base_among_the_digits(gold: Gold, rng: random.Random) -> str | None:
    """The base isn't one of the digits, nor an exponent."""
    return rng.choice(["%s%s", "%s^%s", r"%s \cdot %s", "%s, %s"]) % (gold["digits"], gold["base"])


@different("choice", "choice")
def other_choice(gold: Gold, rng: random.Random) -> str | None:
    """Another letter is another choice."""
    other = rng.choice([c for c in _LETTERS if c != gold["letter"]])
    return (
        rng.choice(
            [r"\text{(%s)}", "%s", "(%s)", r"\text{%s}", r"\textbf{(%s)}", r"\text{Option %s}", r"\text{%s: ellipse}"]
        )
        % other
    )


@different("choice", "choice")
def not_the_choice(gold: Gold, rng: random.Random) -> str | None:
    """`not C` excludes the choice."""
    return (
        rng.choice(
            [r"\text{not (%s)}", r"\text{not } %s", r"\text{(%s) is wrong}", r"\text{not %s}", r"\text{all but (%s)}"]
        )
        % gold["letter"]
    )


@different("fp-list-of-choices", "choice")
def choices_in_a_row(gold: Gold, rng: random.Random) -> str | None:
    """Several choices in a row choose nothing."""
    others = rng.sample([c for c in _LETTERS if c != gold["letter"]], rng.randint(1, 4))
    row = [gold["letter"], *others]
    shape, between = rng.choice([("(%s)", ""), ("%s", ""), (r"\text{(%s)}", ""), ("(%s)", " "), (r"\text{%s}", " ")])
    return between.join(shape % c for c in row)


@different("fp-list-of-choices", "choice")
def two_choices(gold: Gold, rng: random.Random) -> str | None:
    """Two choices are not one."""
    other = rng.choice([c for c in _LETTERS if c != gold["letter"]])
    pair = rng.sample([gold["letter"], other], 2)
    return rng.choice(
        [r"\text{(%s) and (%s)}", r"%s \text{ or } %s", r"\text{(%s) or (%s)}", "%s, %s", r"\text{%s and %s}"]
    ) % tuple(pair)


@different("fp-anagram-words", "word")
def anagram(gold: Gold, rng: random.Random) -> str | None:
    """A word is not the product of its letters."""
    letters = list(gold["word"])
    rng.shuffle(letters)
    other = "".join(letters).lower()
    other = other.capitalize() if gold["word"][0].isupper() else other
    return rf"\text{{{other}}}" if other.lower() != gold["word"].lower() else None


@different("fp-anagram-words", "word")
def two_letters_swapped(gold: Gold, rng: random.Random) -> str | None:
    """A word with two letters swapped is another one, and a misspelt name is nobody's."""
    word = gold["word"]
    places = [k for k in range(1, len(word) - 1) if word[k] != word[k + 1]]
    k = rng.choice(places) if places else 0
    return rf"\text{{{word[:k]}{word[k + 1]}{word[k]}{word[k + 2 :]}}}" if places else None


@different("word", "word")
def other_word(gold: Gold, rng: random.Random) -> str | None:
    """Another word says another thing."""
    other = rng.choice([word for word in _OTHER_WORDS if word != gold["word"]])
    return rng.choice([r"\text{%s}", "%s", r"\mathrm{%s}"]) % other


@different("word", "word")
def part_of_a_word(gold: Gold, rng: random.Random) -> str | None:
    """A beginning of a word isn't the word."""
    return rf"\text{{{gold['word'][: rng.randint(1, len(gold['word']) - 1)]}}}"


@different("word", "word")
def negated_within_the_text(gold: Gold, rng: random.Random) -> str | None:
    r"""`not` in the same \text negates as well."""
    return (
        rng.choice([r"\text{not %s}", r"\text{neither %s nor another}", r"\text{non-%s}", r"\text{never %s}"])
        % gold["word"]
    )


@different("variable", "greek")
def other_letter(gold: Gold, rng: random.Random) -> str | None:
    """Another letter is another variable."""
    other = rng.choice([name for name in GREEK if name != gold["letter"]])
    return rng.choice(["\\" + other, GREEK[other], other])


@different("variable", "greek")
def changed_letter(gold: Gold, rng: random.Random) -> str | None:
    """A letter's multiple, power, index or opposite is another quantity."""
    return rng.choice(["2%s", "%s^2", "-%s", r"\frac{1}{%s}", "%s+1", "%s_1", r"%s, \xi"]) % ("\\" + gold["letter"])
