"""Rewrites of tuples, lists, intervals, unions and matrices that keep the value."""

import random

from tests.support.restatements.golds import Gold
from tests.support.restatements.latex import frac, shuffled
from tests.support.restatements.rules import equal

_LETTERS = "xyzw"


def _joined(items: list[str], rng: random.Random) -> str:
    return rng.choice([",", ", ", r",\ "]).join(items)


@equal("tuple", "tuple")
def named_coordinates(gold: Gold, rng: random.Random) -> str | None:
    """A tuple's items may be given by name, in its order."""
    if len(gold["items"]) > 4:
        return None
    letters = rng.choice([_LETTERS, "abcd"])
    return rng.choice([", ", r",\ ", ","]).join(
        f"{x} = {item}" for x, item in zip(letters, gold["items"], strict=False)
    )


@equal("tuple", "tuple")
def tuple_without_brackets(gold: Gold, rng: random.Random) -> str | None:
    """A tuple may lose its brackets as long as its order stays."""
    thousands = all(item.isdigit() and len(item) == 3 for item in gold["items"][1:])
    return None if thousands else ", ".join(gold["items"])


@equal("tuple", "tuple")
def labelled_tuple(gold: Gold, rng: random.Random) -> str | None:
    """A tuple of letters before an equals sign says what the items are."""
    count = len(gold["items"])
    return (
        f"({','.join(rng.choice([_LETTERS, 'abcd'])[:count])}) = ({_joined(gold['items'], rng)})" if count < 5 else None
    )


@equal("tuple", "tuple", "list")
def unreduced_items(gold: Gold, rng: random.Random) -> str | None:
    """An item may be an unreduced fraction or a fraction of one."""
    items, k = list(gold["items"]), rng.randint(2, 5)
    at = rng.randrange(len(items))
    value = gold["values"][at]
    items[at] = rf"\frac{{{value.numerator * k}}}{{{value.denominator * k}}}"
    return f"({', '.join(items)})" if gold.family == "tuple" else ", ".join(items)


@equal("list", "list")
def reordered_list(gold: Gold, rng: random.Random) -> str | None:
    """A list of answers has no order."""
    return _joined(shuffled(gold["items"], rng), rng)


@equal("list", "list")
def set_braces(gold: Gold, rng: random.Random) -> str | None:
    """A list of answers is a set."""
    return rng.choice([r"\{%s\}", r"\left\{%s\right\}", r"\{ %s \}"]) % ", ".join(
        rng.sample(gold["items"], len(gold["items"]))
    )


@equal("list", "list", "tuples")
def list_with_words(gold: Gold, rng: random.Random) -> str | None:
    """The last two answers may be joined by a word."""
    items = gold["items"] if gold.family == "list" else [f"({','.join(t)})" for t in gold["tuples"]]
    word = rng.choice([r" \text{ and } ", r" \text{ or } ", r"\text{ and }", r" \text{or} "])
    return ", ".join(items[:-1]) + word + items[-1]


@equal("fn-unicode", "list")
def unicode_comma(gold: Gold, rng: random.Random) -> str | None:
    """Chinese lists have a comma of their own."""
    return rng.choice(["、", "，"]).join(gold["items"])


@equal("list", "list")
def list_of_equations(gold: Gold, rng: random.Random) -> str | None:
    """Each answer may be an equation."""
    items, x = gold["items"], rng.choice("xnk")
    return rng.choice([", ", r" \text{ or } ", r" \text{ and } ", r",\quad "]).join(f"{x} = {item}" for item in items)


@equal("list", "list")
def list_of_roots(gold: Gold, rng: random.Random) -> str | None:
    """Roots may be numbered."""
    return ", ".join(f"x_{k} = {item}" for k, item in enumerate(gold["items"], 1)) if len(gold["items"]) < 10 else None


@equal("list", "list")
def membership(gold: Gold, rng: random.Random) -> str | None:
    """A variable that is in a set takes the set's values."""
    sign = rng.choice([r"\in", "∈"])
    return rf"{rng.choice('xnk')} {sign} \{{" + ", ".join(gold["items"]) + r"\}"


@equal("list", "list")
def plus_or_minus(gold: Gold, rng: random.Random) -> str | None:
    """Two opposite answers are one with both signs."""
    a, b = gold["values"] if len(gold["values"]) == 2 else (1, 1)
    return rng.choice([r"\pm %s", r"x = \pm %s", "±%s"]) % frac(abs(a)) if a == -b else None


@equal("fn-membership-of-tuples", "tuples")
def membership_of_tuples(gold: Gold, rng: random.Random) -> str | None:
    """A tuple of variables that is in a set takes the set's values."""
    tuples, count = gold["tuples"], len(gold["tuples"][0])
    if count > 4:
        return None
    letters = ",".join(rng.choice([_LETTERS, "abcd", "mnpq"])[:count])
    sign = rng.choice([r"\in", "∈"])
    return rf"({letters}) {sign} \{{" + ",".join(f"({','.join(t)})" for t in tuples) + r"\}"


@equal("list", "tuples")
def reordered_tuples(gold: Gold, rng: random.Random) -> str | None:
    """A list of tuples has no order."""
    text = ", ".join(f"({', '.join(t)})" for t in shuffled(gold["tuples"], rng))
    return rng.choice(["%s", r"\{%s\}"]) % text


def signs(gold: Gold) -> tuple[str, str]:
    return (r"\le" if gold["left"] == "[" else "<"), (r"\le" if gold["right"] == "]" else "<")


@equal("interval", "interval")
def interval_as_an_inequality(gold: Gold, rng: random.Random) -> str | None:
    """An interval is what its two inequalities allow."""
    left, right = signs(gold)
    x = rng.choice("xtk")
    if rng.random() < 0.3:
        left, right = (sign.replace(r"\le", r"\ge").replace("<", ">") for sign in (left, right))
        return f"{gold['b']} {right} {x} {left} {gold['a']}"
    return f"{gold['a']} {left} {x} {right} {gold['b']}"


@equal("fn-range-of-a-function", "interval")
def range_of_a_function(gold: Gold, rng: random.Random) -> str | None:
    """The values that a function takes are an interval."""
    left, right = signs(gold)
    return f"{gold['a']} {left} {rng.choice(['f(x)', 'f(A)', 'g(x)', 'y'])} {right} {gold['b']}"


@equal("interval", "interval", "ray")
def set_builder(gold: Gold, rng: random.Random) -> str | None:
    """A set of all numbers with a property is an interval."""
    if gold.family == "interval":
        left, right = signs(gold)
        inside = f"{gold['a']} {left} x {right} {gold['b']}"
    else:
        inside = f"x {_ray_sign(gold)} {gold['a']}"
    return (
        rng.choice(
            [r"\{x \mid %s\}", r"\{ x : %s \}", r"\left\{x \,\middle|\, %s\right\}", r"\{x \in \mathbb{R} \mid %s\}"]
        )
        % inside
    )


@equal("interval", "interval", "ray", "union")
def element_of_an_interval(gold: Gold, rng: random.Random) -> str | None:
    """A variable that is in a set ranges over the set."""
    sign = rng.choice([r"\in", "∈"])
    return f"{rng.choice('xtk')} {sign} {gold.bare}"


@equal("fn-plain-ascii-mathematics", "interval", "ray")
def ascii_inequality(gold: Gold, rng: random.Random) -> str | None:
    """Keyboards write an inequality with two characters."""
    if gold.family == "ray" and not gold["closed"]:
        return None
    if gold.family == "ray":
        return "x " + _ray_sign(gold).replace(r"\le", "<=").replace(r"\ge", ">=") + f" {gold['a']}"
    left, right = (sign.replace(r"\le", "<=") for sign in signs(gold))
    return f"{gold['a']} {left} x {right} {gold['b']}"


@equal("fn-unicode", "interval", "ray")
def unicode_inequality(gold: Gold, rng: random.Random) -> str | None:
    """Unicode has the signs of inequalities."""
    if gold.family == "ray" and not gold["closed"]:
        return None
    if gold.family == "ray":
        return "x " + _ray_sign(gold).replace(r"\le", "≤").replace(r"\ge", "≥") + f" {gold['a']}"
    left, right = (sign.replace(r"\le", rng.choice("≤⩽")) for sign in signs(gold))
    return f"{gold['a']} {left} x {right} {gold['b']}"


@equal("interval", "interval")
def two_inequalities(gold: Gold, rng: random.Random) -> str | None:
    """An interval is where both of its inequalities hold."""
    left = r"\ge" if gold["left"] == "[" else ">"
    word = rng.choice([r"\text{ and }", r"\land", r"\wedge"])
    return f"x {left} {gold['a']} {word} x {signs(gold)[1]} {gold['b']}"


def _ray_sign(gold: Gold) -> str:
    return (r"\ge" if gold["up"] else r"\le") if gold["closed"] else (">" if gold["up"] else "<")


@equal("interval", "ray")
def ray_as_an_inequality(gold: Gold, rng: random.Random) -> str | None:
    """A ray is what one inequality allows, which may be read from either side."""
    sign, x = _ray_sign(gold), rng.choice("xtk")
    turned = {r"\ge": r"\le", r"\le": r"\ge", "<": ">", ">": "<"}[sign]
    return rng.choice([f"{x} {sign} {gold['a']}", f"{gold['a']} {turned} {x}", f"{x}{sign} {gold['a']}"])


@equal("interval", "ray")
def ray_with_signed_infinity(gold: Gold, rng: random.Random) -> str | None:
    """Infinity may bear a plus, or be a Unicode character."""
    if gold["up"]:
        return ("[" if gold["closed"] else "(") + f"{gold['a']}, " + rng.choice([r"+\infty", "∞", "+∞"]) + ")"
    return f"(-∞, {gold['a']}{']' if gold['closed'] else ')'}"


@equal("fn-unions-in-other-words", "union")
def union_by_or(gold: Gold, rng: random.Random) -> str | None:
    """A union is where one inequality or the other holds."""
    le = {"[": r"\le", "]": r"\le", "(": "<", ")": "<"}
    x, word = rng.choice("xk"), rng.choice([r"\text{ or }", r"\lor", r"\text{or}", r"\vee", r"\quad\text{or}\quad"])
    if gold["sort"] == "outward":
        above = le[gold["r"]].replace("<", ">").replace("le", "ge")
        return f"{x} {le[gold['q']]} {gold['b']} {word} {x} {above} {gold['c']}"
    first, second = ((gold["a"], "p", "q", gold["b"]), (gold["c"], "r", "s", gold["d"]))
    return f" {word} ".join(f"{a} {le[gold[p]]} {x} {le[gold[q]]} {b}" for a, p, q, b in (first, second))


@equal("fn-unions-in-other-words", "union")
def union_by_complement(gold: Gold, rng: random.Random) -> str | None:
    """A union is a larger set without what lies between."""
    minus = rng.choice([r"\setminus", r"\backslash", r" \setminus "])
    if gold["sort"] == "touching":
        return rf"{gold['p']}{gold['a']}, {gold['d']}{gold['s']} {minus} \{{{gold['b']}\}}"
    left, right = ("[" if gold["q"] == ")" else "("), ("]" if gold["r"] == "(" else ")")
    line = rng.choice([r"\mathbb{R}", r"(-\infty, \infty)"])
    return f"{line} {minus} {left}{gold['b']}, {gold['c']}{right}"


@equal("fn-unions-in-other-words", "union")
def union_by_inequation(gold: Gold, rng: random.Random) -> str | None:
    """Two intervals that touch are one without the point between."""
    if gold["sort"] != "touching" or gold["p"] + gold["s"] != "()":
        return None
    word, unequal = rng.choice([", ", r" \text{ and } ", r",\ "]), rng.choice([r"\ne", r"\neq", "≠"])
    return f"{gold['a']} < x < {gold['d']}{word}x {unequal} {gold['b']}"


@equal("union", "union")
def reordered_union(gold: Gold, rng: random.Random) -> str | None:
    """A union has no order."""
    cup = rng.choice([r"\cup", "∪", r"\bigcup"])
    return f"{gold['r']}{gold['c']}, {gold['d']}{gold['s']} {cup} {gold['p']}{gold['a']}, {gold['b']}{gold['q']}"


def entries(rows: list[list[str]]) -> str:
    return r" \\ ".join(" & ".join(row) for row in rows)


@equal("matrix", "matrix")
def other_matrix_environment(gold: Gold, rng: random.Random) -> str | None:
    """A matrix may have square brackets or small type."""
    name, left, right = rng.choice(
        [("bmatrix", "", ""), ("matrix", r"\left(", r"\right)"), ("matrix", r"\left[", r"\right]")]
    )
    return rf"{left}\begin{{{name}}} {entries(gold['rows'])} \end{{{name}}}{right}"


@equal("fn-bracketed-matrix", "matrix")
def matrix_of_an_array(gold: Gold, rng: random.Random) -> str | None:
    """An array in brackets is a matrix."""
    left, right = rng.choice([(r"\left[", r"\right]"), (r"\left(", r"\right)")])
    columns = rng.choice("crl") * len(gold["rows"][0])
    return rf"{left}\begin{{array}}{{{columns}}}{entries(gold['rows']).replace(' ', '')}\end{{array}}{right}"


@equal("matrix", "matrix")
def rewritten_entries(gold: Gold, rng: random.Random) -> str | None:
    """An entry may be any text of its value."""
    k = rng.randint(2, 5)
    rows = [
        [rng.choice([frac(v), rf"\frac{{{v.numerator * k}}}{{{v.denominator * k}}}"]) for v in row]
        for row in gold["values"]
    ]
    return rf"\begin{{pmatrix}} {entries(rows)} \end{{pmatrix}}"
