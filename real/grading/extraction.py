r"""Where the final answer of a response stands: the last balanced ``\boxed{}`` after the last ``</think>``."""

import re

THINK, END_THINK = "<think>", "</think>"
# what joins two boxes into a list
_JOINT = re.compile(r"(?:[\s$,;]|\\[()\[\],;: ]|\\q?quad|\\text\s?\{\s?(?:and|or|,)\s?\}|\b(?:and|or)\b)+")
_CONJUNCTION = re.compile(r"[,;]|and|or")
MAX_JOINT = 60
# an opened box, an escaped character (so that \\{ is no brace), a brace
_TOKEN = re.compile(r"(?P<box>\\(?:boxed|fbox)\s*\{)|\\.|[{}]", re.DOTALL)


def final_answer(response: str, strict_format: bool = False) -> str | None:
    r"""Content of the box that holds the final answer, or None.

    Args:
        strict_format: the released code's rules (``rewards/math_reward.py``): ``</think>`` is required, only the text
            between the first and the second one is read, and the last ``\boxed`` of it must be followed by balanced
            braces at once. Otherwise a response without any think tag is read whole, one that opens ``<think>`` and
            never closes it has no answer, and ``\boxed {…}`` and ``\fbox{…}`` count too.

    An empty box is no answer, and hides the boxes before it. Outside of the strict format, boxes that only commas,
    "and" or "or" join are one list.
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
    return _last_boxes(final).strip() or None


def _last_boxes(text: str) -> str:
    r"""Content of the box that is closed last: of nested ones the outer, of a list of boxes all, with commas between.

    One pass, so that a response that repeats ``\boxed{`` a thousand times costs no more than another.
    """
    first = min((at for at in (text.find("\\boxed"), text.find("\\fbox")) if at >= 0), default=len(text))
    closed: list[tuple[int, int, int]] = []  # where a box, its content and both end begin
    opened: list[tuple[int, int]] = []
    for token in _TOKEN.finditer(text, first):
        if token["box"]:
            opened.append((token.start(), token.end()))
        elif token[0] == "{":
            opened.append((-1, -1))
        elif token[0] == "}" and opened and (box := opened.pop())[0] >= 0:
            while closed and closed[-1][0] > box[0]:
                closed.pop()
            closed.append((*box, token.start()))
    if not closed:
        return ""
    last = len(closed) - 1
    while last > 0 and _is_list(text[closed[last - 1][2] + 1 : closed[last][0]]):
        last -= 1
    contents = [text[start:end].strip() for _, start, end in closed[last:]]
    return ", ".join(contents) if all(contents) else contents[-1]


def _is_list(between: str) -> bool:
    """Whether what stands between two boxes only joins them."""
    return len(between) <= MAX_JOINT and bool(_JOINT.fullmatch(between)) and bool(_CONJUNCTION.search(between))


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
