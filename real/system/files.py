"""Files of results: written whole or not at all, and read so that damage is named rather than taken for data.

What is written carries checksums where its format has them (parquet's pages); the manifest covers the rest. Readers
raise FileNotFoundError where there is no file, and DamagedError where it is cut off, altered, holds something else than
its format, or lacks a key or a column.
"""

import hashlib
import io
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial, wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import pandas as pd
import pyarrow
from safetensors import SafetensorError

from real.system.errors import ExpectedError, system_reason

PIECE_BYTES = 1 << 22
MAKE_AGAIN = "delete it and run the command that made it again"
# length of the sha256 that ends a sealed file; torch.load and parquet's own checksums miss changed bits
SEAL = 64
# how long ago a file was last changed for its size and times to tell it from what it may become
SETTLED_NS = 1_000_000_000
_digests: dict[tuple[int, ...], str] = {}
Content = TypeVar("Content")
Others = ParamSpec("Others")


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
    """Turn a failure to write ``path`` into a WriteError, and remove ``unfinished``, a file or a folder."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        # frees the room that the sentence itself needs, where the log is on the same disk
        shutil.rmtree(unfinished, ignore_errors=True)
        with suppress(OSError):  # also where what stands in the way of the file keeps it from being there
            unfinished.unlink()
        raise WriteError(
            f"{path}: could not be written ({system_reason(error)}); make room there, or mend what is in the way, and "
            "run the same command again: what is finished is kept"
        ) from None


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """One mapping, indented."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_json_lines(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """One mapping per line."""
    write_text(path, "".join(json.dumps(line) + "\n" for line in lines))


def write_text(path: Path, text: str) -> None:
    """Text as UTF-8."""
    write_atomically(path, partial(Path.write_text, data=text, encoding="utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Bytes as they are."""
    write_atomically(path, partial(Path.write_bytes, data=content))


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """A CSV file without the index."""
    write_text(path, table.to_csv(index=False))


def write_table(path: Path, table: pd.DataFrame) -> None:
    """A parquet file with a checksum per page."""
    write_atomically(path, partial(table.to_parquet, index=False, write_page_checksum=True))


def read_json(path: Path, remedy: str = MAKE_AGAIN, keys: Sequence[str] = ()) -> dict[str, Any]:
    """The mapping that a JSON file holds, with all of ``keys``."""
    return _mapping(_text(path, remedy), f"{path}:", keys, remedy)


def read_json_lines(
    path: Path, remedy: str = MAKE_AGAIN, keys: Sequence[str] = (), unfinished: bool = False
) -> list[dict[str, Any]]:
    """The mappings of a file with one per line, each with all of ``keys``; the last line may be ``unfinished``."""
    *texts, rest = _text(path, remedy).split("\n")
    if rest and not unfinished:
        raise DamagedError(f"{path}: line {len(texts) + 1} is cut off; {remedy}")
    return [_mapping(text, f"{path}: line {number}", keys, remedy) for number, text in enumerate(texts, 1)]


def read_table(path: Path, columns: Sequence[str] | None = None, remedy: str = MAKE_AGAIN) -> pd.DataFrame:
    """The table of a parquet file, or some of its columns, with the checksums of its pages verified."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; run the command that makes it first")
    chosen = None if columns is None else list(columns)
    with _damage_named(f"{path}:", remedy, pyarrow.ArrowException, OSError, ValueError, KeyError):
        return pd.read_parquet(path, columns=chosen, page_checksum_verification=True)


def read_csv(path: Path, remedy: str = MAKE_AGAIN, **options: Any) -> pd.DataFrame:
    """The table of a CSV file, read with options of :func:`pandas.read_csv`."""
    text = _text(path, remedy)
    if not text.endswith("\n"):
        raise DamagedError(f"{path}: its last line is cut off; {remedy}")
    with _damage_named(f"{path}:", remedy, ValueError):  # pandas' ParserError and EmptyDataError
        return pd.read_csv(io.StringIO(text), **options)


@contextmanager
def _damage_named(where: str, remedy: str, *errors: type[Exception]) -> Iterator[None]:
    """Turn what a library says of damage into one sentence."""
    try:
        yield
    except errors as error:
        raise DamagedError(f"{where} is damaged ({' '.join(str(error).split())}); {remedy}") from None


def _text(path: Path, remedy: str) -> str:
    with _damage_named(f"{path}:", remedy, UnicodeDecodeError):
        return path.read_text(encoding="utf-8")


def _mapping(text: str, where: str, keys: Sequence[str], remedy: str) -> dict[str, Any]:
    """What a file of JSON, or one line of it, holds."""
    # a ValueError may also be a number with too many digits; brackets may be deeper than the parser can go
    with _damage_named(where, remedy, ValueError, RecursionError):
        value = json.loads(text)
    if not isinstance(value, dict):
        raise DamagedError(f"{where} holds no mapping; {remedy}")
    if missing := [key for key in keys if key not in value]:
        raise DamagedError(f"{where.removesuffix(':')}: lacks {', '.join(missing)}; {remedy}")
    return value


def sealed(content: bytes) -> bytes:
    """``content`` with its sha256 after it, for a file that :func:`read_sealed` reads."""
    return content + hashlib.sha256(content).hexdigest().encode()


def read_sealed(path: Path) -> bytes | None:
    """The content of a sealed file; None if a single bit of the file differs from what was written."""
    data = path.read_bytes()
    content = data[:-SEAL]
    return content if sealed(content) == data else None


def file_digest(path: Path, report: Callable[[int], Any] = int) -> str:
    """sha256 of a file, read once per process; ``report`` is called with the number of bytes of each piece read.

    A file whose :func:`signature` is another one by now, or is None, is read again.
    """
    key = signature(path)
    if key in _digests:
        report(path.stat().st_size)
        return _digests[key]
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
            report(len(piece))
    if key is not None:
        _digests[key] = digest.hexdigest()
    return digest.hexdigest()


def read_once(
    read: Callable[Concatenate[Path, Others], Content],
) -> Callable[Concatenate[Path, Others], Content]:
    """Decorator of a reader, which then reads each file once per process and gives the same content to all who ask.

    A file whose :func:`signature` is another one by now, or is None, is read again. Further arguments are hashable.
    """
    known: dict[Any, Content] = {}

    @wraps(read)
    def reader(path: Path, *others: Others.args, **named: Others.kwargs) -> Content:
        found = signature(path) if path.exists() else None
        if found is None:
            return read(path, *others, **named)
        key = found, others, tuple(named.items())
        if key not in known:
            known[key] = read(path, *others, **named)
        return known[key]

    return reader


def signature(path: Path) -> tuple[int, ...] | None:
    """What tells a file from what it was or may become: its place on the disk, size and times.

    None where it was changed so recently that the clock of the file system could hide a further change.
    """
    about = path.stat()
    if time.time_ns() - about.st_ctime_ns <= SETTLED_NS:
        return None
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns
