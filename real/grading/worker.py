"""One isolated process that compares pairs of LaTeX; run as a file by real.grading.pool, never imported by it.

It reads one JSON list ``[truth, answer, seconds]`` per line and writes one line per pair: a verdict as JSON (true,
false, "not_understood"), ``late`` where the pair took more than its seconds of processor time, or ``died``. The pairs
are compared in a fork of this process, which has loaded everything, so that the next fork costs milliseconds where one
is lost. The kernel keeps the seconds; the parent keeps a deadline in real time, at which it has the fork killed
(SIGUSR1). LaTeX is read by the grammar that math-verify reads it by (latex2sympy2_extended). math-verify's reader of
plain expressions isn't used, and sympy's way from text to code is closed before anything is read.
"""

import json
import logging
import os
import re
import select
import signal
import socket
import sys
from contextlib import suppress
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any

TASKS_PER_FORK = 2000  # sympy's caches grow; a fresh fork gives the memory back
# read before the first pair, as the parser builds its tables while it reads: seconds, else, of many a pair's time
FORMULAS = (
    (r"\sum _ {k = 1} ^ {3} \frac {k} {2}", "(3)"),
    (r"\prod _ {k = 1} ^ {3} k", r"(\sqrt{36}\cdot n^{2})"),
    (r"\int _ 0 ^ 1 x ^ 2 dx", r"\frac{1}{3}"),
    (r"\lim _ {x \to 0} \frac {\sin x} {x}", "(1)"),
    (r"\begin{pmatrix}1&2\\3&x\end{pmatrix}", r"|\sin(x)+\log_2(5)|"),
)


def main(memory_bytes: int) -> None:
    """Answer pairs until the parent closes the pipe."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a scheduler sends it to every process; the parent ends this one
    verdicts = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)  # whatever a library prints stays out of the protocol
    limit_memory(memory_bytes)
    forbid_evaluation()
    logging.disable(logging.CRITICAL)
    for truth, answer in FORMULAS:
        judged(truth, answer)
    os.write(verdicts, b"ready\n")
    os.dup2(nowhere, 2)
    fork: Fork | None = None

    def interrupt(*_: Any) -> None:
        if fork:
            fork.kill()

    signal.signal(signal.SIGUSR1, interrupt)
    for line in sys.stdin:
        fork = fork if fork and fork.usable() else Fork(verdicts)
        os.write(verdicts, fork.verdict(line.encode()) + b"\n")


class Fork:
    """A process that compares the pairs that it is sent."""

    def __init__(self, verdicts: int) -> None:
        self.socket, theirs = socket.socketpair()
        self.tasks, self.alive = 0, True
        self.pid = os.fork()
        if self.pid == 0:
            # if the process that forked it is killed, both sides notice by the end of their pipes
            self.socket.close()
            os.close(verdicts)
            os.close(0)
            serve(theirs)
            os._exit(0)
        theirs.close()

    def usable(self) -> bool:
        """Whether it lives and may answer another pair; it is ended if not."""
        self.alive = self.alive and os.waitpid(self.pid, os.WNOHANG) == (0, 0)
        if self.alive and self.tasks < TASKS_PER_FORK:
            return True
        self.socket.close()  # which ends it
        if self.alive:
            os.waitpid(self.pid, 0)
        return False

    def kill(self) -> None:
        """End it, whatever it is at."""
        if self.alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def verdict(self, line: bytes) -> bytes:
        """What it answers to one pair, or how it ended."""
        self.tasks += 1
        self.socket.sendall(line)
        readable, _, _ = select.select([self.socket.fileno(), 0], [], [])
        if self.socket.fileno() not in readable:  # the parent, which waits for this answer, is gone
            self.kill()
            sys.exit()
        if reply := self.socket.recv(1024):
            return reply
        _, status = os.waitpid(self.pid, 0)
        self.alive = False
        return b"late" if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF else b"died"


def serve(connection: socket.socket) -> None:
    """Answer pairs until the connection ends, each within its seconds of processor time."""
    for line in connection.makefile():
        truth, answer, seconds = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, seconds)  # whose signal ends the process
        try:
            verdict = judged(truth, answer)
        except MemoryError:
            os._exit(1)  # no verdict: another process may have more
        signal.setitimer(signal.ITIMER_PROF, 0)
        connection.sendall(json.dumps(verdict).encode())


def judged(truth: str, answer: str) -> bool | str:
    """The verdict on a pair: what can't be read, compared, or followed to its depth (RecursionError) is not equal.

    Raises:
        MemoryError: there is too little for this pair.
    """
    try:
        return equivalent(truth, answer)
    except MemoryError:
        raise
    except NotUnderstoodError:
        return "not_understood"
    except Exception:
        return False


class NotUnderstoodError(Exception):
    """A formula of which the reader would drop a part."""


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
    """A sympy object of the whole text; cases of letters count, and i is the imaginary unit.

    Raises:
        NotUnderstoodError: some of it would be dropped.
        Exception: whatever the parser or sympy raise on what they can't read.
    """
    from latex2sympy2_extended.latex2sympy2 import ConversionConfig
    from sympy import I, Symbol, nan, zoo

    # read as the function Γ, even in \gamma^2-1
    text = re.sub(r"\\gamma(?![a-zA-Z])", r"\\upsilon ", latex)
    expression = whole_reader()(config=ConversionConfig(lowercase_symbols=False)).parse(text)
    if hasattr(expression, "has") and expression.has(nan, zoo):
        raise ValueError(f"{latex} is undefined")
    return expression.subs(Symbol("i"), I) if hasattr(expression, "subs") else expression


@cache
def whole_reader() -> Any:
    r"""latex2sympy2_extended's reader, which raises NotUnderstoodError instead of dropping a part of the text.

    Its grammar ends at the end of the text, but its reader of the parsed tree leaves out the side of an ``\approx``
    or ``\in``, the base or index of a number, a prime or transposition of anything but a matrix, and what stands after
    a bar.
    """
    from latex2sympy2_extended.latex2sympy2 import _Latex2Sympy
    from sympy import MatrixBase

    class WholeReader(_Latex2Sympy):
        def convert_relation(self, rel: Any) -> Any:
            refuse(rel.APPROX() or rel.IN(), rel)
            return super().convert_relation(rel)

        def convert_atom(self, atom: Any) -> Any:
            refuse(atom.number_subexpr() and atom.number_subexpr().subexpr(), atom)
            return super().convert_atom(atom)

        def convert_postfix(self, postfix: Any) -> Any:
            read = super().convert_postfix(postfix)
            operators = postfix.postfix_op()
            refuse(any(operator.eval_at() for operator in operators), postfix)
            refuse(any(operator.transpose() for operator in operators) and not isinstance(read, MatrixBase), postfix)
            return read

    def refuse(dropped: Any, context: Any) -> None:
        if dropped:
            raise NotUnderstoodError(f"a part of {context.getText()} would be dropped")

    return WholeReader


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
