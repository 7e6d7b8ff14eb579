r"""Answers in words: choices among given ones, and words that are the answer themselves."""

from collections.abc import Sequence

from real.grading import vocabulary
from real.grading.forms import Choice, Text
from real.grading.quantities import is_number_word
from real.grading.tokens import Node

_CHOICES = "ABCDEFGHIJ"
# what the text of a choice may begin with besides words, numbers and names
_BEGINNINGS = (":", "-", ".", "(", "\\$", "\\sqrt", "\\frac", "\\pi")
_OTHER_MEANINGS = vocabulary.ALTERING | {"and", "or"}


def choice(nodes: Sequence[Node]) -> Choice | None:
    """``(C)``, "Option C", and ``(C) 42`` or "C: ellipse", which tell the choice with what it says."""
    first, inner = nodes[0], nodes[1:]
    if inner and first.kind == "word" and first.text.lower() in ("option", "choice", "answer", "statement"):
        if len(inner) == 1 and inner[0].text in _CHOICES and inner[0].kind == "name":
            return Choice(inner[0].text)
        return choice(inner)
    texts = [node.text for node in nodes[:3]]
    if len(texts) == 3 and texts[0] == "(" and texts[2] == ")" and texts[1] in _CHOICES and nodes[1].kind == "name":
        return Choice(texts[1]) if len(nodes) == 3 or _says(nodes[3:]) else None
    if len(nodes) == 2 and texts[0] in _CHOICES and nodes[0].kind == "name" and texts[1] == ")":
        return Choice(texts[0])
    if len(nodes) > 2 and texts[0] in _CHOICES and nodes[0].kind == "name" and texts[1] in (":", ".", ")"):
        words = any(node.kind == "word" and node.roman for node in nodes[2:])
        return Choice(texts[0]) if (words or texts[1] != ":") and _says(nodes[2:]) else None
    return None


def _says(nodes: Sequence[Node]) -> bool:
    """Whether nodes after a choice are what the choice says: no operation on it, no other choice, no other meaning."""
    first = nodes[0]
    if first.kind in ("mark", "command"):
        operates = first.text in ("-", "(") and not first.spaced
        if operates or first.text not in _BEGINNINGS:
            return False
    if {node.text.lower() for node in nodes if node.kind == "word"} & _OTHER_MEANINGS:
        return False
    return not any(
        node.kind == "name" and node.text in _CHOICES and (at == 0 or nodes[at - 1].text in ("(", ","))
        for at, node in enumerate(nodes)
    )


def text(nodes: Sequence[Node]) -> Text | None:
    """Words alone; a single letter in ``\\text`` is a name, and plain letters may be a product."""
    words = []
    for node in nodes:
        if node.kind == "word" or (node.kind == "name" and node.roman):
            words.append(node.text.lower())
        elif not (node.kind == "mark" and node.text in ("-", "'", '"', "`", ".", "?")):
            return None
    said = any(node.kind == "word" and node.roman for node in nodes) or (len(words) > 1 and nodes[0].kind == "word")
    if not said or is_number_word(words):
        return None
    kept = [word for word in words if word not in vocabulary.ARTICLES] or words
    if len(kept) > 1 and kept[-1] in vocabulary.NOUNS:
        kept = kept[:-1]
    return Text(tuple(kept))
