"""Finished parts of a long job on disk, each written atomically, so that a killed job loses one part at most."""

import os
import shutil
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow


class Chunks:
    """Tables by name in ``folder/chunks-<key>``; ``key`` stands for all that they depend on besides their name."""

    def __init__(self, folder: Path, key: str):
        """Open the folder; what other keys left in it can't be used any more and is deleted."""
        self.folder = folder / f"chunks-{key}"
        for other in folder.glob("chunks-*"):
            if other != self.folder:
                shutil.rmtree(other)
        self.folder.mkdir(exist_ok=True)

    def load(self, name: str) -> pd.DataFrame | None:
        """The table saved under ``name``; None if there is none, or no whole one."""
        try:
            return pd.read_parquet(self.folder / f"{name}.parquet")
        except (FileNotFoundError, pyarrow.ArrowInvalid):
            return None

    def save(self, name: str, table: pd.DataFrame) -> None:
        """Keep ``table`` under ``name``."""
        write_atomically(self.folder / f"{name}.parquet", partial(table.to_parquet, index=False))

    def remove(self, prefixes: Iterable[str]) -> None:
        """Delete the tables whose names begin with a prefix and a hyphen, and the folder with the last of them."""
        for prefix in prefixes:
            for path in self.folder.glob(f"{prefix}-*"):
                path.unlink()
        for folder in (self.folder, self.folder.parent):
            if not any(folder.iterdir()):
                folder.rmdir()


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Let ``write`` fill a file beside ``path`` and put it in ``path``'s place once it is complete on disk."""
    unfinished = path.with_name(f"{path.name}.partial")
    write(unfinished)
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.replace(path)
