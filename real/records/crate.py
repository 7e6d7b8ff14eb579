"""``python -m real export`` and ``verify --export``: a finished scale as an RO-Crate, which stands by itself.

Files keep the paths that they have in a checkout. ``ro-crate-metadata.json`` states size and sha256 of each,
``manifest.json`` those of all results, of weights that are left out too, and ``sha256sum.txt`` the sha256 of all files
and of the metadata, so that one altered bit of any of the three disagrees with another. Whoever rewrites all of them
leaves nothing to notice; only a sha256 that is kept elsewhere, such as in an archive's record, tells.
"""

import os
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import NamedTuple
from urllib.parse import unquote

from rocrate.model.entity import Entity
from rocrate.rocrate import ROCrate

from real.config import Experiment
from real.records.crate_metadata import LEFT_OUT, Stated, as_listed, crate_of, is_weight, stated_of
from real.records.custody import otherwise
from real.records.jobs import Job
from real.records.manifest import MANIFEST, read_manifest
from real.records.verify import Finding, verify
from real.system.errors import ExpectedError
from real.system.files import DamagedError, file_digest, writing

METADATA = "ro-crate-metadata.json"
SUMS = "sha256sum.txt"
REMEDY = "fetch the folder again from where it was published, or export the scale again"


def export(experiment: Experiment, declared: Sequence[Job], folder: Path, weights: bool) -> str:
    """Write a finished scale into a folder, whole or not at all.

    Args:
        declared: all jobs of the scale.
        folder: new or empty.
        weights: put the folders of weights in, too.

    Returns:
        What was written, in a sentence or two.

    Raises:
        ExpectedError: ``verify`` finds something, or the folder is taken.
        WriteError: the disk is full or refuses.
    """
    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise ExpectedError(f"{folder}: is there and is no empty folder; name a new one")
    if folder.resolve().is_relative_to(Path(experiment.results).resolve()):
        raise ExpectedError(f"{folder}: is among the results that are to be exported; name a folder elsewhere")
    verdict = verify(experiment, declared)
    if verdict.findings:
        first, more = verdict.findings[0], len(verdict.findings) - 1
        raise ExpectedError(
            f"{experiment.results}: is not fit to be published ({first.kind}: {first.path}, {first.detail}"
            f"{f'; and {more} more' if more else ''}); `python -m real verify` lists what to do"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as room, writing(folder, Path(room)):
        unfinished = Path(room, "crate")  # the room itself is closed to others
        crate_of(experiment, declared, verdict.manifest, weights).write(unfinished)
        stated = _read(unfinished).files
        sums = {name: about.sha256 for name, about in stated.items()}
        (unfinished / SUMS).write_bytes(_sums({**sums, METADATA: file_digest(unfinished / METADATA)}))
        text, well = verify_export_report(unfinished)
        if not well:  # a result changed, or a disk lost a bit, while it was copied
            raise ExpectedError(
                f"{folder}: is not what was to be exported; run the same command again ({text.splitlines()[0]})"
            )
        unfinished.replace(folder)
    local = "".join(f"; {file} of this machine is in it" for file in experiment.read_besides)
    return f"{folder}{text.removeprefix(str(unfinished))}{local}"


def verify_export_report(folder: Path) -> tuple[str, bool]:
    """What differs in an exported folder from what was exported, a line each, and whether nothing does.

    Raises:
        ExpectedError: it is no folder that :func:`export` wrote, or can't be read as one.
    """
    crate = _read(folder)
    findings = {finding.path: finding for finding in reversed(list(_findings(folder, crate)))}
    size = sum(int(about.bytes) for about in crate.files.values() if about.bytes.isdecimal())
    checked = f"{folder}: {len(crate.files)} files, {size / 1e6:,.1f} MB"
    if not findings:
        left_out = f", without {len(crate.left_out)} files of weights" if crate.left_out else ""
        return f"{checked}: all as they were exported{left_out}", True
    lines = [f"{findings[path].kind:10}  {path}: {findings[path].detail}" for path in sorted(findings)]
    counts = Counter(finding.kind for finding in findings.values())
    counted = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    return "\n".join([*lines, "", f"{REMEDY[0].upper()}{REMEDY[1:]}.", "", f"{checked}: {counted}"]), False


class _Read(NamedTuple):
    """What the metadata of a crate state: its files, the weights that are not in it, and where the manifest is."""

    files: dict[str, Stated]
    left_out: dict[str, Stated]
    manifest: str


def _read(folder: Path) -> _Read:
    if not (folder / METADATA).is_file():
        raise ExpectedError(
            f"{folder}: is no RO-Crate (no {METADATA}); name a folder that `python -m real export` wrote"
        )
    try:
        # absolute: the library takes a:b for an address
        with warnings.catch_warnings(action="ignore"):
            crate = ROCrate(folder.absolute())
        files = {unquote(one.id): _stated(one) for one in crate.data_entities if one.type == "File"}
        left_out = {
            unquote(one.id.removeprefix(LEFT_OUT)): _stated(one)
            for one in crate.contextual_entities
            if one.id.startswith(LEFT_OUT)
        }
        manifest = unquote(crate.root_dataset["mainEntity"].id)
        if PurePosixPath(manifest).name != MANIFEST or manifest not in files:
            raise ValueError(f"its main entity is {manifest}, not a {MANIFEST}")
    except Exception as error:  # of whatever kind: what the library raises depends on where the damage is
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ExpectedError(
            f"{folder / METADATA}: is not what `python -m real export` writes ({type(error).__name__}: {reason}); if "
            f"it wrote the folder, {REMEDY}"
        ) from None
    return _Read(files, left_out, manifest)


def _stated(entity: Entity) -> Stated:
    return Stated(str(entity.get("contentSize")), str(entity.get("sha256")))


def _findings(folder: Path, crate: _Read) -> Iterator[Finding]:
    """What differs, the most telling first where there are several of a file."""
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    for name, about in crate.files.items():
        if name not in there:
            yield Finding("missing", name, "is exported, but not there")
        elif about != stated_of(folder / name):
            expected = {"bytes": int(about.bytes) if about.bytes.isdecimal() else -1, "sha256": about.sha256}
            yield Finding("altered", name, otherwise(folder / name, expected)[0])
    for name in there - crate.files.keys() - {METADATA, SUMS}:
        yield Finding("unlisted", name, f"is not in {METADATA}")
    yield from _of_sums(folder, crate)
    yield from _of_manifest(folder, crate)


def _of_sums(folder: Path, crate: _Read) -> Iterator[Finding]:
    """Where the metadata and sha256sum.txt disagree."""
    if not (folder / SUMS).is_file():
        yield Finding("missing", SUMS, "is exported, but not there")
        return
    now = file_digest(folder / METADATA)
    found = (folder / SUMS).read_bytes()
    if found != _sums({**{name: about.sha256 for name, about in crate.files.items()}, METADATA: now}):
        listed = _sums({METADATA: now}) in found
        yield Finding("altered", SUMS if listed else METADATA, f"{METADATA} and {SUMS} disagree")


def _of_manifest(folder: Path, crate: _Read) -> Iterator[Finding]:
    """Where the metadata and the manifest disagree."""
    try:
        manifest = read_manifest(folder / crate.manifest)
    except FileNotFoundError:  # reported as missing
        return
    except DamagedError:
        yield Finding("altered", crate.manifest, "is not what was written there: its own sha256 differs")
        return
    results = PurePosixPath(crate.manifest).parent
    listed = {f"{results}/{name}": as_listed(entry) for name, entry in manifest.files.items()}
    weights = {f"{results}/{name}" for name, entry in manifest.files.items() if is_weight(name, entry)}
    stated = {**{name: about for name, about in crate.left_out.items() if name in weights}, **crate.files}
    for name, about in listed.items():
        if name not in stated:
            yield Finding("missing", name, f"is in {crate.manifest}, but not in {METADATA}")
        elif stated[name] != about:
            yield Finding("altered", name, f"has another size or sha256 in {crate.manifest} than in {METADATA}")
    for name in crate.left_out.keys() | crate.files.keys():
        if PurePosixPath(name).is_relative_to(results) and name not in listed and name != crate.manifest:
            yield Finding("unlisted", name, f"is not in {crate.manifest}")


def _sums(sha256: Mapping[str, str]) -> bytes:
    """As the program sha256sum writes and checks it."""
    return "".join(f"{sha256[name]}  {name}\n" for name in sorted(sha256)).encode()
