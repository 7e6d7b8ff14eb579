"""Where the datasets come from: fetched once, verified before every use.

``datasets/sources.yaml`` describes each file; :mod:`real.tasks.fetching` puts it into ``datasets/raw``. A file that is
not byte for byte the one described is never used, nor parsed.
"""

import hashlib
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from real.system.errors import ExpectedError
from real.system.names import EACH_ONCE, Line, Name
from real.system.sentences import ConfigError, one_per_key, sentence, unknown
from real.system.yaml_files import read_yaml
from real.tasks.arithmetic import FAMILIES

SOURCES_FILE = Path("datasets/sources.yaml")
RAW = Path("datasets/raw")
MIRROR_VARIABLE = "REAL_DATASETS_MIRROR"
JSON_LINES, PARQUET = ".jsonl", ".parquet"
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
    """file name in a mirror folder; one that ends in .jsonl holds JSON lines, any other is a parquet file"""
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
    def raw(self) -> str:
        """Name of the fetched file, which tells its format."""
        return f"{self.name}{JSON_LINES if self.file.endswith(JSON_LINES) else PARQUET}"

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
    if difference := difference_from(path, source):
        raise DatasetError(f"{path}: {difference}; delete the file and run the same command again")


def without_secrets(text: str) -> str:
    """URLs in a text without what may be a password: user information and query."""
    return SECRETS.sub("***", text)


def difference_from(path: Path, source: Source) -> str:
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
