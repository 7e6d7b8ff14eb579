"""Fetching a dataset: from a mirror folder or from its URLs, into ``datasets/raw``.

Whatever is fetched is verified before it has its name there. Unfinished files lie in ``raw/.partial``. The module
stands apart from :mod:`real.tasks.sources` because only this job needs an HTTP client, and every job reads the sources.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pooch
import requests
from tqdm import tqdm

from real.system.errors import system_reason
from real.system.files import WriteError
from real.system.locks import HeldError, exclusive
from real.tasks.sources import MIRROR_VARIABLE, RAW, DatasetError, Source, difference_from, verify, without_secrets

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


def fetch(source: Source, raw_folder: Path = RAW, mirror: Path | None = None) -> Path:
    """Put the verified file into ``raw_folder``: from the mirror folder if given, then from each URL in turn.

    A file that is there already is verified and left alone, so this works offline once fetched.

    Returns:
        ``raw_folder/<name>.parquet``, or ``.jsonl``.

    Raises:
        DatasetError: no place has the right file (the sentence lists what was tried), or the file there is altered.
    """
    target = raw_folder / source.raw
    if not target.exists():
        with _unfinished(target) as folder:
            if not target.exists():  # or another process was faster
                _fetch(source, target, [*([str(mirror / source.file)] if mirror else []), *source.urls], folder)
    verify(target, source)
    return target


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


def _retrieve(source: Source, place: str, folder: Path) -> Path:
    """A verified copy in ``folder``, complete on disk; pooch makes it, and repeats what the network broke."""

    def verified(place: str, output_file: str, _: Any) -> None:
        if place in source.urls:
            _download(place, output_file, source.bytes)
        else:
            _copy(place, output_file)
        if difference := difference_from(Path(output_file), source):
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
