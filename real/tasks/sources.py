"""Where the datasets come from: fetched once, verified before every use.

``datasets/sources.yaml`` describes each file; :func:`fetch` puts it into ``datasets/raw``. A file that is not byte for
byte the one described is never used, nor parsed. Unfinished files lie in ``raw/.partial``.
"""

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pooch
import requests
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from tqdm import tqdm

from real.system.errors import ExpectedError, system_reason
from real.system.files import WriteError
from real.system.locks import HeldError, exclusive
from real.system.names import EACH_ONCE, Line, Name
from real.system.sentences import ConfigError, one_per_key, sentence, unknown
from real.system.yaml_files import read_yaml
from real.tasks.arithmetic import FAMILIES

SOURCES_FILE = Path("datasets/sources.yaml")
RAW = Path("datasets/raw")
MIRROR_VARIABLE = "REAL_DATASETS_MIRROR"
RETRIES = 2
CONNECT_AND_READ_SECONDS = (4, 60)
# what is wrong with this machine, not with the place that a file comes from
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
# of errors that are several of these, the first
REASONS = {
    requests.Timeout: "no answer in time",
    requests.exceptions.ChunkedEncodingError: "the connection broke off",
    requests.ConnectionError: "no connection",
    FileNotFoundError: "no such file",
}
# user and password, and a query, which may hold a token
SECRETS = re.compile(r"(?<=/)[^/\s]*:[^/\s]*(?=@)|(?<=\?)[^\s,()]+")


class DatasetError(ExpectedError):
    """A dataset that can't be fetched or must not be used; the message is one sentence with the remedy."""


class Source(BaseModel):
    """One entry of sources.yaml: a file, where it comes from and what it must be."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)

    name: Name
    """the entry's key: stem of the raw and the prepared file, name of the benchmark"""
    label: Line
    """name in tables"""
    split: Literal["test", "train"]
    """what it is used for"""
    file: Name
    """file name in a mirror folder"""
    urls: Annotated[list[Annotated[str, Field(pattern=r"^https?://\S+$")]], Field(min_length=1), EACH_ONCE]
    """tried in turn"""
    rows: int | None = Field(ge=1)
    """rows of the file; null: not known"""
    bytes: int | None = Field(ge=1)
    """size of the file; null: not known"""
    sha256: str | None = Field(pattern="^[0-9a-f]{64}$")
    """of the file; null: not known"""
    git_blob: str | None = Field(pattern="^[0-9a-f]{40}$")
    """git's id of the file; null: not known"""
    unanswered: Literal["error", "drop"]
    """what happens to a row without an answer"""
    licence: Line
    """of the data, as far as it is stated"""

    @model_validator(mode="after")
    def _can_be_verified(self) -> Self:
        if self.sha256 is None and self.git_blob is None:
            raise ValueError("has neither sha256 nor git_blob, so nothing could verify it; give one")
        return self

    @model_validator(mode="after")
    def _name_is_free(self) -> Self:
        if self.name in FAMILIES:
            raise ValueError("has the name of a family of the laptop's task; choose another name")
        return self

    @property
    def identity(self) -> str:
        """The hash that the file must have, with its kind."""
        return f"sha256 {self.sha256}" if self.sha256 else f"git blob id {self.git_blob}"

    def facts(self) -> dict[str, Any]:
        """What the prepared rows depend on: not the urls, the label or the licence."""
        return self.model_dump(include={"name", "split", "rows", "bytes", "sha256", "git_blob", "unanswered"})


def read_sources(file: Path = SOURCES_FILE) -> dict[str, Source]:
    """The datasets by name, in the file's order.

    Raises:
        ConfigError: one sentence per mistake, naming file and key.
    """
    entries = read_yaml(file)
    for name, entry in entries.items():
        if isinstance(entry, dict) and "name" in entry:
            raise ConfigError(f"{file}: {name}.name is not a known key; remove it: the entry's own key is its name")
    content = {name: {"name": name, **entry} if isinstance(entry, dict) else entry for name, entry in entries.items()}
    try:
        return TypeAdapter(dict[str, Source]).validate_python(content)
    except ValidationError as error:
        rule = "every source states every key: add it"
        problems = one_per_key(error.errors())
        sentences = (f"{file}: {sentence(problem, Source.model_fields, rule)}" for problem in problems)
        raise ConfigError("\n".join(sentences)) from None


def find_source(name: str, file: Path = SOURCES_FILE) -> Source:
    """One dataset's source.

    Raises:
        ConfigError: an unknown name, or a mistake in the file.
    """
    sources = read_sources(file)
    if name not in sources:
        raise ConfigError(unknown("dataset", name, sources))
    return sources[name]


def benchmark_sources(file: Path = SOURCES_FILE) -> dict[str, Source]:
    """The datasets that a model can be evaluated on, by name.

    Raises:
        ConfigError: a mistake in the file.
    """
    return {name: source for name, source in read_sources(file).items() if source.split == "test"}


def labels(file: Path = SOURCES_FILE) -> dict[str, str]:
    """Dataset -> its name in tables."""
    return {name: source.label for name, source in read_sources(file).items()}


def mirror_folder() -> Path | None:
    """The folder that REAL_DATASETS_MIRROR names, if any; the workflow sets it from the config where it is unset.

    Raises:
        DatasetError: it is no folder.
    """
    chosen = os.environ.get(MIRROR_VARIABLE)
    if not chosen:
        return None
    if not Path(chosen).is_dir():
        where = without_secrets(chosen)
        raise DatasetError(f"{where}: the mirror is no folder; correct {MIRROR_VARIABLE} or datasets.mirror")
    return Path(chosen)


def verify(path: Path, source: Source) -> None:
    """Check that a fetched file is byte for byte the one that the source describes.

    Raises:
        DatasetError: it isn't; the sentence gives both hashes and both sizes.
    """
    if difference := _difference(path, source):
        raise DatasetError(f"{path}: {difference}; delete the file and run the same command again")


def fetch(source: Source, raw_folder: Path = RAW, mirror: Path | None = None) -> Path:
    """Put the verified file into ``raw_folder``: from the mirror folder if given, then from each URL in turn.

    A file that is there already is verified and left alone, so this works offline once fetched.

    Returns:
        ``raw_folder/<name>.parquet``.

    Raises:
        DatasetError: no place has the right file (the sentence lists what was tried), or the file there is altered.
    """
    target = raw_folder / f"{source.name}.parquet"
    if not target.exists():
        with _unfinished(target) as folder:
            if not target.exists():  # or another process was faster
                _fetch(source, target, [*([str(mirror / source.file)] if mirror else []), *source.urls], folder)
    verify(target, source)
    return target


def without_secrets(text: str) -> str:
    """URLs in a text without what may be a password: user information and query."""
    return SECRETS.sub("***", text)


@contextmanager
def _unfinished(target: Path) -> Iterator[Path]:
    """An empty folder beside ``target`` for what is being fetched; what a killed process left there is removed.

    Raises:
        DatasetError: another process fetches the same file.
    """
    folder = target.parent / ".partial" / target.stem
    folder.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        try:
            held.enter_context(exclusive(folder))
        except HeldError as error:
            raise DatasetError(
                f"{target}: is being fetched by process {error.pid}; wait for it to finish, or end it, and run the "
                "same command again"
            ) from None
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        held.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder


def _fetch(source: Source, target: Path, places: list[str], folder: Path) -> None:
    """Put the file of the first place that has it at ``target``, by way of ``folder``."""
    failures = []
    pooch.get_logger().setLevel("ERROR")  # what fails is said once, below
    for place in places:
        try:
            fetched = _retrieve(source, place, folder)
        except (OSError, DatasetError) as error:
            if isinstance(error, OSError) and error.errno in DISK_ERRORS:
                raise WriteError(
                    f"{target}: could not be written ({system_reason(error)}); make room there, or mend what is in the "
                    "way, and run the same command again"
                ) from None
            failures.append(f"{place} ({_reason(error)})")
        else:
            fetched.replace(target)
            tqdm.write(f"{target}: {source.identity}, from {without_secrets(place)}")
            return
    raise DatasetError(
        f"{target}: could not be fetched, tried {without_secrets(', '.join(failures))}; connect to the network, or put "
        f"{source.file} into a folder and name the folder in {MIRROR_VARIABLE} or datasets.mirror, and run the same "
        "command again"
    )


def _difference(path: Path, source: Source) -> str:
    """What a file has that the source's hasn't, in words; empty where they are the same."""
    content = path.read_bytes()
    if source.sha256:
        found = f"sha256 {hashlib.sha256(content).hexdigest()}"
    else:
        blob = b"blob %d\0" % len(content) + content
        found = f"git blob id {hashlib.sha1(blob).hexdigest()}"
    if found == source.identity and source.bytes in (None, len(content)):
        return ""
    size = "" if source.bytes is None else f" and {source.bytes} bytes"
    return f"has {found} and {len(content)} bytes, not {source.identity}{size}"


def _retrieve(source: Source, place: str, folder: Path) -> Path:
    """A verified copy in ``folder``, complete on disk; pooch makes it, and repeats what the network broke."""

    def verified(place: str, output_file: str, _: Any) -> None:
        if place in source.urls:
            _download(place, output_file, source.bytes)
        else:
            _copy(place, output_file)
        if difference := _difference(Path(output_file), source):
            raise DatasetError(difference)

    # no hash for pooch: it knows no git blob ids, so the downloader verifies
    pooch.create(
        folder, base_url="", registry={"fetched": None}, urls={"fetched": place}, retry_if_failed=RETRIES
    ).fetch("fetched", downloader=verified)
    fetched = folder / "fetched"
    fetched.chmod(0o644)  # temporary files are their owner's alone
    with fetched.open("rb") as file:
        os.fsync(file.fileno())
    return fetched


def _download(url: str, output_file: str, limit: int | None) -> None:
    """Stream a URL into a file of at most ``limit`` bytes, so that no server fills the disk; pooch knows no limit."""
    with (
        requests.get(url, stream=True, timeout=CONNECT_AND_READ_SECONDS) as answer,
        open(output_file, "wb") as file,
        tqdm(desc=without_secrets(url).rpartition("/")[2], total=limit, unit="B", unit_scale=True, disable=None) as bar,
    ):
        answer.raise_for_status()
        for chunk in answer.iter_content(1 << 16):
            bar.update(file.write(chunk))
            if limit is not None and file.tell() > limit:
                raise DatasetError(f"sends more than the file's {limit} bytes")


def _copy(path: str, output_file: str) -> None:
    if Path(path).exists() and not Path(path).is_file():  # a link to a device has no end
        raise DatasetError("is no regular file")
    shutil.copyfile(path, output_file)


def _reason(error: Exception) -> str:
    """A failure in a few words; requests' own messages run over lines."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP status {error.response.status_code}"
    known = (words for kind, words in REASONS.items() if isinstance(error, kind))
    return next(known, " ".join(str(error).split()))
