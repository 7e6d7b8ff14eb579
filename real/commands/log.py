"""The log of a job that the workflow starts: written by the job itself, so that it holds every attempt.

Snakemake deletes a job's log before it starts the job again. A second name of the same file, ``….log.attempts``, keeps
what earlier attempts wrote; where the file system has no hard links, the log holds the last attempt alone.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path


def log_to(path: Path, keeps_attempts: bool) -> None:
    """Send what this process and those that it starts print to a file, from now on.

    Args:
        keeps_attempts: write after what earlier attempts at the job wrote, rather than in its place.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    attempts = path.with_name(f"{path.name}.attempts")
    if keeps_attempts:
        with suppress(OSError):
            attempts.touch()
            path.unlink(missing_ok=True)
            path.hardlink_to(attempts)
    sys.stdout.flush()
    sys.stderr.flush()
    with path.open("ab" if keeps_attempts else "wb") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
