"""A checkpoint by folder or by Hugging Face hub id: found, and named by its content."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from real.errors import ExpectedError

# what decides a response: weights, tokenizer, chat template, configuration
CONTENT = {".safetensors", ".bin", ".json", ".jinja", ".model", ".txt"}
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


class CheckpointError(ExpectedError):
    """A checkpoint that can't be found, loaded or used; the message says what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """What is loaded.

    Attributes:
        name: a folder, or a hub id.
        revision: the hub's commit; None for a folder.
        content: ``sha256:…`` of a folder's files, or ``commit:…`` of the hub.
    """

    name: str
    revision: str | None
    content: str


def find_checkpoint(name: str) -> Checkpoint:
    """The checkpoint of a folder, or else of a hub id (``organisation/name``), of which the newest commit is pinned.

    Raises:
        CheckpointError: neither a folder with a checkpoint nor a repository that can be fetched.
    """
    folder = Path(name)
    if (folder / "config.json").exists():
        return Checkpoint(name, None, f"sha256:{content_digest(folder)}")
    if folder.exists():
        raise CheckpointError(f"{name}: holds no Hugging Face checkpoint (config.json is missing); train it first")
    if not _HUB_ID.fullmatch(name):
        raise CheckpointError(
            f"{name}: no such folder, and no hub id (organisation/name) either; check the path, or train it first"
        )
    # imported here: transformers takes seconds to import, and a folder needs none of it
    from transformers.utils import cached_file, extract_commit_hash

    try:
        commit = extract_commit_hash(cached_file(name, "config.json"), None)
    except OSError as error:
        raise CheckpointError(
            f"{name}: no such folder, and the Hugging Face hub gave nothing under this id ({first_line(error)}); check "
            "the name and the network, or download the checkpoint elsewhere and name its folder"
        ) from None
    return Checkpoint(name, commit, f"commit:{commit}")


def content_digest(folder: Path) -> str:
    """sha256 over names and bytes of the folder's files that decide a response."""
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in CONTENT:
            with path.open("rb") as file:
                total.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()


def first_line(error: BaseException) -> str:
    """The first line of a library's message, for a sentence of ours."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
