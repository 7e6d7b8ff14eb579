"""What a command prints: UTF-8 whatever the locale, line by line."""

import io
import sys


def prepare_streams() -> None:
    """Let standard output and error be UTF-8 and never refuse a character; a line is written when it is whole.

    A name of a file that is no UTF-8 is printed with its escapes.
    """
    for stream in (sys.stdout, sys.stderr):
        # another kind of stream is a caller's own
        if isinstance(stream, io.TextIOWrapper):
            # what a job printed is in its log however it ends
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
