r"""The grammar of sums, products, powers, roots, functions and names, which makes trees of tokens.

Every token of an expression is in its tree. What the grammar has no rule for raises UnreadableError, and nothing is
guessed from a prefix.

Conventions, where notation is ambiguous: e is Euler's number and i the imaginary unit; a letter before a bracketed
number, and f, g and h before any bracket, is a function; a slash divides by the whole product that follows it without a
sign (1/2x is 1/(2x)); log without a base is to base 10; an integer before a proper fraction is a mixed number.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction

from real.grading import vocabulary
from real.grading.spelling import letters, spelled
from real.grading.tokens import MAX_DEPTH, Braces, Node, Token, UnreadableError
from real.grading.trees import Tree, negative, quotient
from real.grading.vocabulary import words

# beyond it, 10^n is not written out
MAX_EXPONENT = 2000
# brackets, exponents and arguments may nest no deeper, so that recursion stays far from Python's limit
MAX_LEVELS = MAX_DEPTH + 10

_CONSTANTS = {"e": "e", "i": "i"}
_COMMAND_CONSTANTS = {"\\pi": "pi", "\\infty": "inf", "\\imath": "i"}
_ACCENTS = {"dot": "'", "ddot": "''"}
_DECORATIONS = words("hat bar vec tilde overline overrightarrow widehat widetilde check breve acute overleftrightarrow")
_CLOSING = {"(": ")", "[": "]", "\\lfloor": "\\rfloor", "\\lceil": "\\rceil"}
_TIMES, _OVER = ("*", "\\cdot", "\\times"), ("/", "\\div")
_STARTS = words("( [ \\lfloor \\lceil")


def expression(nodes: Sequence[Node]) -> Tree:
    """The tree of all nodes.

    Raises:
        UnreadableError: they are no expression of this grammar.
    """
    if not nodes:
        raise UnreadableError("nothing")
    return _Parser(()).over(nodes)


def number(text: str) -> Fraction:
    """The value of a number's text, exactly."""
    mantissa, _, exponent = text.lower().partition("e")
    if exponent and abs(int(exponent)) > MAX_EXPONENT:
        raise UnreadableError("an exponent beyond all bounds")
    return Fraction(mantissa) * Fraction(10) ** int(exponent or 0)


class _Parser:
    """A recursive descent over nodes; a method per rule, which takes the nodes that it reads."""

    def __init__(self, nodes: Sequence[Node], depth: int = 0) -> None:
        self.nodes, self.at, self.depth, self.bars = nodes, 0, depth, 0

    def peek(self, ahead: int = 0) -> str:
        """The text of a node that is not taken; empty: there is none, or it is a number, a name or braces."""
        node = self.node(ahead)
        return node.text if node is not None and node.kind in ("mark", "command") else ""

    def node(self, ahead: int = 0) -> Node | None:
        """A node that is not taken."""
        return self.nodes[self.at + ahead] if self.at + ahead < len(self.nodes) else None

    def take(self, text: str) -> None:
        """Pass over a mark that must stand here."""
        if self.peek() != text:
            raise UnreadableError(f"{text} is missing")
        self.at += 1

    def deeper(self) -> None:
        """Count a level of recursion."""
        self.depth += 1
        if self.depth > MAX_LEVELS:
            raise UnreadableError("nested too deeply")

    def inner(self, nodes: Sequence[Node]) -> Tree:
        """The tree of nodes within these."""
        self.deeper()
        parser = _Parser(letters(nodes), self.depth)
        tree = parser.sum()
        if parser.at < len(parser.nodes):
            raise UnreadableError("something is left over")
        self.depth -= 1
        return tree

    def sum(self) -> Tree:
        """Terms with signs between."""
        self.deeper()
        terms = [self.signed(self.product)]
        while self.peek() in ("+", "-"):
            terms.append(self.signed(self.product))
        self.depth -= 1
        return terms[0] if len(terms) == 1 else ("add", tuple(terms))

    def signed(self, rule: Callable[[], Tree]) -> Tree:
        """What a rule reads, after one sign at most."""
        sign = self.peek()
        if sign in ("+", "-"):
            self.at += 1
        tree = rule()
        return negative(tree) if sign == "-" else tree

    def product(self) -> Tree:
        """Chunks with explicit signs of multiplication or division between."""
        factors = [self.chunk()]
        while (sign := self.peek()) in (*_TIMES, *_OVER):
            self.at += 1
            if sign == "*" and self.peek() == "*":  # as Python writes powers
                self.at += 1
                factors[-1] = ("pow", factors[-1], self.signed(self.power))
                continue
            factor = self.signed(self.chunk)
            factors.append(("pow", factor, ("num", Fraction(-1))) if sign in _OVER else factor)
        return factors[0] if len(factors) == 1 else ("mul", tuple(factors))

    def chunk(self) -> Tree:
        """Factors side by side."""
        mixed = self.mixed()
        factors = [mixed or self.power()]
        while self.juxtaposed():
            factors.append(self.power())
        return factors[0] if len(factors) == 1 else ("mul", tuple(factors))

    def juxtaposed(self) -> bool:
        """Whether another factor follows without a sign; a number does only after a bracket, or with an exponent."""
        node = self.node()
        if node is None:
            return False
        if node.kind == "number":
            before = self.nodes[self.at - 1]
            return before.text in (")", "]") or (before.kind == "name" and self.peek(1) == "^")
        if node.kind in ("name", "const", "braces"):
            return True
        if node.text == "|":
            return self.bars == 0
        return node.text in _STARTS or (node.kind == "command" and _begins(node.text))

    def mixed(self) -> Tree | None:
        r"""An integer before a proper fraction of integers: 2\frac{1}{3}, 2 1/3."""
        whole, next_ = self.node(), self.node(1)
        if whole is None or next_ is None or whole.kind != "number" or not whole.text.isdigit():
            return None
        if next_.text == "\\frac" and next_.kind == "command":
            over, below = _digits(self.node(2)), _digits(self.node(3))
            length = 4
            if over is not None and len(over) == 2 and not isinstance(self.node(2), Braces):  # 2\frac13
                over, below, length = over[0], over[1], 3
            if not over or not below or not int(over) < int(below):
                return None
            self.at += length
            return ("num", int(whole.text) + Fraction(int(over), int(below)))
        under = self.node(3)
        if (
            next_.kind == "number"
            and next_.spaced
            and self.peek(2) == "/"
            and under is not None
            and all(one.text.isdigit() for one in (next_, under))
            and int(next_.text) < int(under.text)
        ):
            self.at += 4
            return ("num", int(whole.text) + Fraction(int(next_.text), int(under.text)))
        return None

    def power(self) -> Tree:
        """A factor with its exponents and factorials."""
        tree = self.primary()
        while True:
            mark = self.peek()
            if mark == "^":
                self.at += 1
                tree = ("pow", tree, self.exponent())
            elif mark == "!":
                self.at += 1
                tree = ("call", "factorial", (tree,))
            elif mark == "°":
                self.at += 1
                tree = ("deg", tree)
            else:
                return tree

    def exponent(self) -> Tree:
        """What is raised: braces, or one signed factor as plain text writes it."""
        self.deeper()
        node = self.node()
        if isinstance(node, Braces):
            self.at += 1
            tree = self.inner(node.nodes)
        else:
            tree = self.signed(self.power)
        self.depth -= 1
        return tree

    def primary(self) -> Tree:
        """A number, a name, something in brackets, a root, a fraction or a function of something."""
        node = self.node()
        if node is None:
            raise UnreadableError("something is missing")
        if node.kind == "number":
            return self.number()
        if node.kind == "const":
            self.at += 1
            return ("const", node.text)
        if isinstance(node, Braces):
            self.at += 1
            return self.over(node.nodes)
        if node.kind == "name":
            return self.name()
        if node.text in _CLOSING:
            return self.bracketed(node.text)
        if node.text == "|" and not self.bars:
            self.at += 1
            self.bars += 1
            tree = self.sum()
            self.take("|")
            self.bars -= 1
            return ("call", "abs", (tree,))
        if node.kind == "command":
            return self.command(node.text[1:])
        raise UnreadableError(f"{node.text} begins nothing")

    def over(self, nodes: Sequence[Node]) -> Tree:
        r"""The content of braces, which ``\over`` and ``\choose`` divide."""
        for name in ("\\over", "\\choose"):
            for at, node in enumerate(nodes):
                if node.text == name and node.kind == "command":
                    left, right = self.inner(nodes[:at]), self.inner(nodes[at + 1 :])
                    return quotient(left, right) if name == "\\over" else ("call", "binom", (left, right))
        return self.inner(nodes)

    def number(self) -> Tree:
        r"""A number; 0.1\overline{6} repeats."""
        node, bar, digits = self.node(), self.node(1), self.node(2)
        assert node is not None
        self.at += 1
        if "." in node.text and bar is not None and bar.text == "\\overline" and isinstance(digits, Braces):
            text = "".join(one.text for one in digits.nodes)
            if text.isdigit() and len(digits.nodes) == 1:
                self.at += 2
                decimals = len(node.text.partition(".")[2])
                value = Fraction(node.text + "0") + Fraction(int(text), 10**decimals * (10 ** len(text) - 1))
                return ("num", value)
        return ("num", number(node.text))

    def name(self) -> Tree:
        """A letter with subscripts and primes, or what it makes of brackets that follow."""
        node = self.node()
        assert node is not None
        self.at += 1
        subscript = self.subscript()
        primes = self.primes()
        if not subscript and not primes and node.text in _CONSTANTS:
            return ("const", _CONSTANTS[node.text])
        return self.applied(node.text + subscript + primes)

    def subscript(self) -> str:
        """The subscript that follows, in one spelling."""
        if self.peek() != "_":
            return ""
        self.at += 1
        node = self.node()
        if node is None:
            raise UnreadableError("a subscript is missing")
        self.at += 1
        return f"_{{{spelled([node])}}}"

    def primes(self) -> str:
        """The primes that follow."""
        count = 0
        while self.peek() == "'":
            self.at += 1
            count += 1
        return "'" * count

    def applied(self, name: str) -> Tree:
        """A name, or a function of what stands in brackets after it."""
        if self.peek() != "(":
            return ("name", name)
        inside = self.node(1)
        after = self.peek(2)
        of_number = inside is not None and inside.kind == "number" and after == ")"
        if name.rstrip("'") in ("f", "g", "h") or of_number:
            self.take("(")
            arguments = self.arguments(")")
            return ("apply", name, arguments)
        return ("name", name)

    def arguments(self, closing: str) -> tuple[Tree, ...]:
        """Expressions with commas between, up to a bracket."""
        found = [self.sum()]
        while self.peek() == ",":
            self.at += 1
            found.append(self.sum())
        self.take(closing)
        return tuple(found)

    def bracketed(self, opening: str) -> Tree:
        """Something in brackets; those of floor and ceiling are functions. Bars count anew inside."""
        self.take(opening)
        bars, self.bars = self.bars, 0
        tree = self.sum()
        self.take(_CLOSING[opening])
        self.bars = bars
        return ("call", {"\\lfloor": "floor", "\\lceil": "ceil"}[opening], (tree,)) if opening[0] == "\\" else tree

    def command(self, name: str) -> Tree:
        """What a command and its arguments mean."""
        self.deeper()
        tree = self.meaning(name)
        self.depth -= 1
        return tree

    def meaning(self, name: str) -> Tree:
        """See :meth:`command`."""
        self.at += 1
        if name == "frac":
            return self.fraction()
        if name == "binom":
            return ("call", "binom", (self.argument(), self.argument()))
        if name in ("sqrt", "cbrt"):
            return self.root(3 if name == "cbrt" else 2)
        if name in vocabulary.FUNCTIONS:
            return self.function(name)
        if f"\\{name}" in _COMMAND_CONSTANTS:
            return ("const", _COMMAND_CONSTANTS[f"\\{name}"])
        if name in _ACCENTS or name in _DECORATIONS:
            return self.decorated(name)
        if name in vocabulary.NAMES:
            return self.applied(f"\\{name}" + self.subscript() + self.primes())
        raise UnreadableError(f"\\{name}")

    def argument(self) -> Tree:
        """The argument of a command: braces, or one character as LaTeX takes it."""
        node = self.node()
        if isinstance(node, Braces):
            self.at += 1
            return self.over(node.nodes)
        if node is not None and node.kind == "number":
            digit, rest = node.text[0], node.text[1:]
            if not digit.isdigit():
                raise UnreadableError("a decimal point is no argument")
            self.nodes = [
                *self.nodes[: self.at + 1],
                *([Token("number", rest)] if rest else []),
                *self.nodes[self.at + 1 :],
            ]
            self.at += 1
            return ("num", Fraction(digit))
        if (
            node is not None
            and node.kind in ("mark", "command")
            and not (node.kind == "command" and _begins(node.text))
        ):
            raise UnreadableError("an argument is missing")
        return self.primary()

    def fraction(self) -> Tree:
        r"""``\frac``, of differentials a derivative, which is a name."""
        over, under = self.node(), self.node(1)
        if isinstance(over, Braces) and isinstance(under, Braces):
            derivative = _derivative(over.nodes, under.nodes)
            if derivative:
                self.at += 2
                return ("name", derivative)
        return quotient(self.argument(), self.argument())

    def root(self, degree: int) -> Tree:
        r"""A root, of the degree in brackets; ``sqrt`` of plain text takes brackets, and ``\sqrt51`` a whole number."""
        index: Tree = ("num", Fraction(degree))
        if self.peek() == "[":
            self.at += 1
            index = self.sum()
            self.take("]")
        node = self.node()
        if node is not None and node.kind == "number":
            radicand = self.number()
        elif node is not None and node.text == "(":
            radicand = self.bracketed("(")
        else:
            radicand = self.argument()
        return ("pow", radicand, quotient(("num", Fraction(1)), index))

    def function(self, name: str) -> Tree:
        """A function of brackets, braces or the product that follows; sin^2 x, sin^{-1} x and log_2 x."""
        base: tuple[Tree, ...] = ()
        exponent: Tree | None = None
        while self.peek() in ("^", "_"):
            mark = self.peek()
            self.at += 1
            if mark == "^":
                exponent = self.exponent()
            else:
                base = (self.argument_of_base(),)
        node = self.node()
        if node is not None and node.text == "(":
            self.take("(")
            found = self.arguments(")")
        elif isinstance(node, Braces):
            self.at += 1
            found = (self.inner(node.nodes),)
        else:
            found = (self.open_argument(),)
        if exponent == ("num", Fraction(-1)):
            name, exponent = f"arc{name}", None
            if name not in vocabulary.FUNCTIONS:
                raise UnreadableError("an inverse of that function")
        tree: Tree = ("call", name, (*found, *base))
        return tree if exponent is None else ("pow", tree, exponent)

    def argument_of_base(self) -> Tree:
        """The base of a logarithm: braces, a whole number or a name."""
        node = self.node()
        return self.number() if node is not None and node.kind == "number" else self.argument()

    def open_argument(self) -> Tree:
        """An argument without brackets: the factors up to a sign, a bracket or another function."""
        self.deeper()
        factors = [self.signed(self.power)]
        while self.juxtaposed() and self.peek() not in _STARTS and self.peek()[1:] not in vocabulary.FUNCTIONS:
            factors.append(self.power())
        while self.peek() == "/" and len(factors) == 1:
            self.at += 1
            factors = [quotient(factors[0], self.power())]
        self.depth -= 1
        return factors[0] if len(factors) == 1 else ("mul", tuple(factors))

    def decorated(self, accent: str) -> Tree:
        r"""A name with an accent; ``\dot{x}`` is the derivative x'."""
        node = self.node()
        if node is None:
            raise UnreadableError("an accent over nothing")
        self.at += 1
        inside = spelled([node])
        if accent in _ACCENTS:
            return ("name", inside + self.subscript() + _ACCENTS[accent])
        return ("name", f"\\{accent}{{{inside}}}" + self.subscript() + self.primes())


def _begins(command: str) -> bool:
    """Whether a command begins a factor."""
    name = command[1:]
    return (
        name in ("frac", "sqrt", "cbrt", "binom", "pi", "infty", "imath")
        or name in vocabulary.FUNCTIONS
        or name in vocabulary.NAMES
        or name in _ACCENTS
        or name in _DECORATIONS
    )


def _digits(node: Node | None) -> str | None:
    """The digits of an integer, in braces or not."""
    if isinstance(node, Braces) and len(node.nodes) == 1:
        node = node.nodes[0]
    return node.text if node is not None and node.kind == "number" and node.text.isdigit() else None


def _derivative(over: Sequence[Node], under: Sequence[Node]) -> str | None:
    r"""x' for \frac{dx}{dt}, v'' for \frac{d^2v}{dt^2}, else None."""
    above, below = letters(over), letters(under)
    if [node.text for node in (*above[:1], *below[:1])] != ["d", "d"]:
        return None
    order, rest = 1, above[1:]
    if len(rest) > 1 and rest[0].text == "^":
        order_text = spelled(rest[1:2])
        if not order_text.isdigit() or not 1 <= int(order_text) <= 9:
            return None
        order, rest = int(order_text), rest[2:]
    parser = _Parser(rest)
    node = parser.node()
    if node is None or not (node.kind == "name" or node.text[1:] in vocabulary.NAMES) or below[1:2] == []:
        return None
    parser.at += 1
    text = node.text + parser.subscript()
    if parser.at < len(rest) or (order > 1 and spelled(below[2:]) != f"^{order}") or (order == 1 and len(below) != 2):
        return None
    return text + "'" * order
