"""Files of results: written whole or not at all, and read so that damage is named rather than taken for data.

What is written carries checksums where its format has them (parquet's pages); :mod:`real.manifest` covers the rest.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
from safetensors import SafetensorError

from real.errors import ExpectedError, system_reason

MAKE_AGAIN = "delete it and run the command that made it again"


class WriteError(ExpectedError):
    """A file that can't be written; the message is one sentence with the reason and the remedy."""


class DamagedError(ExpectedError):
    """A file that is not what was written there; the message names it and the remedy."""


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Let ``write`` fill a file beside ``path`` and put it in ``path``'s place once it is complete on disk.

    Raises:
        WriteError: the disk is full or refuses; ``path`` is as it was, and nothing unfinished is left beside it.
    """
    unfinished = path.with_name(f"{path.name}.partial")
    with writing(path, unfinished):
        write(unfinished)
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)


@contextmanager
def writing(path: Path, unfinished: Path) -> Iterator[None]:
    """Turn a failure to write ``path`` into one sentence, and remove ``unfinished``, a file or a folder.

    Raises:
        WriteError: in place of what the system or a library raised.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        # frees the room that the sentence itself needs, where the log is on the same disk
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.unlink(missing_ok=True)
        raise WriteError(
            f"{path}: could not be written ({system_reason(error)}); make room there, or mend what is in the way, and "
            "run the same command again: what is finished is kept"
        ) from None


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """One mapping, indented."""
    write_atomically(path, partial(Path.write_text, data=json.dumps(value, indent=2) + "\n"))


def write_json_lines(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """One mapping per line."""
    text = "".join(json.dumps(line) + "\n" for line in lines)
    write_atomically(path, partial(Path.write_text, data=text))


def write_table(path: Path, table: pd.DataFrame) -> None:
    """A parquet file with a checksum per page."""
    write_atomically(path, partial(table.to_parquet, index=False, write_page_checksum=True))


def read_json(path: Path, remedy: str = MAKE_AGAIN) -> dict[str, Any]:
    """The mapping that a JSON file holds.

    Raises:
        FileNotFoundError: no such file.
        DamagedError: it holds something else, or is cut off.
    """
    try:
        value = json.loads(path.read_text())
    # JSONDecodeError and UnicodeDecodeError are both ValueErrors; brackets may be deeper than the parser can go
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{path}: is damaged ({error}); {remedy}") from None
    if not isinstance(value, dict):
        raise DamagedError(f"{path}: holds no mapping; {remedy}")
    return value


def read_json_lines(path: Path, remedy: str = MAKE_AGAIN) -> list[dict[str, Any]]:
    """The mappings of a file with one per line; the last line must be as whole as the others.

    Raises:
        FileNotFoundError: no such file.
        DamagedError: naming the line that is cut off or holds no mapping.
    """
    try:
        *texts, rest = path.read_text().split("\n")
    except UnicodeDecodeError as error:
        raise DamagedError(f"{path}: is damaged ({error}); {remedy}") from None
    if rest:
        raise DamagedError(f"{path}: line {len(texts) + 1} is cut off; {remedy}")
    lines = []
    for number, text in enumerate(texts, 1):
        try:
            line = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DamagedError(f"{path}: line {number} is damaged ({error}); {remedy}") from None
        if not isinstance(line, dict):
            raise DamagedError(f"{path}: line {number} holds no mapping; {remedy}")
        lines.append(line)
    return lines


def read_table(path: Path, columns: Sequence[str] | None = None, remedy: str = MAKE_AGAIN) -> pd.DataFrame:
    """The table of a parquet file, or some of its columns, with the checksums of its pages verified.

    Raises:
        FileNotFoundError: no such file.
        DamagedError: it is cut off, altered, or lacks a column.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; run the command that makes it first")
    try:
        return pd.read_parquet(
            path, columns=None if columns is None else list(columns), page_checksum_verification=True
        )
    except (pyarrow.ArrowException, OSError, ValueError, KeyError) as error:
        raise DamagedError(f"{path}: is damaged ({' '.join(str(error).split())}); {remedy}") from None
