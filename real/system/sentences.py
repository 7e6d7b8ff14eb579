"""Mistakes in a configuration, each as one sentence that names the key, what is wrong and the remedy."""

import datetime
import difflib
import math
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from real.system.errors import ExpectedError

# tags of the union of scales (real/config/schema.py), which head each location
SCALE_KINDS = ("torch", "reported", "verl", "verl_arithmetic")
# a value of several types (float or text) has one error per type, with the type's name after the key
_MEMBERS = ("bool", "float", "int", "str")
_MEMBER_ERRORS = ("bool_type", "float_type", "int_type", "string_type", "int_from_float", "finite_number")
_SECTION = "must be a section: write its keys below it, indented"
_WHOLE = "must be a whole number: write it without a point and without quotes"
# by pydantic's type of error, with the numbers that it gives
_RULES = {
    "greater_than": "must be more than {gt}: set it to a number above that",
    "greater_than_equal": "must be at least {ge}: set it to that or more",
    "less_than": "must be less than {lt}: set it to a number below that",
    "less_than_equal": "must be at most {le}: set it to that or less",
    "finite_number": "must be a finite number: write one, such as 1.0",
    "int_type": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": "must be a number: write it in digits, without quotes",
    "bool_type": "must be true or false: write one of them, without quotes",
    "string_type": "must be text: write it, in quotes where it looks like something else",
    "list_type": "must be a list: write [a, b], or one '- a' per line",
    "dict_type": _SECTION,
    "model_type": _SECTION,
    "model_attributes_type": _SECTION,
    "literal_error": "must be {expected}: choose one",
    "too_short": "must name {min_length} or more: add what is missing",
    "too_long": "must name at most {max_length}: remove the others",
    "string_pattern_mismatch": "must match {pattern}: copy it whole",
    "one_of_several": "must be a single value, a number or text: write one",
}
_shorten = reprlib.Repr()
_shorten.maxstring = _shorten.maxother = _shorten.maxlong = 60
_shorten.maxdict = 2


class ConfigError(ExpectedError, ValueError):
    """A configuration that can't be used; the message is one sentence per problem."""


def one_per_key(problems: Iterable[Any]) -> list[Any]:
    """The items of ``ValidationError.errors()``, those of one key with several types made one.

    ``loc`` of each is where it is in the file: the keys from the outermost one on.
    """
    found: dict[Any, Any] = {}
    for problem in problems:
        place, kind = problem["loc"], problem["type"]
        if place and place[0] in SCALE_KINDS:
            place = place[1:]
        if len(place) > 1 and place[-1] in _MEMBERS and kind in _MEMBER_ERRORS:
            place, kind = place[:-1], kind if kind == "finite_number" else "one_of_several"
        if place not in found or kind == "finite_number":
            found[place] = {**problem, "loc": place, "type": kind}
    return list(found.values())


def sentence(
    problem: Any,
    known_keys: Iterable[str],
    if_missing: str = "every scale file states every key: add it",
    elsewhere: Mapping[str, str] | None = None,
) -> str:
    """One pydantic error as a sentence that names the key and the remedy.

    Args:
        problem: an item of :func:`one_per_key`.
        known_keys: all keys of all sections, to guess what a misspelt one meant.
        if_missing: what to do about a key that is missing.
        elsewhere: keys that some scales have, by what has them.
    """
    # a key that is wrong itself has '[key]' behind it, and may hold anything
    key = printable(".".join(str(part) for part in problem["loc"] if part != "[key]"))
    value, kind = problem["input"], problem["type"]
    if kind == "extra_forbidden":
        if elsewhere and key in elsewhere:
            return f"{key} belongs to {elsewhere[key]}, which this is not; remove it"
        return f"{key} is not a known key{_did_you_mean(key.rpartition('.')[2], known_keys) or '; remove it'}"
    if kind == "missing":
        return f"{key} is missing; {if_missing}"
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        engine = value.get("engine") if isinstance(value, dict) else value
        return f"engine must be 'torch', 'verl' or 'reported', found {shown(engine)}; choose one"
    if kind == "value_error":
        return _own_sentence(key, value, printable(problem["msg"].removeprefix("Value error, ")))
    if kind in ("float_type", "int_type") and isinstance(value, str) and (plain := _plain_number(value, kind)):
        return (
            f"{key} is the text {shown(value)}, not a number; write it as {plain} (YAML reads 2e-6 as text, 2.0e-6 as "
            "a number)"
        )
    rule = _RULES.get(kind, f"{problem['msg'][0].lower()}{problem['msg'][1:]}: correct it")
    hint = ""
    if isinstance(value, bool) and kind in ("string_type", "literal_error"):
        hint = " (YAML reads yes, no, on and off as true or false unless they are in quotes)"
    meant = _did_you_mean(value, problem["ctx"]["expected"].split("'")[1::2]) if kind == "literal_error" else ""
    return f"{key} is {shown(value)}; {rule.format(**problem.get('ctx', {}))}{hint}{meant}"


def shown(value: Any) -> str:
    """A value as a sentence quotes it: on one line and not too long."""
    if isinstance(value, datetime.date):
        return f"the date {value}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return "a section" if isinstance(value, dict) and value else _shorten.repr(value)


def printable(text: str) -> str:
    """The text on one line, what can't be printed as its escape sequence."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """ "unknown method 'reall'; choose from ...; did you mean 'real'?", of the kind "method"."""
    known = list(known)
    return f"unknown {kind} {shown(name)}; choose from {', '.join(known)}{_did_you_mean(name, known)}"


def _own_sentence(key: str, value: Any, message: str) -> str:
    """What a validator of ours said; those of whole sections name the keys themselves."""
    if isinstance(value, str):
        return f"{key} is {shown(value)}; {message}"
    if isinstance(value, list):
        return f"{key} {message}"
    return message if message.startswith(key) else f"{key}: {message}"


def _plain_number(text: str, kind: str) -> str | None:
    """How a number that was written as text should have been written; None: it is no number of the kind."""
    try:
        value = float(text)
    except ValueError:
        return None
    if not math.isfinite(value) or (kind == "int_type" and not value.is_integer()):
        return None
    return yaml.safe_dump(int(value) if kind == "int_type" else value).split()[0]


def _did_you_mean(name: Any, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1) if isinstance(name, str) and len(name) < 100 else []
    return f"; did you mean {close[0]!r}?" if close else ""


def differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Dotted keys whose values differ, in the order of the files, with both values; ``-`` where there is none."""
    old, new = dict(_flat(before)), dict(_flat(now))
    both = {key: (old.get(key, "-"), new.get(key, "-")) for key in [*old, *new]}
    return {key: values for key, values in both.items() if values[0] != values[1]}


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
