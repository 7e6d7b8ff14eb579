"""Failures that a user can do something about."""


class ExpectedError(Exception):
    """Its message is one sentence per problem: what is wrong, where, what to do. The command line prints no more."""


def system_reason(error: BaseException) -> str:
    """What the operating system said, in its own words and without a library's around them."""
    return getattr(error, "strerror", None) or " ".join(str(error).split()).rstrip(".") or type(error).__name__


def system_sentence(error: OSError) -> str:
    """An error of the operating system as one sentence that names the file."""
    if error.errno is None:  # raised by this package, with its own sentence
        return str(error)
    where = f"{error.filename}: " if error.filename else ""
    return (
        f"{where}{system_reason(error)}; make room, or mend what is in the way, and run the same command again: what "
        "is finished is kept"
    )
