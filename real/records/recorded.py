"""``results/recorded/<scale>/``: what a finished scale measured, small enough for git: no weights, no responses.

    record.json     which commit, when, on what machine, and the sha256 of every file of the scale, weights too
    results.tar.xz  what tables and figures are made from: metrics, gradient samples, what was correct, records of jobs
    tables, claims  as they were, to be read without anything

A reader redraws every exhibit from it without training (real/commands/redraw.py), or compares results of their own.
"""

import io
import shutil
import tarfile
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from pydantic import Field, ValidationError

from real.config import Experiment
from real.config.sections import Strict
from real.records.jobs import Job, trained_jobs
from real.records.manifest import MANIFEST, ListedFile, read_manifest
from real.records.provenance import RECORD, read_record
from real.records.verify import verify
from real.system.code import commit_of, git_state
from real.system.errors import ExpectedError
from real.system.files import DamagedError, file_digest, read_json, read_table, write_bytes, write_json

RECORDED = Path("results/recorded")
ABOUT, ARCHIVE = "record.json", "results.tar.xz"
READABLE = ("tables/*.csv", "claims.json")
CURVES = "training_curves.csv"  # half the size of all, and the archive has what they are drawn from
# of the rows of an evaluation: enough to count what was correct of each problem; texts are most of the size
COUNTED = ["problem_id", "correct"]
# times, and what shows them
UNLIKE = ("timings.jsonl", RECORD, "report.html")
REMEDY = "restore the folder from git"


class About(Strict):
    """The content of record.json."""

    experiment: str
    """scale, or scale+overlay"""
    evidence: str
    """what was trained, on what"""
    config_files: list[str]
    """that name it on a command line"""
    commit: str
    """that made the runs"""
    drawn_by: str
    """commit that drew tables and figures"""
    date: str
    """when the last result was written"""
    processor: str | None
    """of the machine"""
    arithmetic: str
    """how it rounded (real/system/portable.py)"""
    cpu_hours: float = Field(ge=0)
    """of all jobs together"""
    archive_sha256: str
    """of results.tar.xz"""
    files: dict[str, ListedFile]
    """every file of the scale"""


def record(experiment: Experiment, declared: Sequence[Job], reads: Collection[str]) -> Path:
    """Record a finished scale whose results verify.

    Args:
        reads: what its exhibits read, by path below the results.

    Returns:
        the folder.

    Raises:
        ConfigError: nothing is trained at this scale.
        ExpectedError: `verify` finds something; FileNotFoundError: the scale isn't finished.
    """
    results, folder, scale = Path(experiment.results), RECORDED / experiment.name, experiment.trained
    if found := verify(experiment, declared).findings:
        raise ExpectedError(
            f"{results}: {found[0].path} {found[0].detail}; `python -m real verify` lists what is wrong: only results "
            "that verify are recorded"
        )
    manifest = read_manifest(results / MANIFEST)
    records = [read_record(results / job.record) for job in declared]
    trained = [read_record(results / job.record) for job in trained_jobs(experiment)]
    first = trained[0]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    archive = io.BytesIO()
    # one stream, because files of different runs are much alike
    with tarfile.open(fileobj=archive, mode="w:xz", preset=9) as packed:
        for name in _archived(experiment, reads):
            content = _content(results / name, scale.evaluated_on)
            about_file = tarfile.TarInfo(name)  # without date or owner: the same content makes the same bytes
            about_file.size = len(content)
            packed.addfile(about_file, io.BytesIO(content))
    write_bytes(folder / ARCHIVE, archive.getvalue())
    _keep_readable(results, folder)
    about = About(
        experiment=experiment.name,
        evidence=scale.evidence,
        config_files=experiment.files,
        commit=commit_of(first),
        drawn_by=commit_of(records[-1]),
        date=time.strftime("%Y-%m-%d", time.gmtime((results / MANIFEST).stat().st_mtime)),
        processor=first["machine"]["processor"],
        arithmetic=first["machine"].get("arithmetic", "not recorded"),
        cpu_hours=round(sum(one["cpu_seconds"] + one["cpu_seconds_children"] for one in records) / 3600, 2),
        archive_sha256=file_digest(folder / ARCHIVE),
        files=manifest.files,
    )
    write_json(folder / ABOUT, about.model_dump())
    return folder


def renew(name: str, drawn: Path, outputs: Collection[str]) -> None:
    """Make what was redrawn of a recorded scale, by code that draws otherwise, what is recorded.

    Args:
        drawn: folder of what was drawn; outputs: all of it, by path below that.
    """
    about, folder = read_about(name), RECORDED / name
    redrawn = {
        output: {"bytes": (drawn / output).stat().st_size, "sha256": file_digest(drawn / output)} for output in outputs
    }
    files = {key: entry.model_copy(update=redrawn.get(key, {})) for key, entry in about.files.items()}
    _keep_readable(drawn, folder)
    renewed = about.model_copy(update={"files": files, "drawn_by": commit_of({"git": git_state()})})
    write_json(folder / ABOUT, renewed.model_dump())


def recorded_names() -> list[str]:
    """Of what is recorded."""
    return sorted(path.parent.name for path in RECORDED.glob(f"*/{ABOUT}"))


def read_about(name: str) -> About:
    """record.json of a recorded scale.

    Raises:
        ExpectedError: none of that name; DamagedError: it is cut off or altered.
    """
    path = RECORDED / name / ABOUT
    if not path.exists():
        known = ", ".join(recorded_names()) or "none"
        raise ExpectedError(f"{path}: no such file; what is recorded: {known}")
    try:
        return About.model_validate(read_json(path, REMEDY))
    except ValidationError as error:
        first = error.errors()[0]
        raise DamagedError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}; {REMEDY}") from None


def unpack(name: str, results: Path) -> About:
    """Put what is recorded where a scale's results are read.

    Raises:
        ExpectedError: as :func:`read_about`. DamagedError: the archive is not the one that was recorded.
    """
    about, archive = read_about(name), RECORDED / name / ARCHIVE
    if not archive.exists() or file_digest(archive) != about.archive_sha256:
        raise DamagedError(f"{archive}: is missing, or isn't what was recorded; {REMEDY}")
    with tarfile.open(archive) as packed:
        packed.extractall(results, filter="data")
    return about


def compared(about: About, files: dict[str, str]) -> list[str]:
    """Names of files that hold other bytes than recorded, or that either side alone has.

    Args:
        files: sha256 by path below the results. Times, and what shows them, count on neither side.
    """
    expected = {name: entry.sha256 for name, entry in about.files.items()}
    names = {name for name in expected | files if not _differs_by_nature(name)}
    return sorted(name for name in names if expected.get(name) != files.get(name))


def expected_report(experiment: Experiment) -> tuple[str, bool]:
    """How a reader's results compare with the recorded ones, and whether they hold the same bytes.

    Raises:
        ExpectedError: the scale isn't recorded; FileNotFoundError: it isn't finished here.
    """
    about, results = read_about(experiment.name), Path(experiment.results)
    files = {name: entry.sha256 for name, entry in read_manifest(results / MANIFEST).files.items()}
    recorded = f"{RECORDED / experiment.name} ({about.commit}, {about.date})"
    if not (other := compared(about, files)):
        same = sum(not _differs_by_nature(name) for name in files)
        return f"{results}: the same bytes as {recorded}, in all {same} files that hold no times", True
    machine = read_record(results / trained_jobs(experiment)[0].record)["machine"]
    rounds = machine.get("arithmetic", "not recorded")
    if rounds != about.arithmetic:
        return (
            f"{results}: {len(other)} files differ from {recorded}, as they may: here {machine['processor']} rounds "
            f"otherwise ({rounds}), there it was {about.processor} ({about.arithmetic}); compare "
            "intervals",
            True,
        )
    lines = [f"differs     {name}" for name in other]
    return "\n".join([*lines, "", f"{results}: {len(other)} files differ from {recorded}"]), False


def _keep_readable(results: Path, folder: Path) -> None:
    """Copy what is to be read without anything."""
    for path in (path for pattern in READABLE for path in sorted(results.glob(pattern)) if path.name != CURVES):
        (folder / path.relative_to(results)).parent.mkdir(exist_ok=True)
        write_bytes(folder / path.relative_to(results), path.read_bytes())


def _differs_by_nature(name: str) -> bool:
    return Path(name).name in UNLIKE or Path(name).parts[0] == "provenance"


def _archived(experiment: Experiment, reads: Collection[str]) -> Iterator[str]:
    """What exhibits read that is none of theirs, and beside it the records of its jobs and what evaluations counted."""
    results, jobs = Path(experiment.results), trained_jobs(experiment)
    outputs = {output for job in jobs for output in job.outputs}
    beside = {output for output in outputs if Path(output).name in (RECORD, "evaluation.json")}
    yield from sorted(name for name in {*outputs.intersection(reads), *beside} if (results / name).is_file())


def _content(path: Path, benchmarks: Collection[str]) -> bytes:
    """A file's bytes; of an evaluation, those of its rows without their texts."""
    if path.suffix != ".parquet" or path.stem not in benchmarks:
        return path.read_bytes()
    rows = io.BytesIO()
    read_table(path, columns=COUNTED).to_parquet(rows, index=False, compression=None, write_page_checksum=True)
    return rows.getvalue()
