"""One isolated process that compares pairs of LaTeX; run by real.grading.pool, never imported by it.

It reads one JSON list ``[truth, answer]`` per line and writes one JSON line per verdict. It has no time limit of its
own: the parent kills it at the deadline. LaTeX is read by the grammar that math-verify reads it by
(latex2sympy2_extended). math-verify's reader of plain expressions isn't used, and sympy's way from text to code is
closed before anything is read.
"""

import json
import logging
import os
import re
import signal
import sys
from contextlib import suppress
from fractions import Fraction
from functools import lru_cache
from typing import Any


def main(memory_bytes: int) -> None:
    """Answer pairs until the parent closes the pipe."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a scheduler sends it to every process; the parent ends this one
    verdicts = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whatever a library prints stays out of the protocol
    limit_memory(memory_bytes)
    forbid_evaluation()
    logging.disable(logging.CRITICAL)
    equivalent("1+1", "2")  # loads the parser's tables before the first deadline runs
    verdicts.write("ready\n")
    for line in sys.stdin:
        truth, answer = json.loads(line)
        try:
            verdict = equivalent(truth, answer)
        except Exception:
            verdict = False
        verdicts.write(json.dumps(verdict) + "\n")


def equivalent(truth: str, answer: str) -> bool:
    """Whether two LaTeX expressions without decimals are equal: by value where both have one, else by math-verify.

    Raises:
        Exception: whatever the parser or sympy raise on what they can't read.
    """
    from math_verify import verify
    from sympy import Equality

    left, right = _parsed(truth), _parsed(answer)
    if isinstance(left, Equality) and isinstance(right, Equality):
        return proportional(left.lhs - left.rhs, right.lhs - right.rhs)
    same = equal_values(left, right)
    # math-verify compares what has no value: sets, relations, matrices, words
    return bool(verify(left, right, timeout_seconds=None)) if same is None else same


def proportional(left: Any, right: Any) -> bool:
    """Whether one expression is a constant times the other, so that both vanish together."""
    from sympy import Rational

    names = sorted(left.free_symbols | right.free_symbols, key=str)
    point = {name: Rational(POSITIVE[0][i % 4], 97) + i // 4 for i, name in enumerate(names)}
    factor = (left / right).evalf(40, subs=point)
    return bool(factor.is_number and factor.is_finite and factor != 0 and equal_values(left, factor * right))


# where expressions are compared: fractions of 97; of both signs where an absolute value may tell them apart; integers
# for floors, factorials and binomials, among them powers, squares and all remainders of small divisors
POSITIVE = ((131, 59, 83, 149), (71, 113, 41, 67))
SIGNED = ((-103, 37, -61, -89), (53, -127, 109, -47))
INTEGERS = ((8, 4, 3, 2), (15, 9, 6, 5), (10, 7, 5, 3), (16, 3, 2, 9), (9, 8, 7, 4), (25, 6, 12, 7), (7, 5, 4, 11))


def equal_values(left: Any, right: Any) -> bool | None:
    """Whether two sympy expressions agree at fixed points to 20 digits; None: they have no numerical values.

    Rational numbers are compared exactly. Variables are positive, as most that stand for quantities are: √(r²) is r.
    Where an absolute value or a sign occurs they are of both signs.
    """
    from sympy import Abs, Expr, Integer, Max, Min, Rational, Symbol, binomial, ceiling, factorial, floor, sign
    from sympy.core.function import AppliedUndef

    if not (isinstance(left, Expr) and isinstance(right, Expr)):
        return None
    # f(x) is a variable of its own
    left, right = (
        side.replace(lambda e: isinstance(e, AppliedUndef), lambda e: Symbol(str(e))) for side in (left, right)
    )
    names = sorted(left.free_symbols | right.free_symbols, key=str)
    difference = (left - right).doit()
    if difference.is_Rational:
        return bool(difference == 0)
    whole = difference.has(floor, ceiling, factorial, binomial)
    signed = left.has(Abs, sign, Max, Min) or right.has(Abs, sign, Max, Min)
    rows = INTEGERS if whole else POSITIVE + (SIGNED if signed else ())
    agreed = 0
    for row in rows[: None if names else 1]:
        point = [Integer(n) if whole else Rational(n, 97) for n in row]
        # more variables than numbers: the row goes on, shifted, so that no two are equal
        values = {name: point[i % 4] + i // 4 for i, name in enumerate(names)}
        gap, size = (abs(side.evalf(30, subs=values)) for side in (difference, left))
        if not (gap.is_number and size.is_number and gap.is_finite and size.is_finite):
            continue
        if gap > Rational(1, 10**20) * max(size, Rational(1, 10**300)):
            return False
        agreed += 1
    return True if agreed else None


@lru_cache(maxsize=1024)
def _parsed(latex: str) -> Any:
    """A sympy object; cases of letters count, and i is the imaginary unit."""
    from latex2sympy2_extended import latex2sympy
    from latex2sympy2_extended.latex2sympy2 import ConversionConfig
    from sympy import I, Symbol, nan, zoo

    expression = latex2sympy(
        re.sub(r"\\gamma(?![a-zA-Z])", r"\\upsilon ", latex),  # read as the function Γ, even in \gamma^2-1
        is_real=None,
        convert_degrees=False,
        normalization_config=None,
        conversion_config=ConversionConfig(lowercase_symbols=False),
    )
    if hasattr(expression, "has") and expression.has(nan, zoo):
        raise ValueError(f"{latex} is undefined")
    return expression.subs(Symbol("i"), I) if hasattr(expression, "subs") else expression


def forbid_evaluation() -> None:
    """Let sympy turn no text into code: ``sympify`` reads digits and refuses all else, ``parse_expr`` refuses all.

    Digits it must read: latex2sympy2_extended makes its numbers by ``sympy.Number(text)``, which is ``sympify``, which
    would evaluate the text as Python.
    """
    from sympy import Rational
    from sympy.parsing import sympy_parser

    def digits(text: str, *_: Any, **__: Any) -> Any:
        if not re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
            raise ValueError(f"{text!r} is not evaluated")
        return Rational(*Fraction(text).as_integer_ratio())

    def refuse(code: str, *_: Any) -> None:
        raise ValueError(f"{code!r} is not evaluated")

    sympy_parser.parse_expr = digits  # which sympify looks up at every call
    sympy_parser.eval_expr = refuse  # which parse_expr, where it was imported before, looks up at every call


def limit_memory(memory_bytes: int) -> None:
    """Cap this process's address space, where the system can."""
    # Windows has no such module, and macOS refuses a limit below what is mapped
    with suppress(ImportError, ValueError, OSError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        wanted = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
        resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))


if __name__ == "__main__":
    main(int(sys.argv[1]))
