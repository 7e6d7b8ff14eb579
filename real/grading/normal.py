r"""One spelling for answers: LaTeX decorations, units, thousands separators and typography removed.

Nothing here knows mathematics: :func:`normal` rewrites text, and what it returns still means what its input meant, but
for units, which are dropped.
"""

import re
from collections.abc import Callable

from real.grading.extraction import braced

_UNICODE = str.maketrans(
    {
        "−": "-", "–": "-", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "∗": "*", "÷": "/", "π": r"\pi ",
        "∞": r"\infty ", "≤": r"\le ", "≥": r"\ge ", "±": r"\pm ", "∪": r"\cup ", "∈": r"\in ", "°": r"^\circ ",
        "√": r"\sqrt ", "²": "^2", "³": "^3", "½": r"\frac{1}{2}", "\u00a0": " ", "\u2009": " ", "\u202f": " ",
        "（": "(", "）": ")", "，": ",",
    }
)  # fmt: skip
# spellings of one command
_SAME = [
    (re.compile(pattern), replacement)
    for pattern, replacement in [
        (r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
        (r"\\[dt]binom(?![a-zA-Z])", r"\\binom"),
        (r"\{([^{}]*)\\choose([^{}]*)\}", r"\\binom{\1}{\2}"),
        (r"\\(?:geqslant|geq)(?![a-zA-Z])", r"\\ge "),
        (r"\\(?:leqslant|leq)(?![a-zA-Z])", r"\\le "),
        (r"\\gt(?![a-zA-Z])", ">"),
        (r"\\lt(?![a-zA-Z])", "<"),
        (r"\\(?:left|right)\s*\.", ""),
        (r"\\(?:left|right|[bB]igg?[lrm]?|displaystyle|textstyle|limits|mathop)(?![a-zA-Z])", ""),
        (r"(?<![\\a-zA-Z])sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}"),
        (r"(?<=\d)\s*\^\s*(?:\{\s*(?:\\prime\s*)+\}|\\prime(?![a-zA-Z]))", ""),  # minutes and seconds of arc
        (r"\^\s*(?:\{\s*\\prime\s*\}|\\prime(?![a-zA-Z]))", "'"),
        (r"\\(dot|ddot|hat|bar|vec|tilde)(?:\s+([a-zA-Z])|\s*(\\[a-zA-Z]+))", r"\\\1{\2\3}"),
        (r"_\s*(?:\{\s*\\(max|min)\s*\}|\\(max|min)(?![a-zA-Z]))", r"_{\1\2}"),
        (r"\\lbrace(?![a-zA-Z])", r"\\{"),
        (r"\\rbrace(?![a-zA-Z])", r"\\}"),
        (r"\\(?:lvert|rvert|vert)(?![a-zA-Z])", "|"),
        (r"\\(?:arc(sin|cos|tan))(?![a-zA-Z])", r"\\arc\1 "),
        (r"\\(?:infin)(?![a-zA-Z])", r"\\infty "),
        (r"\^\s*(?:\{\s*\\(?:circ|degree)\s*\}|\\(?:circ|degree)(?![a-zA-Z]))\s*(?:[CF](?![a-zA-Z]))?", ""),
        (r"\\degree(?:s)?(?![a-zA-Z])", ""),
    ]
]
_BOLD = re.compile(r"\\(?:textbf|mathbf|boldsymbol|bm|pmb|textit|mathit|emph|underline|mathsf|textsf)\s*(?=\{)")
_ROMAN = re.compile(r"\\(?:text|textrm|textnormal|mathrm|mbox|hbox|rm|operatorname\*?)\s*(?=\{)")
_FUNCTION = re.compile(
    r"(?:sin|cos|tan|cot|sec|csc|log|ln|exp|lcm|gcd|max|min|mod|arcsin|arccos|arctan|sinh|cosh|tanh)"
)
_LITERAL = re.compile(r"[-+]?[\d.,]+|[deij]|pi")
_NUMBER_WORDS = "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
_BASES = {word: str(base) for base, word in enumerate(_NUMBER_WORDS.split(), 2)}
_UNIT_WORDS = (
    r"(?:square|sq\.?|cubic|cu\.?)?\s*(?:units?|cents?|dollars?|degrees?|radians?|inch(?:es)?|feet|foot|ft|yards?|miles?|"
    r"(?:centi|milli|kilo)?met(?:er|re)s?|cm|mm|km|kg|grams?|hours?|hrs?|minutes?|mins?|seconds?|secs?|days?|weeks?|"
    r"years?|mph|km/h|m/s(?:\^2)?|cm/s|km/s|Hz|kHz|MHz|GHz|eV|keV|MeV|joules?|kJ|watts?|kW|newtons?|volts?|kelvin|"
    r"moles?|mol|liters?|litres?|mL|erg(?:/s|s)?|pc|kpc|Mpc|AU|people|ways|students|points?|times)"
)
_TRAILING_UNIT = re.compile(rf"(?<=[\d}})\s]){_UNIT_WORDS}(?:\s*\^\s*\{{?-?\d\}}?)?\s*\.?$")
_DROPPED = re.compile(r"(?:/\s*)?\x00(?:\s*\^\s*(?:\{\s*-?\d+\s*\}|-?\d))?")
_THOUSANDS = re.compile(r"(?<=\d)(?:\{\s*,\s*\}|,\s*\\!|\\,|\\ |~| )\s*(?=\d{3}(?!\d))")
_PHRASE = re.compile(
    r"^(?:(?:so|thus|therefore|hence),? )?(?:the )?(?:final )?answer(?: is)?\s*[:=]?\s*", re.IGNORECASE
)


def normal(text: str) -> str:
    """The normal spelling of an answer; spaces remain only where they end a command's name."""
    s = text.translate(_UNICODE).replace("\x00", "").replace("\n", " ").strip()
    for _ in range(3):  # \boxed{\boxed{5}}, **$5$**, \( 5 \)
        s = re.sub(r"^(?:\\boxed\s*\{(.*)\}|\*\*(.*)\*\*|\\\((.*)\\\)|\\\[(.*)\\\])$", _any_group, s).strip()
    s = s.replace(r"\$", "").replace("$", "").replace(r"\%", "%")
    for pattern, replacement in _SAME:
        s = pattern.sub(replacement, s)
    s = _THOUSANDS.sub("", s)
    s = re.sub(r"(?<!\\)\\[,;:! ]|~|\\q?quad(?![a-zA-Z])", " ", s)
    s = _words(s)
    s = re.sub(r"(?<![\d.])([-+]?\d+)\s+(\d+)\s*/\s*(\d+)$", r"\1\\frac{\2}{\3}", s)  # 17 1/13
    s = _arguments(s)
    return _spaces(s).strip(",;:").removesuffix(".").rstrip(",;:")


def _words(s: str) -> str:
    """Text commands and plain words: unwrapped where they are the answer, dropped where they are units or phrases."""
    s = _unwrapped(s, _BOLD, lambda content, before, after: content)
    s = _unwrapped(s, _ROMAN, _roman)
    s = _DROPPED.sub(" ", s)
    s = re.sub(r"\\frac\s*\{\s*\}\s*\{\s*\}", " ", s)  # a fraction of units
    s = _PHRASE.sub("", s.strip())
    s = re.sub(r"(?<![a-zA-Z\\])(?:and|or)(?![a-zA-Z])", ",", s)
    s = re.sub(r"\s*per\s?cent$", "%", s)
    s = re.sub(r",\s*,", ",", s).strip()
    return _TRAILING_UNIT.sub("", s).strip()


def _unwrapped(s: str, command: re.Pattern[str], meaning: Callable[[str, str, str], str]) -> str:
    """``s`` with each ``command{content}`` replaced by its meaning between the text before and after it."""
    start = 0
    while match := command.search(s, start):
        content = braced(s, match.end())
        if content is None:
            start = match.end()
            continue
        after = s[match.end() + len(content) + 2 :]
        s = s[: match.start()] + meaning(content, s[: match.start()], after) + after
    return s


def _roman(content: str, before: str, after: str) -> str:
    r"""What ``\text{content}`` stands for between ``before`` and ``after``; \x00 marks a unit or a phrase."""
    word, before, after = content.strip(), before.strip(" \x00"), after.lstrip()
    if word.strip(" ,;").lower() in ("and", "or", "and/or", ""):
        return "," if word else " "
    if re.fullmatch(r"per\s?cent|%", word):
        return "%"
    if _LITERAL.fullmatch(word) or _FUNCTION.fullmatch(word):
        return f" {word} "
    alone = not before and not after.strip(" .,;")
    if before.endswith(("_", "_{")):
        return _BASES.get(word, word)
    if alone or (before.endswith("(") and after.startswith(")")):
        return word
    if after.startswith("=") or before.endswith("=") or (len(word) == 1 and not before):
        return re.sub(r"\s+", "", word)
    if choice := re.match(r"\(?[A-J]\)", word):  # \text{(C) } 42
        return f"{choice[0]} "
    return "\x00"


def _arguments(s: str) -> str:
    r"""Braces around the arguments of ``\frac`` and ``\sqrt``, none around single characters of ``_`` and ``^``."""
    s = re.sub(r"\\frac\s*([0-9a-zA-Z])\s*([0-9a-zA-Z])", r"\\frac{\1}{\2}", s)
    s = re.sub(r"\\frac\s*([0-9a-zA-Z])\s*\{", r"\\frac{\1}{", s)
    s = re.sub(r"(\\frac\s*\{[^{}]*\})\s*([0-9a-zA-Z])", r"\1{\2}", s)
    s = re.sub(r"\\sqrt\s*(\[[^][]*\])?\s*([0-9a-zA-Z]|\\[a-zA-Z]+)", r"\\sqrt\1{\2}", s)
    s = re.sub(r"([_^])\s*\{\s*([0-9a-zA-Z])\s*\}", r"\1\2", s)
    return re.sub(r"(?:\+\s*)(?=\\infty)", "", re.sub(r"(^|[(\[{,])\s*\+\s*", r"\1", s))


def _spaces(s: str) -> str:
    s = re.sub(r"(\\[a-zA-Z]+)\s+(?=[a-zA-Z])", "\\1\x00", s)
    return re.sub(r"\s+", "", s).replace("\x00", " ")


def _any_group(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group is not None)
