"""Edits of YAML files: values by dotted key, or what is done to the text."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

REMOVED = ...
"""in the place of a value: its key goes"""
Change = dict[str, Any] | Callable[[str], str]
"""values by dotted key, or a function of the text"""


def changed_text(text: str, change: Change) -> str:
    """YAML after a change."""
    if callable(change):
        return change(text)
    content = yaml.safe_load(text)
    for path, value in change.items():
        *parents, last = path.split(".")
        section = content
        for key in parents:
            section = section[int(key)] if isinstance(section, list) else section[key]
        if value is REMOVED:
            del section[last]
        else:
            section[last] = value
    return yaml.safe_dump(content, allow_unicode=True)


@contextmanager
def edited(path: Path, change: Change) -> Iterator[None]:
    """A file with a change, which is undone at the end; an absent file counts as empty."""
    before = path.read_text(encoding="utf-8") if path.exists() else None
    path.write_text(changed_text(before or "{}", change), encoding="utf-8", errors="surrogateescape")
    try:
        yield
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before, encoding="utf-8")
