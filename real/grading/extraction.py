r"""Where the final answer of a response stands: the last balanced ``\boxed{}`` after the last ``</think>``."""

import re

THINK, END_THINK = "<think>", "</think>"
_BOX = re.compile(r"\\(?:boxed|fbox)\s*(?=\{)")


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
    # the last box is nearly always balanced, so look from the end
    at = len(final)
    while (at := max(final.rfind("\\boxed", 0, at), final.rfind("\\fbox", 0, at))) >= 0:
        match = _BOX.match(final, at)
        content = braced(final, match.end()) if match else None
        if content is not None:
            return _outermost(final, at, content).strip() or None
    return None


def _outermost(text: str, at: int, content: str) -> str:
    r"""Content of the box itself, or of the one around it: ``\boxed{\boxed{5} \text{ cm}}`` is read from outside."""
    outer = text.rfind("\\boxed", 0, at)
    if outer >= 0 and (match := _BOX.match(text, outer)):
        around = braced(text, match.end())
        if around is not None and match.end() + len(around) > at:
            return _outermost(text, outer, around)
    return content


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
