"""Mistakes in a configuration, each as one sentence that names the key and the remedy."""

import difflib
from collections.abc import Iterable
from typing import Any

import yaml

from real.errors import ExpectedError

# tags of the union of scales (schema.py)
SCALE_KINDS = ("torch", "reported", "verl", "verl_arithmetic")


class ConfigError(ExpectedError, ValueError):
    """A configuration that can't be used; the message is one sentence per problem."""


def sentence(problem: Any, known_keys: Iterable[str], if_missing: str = "every scale file states every key") -> str:
    """One pydantic error as a sentence that names the key and the remedy.

    Args:
        problem: an item of ``ValidationError.errors()``.
        known_keys: all keys of all sections, to guess what a misspelt one meant.
        if_missing: what to do about a key that is missing.
    """
    # the kind of scale heads each location
    parts = problem["loc"][1:] if problem["loc"] and problem["loc"][0] in SCALE_KINDS else problem["loc"]
    key = ".".join(map(str, parts))
    value, kind = problem["input"], problem["type"]
    if kind == "extra_forbidden":
        return f"{key} is not a known key{_did_you_mean(key.rpartition('.')[2], known_keys)}"
    if kind == "missing":
        return f"{key} is missing; {if_missing}"
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        return (
            "engine must be 'torch', 'verl' or 'reported', found "
            f"{value.get('engine') if isinstance(value, dict) else value!r}"
        )
    if isinstance(value, str) and _is_number(value):
        return (
            f"{key} is the text {value!r}, not a number; write it as {yaml.safe_dump(float(value)).split()[0]} "
            "(YAML reads 2e-6 as text, 2.0e-6 as a number)"
        )
    message = problem["msg"].removeprefix("Value error, ")
    if kind == "value_error":
        return f"{key}: {message}" if key and key.split(".")[0] not in message else message
    return f"{key} is {value!r}; {message[0].lower()}{message[1:]}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """ "unknown method 'reall'; choose from ...; did you mean 'real'?"

    Args:
        kind: what ``name`` should have been one of.
    """
    return f"unknown {kind} {name!r}; choose from {', '.join(known)}{_did_you_mean(name, known)}"


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
