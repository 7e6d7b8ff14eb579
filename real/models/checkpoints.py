"""A checkpoint by folder or by Hugging Face hub id: found, named by its content, and read as data, never run.

Weights are read from safetensors alone: the older pickles (pytorch_model.bin) run code when they are loaded.
"""

import hashlib
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from real.system.errors import ExpectedError
from real.system.files import file_digest, read_json

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

# what decides a response: weights, tokenizer, chat template, configuration
CONTENT = {".safetensors", ".json", ".jinja", ".model", ".txt"}
CODE = ".py"
DECIDING = {*CONTENT, CODE}
ADAPTER = "adapter_config.json"
COMPLETE = (
    "check that the checkpoint is complete, or, if it was trained here, delete its folder and run the command that "
    "made it again"
)
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


class CheckpointError(ExpectedError):
    """A checkpoint that can't be found, loaded or used; the message says what to do."""


def find_checkpoint(name: str, trust_remote_code: bool = False) -> tuple[str | None, str]:
    """The checkpoint of a folder, or else of a hub id (``organisation/name``), of which the newest commit is pinned.

    Args:
        trust_remote_code: whether Python code that it brings along may be run.

    Returns:
        the hub's commit, None for a folder; ``sha256:…`` of a folder's files, or ``commit:…`` of the hub.

    Raises:
        CheckpointError: neither a folder with a checkpoint nor a repository that can be fetched, or one that is more
            than data.
        DamagedError: a configuration that is no JSON.
    """
    if folder := _folder_of(name):
        refuse_more_than_data(folder, trust_remote_code)
        return None, f"sha256:{content_digest(folder)}"
    # imported here: transformers takes seconds to import, and a folder needs none of it
    from transformers.utils import cached_file, extract_commit_hash

    try:
        config = cached_file(name, "config.json") or ""
        commit = extract_commit_hash(config, None)
        # fetched only to be asked for code, before anything reads the checkpoint
        for file in ("tokenizer_config.json", "generation_config.json", ADAPTER):
            cached_file(name, file, revision=commit, _raise_exceptions_for_missing_entries=False)
    except OSError as error:
        raise CheckpointError(
            f"{name}: no such folder, and the Hugging Face hub gave nothing under this id ({first_line(error)}); check "
            "the name and the network, or download the checkpoint elsewhere and name its folder"
        ) from None
    refuse_code(Path(config).parent, trust_remote_code)
    return commit, f"commit:{commit}"


def refuse_more_than_data(folder: Path, trust_remote_code: bool = False) -> None:
    """Refuse a folder without a checkpoint, with pickled weights, or with what :func:`refuse_code` refuses."""
    if not (folder / "config.json").exists():
        raise CheckpointError(f"{folder}: holds no Hugging Face checkpoint (config.json is missing); train it first")
    refuse_code(folder, trust_remote_code)
    if not any(folder.glob("*.safetensors")):
        raise no_safetensors(folder)


def refuse_code(folder: Path, trust_remote_code: bool) -> None:
    """Refuse configurations that name Python code, unless it is trusted, and adapters, which name another checkpoint.

    Raises:
        CheckpointError: naming the file.
        DamagedError: a configuration that is no JSON.
    """
    if (folder / ADAPTER).exists():
        raise CheckpointError(
            f"{folder / ADAPTER}: the checkpoint is an adapter, whose weights some libraries add and others leave out; "
            "merge it into its model (peft: merge_and_unload) and name the folder of the result"
        )
    for path in sorted(folder.glob("*config.json")):
        if "auto_map" in read_json(path, COMPLETE) and not trust_remote_code:
            raise CheckpointError(
                f"{path}: names Python code (auto_map) that loading the checkpoint would run; take a checkpoint "
                "without it, or read that code and set cluster.trust_remote_code: true in the config of a verl scale"
            )


def no_safetensors(name: str | Path) -> CheckpointError:
    """The sentence for a checkpoint whose weights are missing, or pickled."""
    return CheckpointError(
        f"{name}: holds no weights as *.safetensors; pickled ones (pytorch_model.bin) are not read, because a pickle "
        "runs code when it is loaded: if you trust them, convert them once by transformers' "
        "AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(NEW_FOLDER), and copy the tokenizer's files"
    )


@contextmanager
def loading(name: str | Path) -> Iterator[None]:
    """Turn whatever the libraries raise while they read the checkpoint ``name`` into one sentence.

    Raises:
        CheckpointError: in place of any exception but those that are such a sentence.
    """
    try:
        yield
    except ExpectedError:
        raise
    except Exception as error:  # transformers, safetensors and tokenizers each have their own
        if "use_safetensors" in str(error):  # transformers' advice is not to ask for them
            raise no_safetensors(name) from None
        raise CheckpointError(
            f"{name}: could not be loaded as a causal language model with its tokenizer ({first_line(error)}); "
            f"{COMPLETE}"
        ) from None


def load_model(
    name: str | Path,
    revision: str | None = None,
    dtype: "torch.dtype | None" = None,
    trust_remote_code: bool = False,
    **options: Any,
) -> "PreTrainedModel":
    """The model of a checkpoint as transformers builds it, from safetensors alone.

    Args:
        revision: commit of the hub; None: the newest, or a folder.
        dtype: None: the stored one.
        trust_remote_code: whether Python code that it brings along may be run.
        options: further ones of transformers' ``from_pretrained``.

    Raises:
        CheckpointError: it can't be loaded, or lacks weights, which transformers would fill with random numbers.
    """
    # imported here, as above
    from transformers.models.auto import AutoModelForCausalLM

    with loading(name):
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            name,
            revision=revision or "main",
            dtype=dtype or "auto",
            trust_remote_code=trust_remote_code,
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )
    model, info = loaded
    if missing := info["missing_keys"]:
        raise CheckpointError(
            f"{name}: holds no weights for {len(missing)} of the model's parameters, {min(missing)} among them; "
            f"{COMPLETE}"
        )
    return model


def link_checkpoint(name: str, revision: str | None, target: Path, trust_remote_code: bool = False) -> None:
    """Make ``target`` a folder of links to the files of a checkpoint, fetched from the hub first if it is a hub id.

    Args:
        revision: commit of the hub; None for a folder.
        trust_remote_code: see :func:`find_checkpoint`; other code isn't fetched either.

    Raises:
        CheckpointError, DamagedError: as there.
    """
    suffixes = DECIDING if trust_remote_code else CONTENT
    folder = _folder_of(name) or _fetch(name, revision, suffixes)
    refuse_more_than_data(folder, trust_remote_code)
    unfinished = target.with_name(f"{target.name}.partial")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for path in folder.iterdir():
        if path.suffix in suffixes:
            (unfinished / path.name).symlink_to(path.resolve())
    shutil.rmtree(target, ignore_errors=True)
    unfinished.rename(target)


def _folder_of(name: str) -> Path | None:
    """The folder that is named; None: it is a hub id."""
    folder = Path(name)
    if folder.exists():
        return folder
    if not _HUB_ID.fullmatch(name):
        raise CheckpointError(
            f"{name}: no such folder, and no hub id (organisation/name) either; check the path, or train it first"
        )
    return None


def _fetch(name: str, revision: str | None, suffixes: set[str]) -> Path:
    """Folder of a hub repository's files in the hub's own cache."""
    from huggingface_hub import snapshot_download

    try:
        found = snapshot_download(name, revision=revision, allow_patterns=[f"*{suffix}" for suffix in suffixes])
    except (OSError, ValueError) as error:  # the hub's own are among them
        raise CheckpointError(
            f"model.name: {name} at revision {revision} could not be fetched from the Hugging Face hub "
            f"({first_line(error)}); check the network and the names, or download it elsewhere and name its folder in "
            "paper_configs/local.yaml"
        ) from None
    return Path(found)


def content_digest(folder: Path) -> str:
    """sha256 over names and bytes of the folder's files that decide a response."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.suffix in DECIDING):
        total.update(f"{path.name} {file_digest(path)}\n".encode())
    return total.hexdigest()


def first_line(error: BaseException) -> str:
    """The first line of a library's message, for a sentence of ours."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
