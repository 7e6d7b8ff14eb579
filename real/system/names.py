"""The kinds of values that many sections share: names that become folders, printed lines, lists without repetition."""

import re
from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field, WithJsonSchema

# letters, digits and . _ - alone: a name becomes a folder, a wildcard of the workflow and a word of a command
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
NAME_REMEDY = (
    "it names files and folders: use letters, digits, '.', '_' and '-' alone, at most 100, a letter or digit first"
)
# as real.system.code.code_digest names a version of the code
CODE_DIGEST = re.compile("[0-9a-f]{16}")
# numpy's and vLLM's generators take no larger seed
LARGEST_SEED = 2**32 - 1
# far above what a run of this package can take, and far below where numbers overflow
LARGEST_COUNT = 1_000_000
MOST_OF_FEW = 1_000
Value = TypeVar("Value")


def _is_name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise ValueError(NAME_REMEDY)
    return text


def _is_line(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("it must be one line of printable text: write some")
    return text


def _each_once(values: list[Value]) -> list[Value]:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"has {value!r} more than once; keep one of them")
    return values


Name = Annotated[str, AfterValidator(_is_name), WithJsonSchema({"type": "string", "pattern": f"^{NAME.pattern}$"})]
"""A name that becomes a folder or a file."""
Line = Annotated[str, AfterValidator(_is_line), WithJsonSchema({"type": "string", "pattern": r"\S"})]
"""One line of text, not empty."""
CodeDigest = Annotated[str, Field(pattern=f"^{CODE_DIGEST.pattern}$")]
"""The name of a version of the code."""
ExperimentName = Annotated[str, Field(pattern=f"^{NAME.pattern}(\\+{NAME.pattern})*$")]
"""A scale with its overlays, as its results folder is called."""
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
"""A seed that every generator takes."""
Count = Annotated[int, Field(ge=1, le=LARGEST_COUNT)]
"""Steps, rows, tokens, samples."""
CountOrNone = Annotated[int, Field(ge=0, le=LARGEST_COUNT)]
"""The same, where 0 switches something off."""
Few = Annotated[int, Field(ge=1, le=MOST_OF_FEW)]
"""Layers, machines, GPUs, processes."""
NOT_MANY = Field(max_length=MOST_OF_FEW)
"""Annotation of a list whose items each cost something."""
EACH_ONCE = AfterValidator(_each_once)
"""Annotation of a list that repeats nothing."""
