"""Finished parts of a long job on disk, each written atomically, so that a killed job loses one part at most."""

import io
import shutil
from collections.abc import Collection, Iterable
from functools import partial
from itertools import product
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from real.system.code import accepting
from real.system.files import read_sealed, sealed, write_atomically
from real.system.work_folder import OtherRunError

SUFFIX = ".chunk"


class Chunks:
    """Tables by name in ``folder/chunks-<key>-<code>``, and those that accepted code left in folders beside it.

    Attributes:
        folders: by the digest of the code that made what is in them; its own first.
    """

    def __init__(self, folder: Path, key: str, code: str, protected: bool = False, accepted: Collection[str] = ()):
        """Open the folder; what other keys, or code that is not accepted, left beside it is deleted.

        Args:
            key: stands for all that the tables depend on besides their name and the code.
            code: digest of the present code; accepted: of other code whose tables are used.
            protected: refuse what code that is not accepted left, rather than delete it.

        Raises:
            OtherRunError: it is protected and holds what such code left; nothing is deleted.
        """
        self.code, self.folder = code, folder / f"chunks-{key}-{code}"
        left = {path.name.removeprefix(f"chunks-{key}-"): path for path in sorted(folder.glob(f"chunks-{key}-*"))}
        self.folders = {code: self.folder, **{name: path for name, path in left.items() if name in accepted}}
        strange = [name for name in left if name not in self.folders and any(left[name].glob(f"*{SUFFIX}"))]
        if protected and strange:
            raise OtherRunError(
                f"{folder}: holds chunks of this evaluation by other code ({', '.join(strange)}), and the scale is "
                f"protected; go back to that code to go on with it, {accepting(strange)} to go on by this code, or "
                "delete the folder to start anew"
            )
        for other in folder.glob("chunks-*"):
            if other not in self.folders.values():
                shutil.rmtree(other)
        self.folder.mkdir(exist_ok=True)

    def load(self, name: str) -> pd.DataFrame | None:
        """The table saved under ``name``, with a column ``code``: the digest of the code that made it.

        None if there is none, or a damaged one, which is named and done again.
        """
        for code, folder in self.folders.items():
            if (path := folder / f"{name}{SUFFIX}").exists():
                if (content := read_sealed(path)) is not None:
                    return pd.read_parquet(io.BytesIO(content)).assign(code=code)
                tqdm.write(f"{path}: is damaged, not the bytes that were written; it is done again")
        return None

    def save(self, name: str, table: pd.DataFrame) -> None:
        """Keep ``table`` under ``name``.

        Raises:
            WriteError: the disk is full or refuses.
        """
        content = table.to_parquet(index=False)
        write_atomically(self.folder / f"{name}{SUFFIX}", partial(Path.write_bytes, data=sealed(content)))

    def remove(self, prefixes: Iterable[str]) -> None:
        """Delete the tables whose names begin with a prefix and a hyphen, and a folder with the last of them."""
        folders = list(self.folders.values())
        for prefix, folder in product(prefixes, folders):
            for path in folder.glob(f"{prefix}-*"):
                path.unlink()
        for folder in (*folders, self.folder.parent):
            if not any(folder.iterdir()):
                folder.rmdir()
