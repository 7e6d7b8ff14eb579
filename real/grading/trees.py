r"""Trees of expressions: what they are made of, and how they are written.

A tree is a tuple: ``("num", Fraction)``, ``("name", "x_{1}")``, ``("const", "pi")``, ``("add", trees)``,
``("mul", trees)``, ``("pow", base, exponent)``, ``("deg", tree)``, ``("call", "sin", trees)`` for a known function and
``("apply", "f", trees)`` for one that only has a name.
"""

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any

Tree = tuple[Any, ...]

INFINITY: Tree = ("const", "inf")
BACKSLASH = "\\"


@lru_cache(maxsize=1024)
def names(tree: Tree) -> frozenset[str]:
    """The names of a tree that may stand for values; of functions too."""
    if tree[0] == "name":
        return frozenset((tree[1],))
    found = frozenset((tree[1],)) if tree[0] == "apply" else frozenset()
    return found.union(*(names(part) for part in parts(tree)))


def parts(tree: Tree) -> tuple[Tree, ...]:
    """The trees that a tree is made of."""
    if tree[0] in ("num", "name", "const"):
        return ()
    if tree[0] in ("add", "mul"):
        return tree[1]
    if tree[0] in ("call", "apply"):
        return tree[2]
    return tree[1:]


def has(tree: Tree, test: Callable[[Tree], bool]) -> bool:
    """Whether a tree or a part of it passes a test."""
    return test(tree) or any(has(part, test) for part in parts(tree))


def negative(tree: Tree) -> Tree:
    """Minus a tree; of a number the number."""
    return ("num", -tree[1]) if tree[0] == "num" else ("mul", (("num", Fraction(-1)), tree))


def quotient(over: Tree, under: Tree) -> Tree:
    """One tree divided by another."""
    return ("mul", (over, ("pow", under, ("num", Fraction(-1)))))


def written(tree: Tree) -> str:
    """A tree as LaTeX with every sign and bracket in place, which no parser can misread."""
    match tree:
        case ("num", value):
            over, under = value.numerator, value.denominator
            return f"({over})" if under == 1 else f"\\frac{{{over}}}{{{under}}}"
        case ("name", name):
            return str(name)
        case ("const", name):
            return {"pi": "\\pi ", "inf": "\\infty ", "e": "e", "i": "i"}[str(name)]
        case ("add", terms):
            return f"({'+'.join(map(written, terms))})"
        case ("mul", factors):
            return "(" + "\\cdot ".join(map(written, factors)) + ")"
        case ("pow", base, exponent):
            return f"({written(base)})^{{{written(exponent)}}}"
        case ("deg", inside):
            return written(inside)
        case ("call", "abs", (inside,)):
            return f"|{written(inside)}|"
        case ("call", "factorial", (inside,)):
            return f"({written(inside)})!"
        case ("call", "binom", (over, under)):
            return f"\\binom{{{written(over)}}}{{{written(under)}}}"
        case ("call", "log", (inside, base)):
            return f"\\log_{{{written(base)}}}({written(inside)})"
        case ("call", "floor" | "ceil" as name, (inside,)):
            return f"\\l{name}{written(inside)}\\r{name}"
        case ("call" | "apply" as kind, name, arguments):
            return f"{BACKSLASH if kind == 'call' else ''}{name}({','.join(map(written, arguments))})"
    raise ValueError(f"{tree[0]} is no tree")
