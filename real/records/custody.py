"""The chain of custody: each job's record holds the sha256 of every file that the job read and wrote.

A job that reads another's result records the sha256 of that one's record too, so that no link can be rewritten alone.
The chain begins at the base model and at the hashes of datasets/sources.yaml. Whoever rewrites every link of it leaves
nothing here to notice; only hashes that are kept elsewhere, such as in git, tell (docs/security.md).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from real.records.damage import damage
from real.records.jobs import workflow_owns
from real.records.made_from import Origin
from real.records.provenance import DRAWN, RECORD, Record, place_of, read_record, recorded
from real.system.files import DamagedError, file_digest
from real.tasks.datasets import data_identity

REMEDY = (
    "restore it from a copy, or delete it (of a run or an evaluation: the whole folder) and run snakemake again, which "
    "repeats the job that made it"
)
# folders between a file and its job's record: runs/real/seed0/model/config.json has one
DEPTH = 3
SHOWN_BYTES = 1 << 28


@dataclass(frozen=True)
class Link:
    """What one job read of another's results, where it isn't what is there now.

    Attributes:
        path: what was read, below the results.
        record: of the job that wrote it.
        same_files: another record stands beside files that are the same.
    """

    path: str
    record: Path
    same_files: bool

    def __str__(self) -> str:
        if self.same_files:
            return f"{self.path} is another one now, beside the same files: its job ran again, or it was edited"
        return f"was made from another {self.path} than is there now"


@contextmanager
def in_custody(
    record: Path,
    results: Path,
    origin: Origin,
    files: Sequence[str],
    reads: Iterable[Path],
    writes: Iterable[Path],
    data: Iterable[str] = (),
    **what: Any,
) -> Iterator[dict[str, Any]]:
    """As :func:`recorded`, with the sha256 of what the job in the block reads and writes.

    Args:
        results: folder of the results that the job belongs to.
        reads: files, and folders of files, that the job reads; of others' results it is asked before the job whether
            they are as they were written.
        writes: files, and folders of files, that it writes.
        data: names of the prepared datasets that it reads.

    Raises:
        DamagedError: a result that it reads is not what its own job wrote.
    """
    read = {name_of(path, results): sha256 for path, sha256 in hashed_and_checked(reads, results).items()}
    identities = {name: data_identity(name) for name in data}
    with recorded(record, origin, files, **what) as learnt:
        yield learnt
        learnt |= {"read": read, "wrote": written(writes, place_of(record)), "data": identities or None}


def written(paths: Iterable[Path], place: Path) -> dict[str, dict[str, Any]]:
    """Size and sha256 of all files that are there, by path below ``place``."""
    found = sorted(set(files_in(paths)))
    with hashing(sum(path.stat().st_size for path in found)) as bar:
        return {
            str(path.relative_to(place)): {"bytes": path.stat().st_size, "sha256": file_digest(path, bar.update)}
            for path in found
        }


def hashed_and_checked(paths: Iterable[Path], results: Path) -> dict[Path, str]:
    """sha256 of all files that are there, and of the records of the jobs that made them.

    Args:
        results: whose records must be readable; elsewhere another program's file may have a record's name.

    Raises:
        DamagedError: a file is not what its job's record says.
    """
    found = sorted(set(files_in(paths)))
    read: dict[Path, str] = {}
    with hashing(sum(path.stat().st_size for path in found)) as bar:
        for path in found:
            read[path] = file_digest(path, bar.update)
            record = record_of(path)
            if record is None or record == path:
                continue
            try:
                wrote = read_record(record).get("wrote")
            except DamagedError:
                if record.is_relative_to(results):
                    raise
                continue
            read.setdefault(record, file_digest(record))
            if wrote is None:
                continue  # of unknown origin; who shows it says so
            expected = wrote.get(str(path.relative_to(place_of(record))))
            if expected is None:
                raise DamagedError(f"{path}: is not among what its job wrote, by {record}; {REMEDY}")
            if read[path] != expected["sha256"]:
                raise DamagedError(f"{path}: {otherwise(path, expected)[0]}; {REMEDY}")
    return read


def otherwise(path: Path, expected: Mapping[str, Any]) -> tuple[str, bool]:
    """How a file that holds other bytes than expected differs, and whether its own format is hurt by it."""
    size = path.stat().st_size
    how = "holds other bytes than were written there"
    if size != expected["bytes"]:
        how = f"has {size:,} bytes instead of {expected['bytes']:,}"
    wrong = damage(path)
    return (how, False) if wrong is None else (f"{wrong}; {how}", True)


def links(record: Path, results: Path) -> list[Link]:
    """What a job read of its own scale's results and is another one now, as far as the records tell; nothing is hashed
    but these.

    Raises:
        DamagedError: as :func:`read_record`.
    """
    own = {name: sha for name, sha in read_record(record).get("read", {}).items() if not is_elsewhere(name)}
    makers = {name: maker for name in own if not is_record(results / name) and (maker := record_of(results / name))}
    wrote = {maker: read_record(maker).get("wrote") for maker in set(makers.values())}
    changed = []
    for name, maker in makers.items():
        now = (wrote[maker] or {}).get(str((results / name).relative_to(place_of(maker))))
        # what is gone, or of unknown origin, is reported as such
        if now is not None and now["sha256"] != own[name]:
            changed.append(Link(name, maker, same_files=False))
    others = {link.record for link in changed}
    for name, sha256 in own.items():
        path = results / name
        if is_record(path) and path.exists() and path not in others and file_digest(path) != sha256:
            changed.append(Link(name, path, same_files=True))
    return changed


def upstream(records: Iterable[Path], results: Path) -> list[Path]:
    """Records, and those of all jobs that their jobs' results come from, each once; those of other scales left out."""
    # a mapping, because a list takes longer to look through the longer it is
    found = dict.fromkeys(records)
    pending = list(found)
    for record in pending:
        for name in read_record(record).get("read", {}):
            path = results / name
            if not is_elsewhere(name) and is_record(path) and path not in found and path.exists():
                found[path] = None
                pending.append(path)
    return pending


def record_of(path: Path) -> Path | None:
    """The record of the job that wrote a file: in a folder above it, or, of what is drawn, by the file's name."""
    for folder in list(path.parents)[:DEPTH]:
        for candidate in (folder / RECORD, folder / DRAWN / f"{path.stem}.json"):
            if candidate.exists():
                return candidate
    return None


def forward_beside(folder: Path) -> dict[str, Any] | None:
    """Which forward a checkpoint's job found it to be run by, as its record has it; None: no job of ours says so."""
    record = record_of(folder / "config.json")
    # beside a checkpoint from elsewhere another program's file may have a record's name
    with suppress(DamagedError):
        found: dict[str, Any] | None = read_record(record).get("forward") if record else None
        return found
    return None


def is_record(path: Path) -> bool:
    """Whether a path names a record."""
    return path.name == RECORD or path.parent.name == DRAWN


def is_elsewhere(name: str) -> bool:
    """Whether a name in ``read`` is of no file below the scale's results."""
    return name.startswith(("./", "/"))


def name_of(path: Path, results: Path) -> str:
    """A file as ``read`` names it."""
    if path.is_relative_to(results):
        return str(path.relative_to(results))
    return str(path) if path.is_absolute() else f"./{path}"


def files_in(paths: Iterable[Path]) -> Iterator[Path]:
    """The files among ``paths`` and in the folders among them that are there, links followed, Snakemake's left out."""
    for path in paths:
        for inner in path.rglob("*") if path.is_dir() else [path]:
            if inner.is_file() and not workflow_owns(inner):
                yield inner


def hashing(total: int) -> "tqdm[Any]":
    """A bar of bytes, on a terminal alone, where there are enough of them to wait for."""
    return tqdm(total=total, desc="hashing", unit="B", unit_scale=True, disable=total < SHOWN_BYTES or None)


def written_by(record: str, content: Record) -> dict[str, dict[str, Any]]:
    """What a job wrote by path below the results, of a record by its path there."""
    return {str(place_of(Path(record)) / name): about for name, about in content.get("wrote", {}).items()}


def of_unknown_origin(record: Record) -> bool:
    """Whether a job of an earlier version made the results, which recorded no hashes."""
    return "wrote" not in record
