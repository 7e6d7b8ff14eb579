"""A checkpoint by folder or by Hugging Face hub id: found, and named by its content."""

import hashlib
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from real.errors import ExpectedError
from real.files import file_digest

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


def link_checkpoint(name: str, revision: str | None, target: Path) -> None:
    """Make ``target`` a folder of links to the files of a checkpoint, fetched from the hub first if it is a hub id.

    Args:
        revision: commit of the hub; None for a folder.

    Raises:
        CheckpointError: neither a folder with a checkpoint nor a repository that can be fetched.
    """
    folder = Path(name)
    if not (folder / "config.json").exists():
        if folder.exists() or not _HUB_ID.fullmatch(name):
            find_checkpoint(name)  # raises, with what is wrong
        folder = _fetch(name, revision)
    unfinished = target.with_name(f"{target.name}.partial")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for path in folder.iterdir():
        if path.suffix in CONTENT:
            (unfinished / path.name).symlink_to(path.resolve())
    shutil.rmtree(target, ignore_errors=True)
    unfinished.rename(target)


def _fetch(name: str, revision: str | None) -> Path:
    """Folder of a hub repository's files in the hub's own cache."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        found = snapshot_download(name, revision=revision, allow_patterns=[f"*{suffix}" for suffix in CONTENT])
    except (OSError, ValueError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise CheckpointError(
            f"model.name: {name} at revision {revision} could not be fetched from the Hugging Face hub "
            f"({first_line(error)}); check the network and the names, or download it elsewhere and name its folder in "
            "paper_configs/local.yaml"
        ) from None
    return Path(found)


def content_digest(folder: Path) -> str:
    """sha256 over names and bytes of the folder's files that decide a response."""
    return digest_of_hashes({path.name: file_digest(path) for path in folder.iterdir() if path.suffix in CONTENT})


def digest_of_hashes(hashes: Mapping[str, str]) -> str:
    """:func:`content_digest` of a folder from its files' sha256 by name; those that decide nothing don't count."""
    total = hashlib.sha256()
    for name, sha256 in sorted(hashes.items()):
        if Path(name).suffix in CONTENT:
            total.update(f"{name} {sha256}\n".encode())
    return total.hexdigest()


def first_line(error: BaseException) -> str:
    """The first line of a library's message, for a sentence of ours."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
