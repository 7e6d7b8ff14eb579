r"""An answer's text as tokens: numbers, letters, words, commands and marks, nested where braces nest.

Typography ends here: styles, colours, sizes, spacing commands, Unicode's second spellings and LaTeX's synonyms leave no
trace but ``spaced``. Nothing that carries meaning is dropped, and no two tokens are joined, so that ``1 2`` stays two
numbers and ``3\text{ hours }20`` two numbers with a word between.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from real.grading.vocabulary import words

# brackets and braces may nest no deeper, so that no reader of tokens recurses far
MAX_DEPTH = 40


class UnreadableError(Exception):
    """A text that the grammar has no meaning for; who reads it compares it as text."""


class Token(NamedTuple):
    r"""One token.

    Attributes:
        kind: ``number`` (of digits and at most one point), ``name`` (one letter), ``word`` (several letters),
            ``command`` (``\sin``) or ``mark`` (any other character).
        spaced: how much space stands before it: none, some (1), or a wide one such as ``\quad`` (2).
        roman: whether it stood in ``\text{…}`` or the like.
    """

    kind: str
    text: str
    spaced: int = 0
    roman: bool = False


@dataclass(frozen=True)
class Braces:
    """What stood between braces, which LaTeX takes as one."""

    nodes: tuple["Node", ...]
    kind: str = field(default="braces", init=False)
    text: str = field(default="{}", init=False)
    spaced: int = field(default=0, compare=False)
    roman: bool = field(default=False, init=False)


@dataclass(frozen=True)
class Environment:
    """A LaTeX environment, in rows of cells."""

    name: str
    rows: tuple[tuple[tuple["Node", ...], ...], ...]
    kind: str = field(default="environment", init=False)
    text: str = field(default="", init=False)
    spaced: int = field(default=0, compare=False)
    roman: bool = field(default=False, init=False)


Node = Token | Braces | Environment

_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta", "η": "eta", "θ": "theta",
    "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau",
    "φ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda",
    "Σ": "Sigma", "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega", "Ξ": "Xi", "Π": "Pi", "ϕ": "phi", "ϵ": "epsilon", "ħ": "hbar",
    "ℏ": "hbar", "ℓ": "ell", "ℝ": "R", "ℤ": "Z", "ℚ": "Q", "ℕ": "N", "ℂ": "C",
    "∞": "infty", "√": "sqrt", "≤": "le", "≥": "ge", "⩽": "le", "⩾": "ge", "≠": "ne", "≈": "approx", "≡": "equiv",
    "±": "pm", "∓": "mp", "×": "times", "·": "cdot", "⋅": "cdot", "∙": "cdot", "÷": "div", "∪": "cup", "∩": "cap",
    "∈": "in", "∉": "notin", "∅": "emptyset", "∖": "setminus", "∀": "forall", "∠": "angle", "⌊": "lfloor",
    "⌋": "rfloor", "⌈": "lceil", "⌉": "rceil", "…": "ldots", "⋯": "ldots", "→": "to", "∑": "sum", "∫": "int",
    "∏": "prod", "∂": "partial", "☉": "odot", "⊙": "odot", "∘": "circ", "Å": "AA",
}  # fmt: skip
_MARKS = {
    "−": "-", "–": "-", "‐": "-", "∗": "*", "、": ",", "′": "'", "″": "''", "‴": "'''", "º": "°", "∶": ":", "∣": "|",
    "“": '"', "”": '"', "’": "'", "⁄": "/", "∕": "/", "\u200b": "", "\u2061": "", "\u2062": "", "\ufeff": "",
}  # fmt: skip
_TRANSLATED = str.maketrans(_MARKS | {sign: f"\\{name} " for sign, name in _GREEK.items()})
_RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿ", "0123456789+-()n", strict=True))
_LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₍₎ₙ", "0123456789+-()n", strict=True))
_SHIFTED = re.compile(f"(?P<raised>[{''.join(_RAISED)}]+)|(?P<lowered>[{''.join(_LOWERED)}]+)")
_VULGAR = re.compile("[¼½¾⅐-⅞↉]")

_SEPARATED = re.compile(r"\s?,\s?\\!")

_SYNONYMS = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "dbinom": "binom", "tbinom": "binom", "geq": "ge",
    "geqslant": "ge", "leq": "le", "leqslant": "le", "neq": "ne", "infin": "infty", "lbrace": "{", "rbrace": "}",
    "dots": "ldots", "cdots": "ldots", "dotsc": "ldots", "dotsb": "ldots", "textdegree": "degree", "degrees": "degree",
    "smallsetminus": "setminus", "backslash": "setminus", "varnothing": "emptyset", "simeq": "approx",
    "approxeq": "approx", "thickapprox": "approx", "arctg": "arctan", "tg": "tan", "ctg": "cot", "asin": "arcsin",
    "acos": "arccos", "atan": "arctan", "coloneqq": "=", "colon": ":", "gt": ">", "lt": "<", "ast": "*", "lvert": "|",
    "rvert": "|", "vert": "|", "mid": "|", "lbrack": "[", "rbrack": "]", "lparen": "(", "rparen": ")", "And": "&",
    "cdotp": "cdot", "land": "and", "wedge": "and", "lor": "or", "vee": "or", "bigcup": "cup", "slash": "/",
    "bigl": "left", "bigr": "right", "minus": "-", "plus": "+", "displaylimits": "limits",
    "overbar": "overline", "middle": "left",
}  # fmt: skip
_STYLES = words(
    "displaystyle textstyle scriptstyle scriptscriptstyle limits nolimits mathop mathrel mathbin mathord tiny small "
    "normalsize large Large LARGE huge Huge bf rm it sf tt bfseries itshape boldmath strut null relax allowbreak "
    "big Big bigg Bigg bigm Bigm biggl biggr Biggl Biggr Bigl Bigr noindent centering"
)
_SPACES = words("quad qquad thinspace medspace thickspace enspace hfill newline linebreak space")
_FRAMES = words("boldsymbol mathbf mathit mathsf mathcal mathfrak mathscr bm pmb underline boxed fbox ensuremath smash")
_ROMAN = words(
    "text textrm textnormal textbf textit textsf texttt textsc emph mathrm mathtt mbox hbox operatorname operatorname*"
)
_IGNORED_ARGUMENT = words("color hspace vspace phantom hphantom vphantom label tag textcolor colorbox")
# which braces around them, that only change the space, don't make another thing
_SIGNS = words("+ - * / = < > \\times \\cdot \\div \\pm \\mp \\le \\ge \\ne \\in \\cup : ;")

# what is raised without being an exponent
_RAISED_MARKS = {"\\circ": "°", "°": "°", "\\degree": "°", "\\prime": "'", "'": "'"}

_LEXEME = re.compile(
    r"(?P<space>\s+|~|\\[ ,;:!>])"
    # a point at a sentence's end is no part of a number
    r"|(?P<number>(?:[0-9]+(?:\.[0-9]+|\.(?=\\overline))?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4}(?![0-9]|\.[0-9]|[^\W_]))?)"
    r"|(?P<letters>[^\W\d_]+)"
    r"|(?P<command>\\[A-Za-z]+\*?)"
    r"|(?P<mark>\\.|.)",
    re.DOTALL,
)


def tokens(text: str) -> tuple[Node, ...]:
    """The tokens of an answer.

    Raises:
        UnreadableError: braces or environments that don't close, or brackets that nest deeper than MAX_DEPTH.
    """
    flat = _lexemes(_plain(text))
    _check_depth(flat)
    return tuple(_Builder(flat).nodes(until=None, roman=False))


def _plain(text: str) -> str:
    """One spelling of what Unicode and plain text have several of."""
    text = text.strip()
    if text.startswith("**") and text.endswith("**"):  # Markdown
        text = text[2:-2]
    if text.endswith("\\") and not text.endswith("\\\\"):  # of a space that was cut off
        text = text[:-1]
    text = text.replace("...", "\\ldots ")
    text = _VULGAR.sub(_vulgar, text)
    text = _SHIFTED.sub(_shifted, text)
    text = _SEPARATED.sub("{,}", text)
    text = text.translate(_TRANSLATED)
    return text if text.isascii() else unicodedata.normalize("NFKC", text).translate(_TRANSLATED)


def _vulgar(match: re.Match[str]) -> str:
    over, _, under = unicodedata.normalize("NFKC", match[0]).partition("⁄")
    return f"\\frac{{{over}}}{{{under}}}"


def _shifted(match: re.Match[str]) -> str:
    raised = match["raised"]
    table = _RAISED if raised else _LOWERED
    return f"{'^' if raised else '_'}{{{''.join(table[sign] for sign in match[0])}}}"


def _lexemes(text: str) -> list[tuple[str, str]]:
    r"""(kind, text) pairs; ``$``, ``\(``, ``\)``, ``\[`` and ``\]`` only delimit mathematics and go."""
    found = []
    for match in _LEXEME.finditer(text):
        kind, lexeme = str(match.lastgroup), match[0]
        if kind == "command" and (name := lexeme[1:]) in _SYNONYMS:
            other = _SYNONYMS[name]
            kind, lexeme = ("command", f"\\{other}") if other.isalpha() else ("mark", other)
            if other in "{}":
                lexeme = f"\\{other}"
        found.append((kind, lexeme))
    delimiters = ("$", "\\(", "\\)", "\\[", "\\]")
    return [(kind, lexeme) for kind, lexeme in found if kind != "mark" or lexeme not in delimiters]


def _check_depth(flat: Sequence[tuple[str, str]]) -> None:
    depth = 0
    for kind, text in flat:
        if kind == "mark":
            depth += (text in ("{", "(", "[", "\\{")) - (text in ("}", ")", "]", "\\}"))
        if depth > MAX_DEPTH:
            raise UnreadableError("nested too deeply")


class _Builder:
    """Reads lexemes from left to right."""

    def __init__(self, flat: Sequence[tuple[str, str]]) -> None:
        self.flat, self.at = flat, 0

    def peek(self, skip_space: bool = True) -> tuple[str, str]:
        """The next lexeme, which is not taken."""
        while skip_space and self.at < len(self.flat) and self.flat[self.at][0] == "space":
            self.at += 1
        return self.flat[self.at] if self.at < len(self.flat) else ("end", "")

    def nodes(self, until: str | None, roman: bool) -> list[Node]:
        """All nodes up to the mark or command ``until``, which is taken too; None: to the end."""
        found: list[Node] = []
        spaced = 0
        while (lexeme := self.peek(skip_space=False)) != ("end", ""):
            self.at += 1
            kind, text = lexeme
            if text == until and kind in ("mark", "command"):
                return found
            if kind == "space" or (kind == "command" and text[1:] in _SPACES):
                spaced = max(spaced, 1 if kind == "space" else 2)
                continue
            if kind == "mark" and text == "}":
                raise UnreadableError("a brace closes nothing")
            before = len(found)
            self._node(kind, text, spaced, roman, found)
            spaced = spaced if len(found) == before else 0  # what left no token leaves its space
        if until is not None:
            raise UnreadableError(f"{until} is missing")
        return found

    def _node(self, kind: str, text: str, spaced: int, roman: bool, found: list[Node]) -> None:
        """Append what one lexeme, with its arguments where it is a frame, comes to."""
        if kind == "letters":
            found.append(Token("name" if len(text) == 1 else "word", text, spaced, roman))
        elif kind == "number":
            found.append(Token("number", text, spaced, roman))
        elif kind == "command":
            self._command(text[1:], spaced, roman, found)
        elif text == "{":
            content = tuple(self.nodes("}", roman))
            raised = found and found[-1].text in ("^", "_") and found[-1].kind == "mark"
            sign = len(content) == 1 and not raised and content[0].text in _SIGNS
            found.append(content[0] if sign else Braces(content, spaced))
        elif text == "^":
            self._raised(spaced, roman, found)
        elif text == "\\%":
            found.append(Token("mark", "%", spaced))
        elif text in ("\\&", "\\#", "\\_", "\\-"):
            found.append(Token("mark", text[1:], spaced, roman))
        else:
            found.append(Token("mark", text, spaced, roman))

    def _command(self, name: str, spaced: int, roman: bool, found: list[Node]) -> None:
        if name in _STYLES:
            return
        if name in ("left", "right"):
            if self.peek() == ("mark", "."):
                self.at += 1
        elif name in _IGNORED_ARGUMENT:
            self._argument(roman)
        elif name in _FRAMES:
            found.extend(_spaced(self._argument(roman), spaced))
        elif name in _ROMAN:
            found.extend(_spaced(self._argument(roman=True), spaced))
        elif name == "mathbb":
            found.extend(Token("command", f"\\{node.text}", spaced) for node in self._argument(roman))
        elif name == "begin":
            found.append(self._environment(roman, spaced))
        elif name == "degree":
            found.append(Token("mark", "°", spaced))
        elif name == "prime":
            found.append(Token("mark", "'", spaced))
        elif name == "not":
            self._negated(spaced, found)
        else:
            found.append(Token("command", f"\\{name}", spaced, roman))

    def _argument(self, roman: bool) -> list[Node]:
        """The nodes of the braces that follow, or the one node that follows without braces."""
        kind, text = self.peek()
        if (kind, text) == ("mark", "{"):
            self.at += 1
            return self.nodes("}", roman)
        if kind in ("end", "space"):
            return []
        found: list[Node] = []
        self.at += 1
        self._node(kind, text, 0, roman, found)
        return found

    def _raised(self, spaced: int, roman: bool, found: list[Node]) -> None:
        r"""``^``; ``^\circ`` is a degree and ``^\prime`` a prime, in braces or not."""
        self.peek()
        braced = self.flat[self.at : self.at + 1] == [("mark", "{")]
        end = self.at + braced
        while end < len(self.flat) and (
            self.flat[end][1] in _RAISED_MARKS or (braced and self.flat[end][0] == "space")
        ):
            end += 1
            if not braced:
                break
        marks = [_RAISED_MARKS[text] for _, text in self.flat[self.at + braced : end] if text in _RAISED_MARKS]
        if marks and (not braced or self.flat[end : end + 1] == [("mark", "}")]):
            self.at = end + braced
            found.extend(Token("mark", mark, spaced) for mark in ("°" if "°" in marks else "'" * len(marks)))
        else:
            found.append(Token("mark", "^", spaced, roman))

    def _negated(self, spaced: int, found: list[Node]) -> None:
        names = {"=": "\\ne", "\\in": "\\notin", "\\equiv": "\\not", "<": "\\ge", ">": "\\le"}
        other = names.get(self.peek()[1])
        if other:
            self.at += 1
        found.append(Token("command", other or "\\not", spaced))

    def _environment(self, roman: bool, spaced: int) -> Environment:
        name = "".join(node.text for node in self._argument(roman))
        if name.startswith("array") and self.peek() == ("mark", "{"):
            self._argument(roman)
        content = self.nodes("\\end", roman)
        if "".join(node.text for node in self._argument(roman)) != name:
            raise UnreadableError(f"environment {name} does not end")
        rows: list[list[list[Node]]] = [[[]]]
        for node in content:
            if node.text == "\\\\":
                rows.append([[]])
            elif node.text == "&" and node.kind == "mark":
                rows[-1].append([])
            else:
                rows[-1][-1].append(node)
        return Environment(name, tuple(tuple(map(tuple, row)) for row in rows if row != [[]]), spaced)


def _spaced(nodes: list[Node], spaced: int) -> list[Node]:
    """The nodes, of which the first keeps the space that stood before their frame."""
    if spaced and nodes and isinstance(nodes[0], Token):
        nodes[0] = nodes[0]._replace(spaced=spaced)
    return nodes


def joined(nodes: Sequence[Node], commas: bool) -> tuple[Node, ...]:
    r"""The nodes with each number whose thousands are set apart as one.

    ``{,}`` sets them apart wherever it stands, and so does one narrow space between groups of three digits. A bare
    comma may as well separate two numbers, so it counts on demand, and never inside brackets.
    """
    found: list[Node] = []
    depth = 0
    for node in nodes:
        if isinstance(node, Braces):
            node = Braces(joined(node.nodes, commas), node.spaced)
        if node.kind == "mark":
            depth += (node.text in ("(", "[", "\\{")) - (node.text in (")", "]", "\\}"))
        elif (
            node.kind == "number"
            and _THREE.fullmatch(node.text)
            and (cut := _before(found, node, commas and not depth))
        ):
            whole = found[cut]
            assert isinstance(whole, Token)
            del found[cut:]
            node = Token("number", whole.text + node.text, whole.spaced, whole.roman)
        found.append(node)
    return tuple(found)


_THREE, _GROUPS = re.compile(r"[0-9]{3}(?:\.[0-9]*)?"), re.compile(r"[0-9]{1,3}(?:[0-9]{3})*")


def _before(found: Sequence[Node], node: Node, commas: bool) -> int:
    """Where, counted from the end, the number begins that three digits go on; 0: they go on none."""
    last = found[-1] if found else None
    if last is None:
        return 0
    if last.kind == "number":
        return -1 if node.spaced == 1 and _groups(last, node) else 0
    comma = Braces((Token("mark", ","),)) == last or (
        commas and last.text == "," and not last.spaced and not node.spaced
    )
    return -2 if comma and len(found) > 1 and _groups(found[-2], node) else 0


def _groups(whole: Node, node: Node) -> bool:
    return whole.kind == "number" and bool(_GROUPS.fullmatch(whole.text)) and len(whole.text) <= 30
