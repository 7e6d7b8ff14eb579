"""A process that is killed right after it saved a state, and what its folders then hold."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from real.system.work_folder import WorkFolder


class KilledError(Exception):
    """Stands for a kill right after a state was saved."""


def files_of(folder: Path, *ignored: str) -> dict[str, bytes]:
    """Content by path of every file but timings and those of the ignored names."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("timings.jsonl", *ignored)
    }


@contextmanager
def killed_after_save(saves: int) -> Iterator[None]:
    """What is inside ends, as if killed, with the given save; it is a failure that it doesn't."""
    save, done = WorkFolder.save, []

    def save_and_stop(self, state):
        save(self, state)
        done.append(state)
        if len(done) == saves:
            raise KilledError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WorkFolder, "save", save_and_stop)
        with pytest.raises(KilledError):
            yield
