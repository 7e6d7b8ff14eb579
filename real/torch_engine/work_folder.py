"""A running job's folder: locked while in use, its state written atomically, so that a killed job resumes.

Snakemake deletes the declared outputs of a failed job; this folder is undeclared and therefore survives.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from real.errors import ExpectedError
from real.files import write_atomically
from real.locks import HeldError, exclusive


class FolderInUseError(ExpectedError):
    """Another process holds the folder; the message names it."""


class WorkFolder:
    """State of one job in ``folder``, valid for one resolved configuration and one version of the code."""

    def __init__(self, folder: Path, fingerprint: str):
        self.folder, self.fingerprint = folder, fingerprint

    def load(self) -> dict[str, Any] | None:
        """The last saved state; None when there is none, or it belongs to another configuration or code version."""
        path = self.folder / "state.pt"
        if not path.exists():
            return None
        state = torch.load(path, weights_only=False)
        return state if state["fingerprint"] == self.fingerprint else None

    def save(self, state: dict[str, Any]) -> None:
        """Replace the saved state; the previous one stays until the new one is complete on disk."""
        write_atomically(self.folder / "state.pt", partial(torch.save, {**state, "fingerprint": self.fingerprint}))

    def remove(self) -> None:
        """Delete the folder once the job's results are in place."""
        shutil.rmtree(self.folder)


@contextmanager
def open_work_folder(folder: Path, fingerprint: str) -> Iterator[WorkFolder]:
    """Create and lock ``folder`` for this process; see :func:`hold`."""
    with hold(folder):
        yield WorkFolder(folder, fingerprint)


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Create ``folder`` and lock it for this process.

    Raises:
        FolderInUseError: another process holds it; the message names its pid.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        try:
            # beside the folder, so that the folder can be removed while the lock is held
            held.enter_context(exclusive(folder))
        except HeldError as error:
            raise FolderInUseError(
                f"{folder}: is in use by process {error.pid}; wait for it to finish, or end it, and run the same "
                "command again"
            ) from None
        yield
