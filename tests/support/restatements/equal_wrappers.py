"""Rewrites that may be put around any text, or around any value: they are also the second rule of composed pairs."""

import random
import re

from tests.support.restatements.golds import VALUES
from tests.support.restatements.rules import wrapper

_MATH = re.compile(r"(?<!\\)\$|(?<!\\)\\[()\[\]]|\n")  # math mode is on already, or a line ends
_RELATION = re.compile(r"[=<>≤≥≈≠;、|:]|(?<!\\),|\\(?:approx|neq?|not|in|leq?|geq?|pm|pmod)\b")
_WORDS = re.compile(r"\\(?:text|mbox)\b|\b(?:or|and|to)\b")


def _in_math(text: str) -> bool:
    return bool(_MATH.search(text))


def _is_a_value(text: str) -> bool:
    """Whether a label may stand before it: no relation, no list and no words, which a label would bind otherwise."""
    return not (_in_math(text) or _RELATION.search(text) or _WORDS.search(text))


@wrapper("typography")
def dollars(text: str, rng: random.Random) -> str | None:
    """Dollar signs only say that mathematics is between them."""
    return None if _in_math(text) else rng.choice([f"${text}$", f"$ {text} $", f"$${text}$$"])


@wrapper("typography")
def math_brackets(text: str, rng: random.Random) -> str | None:
    r"""\( and \[ only say that mathematics is between them."""
    return None if _in_math(text) else rng.choice([rf"\({text}\)", rf"\[{text}\]", rf"\( {text} \)"])


@wrapper("typography")
def display_style(text: str, rng: random.Random) -> str | None:
    r"""\displaystyle sets the size alone."""
    return None if _in_math(text) else rf"\displaystyle {text}"


@wrapper("typography")
def final_period(text: str, rng: random.Random) -> str | None:
    """A period after an answer ends the sentence."""
    return None if text.endswith(("\n", ".", ",")) or text.endswith("$$") else f"{text}."


@wrapper("fn-style-commands")
def bold(text: str, rng: random.Random) -> str | None:
    """Bold type is a matter of looks."""
    return None if _in_math(text) else rf"\{rng.choice(['boldsymbol', 'mathbf', 'bm'])}{{{text}}}"


@wrapper("fn-style-commands")
def coloured(text: str, rng: random.Random) -> str | None:
    """A colour is a matter of looks."""
    colour = rng.choice(["blue", "red", "green"])
    shapes = [rf"\textcolor{{{colour}}}{{{text}}}", rf"\color{{{colour}}}{{{text}}}", rf"{{\color{{{colour}}} {text}}}"]
    return None if _in_math(text) else rng.choice(shapes)


@wrapper("fn-style-commands")
def larger(text: str, rng: random.Random) -> str | None:
    """The size of letters is a matter of looks."""
    return None if _in_math(text) else rf"\{rng.choice(['large', 'Large', 'LARGE', 'huge', 'small'])} {text}"


@wrapper("fn-style-commands")
def underlined(text: str, rng: random.Random) -> str | None:
    """A line under an answer is a matter of looks."""
    return None if _in_math(text) else rng.choice([rf"\underline{{{text}}}", rf"\underline{{\underline{{{text}}}}}"])


@wrapper("typography")
def surrounding_space(text: str, rng: random.Random) -> str | None:
    """Space around an answer says nothing."""
    space = rng.choice([r"\,", r"\;", "~", r"\quad ", r"\ ", r"\!"])
    return None if _in_math(text) else rng.choice([f"{space}{text}{space}", f"{space}{text}"])


@wrapper("typography")
def braces(text: str, rng: random.Random) -> str | None:
    """Braces only group."""
    return None if _in_math(text) else f"{{{text}}}"


@wrapper("typography")
def blank_lines(text: str, rng: random.Random) -> str | None:
    """Line ends around an answer say nothing."""
    return None if "\n" in text else rng.choice([f"\n{text}\n", f"{text}\n", f"\n  {text}\n"])


@wrapper("typography")
def fraction_sizes(text: str, rng: random.Random) -> str | None:
    r"""\dfrac, \tfrac and \cfrac differ from \frac in size alone."""
    return text.replace(r"\frac", rng.choice([r"\dfrac", r"\tfrac", r"\cfrac"])) if r"\frac" in text else None


@wrapper("typography")
def sized_brackets(text: str, rng: random.Random) -> str | None:
    r"""\left and \right, \bigl and \bigr set the size of brackets alone."""
    opening, closing = re.findall(r"[(\[]", text), re.findall(r"[)\]]", text)
    if not opening or len(opening) != len(closing) or re.search(r"\\left|\\text|\\sqrt\[|\\[()\[\]]", text):
        return None
    left, right = rng.choice([(r"\left", r"\right"), (r"\bigl", r"\bigr"), (r"\Big", r"\Big")])
    return re.sub(r"[()\[\]]", lambda match: (left if match[0] in "([" else right) + match[0], text)


@wrapper("typography")
def spaced_signs(text: str, rng: random.Random) -> str | None:
    """Spaces beside a plus or an equals sign say nothing."""
    spaced = re.sub(r"(?<=[\w)}]) ?([+=]) ?(?=[\w(\\])", rng.choice([r" \1 ", r"\\,\1\\,", r"  \1 "]), text)
    return spaced if spaced != text and not re.search(r"\de\+|E\+|\\text", text) else None


@wrapper("label", *VALUES)
def labelled_value(text: str, rng: random.Random) -> str | None:
    """`x = 5` says that the answer is 5."""
    label = rng.choice(["x", "N", "k", "n", "A", "S_{10}", "a_1", "r", r"\theta", "P(A)", "f(3)"])
    return rng.choice([f"{label} = {text}", f"{label}={text}"]) if _is_a_value(text) else None


@wrapper("fn-value-before-the-variable", *VALUES)
def value_before_the_variable(text: str, rng: random.Random) -> str | None:
    """`5 = x` says what `x = 5` says."""
    label = rng.choice(["x", "N", "n", "k"])
    plain = _is_a_value(text) and not text.endswith((".", " ", "\\,"))
    return rng.choice([f"{text} = {label}", f"{text}={label}"]) if plain else None
