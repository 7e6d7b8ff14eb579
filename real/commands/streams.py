"""What a command prints: UTF-8 whatever the locale, line by line, and to nobody once its reader has gone."""

import io
import os
import select
import sys

# what a shell shows of a program that SIGPIPE ends, 128 + 13; a reader that goes after the last line is not noticed: 0
READER_GONE = 141


def prepare_streams() -> None:
    """Let standard output and error be UTF-8 and never refuse a character; a line is written when it is whole.

    A name of a file that is no UTF-8 is printed with its escapes.
    """
    for stream in (sys.stdout, sys.stderr):
        # another kind of stream is a caller's own
        if isinstance(stream, io.TextIOWrapper):
            # what a job printed is in its log however it ends
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)


def flush_streams() -> None:
    """Write what has no line's end yet; BrokenPipeError where nobody reads it, of which the interpreter would tell."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.flush()


def reader_gone() -> bool:
    """Whether the other end of standard output or error is closed (``… | head``); what is left to print is dropped."""
    gone = False
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and _has_no_reader(stream.fileno()):
            gone = True
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
    return gone


def _has_no_reader(file: int) -> bool:
    poll = select.poll()
    poll.register(file, 0)  # that a pipe is broken is told unasked
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))
