"""``python -m real``: the command line (real/commands), and a Ctrl-C that comes while it is still being imported."""

import os
import signal
import sys


def leave(*_: object) -> None:
    """End at once: nothing has begun, and an exception in the middle of an import can become a library's panic."""
    os.write(2, b"real: interrupted before anything began; run the same command again\n")
    os._exit(130)


if __name__ == "__main__":
    from real.system import portable

    portable.pin()
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:  # whoever started this process may have it ignored
        signal.signal(signal.SIGINT, leave)
    from real.system.errors import memory_sentence

    try:
        from real.commands.command_line import main
    except Exception as error:
        if (refused := memory_sentence(error)) is None:
            raise
        os.write(2, f"real: {refused}\n".encode(errors="backslashreplace"))
        os._exit(1)  # a library that is loaded by half may crash at an orderly end

    signal.signal(signal.SIGINT, before)
    sys.exit(main())
