"""Changes of polynomials, functions, equations, derivatives, lists with dots and of any expression."""

import random
import re

from tests.support.restatements.golds import Gold, bare
from tests.support.restatements.latex import terms
from tests.support.restatements.rules import different

_FORMULAS = ("polynomial", "function", "formula")


def _with(gold: Gold, coefs: dict[int, int], var: str | None = None) -> str:
    """The gold with other coefficients or another variable on its right side."""
    left = gold.bare.partition("=")[0].strip() + " = " if gold.family != "polynomial" else ""
    return left + terms(coefs, var or gold["var"])


@different("value", *_FORMULAS)
def coefficient_with_other_sign(gold: Gold, rng: random.Random) -> str | None:
    """A polynomial with a coefficient of the opposite sign is another one."""
    exponent = rng.choice(sorted(gold["coefs"]))
    return _with(gold, {**gold["coefs"], exponent: -gold["coefs"][exponent]}) if gold["coefs"][exponent] else None


@different("value", *_FORMULAS)
def changed_coefficient(gold: Gold, rng: random.Random) -> str | None:
    """A polynomial with another coefficient is another one."""
    exponent = rng.choice(sorted(gold["coefs"]))
    return _with(gold, {**gold["coefs"], exponent: gold["coefs"][exponent] + rng.choice([-1, 1, 2, 10])})


@different("value", *_FORMULAS)
def changed_exponent(gold: Gold, rng: random.Random) -> str | None:
    """A polynomial with another exponent is another one."""
    coefs, top = dict(gold["coefs"]), max(gold["coefs"])
    coefs[top + 1] = coefs.pop(top)
    return _with(gold, coefs) if top and coefs[top + 1] else None


@different("value", *_FORMULAS)
def lost_term(gold: Gold, rng: random.Random) -> str | None:
    """A term is missing."""
    lost = rng.choice(sorted(gold["coefs"]))
    coefs = {e: c for e, c in gold["coefs"].items() if e != lost}
    return _with(gold, coefs) if coefs and gold["coefs"][lost] else None


@different("value", *_FORMULAS)
def added_term(gold: Gold, rng: random.Random) -> str | None:
    """There is a term too many."""
    free = [e for e in range(7) if e not in gold["coefs"]]
    return _with(gold, {**gold["coefs"], rng.choice(free): rng.choice([-1, 1, 3])}) if free else None


@different("variable", *_FORMULAS)
def other_variable(gold: Gold, rng: random.Random) -> str | None:
    """Another letter on the right side is another quantity."""
    used = set(re.findall("[a-zA-Z]", gold.bare))
    free = [letter for letter in "xyzuvmpq" if letter not in used]
    return _with(gold, gold["coefs"], rng.choice(free)) if max(gold["coefs"]) else None


@different("variable", *_FORMULAS)
def other_case(gold: Gold, rng: random.Random) -> str | None:
    """A capital letter is another variable than the small one."""
    other = gold["var"].swapcase()
    return _with(gold, gold["coefs"], other) if max(gold["coefs"]) and other not in gold.bare else None


@different("value", "polynomial")
def changed_whole(gold: Gold, rng: random.Random) -> str | None:
    """A multiple, the square or the opposite of a polynomial is another one."""
    return rng.choice(["2(%s)", "(%s)^2", "-(%s)", r"\frac{%s}{2}", "(%s)+1", r"\frac{1}{%s}"]) % gold.bare


@different("value", "polynomial")
def value_instead_of_a_formula(gold: Gold, rng: random.Random) -> str | None:
    """A polynomial isn't one of its values."""
    x = rng.randint(2, 5)
    return str(sum(c * x**e for e, c in gold["coefs"].items()))


@different("label", "function")
def other_function_name(gold: Gold, rng: random.Random) -> str | None:
    """Another name is another function."""
    other = rng.choice([name for name in "fghp" if name != gold["name"].lower()])
    return re.sub(r"^[a-zA-Z]", other, gold.bare)


@different("label", "labelled", "formula")
def other_label(gold: Gold, rng: random.Random) -> str | None:
    """Another label names another quantity."""
    other = rng.choice([name for name in "abyzQ" if name.lower() != gold["label"].lower() and name not in gold.bare])
    return re.sub(r"^[a-zA-Z]", other, gold.bare)


@different("label", "labelled")
def label_of_other_case(gold: Gold, rng: random.Random) -> str | None:
    """A capital letter names another quantity than the small one."""
    return gold["label"].swapcase() + gold.bare[1:]


@different("value", "labelled")
def other_labelled_value(gold: Gold, rng: random.Random) -> str | None:
    """The label is right and the value isn't."""
    n = gold["number"]
    if not n.lstrip("-").isdigit():
        return None
    other = int(n) + rng.choice([-2, -1, 1, 2, 10])
    return rng.choice([f"{gold['label']} = {other}", str(other)])


@different("relation", "labelled")
def labelled_relation(gold: Gold, rng: random.Random) -> str | None:
    """An inequality or an inequation isn't an equation."""
    sign = rng.choice([">", "<", r"\ge", r"\le", r"\ne", r"\geq", "≥"])
    return f"{gold['label']} {sign} {gold['number']}"


@different("value", "line")
def other_slope(gold: Gold, rng: random.Random) -> str | None:
    """Another slope makes another line."""
    slope = gold["m"] + rng.choice([-1, 1, 3])
    return f"y = {terms({1: slope, 0: gold['b']}, 'x')}" if slope else None


@different("value", "line")
def other_intercept(gold: Gold, rng: random.Random) -> str | None:
    """Another intercept makes a parallel line."""
    return f"y = {terms({1: gold['m'], 0: gold['b'] + rng.choice([-2, -1, 1, 2])}, 'x')}"


@different("value", "line")
def axes_swapped(gold: Gold, rng: random.Random) -> str | None:
    """The mirrored line is another one unless its slope is 1 or -1."""
    return f"x = {terms({1: gold['m'], 0: gold['b']}, 'y')}" if abs(gold["m"]) != 1 else None


@different("value", "line")
def side_forgotten(gold: Gold, rng: random.Random) -> str | None:
    """A term that changes sides changes its sign."""
    m, b = gold["m"], gold["b"]
    return f"y + {terms({1: m}, 'x')} = {b}" if m > 0 else f"y - {terms({1: -m}, 'x')} = {b}"


@different("value", "derivative")
def other_derivative(gold: Gold, rng: random.Random) -> str | None:
    """A second derivative, another function's or none at all is another quantity."""
    x, right = gold["x"], f"{gold['k']}{gold['x']} {gold['sign']} {gold['a']}"
    left = rng.choice(
        [rf"\ddot{{{x}}}", rf"\frac{{d^2{x}}}{{dt^2}}", x, f"{x}''", r"\frac{du}{dt}", rf"\frac{{dt}}{{d{x}}}"]
    )
    return f"{left} = {right}"


@different("value", "derivative")
def derivative_with_other_sign(gold: Gold, rng: random.Random) -> str | None:
    """A term with the opposite sign makes another equation."""
    left = rng.choice([r"\frac{d%s}{dt}", r"\dot{%s}", "%s'"]) % gold["x"]
    sign = "-" if gold["sign"] == "+" else "+"
    return f"{left} = {gold['k']}{gold['x']} {sign} {gold['a']}"


@different("list", "dots")
def other_end_of_dots(gold: Gold, rng: random.Random) -> str | None:
    """A list that ends elsewhere has other members."""
    end = rng.choice(["%s-1", "%s+1", "2%s", "%s^2", "100"]).replace("%s", gold["last"])
    return rf"{gold['first']}, {gold['second']}, \ldots, {end}"


@different("list", "dots")
def other_start_of_dots(gold: Gold, rng: random.Random) -> str | None:
    """A list that starts elsewhere has other members."""
    first = int(gold["first"]) + rng.choice([-1, 1, 2])
    return rf"{first}, {first + 1}, \dots, {gold['last']}"


@different("list", "dots")
def dots_lost(gold: Gold, rng: random.Random) -> str | None:
    """Without dots only what is written is listed."""
    shapes = ["%s, %s, %s", r"%s + %s + \ldots + %s", r"%s \cdot %s \cdots %s", r"%s, %s, \ldots"]
    shape = rng.choice(shapes)
    return shape % tuple([gold["first"], gold["second"], gold["last"]][: shape.count("%s")])


def is_a_term(gold: Gold) -> bool:
    """Whether an expression is one value: no relation, list, set, interval or word."""
    text = bare(gold.text)
    unbalanced = text.count("(") != text.count(")") or text.count("[") != text.count("]")
    listed = re.search(r"[,=<>\[]|\\(?:cup|in|le|ge|text|infty|pm|angle|circ|quad|geqslant)\b|\\[{]", text)
    return not (unbalanced or listed)


@different("value", "expression")
def expression_plus_one(gold: Gold, rng: random.Random) -> str | None:
    """A value plus a number other than zero is another value."""
    return gold.bare + rng.choice([" + 1", " - 2", " + 7", "+ 13"]) if is_a_term(gold) else None


@different("value", "expression")
def multiple_of_an_expression(gold: Gold, rng: random.Random) -> str | None:
    """A multiple of a value other than zero is another value."""
    return (
        rng.choice([r"2\left(%s\right)", r"-\left(%s\right)", r"\frac{%s}{3}"]) % gold.bare if is_a_term(gold) else None
    )


@different("variable", "expression")
def extra_variable(gold: Gold, rng: random.Random) -> str | None:
    """A factor or a term that the gold doesn't know changes it."""
    return (
        rng.choice([r"q\left(%s\right)", "%s + q", r"\left(%s\right)^{q}"]) % gold.bare
        if is_a_term(gold) and "q" not in gold.bare
        else None
    )
