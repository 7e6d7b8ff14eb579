"""Locks between processes: released when their holder ends, however it ends, and named by its pid.

A Snakemake that is killed outright leaves its jobs running. What they finish then is lost: the next Snakemake takes
their outputs for incomplete, deletes them and starts the jobs again. So a job whose Snakemake is gone keeps its last
state (:func:`watch_snakemake`).
"""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

import psutil
from filelock import FileLock, Timeout
from pydantic import BaseModel, Field, FiniteFloat

from real.system.files import DamagedError

# a holder writes its name right after it has taken the lock
START_S = 1.0
# the system's clock may be set while a process runs, and a process's start with it
CLOCK_S = 2.0
# how long the file with a holder's name may be half-written
WRITING_S = 0.05


class _Holder(BaseModel, strict=True):
    """The content of ``<path>.pid``."""

    pid: int = Field(ge=1, lt=2**31)
    started: FiniteFloat = Field(ge=0)
    host: str


class HeldError(Exception):
    """Another process holds the lock; for the caller to put into a sentence.

    Attributes:
        pid: of the holder, as text; with the name of its machine, if that is another one; "unknown" if it gave none.
    """

    def __init__(self, pid: str):
        super().__init__(pid)
        self.pid = pid


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock ``<path>.lock``, and say so in ``<path>.pid``; HeldError where another process holds it."""
    lock = FileLock(path.with_name(path.name + ".lock"))
    name = path.with_name(path.name + ".pid")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise HeldError(_holder(name)) from None
    try:
        me = {"pid": os.getpid(), "started": psutil.Process().create_time(), "host": socket.gethostname()}
        name.write_text(json.dumps(me) + "\n", encoding="utf-8")
        yield
    finally:
        name.unlink(missing_ok=True)
        lock.release()


def is_held(path: Path) -> bool:
    """Whether a process holds the lock ``<path>.lock``.

    It tries the lock itself: the name beside it may be that of a process which was killed on another machine.
    """
    lock = path.with_name(path.name + ".lock")
    if not lock.exists():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True


def holder(path: Path) -> str | None:
    """Who holds the lock ``<path>.lock``, by the file beside it, as :class:`HeldError` says it; None: nobody.

    The lock itself is left alone. DamagedError where the file can't be read.
    """
    name = path.with_name(path.name + ".pid")
    if name.exists() and not _read(name):
        time.sleep(WRITING_S)
    found = _read(name)
    if not found and name.exists():
        raise DamagedError(
            f"{name}: is damaged, so nobody can say whether a process holds {path}; if none does, delete it"
        )
    return _named(found)


def _holder(name: Path) -> str:
    """Who holds a lock, by the file beside it; a name that a killed holder left behind is waited out, not believed."""
    deadline = time.monotonic() + START_S
    while True:
        who = _named(_read(name))
        # a holder on another machine may have been killed too, which can't be seen from here
        if (who and who.isdecimal()) or time.monotonic() > deadline:
            return who or "unknown"
        time.sleep(0.05)


def _named(found: _Holder | None) -> str | None:
    """The pid, with the name of its machine if that is another one; None where its process has ended."""
    if not found:
        return None
    if found.host != socket.gethostname():
        return f"{found.pid} of {found.host}"
    return str(found.pid) if _runs(found.pid, found.started) else None


def _read(name: Path) -> _Holder | None:
    """What the file says; None if there is none, it is being written, or it is damaged."""
    try:
        return _Holder.model_validate(json.loads(name.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, RecursionError):  # pydantic's ValidationError is a ValueError
        return None


def _runs(pid: int, started: float) -> bool:
    """Whether the process is there, and no later one with the same number."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < CLOCK_S and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def watch_snakemake() -> Callable[[], bool]:
    """Note the Snakemakes that this process descends from; the function returned says whether one of them is gone."""
    ancestors = [process for process in psutil.Process().parents() if _is_snakemake(process)]
    return lambda: not all(map(_is_there, ancestors))


def _is_snakemake(process: psutil.Process) -> bool:
    try:
        return any(PurePath(part).name == "snakemake" for part in process.cmdline())
    except psutil.Error:
        return False


def _is_there(process: psutil.Process) -> bool:
    """Whether it is there, and no other process with its number."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
