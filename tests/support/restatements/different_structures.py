"""Changes of tuples, lists, intervals, unions and matrices."""

import random

from tests.support.restatements.equal_structures import entries, signs
from tests.support.restatements.golds import Gold
from tests.support.restatements.latex import frac
from tests.support.restatements.rules import different


def _tuple(items: list[str]) -> str:
    return f"({', '.join(items)})"


def _shape(gold: Gold, items: list[str]) -> str:
    return _tuple(items) if gold.family == "tuple" else ", ".join(items)


@different("tuple", "tuple")
def permuted_tuple(gold: Gold, rng: random.Random) -> str | None:
    """A tuple in another order is another tuple."""
    order = rng.sample(range(len(gold["items"])), len(gold["items"]))
    same = [gold["values"][k] for k in order] == gold["values"]
    return None if same else _tuple([gold["items"][k] for k in order])


@different("tuple", "tuple", "list")
def item_lost(gold: Gold, rng: random.Random) -> str | None:
    """An item is missing."""
    items = list(gold["items"])
    del items[rng.randrange(len(items))]
    return _shape(gold, items)


@different("tuple", "tuple", "list")
def item_added(gold: Gold, rng: random.Random) -> str | None:
    """There is an item too many."""
    items = [*gold["items"], rng.choice(["1009", "-4321", r"\frac{997}{13}"])]
    return _shape(gold, items)


@different("tuple", "tuple", "list")
def item_changed(gold: Gold, rng: random.Random) -> str | None:
    """An item has another value."""
    items = list(gold["items"])
    at = rng.randrange(len(items))
    other = gold["values"][at] + rng.choice([-1, 1, 2])
    items[at] = frac(other)
    return _shape(gold, items) if gold.family == "tuple" or other not in gold["values"] else None


@different("tuple", "tuple", "list")
def item_with_other_sign(gold: Gold, rng: random.Random) -> str | None:
    """An item other than zero has the opposite sign."""
    items = list(gold["items"])
    at = rng.randrange(len(items))
    items[at] = frac(-gold["values"][at])
    kept = gold.family == "list" and -gold["values"][at] in gold["values"]
    return _shape(gold, items) if gold["values"][at] and not kept else None


@different("tuple", "tuple")
def names_swapped(gold: Gold, rng: random.Random) -> str | None:
    """The names of two unlike items are exchanged."""
    a, b = gold["items"] if len(gold["items"]) == 2 else ("", "")
    return f"x = {b}, y = {a}" if a and gold["values"][0] != gold["values"][1] else None


@different("tuple", "tuple")
def work_with_a_tuple(gold: Gold, rng: random.Random) -> str | None:
    """A sum, a product or a scalar multiple of a tuple isn't the tuple."""
    total = frac(sum(gold["values"]))
    scaled = _tuple([frac(2 * value) for value in gold["values"]])
    return rng.choice([total, scaled, " + ".join(gold["items"])]) if any(gold["values"]) else None


@different("list", "tuples")
def tuple_of_a_list_lost(gold: Gold, rng: random.Random) -> str | None:
    """One of the tuples is missing."""
    tuples = list(gold["tuples"])
    del tuples[rng.randrange(len(tuples))]
    return ", ".join(_tuple(list(t)) for t in tuples)


@different("list", "tuples")
def tuple_of_a_list_reversed(gold: Gold, rng: random.Random) -> str | None:
    """One of the tuples has its items in another order."""
    tuples = list(gold["tuples"])
    at = rng.randrange(len(tuples))
    tuples[at] = tuples[at][::-1]
    return None if set(tuples) <= set(gold["tuples"]) else ", ".join(_tuple(list(t)) for t in tuples)


@different("list", "tuples")
def tuples_run_together(gold: Gold, rng: random.Random) -> str | None:
    """All items in one tuple are one answer and not several."""
    return _tuple([item for t in gold["tuples"] for item in t])


@different("list", "list")
def superset(gold: Gold, rng: random.Random) -> str | None:
    """A larger set holds other answers as well."""
    return rng.choice([r"\mathbb{R}", r"\mathbb{Q}", r"\{%s, 1009\}", r"x \in \{%s, -4321\}"]).replace(
        "%s", ", ".join(gold["items"])
    )


@different("list", "list")
def sum_of_a_list(gold: Gold, rng: random.Random) -> str | None:
    """The sum or the product of several answers is none of a list."""
    return rng.choice([" + ", r" \cdot ", r" \times "]).join(
        item if item[0] != "-" else f"({item})" for item in gold["items"]
    )


@different("list", "list")
def excluded_list(gold: Gold, rng: random.Random) -> str | None:
    """Values that the variable must not take are no answers."""
    items = ", ".join(gold["items"])
    return rng.choice([r"x \ne %s", r"x \notin \{%s\}", r"\mathbb{R} \setminus \{%s\}"]).replace("%s", items)


def _interval(left: str, a: str, b: str, right: str) -> str:
    return f"{left}{a}, {b}{right}"


_OTHER = {"[": "(", "(": "[", "]": ")", ")": "]"}


@different("interval", "interval")
def other_left_bracket(gold: Gold, rng: random.Random) -> str | None:
    """The left end belongs to one of the two intervals alone."""
    return _interval(_OTHER[gold["left"]], gold["a"], gold["b"], gold["right"])


@different("interval", "interval")
def other_right_bracket(gold: Gold, rng: random.Random) -> str | None:
    """The right end belongs to one of the two intervals alone."""
    return _interval(gold["left"], gold["a"], gold["b"], _OTHER[gold["right"]])


@different("interval", "interval")
def shifted_end(gold: Gold, rng: random.Random) -> str | None:
    """An interval with another end is another interval."""
    a, b = gold["ends"]
    a, b = rng.choice([(a - 1, b), (a, b + 1), (a - 1, b + 1), (a, b + 10)])
    return _interval(gold["left"], frac(a), frac(b), gold["right"])


@different("interval", "interval")
def swapped_ends(gold: Gold, rng: random.Random) -> str | None:
    """An interval from the larger end to the smaller one is empty."""
    return _interval(gold["left"], gold["b"], gold["a"], gold["right"])


@different("interval", "interval")
def one_end_alone(gold: Gold, rng: random.Random) -> str | None:
    """One inequality allows more than both."""
    left, right = signs(gold)
    return rng.choice(
        [f"x {right} {gold['b']}", f"{gold['a']} {left} x", rf"{gold['left']}{gold['a']}, \infty)", gold["a"]]
    )


@different("interval", "interval")
def outside_of_an_interval(gold: Gold, rng: random.Random) -> str | None:
    """What lies outside isn't inside."""
    a, b = gold["a"], gold["b"]
    shapes = [
        rf"(-\infty, {a}) \cup ({b}, \infty)",
        rf"x < {a} \text{{ or }} x > {b}",
        rf"\mathbb{{R}} \setminus {gold.bare}",
    ]
    return rng.choice([*shapes, rf"x \notin {gold.bare}"])


@different("interval", "interval")
def ends_as_a_list(gold: Gold, rng: random.Random) -> str | None:
    """An interval holds more than its ends."""
    return rng.choice([r"\{%s, %s\}", r"%s \text{ and } %s", r"x = %s, x = %s"]) % (gold["a"], gold["b"])


@different("interval", "interval")
def inequality_with_other_sign(gold: Gold, rng: random.Random) -> str | None:
    """An end is allowed by one of the inequalities alone."""
    left, right = signs(gold)
    other = {r"\le": "<", "<": r"\le"}
    left, right = rng.choice([(other[left], right), (left, other[right])])
    return f"{gold['a']} {left} x {right} {gold['b']}"


@different("interval", "ray")
def opposite_ray(gold: Gold, rng: random.Random) -> str | None:
    """The ray to the other side has other members."""
    up, closed, a = gold["up"], gold["closed"], gold["a"]
    sign = ("<" if up else ">") if not closed else (r"\le" if up else r"\ge")
    ray = rf"(-\infty, {a}{']' if closed else ')'}" if up else rf"{'[' if closed else '('}{a}, \infty)"
    return rng.choice([f"x {sign} {a}", ray])


@different("interval", "ray")
def ray_with_other_end(gold: Gold, rng: random.Random) -> str | None:
    """The end belongs to one of the two rays alone."""
    up, closed, a = gold["up"], gold["closed"], gold["a"]
    sign = (">" if up else "<") if closed else (r"\ge" if up else r"\le")
    ray = rf"{'(' if closed else '['}{a}, \infty)" if up else rf"(-\infty, {a}{')' if closed else ']'}"
    return rng.choice([f"x {sign} {a}", ray])


@different("interval", "ray")
def shifted_ray(gold: Gold, rng: random.Random) -> str | None:
    """A ray from another point is another ray."""
    a, closed = frac(gold["value"] + rng.choice([-2, -1, 1, 5])), gold["closed"]
    return rf"{'[' if closed else '('}{a}, \infty)" if gold["up"] else rf"(-\infty, {a}{']' if closed else ')'}"


@different("interval", "ray")
def bounded_ray(gold: Gold, rng: random.Random) -> str | None:
    """A ray has no second end, and isn't its end."""
    a = gold["a"]
    return rng.choice(
        [a, f"x = {a}", f"({a}, 1000)" if gold["up"] else f"(-1000, {a})", r"(-\infty, \infty)", rf"x \ne {a}"]
    )


def _pieces(gold: Gold, cup: str) -> str:
    return f"{gold['p']}{gold['a']}, {gold['b']}{gold['q']} {cup} {gold['r']}{gold['c']}, {gold['d']}{gold['s']}"


@different("union", "union")
def intersection(gold: Gold, rng: random.Random) -> str | None:
    """Two sets that share nothing have an empty intersection."""
    return _pieces(gold, rng.choice([r"\cap", "∩", r"\setminus"]))


@different("union", "union")
def one_piece_alone(gold: Gold, rng: random.Random) -> str | None:
    """The other piece is missing."""
    return rng.choice(
        [f"{gold['p']}{gold['a']}, {gold['b']}{gold['q']}", f"{gold['r']}{gold['c']}, {gold['d']}{gold['s']}"]
    )


@different("union", "union")
def union_with_other_bracket(gold: Gold, rng: random.Random) -> str | None:
    """An end belongs to one of the unions alone."""
    at = rng.choice("qr")
    other = Gold(gold.text, gold.family, {**gold.parts, at: _OTHER[gold[at]]})
    return _pieces(other, r"\cup")


@different("union", "union")
def gap_closed(gold: Gold, rng: random.Random) -> str | None:
    """What lies between the pieces doesn't belong to them."""
    text = f"{gold['p']}{gold['a']}, {gold['d']}{gold['s']}"
    return rng.choice([text, r"\mathbb{R}"]) if gold["sort"] == "outward" else text


@different("union", "union")
def gap_instead_of_the_pieces(gold: Gold, rng: random.Random) -> str | None:
    """The complement holds what the union doesn't."""
    b, c = gold["b"], gold["c"]
    return rng.choice([f"{b} < x < {c}", f"[{b}, {c}]", f"({b}, {c})"]) if gold["sort"] == "outward" else rf"\{{{b}\}}"


@different("union", "union")
def shifted_piece(gold: Gold, rng: random.Random) -> str | None:
    """A piece has another end."""
    c = str(int(gold["c"]) + 1) if gold["c"].lstrip("-").isdigit() else ""
    return c and f"{gold['p']}{gold['a']}, {gold['b']}{gold['q']} \\cup {gold['r']}{c}, {gold['d']}{gold['s']}"


def _matrix(rows: list[list[str]], rng: random.Random) -> str:
    name = rng.choice(["pmatrix", "bmatrix"])
    return rf"\begin{{{name}}} {entries(rows)} \end{{{name}}}"


@different("matrix", "matrix")
def transposed(gold: Gold, rng: random.Random) -> str | None:
    """Rows aren't columns unless the matrix is symmetric."""
    columns = [list(column) for column in zip(*gold["values"], strict=True)]
    rows = [list(row) for row in zip(*gold["rows"], strict=True)]
    return _matrix(rows, rng) if columns != gold["values"] else None


@different("matrix", "matrix")
def entry_changed(gold: Gold, rng: random.Random) -> str | None:
    """One entry has another value."""
    rows = [list(row) for row in gold["rows"]]
    i, j = rng.randrange(len(rows)), rng.randrange(len(rows[0]))
    rows[i][j] = frac(gold["values"][i][j] + rng.choice([-1, 1, 2]))
    return _matrix(rows, rng)


@different("matrix", "matrix")
def opposite_matrix(gold: Gold, rng: random.Random) -> str | None:
    """A matrix other than zero isn't its opposite or its multiple."""
    nonzero = any(value for row in gold["values"] for value in row)
    factor = rng.choice([-1, 2])
    return _matrix([[frac(factor * value) for value in row] for row in gold["values"]], rng) if nonzero else None


@different("matrix", "matrix")
def rows_exchanged(gold: Gold, rng: random.Random) -> str | None:
    """Two unlike rows stand in each other's place."""
    rows, values = gold["rows"], gold["values"]
    return _matrix([rows[1], rows[0], *rows[2:]], rng) if len(rows) > 1 and values[0] != values[1] else None


@different("matrix", "matrix")
def row_lost(gold: Gold, rng: random.Random) -> str | None:
    """A row is missing, or one is too many."""
    rows = gold["rows"]
    return _matrix(rng.choice([rows[:-1] or rows * 3, [*rows, rows[0]]]), rng)
