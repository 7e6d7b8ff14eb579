"""Failures that a user can do something about."""

import errno
import re

# what the loader, torch, CUDA, C++ and threads say of memory that they were refused, in errors of no type of its own
_REFUSED = re.compile(
    "failed to map segment|(can't|cannot) allocate memory|out of memory|std::bad_alloc|can't start new thread", re.I
)
_REASON_CHARACTERS = 200


class ExpectedError(Exception):
    """Its message is one sentence per problem: what is wrong, where, what to do. The command line prints no more."""


def system_reason(error: BaseException) -> str:
    """What the operating system said, in its own words and without a library's around them."""
    return getattr(error, "strerror", None) or " ".join(str(error).split()).rstrip(".") or type(error).__name__


def system_sentence(error: OSError) -> str:
    """An error of the operating system as one sentence that names the file."""
    if error.errno == errno.ENOMEM:
        return str(memory_sentence(error))
    if error.errno is None:  # raised by this package, with its own sentence
        return str(error)
    where = f"{error.filename}: " if error.filename else ""
    return (
        f"{where}{system_reason(error)}; make room, or mend what is in the way, and run the same command again: what "
        "is finished is kept"
    )


def memory_sentence(error: BaseException) -> str | None:
    """What came of memory that was refused, however libraries word and wrap it, as one sentence; None: it did not."""
    reason: str | None = None
    cause: BaseException | None = error
    while cause is not None:
        told = " ".join(str(cause).split())
        if isinstance(cause, MemoryError) or _REFUSED.search(told):
            reason = told[:_REASON_CHARACTERS].rstrip(".") or "an allocation failed"  # the innermost says it plainest
        cause = cause.__cause__ or cause.__context__
    if reason is None:
        return None
    return (
        f"not enough memory ({reason}); make the sizes of the configuration smaller, or let the command have more (end "
        "what uses it, raise the limit of `ulimit -v` or of the job), and run the same command again: what is finished "
        "is kept"
    )
