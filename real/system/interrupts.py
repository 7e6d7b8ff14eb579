"""Ctrl-C, and SIGTERM, which schedulers send: a command ends with its work saved, by one rule for all commands.

A terminal sends Ctrl-C to Snakemake, its shell and the job at once, and a scheduler may send SIGTERM after it. So the
first signal of either kind asks for the end, and a SIGTERM that follows it changes nothing; a second Ctrl-C ends at
once.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType


class Stopped(KeyboardInterrupt):
    """A job that was asked to end and has saved its state; the message says what is saved and how to go on."""


def interruptible() -> AbstractContextManager[Callable[[], bool]]:
    """Let SIGTERM end the command as Ctrl-C does, by KeyboardInterrupt: its own processes end with it.

    Yields whether that was asked for: a library that is just being imported may make another exception of it.
    """
    return _asked(at_once=True)


def graceful_stop() -> AbstractContextManager[Callable[[], bool]]:
    """A function that says whether the end was asked for; for a loop that saves its state and raises :class:`Stopped`.

    Raises:
        KeyboardInterrupt: at the second Ctrl-C.
    """
    return _asked(at_once=False)


@contextmanager
def _asked(at_once: bool) -> Iterator[Callable[[], bool]]:
    """Note either signal, and end by it or leave that to who asks; a Ctrl-C that is ignored already stays ignored.

    Afterwards SIGTERM stays ignored if one came: what is left of the command is its end.
    """
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        again, asked = asked, True
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if at_once or (again and number == signal.SIGINT):
            raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, ask)
    try:
        yield lambda: asked
    finally:
        for number, then in before.items():
            if signal.getsignal(number) is ask:
                signal.signal(number, then)
