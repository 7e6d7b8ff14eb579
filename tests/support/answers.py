"""What a command answers to a mistake, and whether the answer names what it must."""

import re
import sys
import types

import pytest

from real.commands.command_line import main


def answer(arguments: list[str]) -> tuple[int, list[str]]:
    """Exit code of a command and the lines that it wrote to standard error, without the program's name."""
    written: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", types.SimpleNamespace(write=written.append, flush=lambda: None))
        try:
            code = main(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
    text = "".join(written)
    assert text.startswith("real: "), text
    return code, text.removeprefix("real: ").splitlines()


def names(line: str, parts: str, start: str = "") -> bool:
    """Whether a line is a sentence with a remedy that names some parts in their order, whole words all of them.

    Args:
        parts: with ``...`` between them; before the first no more than plain words may stand, so no other key.
        start: what the line begins with.
    """
    words = [rf"(?<![\w.-]){re.escape(part)}(?![\w-]|\.\w)" for part in parts.split(" ... ")]
    return bool(re.fullmatch(f"{re.escape(start)}(?:[A-Za-z']+:? )*{'.*'.join(words)}.*", line) and "; " in line)
