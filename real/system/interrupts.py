"""Ctrl-C, and SIGTERM, which schedulers send: a command ends with its work saved, by one rule for all commands.

A terminal sends Ctrl-C to Snakemake, its shell and the job at once, and a scheduler may send SIGTERM after it. So the
first signal of either kind asks for the end, and a SIGTERM that follows it changes nothing; a second Ctrl-C ends at
once.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(KeyboardInterrupt):
    """A job that was asked to end and has saved its state; the message says what is saved and how to go on."""


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Let SIGTERM end the command as Ctrl-C does, by KeyboardInterrupt: its own processes end with it.

    Yields whether that was asked for: a library that is just being imported may make another exception of it.
    """
    asked = False

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    with _handled(end):
        yield lambda: asked


@contextmanager
def graceful_stop() -> Iterator[Callable[[], bool]]:
    """A function that says whether the end was asked for; for a loop that saves its state and raises :class:`Stopped`.

    ::

        with graceful_stop() as stopping:
            for step in steps:
                ...
                if stopping():
                    save()
                    raise Stopped("...")

    Raises:
        KeyboardInterrupt: at the second Ctrl-C.
    """
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked = True
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    with _handled(ask):
        yield lambda: asked


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Give both signals to ``handler``; a Ctrl-C that whoever started this process ignores stays ignored.

    Afterwards SIGTERM stays ignored if the handler says so: what is left of the command is its end.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, handler)
    try:
        yield
    finally:
        for number, then in before.items():
            if signal.getsignal(number) is handler:
                signal.signal(number, then)
