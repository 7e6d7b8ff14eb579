"""Finished parts of a long job on disk, each written atomically, so that a killed job loses one part at most."""

import shutil
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from real.files import DamagedError, read_table, write_table


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
        try:
            return read_table(self.folder / f"{name}.parquet", remedy="it is done again")
        except FileNotFoundError:
            return None
        except DamagedError as error:
            tqdm.write(str(error))
            return None

    def save(self, name: str, table: pd.DataFrame) -> None:
        """Keep ``table`` under ``name``."""
        write_table(self.folder / f"{name}.parquet", table)

    def remove(self, prefixes: Iterable[str]) -> None:
        """Delete the tables whose names begin with a prefix and a hyphen, and the folder with the last of them."""
        for prefix in prefixes:
            for path in self.folder.glob(f"{prefix}-*"):
                path.unlink()
        for folder in (self.folder, self.folder.parent):
            if not any(folder.iterdir()):
                folder.rmdir()
