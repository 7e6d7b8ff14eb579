r"""Tokens as text again: in one spelling for comparisons, as LaTeX for a worker, and words as letters."""

import re
from collections.abc import Collection, Sequence

from real.grading import vocabulary
from real.grading.tokens import Braces, Environment, Node, Token, UnreadableError

_ASCII_CONSTANTS = {"pi": "pi", "infinity": "inf", "infty": "inf", "inf": "inf"}
_SPELLED_GREEK = vocabulary.words(
    "alpha beta gamma delta epsilon zeta eta theta kappa lambda mu nu rho sigma tau phi chi psi omega"
)
# what a worker's parser reads and this grammar doesn't; without one of them it could only read less
_WORKERS = vocabulary.words("\\sum \\prod \\int \\iint \\oint \\lim \\det environment")
# signs that change what a value beside them says
_MEANINGFUL = vocabulary.words(
    "\\not \\approx \\sim \\ne \\le \\ge < > \\ll \\gg \\pm \\mp \\pmod \\bmod \\mod \\notin \\implies \\iff \\and "
    "\\or ?"
)
# plain letters that a parser of mathematics knows
_MATHEMATICAL = re.compile("d[a-z]|" + "|".join(vocabulary.FUNCTIONS))


def spelled(nodes: Sequence[Node]) -> str:
    """One text for nodes that mean the same, without the braces that LaTeX needs around one thing."""
    found = []
    for node in nodes:
        if isinstance(node, Braces):
            inside = spelled(node.nodes)
            found.append(inside if len(nodes) == 1 or len(node.nodes) == 1 else f"{{{inside}}}")
        elif isinstance(node, Token):
            found.append(node.text + " " * (node.kind == "command"))
        else:
            rows = "\\\\".join("&".join(spelled(cell) for cell in row) for row in node.rows)
            found.append(f"\\begin{{{node.name}}}{rows}\\end{{{node.name}}}")
    return "".join(found).strip()


def latex(nodes: Sequence[Node]) -> str:
    """The nodes as LaTeX, with space between any two, so that none merge."""
    found = []
    for node in nodes:
        if isinstance(node, Braces):
            found.append(f"{{{latex(node.nodes)}}}")
        elif isinstance(node, Token):
            found.append(node.text)
        else:
            rows = "\\\\".join("&".join(latex(cell) for cell in row) for row in node.rows)
            found.append(f"\\begin{{{node.name}}}{rows}\\end{{{node.name}}}")
    return " ".join(found)


def letters(nodes: Sequence[Node]) -> list[Node]:
    """Words as functions, constants or products of their letters."""
    found: list[Node] = []
    for node in nodes:
        if isinstance(node, Token) and node.kind == "word":
            found.extend(_spelled(node))
        else:
            found.append(node)
    return found


def _spelled(word: Token) -> list[Token]:
    text = word.text
    if text in vocabulary.FUNCTIONS or text in ("sqrt", "cbrt"):
        return [Token("command", f"\\{text}", word.spaced)]
    if text.lower() in _ASCII_CONSTANTS:
        return [Token("const", _ASCII_CONSTANTS[text.lower()], word.spaced)]
    if text in _SPELLED_GREEK:
        return [Token("command", f"\\{text}", word.spaced)]
    if word.roman:
        raise UnreadableError("a word")
    function = next(
        (name for name in vocabulary.FUNCTIONS if text.startswith(name) and len(text) == len(name) + 1), None
    )
    if function and len(function) > 1:
        return [Token("command", f"\\{function}", word.spaced), Token("name", text[-1])]
    if re.fullmatch("[a-zA-Z]pi", text):  # npi
        return [Token("name", text[0], word.spaced), Token("const", "pi")]
    if not text.isascii():
        raise UnreadableError("a foreign word")
    return [Token("name", letter, word.spaced and not at) for at, letter in enumerate(text)]


def holds(nodes: Sequence[Node], text: str) -> bool:
    return holds_any(nodes, frozenset((text,)))


def holds_any(nodes: Sequence[Node], texts: Collection[str]) -> bool:
    """Whether one of some marks, commands or kinds of nodes is among nodes or within them."""
    return any(
        node.text in texts or node.kind in texts or (isinstance(node, Braces) and holds_any(node.nodes, texts))
        for node in nodes
    )


def for_worker(nodes: Sequence[Node]) -> str:
    """LaTeX for a worker; empty: its parser has no rule for these nodes that the grammar lacks, or may misread them."""
    return latex(nodes) if holds_any(nodes, _WORKERS) and _is_mathematics(nodes) else ""


def _is_mathematics(nodes: Sequence[Node]) -> bool:
    """Whether a parser of mathematics may be asked: there are no words, and no signs that say more than a value."""
    before: Node | None = None
    raised = False  # a number side by side with one that is raised is a factor
    for node in nodes:
        if isinstance(node, Braces):
            fits = _is_mathematics(node.nodes)
        elif isinstance(node, Environment):
            fits = all(_is_mathematics(cell) for row in node.rows for cell in row)
        elif node.kind == "word":
            fits = not node.roman and bool(_MATHEMATICAL.fullmatch(node.text))
        elif node.kind == "number":
            fits = before is None or before.kind != "number" or raised
        else:
            fits = node.text.isascii() and node.text not in _MEANINGFUL and not (node.roman and node.kind == "name")
        if not fits:
            return False
        raised = before is not None and before.text in ("^", "_")
        before = node
    return True
