"""Rewrites of polynomials, functions, equations and lists with dots that keep the value."""

import random
import re

from tests.support.restatements.golds import Gold
from tests.support.restatements.latex import shuffled, superscript, terms
from tests.support.restatements.rules import equal

QUALIFIERS = (r" \text{ for all } %s", r", \quad \forall %s", r" \text{ for every } %s", r",\ \text{for all } %s")
OF_REALS = (r" \text{ for all real } %s", r"\ \forall %s \in \mathbb{R}", r" \text{ for all } %s \in \mathbb{R}")
OF_INTEGERS = (r" \text{ for all positive integers } %s", r"\ \forall %s \in \mathbb{N}", r" \text{ for all } %s \ge 1")


@equal("polynomial", "polynomial")
def reordered_terms(gold: Gold, rng: random.Random) -> str | None:
    """A sum may be written in any order."""
    order = shuffled(sorted(gold["coefs"], reverse=True), rng)
    return terms(gold["coefs"], gold["var"], order) if order else None


@equal("fn-unicode", "polynomial")
def unicode_powers(gold: Gold, rng: random.Random) -> str | None:
    """Unicode has superscript digits."""
    text = terms(gold["coefs"], gold["var"])
    return re.sub(r"\^\{(\d+)\}", lambda m: superscript(m[1]), text) if max(gold["coefs"]) > 1 else None


@equal("fn-plain-ascii-mathematics", "polynomial")
def ascii_polynomial(gold: Gold, rng: random.Random) -> str | None:
    """Keyboards write products with a star and powers with a caret or two stars."""
    return terms(gold["coefs"], gold["var"], power=rng.choice(["^%s", "**%s"]), dot="*")


@equal("typography", "polynomial")
def dotted_products(gold: Gold, rng: random.Random) -> str | None:
    """A product may have a dot or a space."""
    text = terms(gold["coefs"], gold["var"], dot="@")
    return text.replace("@", rng.choice([r" \cdot ", r"\,", " "])) if "@" in text else None


@equal("value", "polynomial")
def taken_out_sign(gold: Gold, rng: random.Random) -> str | None:
    """A minus before brackets turns every sign within."""
    inside = terms({e: -c for e, c in gold["coefs"].items()}, gold["var"])
    return f"-({inside})" if len(gold["coefs"]) > 1 else None


@equal("label", "polynomial")
def named_polynomial(gold: Gold, rng: random.Random) -> str | None:
    """A label before an equals sign names the answer."""
    label = rng.choice(["f(%s)", "P(%s)", "S", "A"])
    return f"{label.replace('%s', gold['var'])} = {gold.bare}"


@equal("fn-qualifier-after-a-function", "function")
def qualifier_after_a_function(gold: Gold, rng: random.Random) -> str | None:
    """A function's formula holds for all of its arguments anyway."""
    return gold.bare + rng.choice(QUALIFIERS + (OF_INTEGERS if gold["var"] in "nkm" else OF_REALS)) % gold["var"]


@equal("fn-qualifier-after-a-function", "formula")
def qualifier_after_a_formula(gold: Gold, rng: random.Random) -> str | None:
    """What a formula's variable stands for is the question's matter."""
    shapes = [r" \text{ where } %s\ge1", r" \text{ for } %s \ge 1", r",\ %s \in \mathbb{N}", r" \text{ for all } %s"]
    return (
        gold.bare
        + rng.choice([*shapes, r" \quad (%s \geq 1)", r" \text{ where } %s \text{ is a positive integer}"])
        % gold["var"]
    )


@equal("fn-qualifier-after-a-function", "function")
def identity_sign(gold: Gold, rng: random.Random) -> str | None:
    """An identity is an equation for all arguments."""
    return rf"{gold['name']}({gold['var']}) \equiv {gold.bare.partition('=')[2].strip()}"


@equal("value", "function", "formula")
def reordered_right_side(gold: Gold, rng: random.Random) -> str | None:
    """The sum on the right side may be written in any order."""
    order = shuffled(sorted(gold["coefs"], reverse=True), rng)
    left = gold.bare.partition("=")[0].strip()
    return f"{left} = {terms(gold['coefs'], gold['var'], order)}" if order else None


@equal("label", "function", "formula", "labelled")
def right_side_alone(gold: Gold, rng: random.Random) -> str | None:
    """The label before an equals sign is not the answer."""
    return gold.bare.partition("=")[2].strip()


@equal("fn-value-before-the-variable", "labelled", "formula", "function")
def sides_swapped(gold: Gold, rng: random.Random) -> str | None:
    """An equation may be read from either side."""
    left, _, right = gold.bare.partition("=")
    return f"{right.strip()} = {left.strip()}"


@equal("value", "line")
def line_in_another_form(gold: Gold, rng: random.Random) -> str | None:
    """Terms may change sides."""
    m, b = gold["m"], gold["b"]
    x, constant, moved = terms({1: m}, "x"), terms({0: b}, "x"), terms({1: -m}, "x")
    moved = moved if moved.startswith("-") else f"+{moved}"
    plus = constant if constant.startswith("-") else f"+{constant}"
    shapes = [
        f"y{moved} = {constant}",
        f"{x} - y{plus} = 0" if b else f"{x} - y = 0",
        f"y = {constant}{'+' if m > 0 else ''}{x}",
    ]
    return rng.choice([*shapes, f"{x}{plus if b else ''} = y"])


@equal("value", "line")
def multiple_of_a_line(gold: Gold, rng: random.Random) -> str | None:
    """An equation may be multiplied by a constant."""
    k = rng.choice([2, 3, -1, -2])
    return f"{terms({1: k}, 'y')} = {terms({1: k * gold['m'], 0: k * gold['b']}, 'x')}"


@equal("label", "line")
def line_as_a_function(gold: Gold, rng: random.Random) -> str | None:
    """By convention the side of y may be missing."""
    return terms({1: gold["m"], 0: gold["b"]}, "x")


@equal("fn-derivative-notation", "derivative")
def derivative_by_a_dot(gold: Gold, rng: random.Random) -> str | None:
    """A dot is the derivative by time."""
    x = gold["x"]
    left = rng.choice([r"\dot{%s}", r"\dot %s"]) % x
    return f"{left} = {gold['k']}{x} {gold['sign']} {gold['a']}"


@equal("fn-derivative-notation", "derivative")
def derivative_by_a_prime(gold: Gold, rng: random.Random) -> str | None:
    """A prime is a derivative."""
    x = gold["x"]
    prime = rng.choice([r"^\prime", "'", r"^{\prime}"])
    return f"{x}{prime} = {gold['k']}{x} {gold['sign']} {gold['a']}"


@equal("fn-derivative-notation", "derivative")
def derivative_terms_moved(gold: Gold, rng: random.Random) -> str | None:
    """Terms of a differential equation may change sides."""
    x = gold["x"]
    return rf"\frac{{d{x}}}{{d{gold['t']}}} - {gold['k']}{x} = {'-' if gold['sign'] == '-' else ''}{gold['a']}"


@equal("fn-dots", "dots")
def other_dots(gold: Gold, rng: random.Random) -> str | None:
    """Dots are dots, wherever they stand on the line."""
    dots = rng.choice([r"\dots", r"\cdots", "...", "…", r"\dotsc"])
    return rng.choice([", ", ","]).join([gold["first"], gold["second"], dots, gold["last"]])


@equal("fn-dots", "dots")
def dots_after_more_items(gold: Gold, rng: random.Random) -> str | None:
    """A list that goes on by ones may show three of its items."""
    third = str(int(gold["second"]) + 1)
    return rng.choice([r"\{%s\}", "%s"]) % ", ".join([gold["first"], gold["second"], third, r"\ldots", gold["last"]])


@equal("fn-gold-the-parser-cannot-read", "expression")
def own_text(gold: Gold, rng: random.Random) -> str | None:
    """A gold's own text is right, whoever can read it."""
    return gold.bare


@equal("typography", "expression")
def own_text_respaced(gold: Gold, rng: random.Random) -> str | None:
    """Spaces that end no command say nothing in mathematics."""
    squeezed = re.sub(r"(?<=[^a-zA-Z\\]) | (?=[^a-zA-Z])", "", gold.bare)
    return None if re.search(r"\\text|\\ ", gold.bare) else squeezed


@equal("fn-plain-ascii-mathematics", "expression")
def exponential_as_a_function(gold: Gold, rng: random.Random) -> str | None:
    """The exponential function has a name (e with a plain number above it may be a charge)."""
    name = rng.choice([r"\exp(%s)", r"\exp\left(%s\right)", r"\exp{(%s)}"])
    text = re.sub(r"(?<![a-zA-Z\\])e\^\{([^{}]*[-a-z][^{}]*)\}", lambda match: name % match[1], gold.bare)
    return text if text != gold.bare else None
