r"""Where the final answer of a response stands: the last balanced ``\boxed{}`` after the last ``</think>``."""

import re

THINK, END_THINK = "<think>", "</think>"
# an opened box, an escaped character (so that \\{ is no brace), a brace
_TOKEN = re.compile(r"(?P<box>\\(?:boxed|fbox)\s*\{)|\\.|[{}]", re.DOTALL)


def final_answer(response: str, strict_format: bool = False) -> str | None:
    r"""Content of the box that holds the final answer, or None.

    Args:
        strict_format: the released code's rules (``rewards/math_reward.py``): ``</think>`` is required, only the text
            between the first and the second one is read, and the last ``\boxed`` of it must be followed by balanced
            braces at once. Otherwise a response without any think tag is read whole, one that opens ``<think>`` and
            never closes it has no answer, and ``\boxed {…}`` and ``\fbox{…}`` count too.

    An empty box is no answer, and hides the boxes before it.
    """
    if strict_format:
        parts = response.split(END_THINK, 2)
        start = parts[1].rfind("\\boxed") if len(parts) > 1 else -1
        opening = start + len("\\boxed")
        if start < 0 or parts[1][opening : opening + 1] != "{":
            return None
        return braced(parts[1], opening) or None
    _, closed, final = response.rpartition(END_THINK)
    if not closed and THINK in response:
        return None
    return (_last_box(final) or "").strip() or None


def _last_box(text: str) -> str | None:
    r"""Content of the box that is closed last: of two boxes side by side the second, of nested ones the outer.

    One pass, so that a response that repeats ``\boxed{`` a thousand times costs no more than another.
    """
    first = min((at for at in (text.find("\\boxed"), text.find("\\fbox")) if at >= 0), default=len(text))
    last, opened = None, []
    for token in _TOKEN.finditer(text, first):
        if token["box"]:
            opened.append(token.end())
        elif token[0] == "{":
            opened.append(-1)
        elif token[0] == "}" and opened and (start := opened.pop()) >= 0:
            last = slice(start, token.start())
    return None if last is None else text[last]


def braced(text: str, opening: int) -> str | None:
    """What stands between the brace at ``opening`` and its partner; escaped braces don't count."""
    depth, i = 0, opening
    while i < len(text):
        character = text[i]
        if character == "\\":
            i += 1
        elif character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
            if depth == 0:
                return text[opening + 1 : i]
        i += 1
    return None
