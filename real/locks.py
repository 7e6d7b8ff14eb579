"""Locks between processes of one machine: released when their holder ends, however it ends, and named by its pid."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


class HeldError(Exception):
    """Another process holds the lock; for the caller to put into a sentence.

    Attributes:
        pid: of the holder, as text; "unknown" while it is just starting.
    """

    def __init__(self, pid: str):
        super().__init__(pid)
        self.pid = pid


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock ``<path>.lock``, and say so in ``<path>.pid``.

    Raises:
        HeldError: another process holds it.
    """
    lock = FileLock(path.with_name(path.name + ".lock"))
    holder = path.with_name(path.name + ".pid")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise HeldError((holder.read_text().strip() if holder.exists() else "") or "unknown") from None
    try:
        holder.write_text(f"{os.getpid()}\n")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()
