"""Finished parts of a long job on disk, each written atomically, so that a killed job loses one part at most."""

import io
import shutil
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from real.system.files import read_sealed, sealed, write_atomically

SUFFIX = ".chunk"


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
        """The table saved under ``name``; None if there is none, or a damaged one, which is named and done again."""
        path = self._path(name)
        if not path.exists():
            return None
        content = read_sealed(path)
        if content is None:
            tqdm.write(f"{path}: is damaged, not the bytes that were written; it is done again")
            return None
        return pd.read_parquet(io.BytesIO(content))

    def save(self, name: str, table: pd.DataFrame) -> None:
        """Keep ``table`` under ``name``.

        Raises:
            WriteError: the disk is full or refuses.
        """
        content = table.to_parquet(index=False)
        write_atomically(self._path(name), partial(Path.write_bytes, data=sealed(content)))

    def remove(self, prefixes: Iterable[str]) -> None:
        """Delete the tables whose names begin with a prefix and a hyphen, and the folder with the last of them."""
        for prefix in prefixes:
            for path in self.folder.glob(f"{prefix}-*"):
                path.unlink()
        for folder in (self.folder, self.folder.parent):
            if not any(folder.iterdir()):
                folder.rmdir()

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}{SUFFIX}"
