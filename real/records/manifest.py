"""``results/<scale>/manifest.json``: every declared file of a scale with its hash, by the job that made it.

The rule ``manifest`` writes it when all else is done; real/records/verify.py holds the files against it.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from tqdm import tqdm

from real.config import Experiment
from real.config.sections import Strict
from real.records.consistent import read_record
from real.records.jobs import Job, files_of
from real.system.code import commit_of, git_state
from real.system.files import DamagedError, file_digest, read_json, write_json

MANIFEST = "manifest.json"
REMEDY = "make it again with `snakemake --forcerun manifest` and this configuration: it lists the files as they are now"


class ListedJob(Strict):
    """What made some of the files."""

    rule: str
    """of the workflow"""
    config_digest: str
    """of what it depended on of the configuration"""
    code_digest: str
    """of its module and of what this imports, as far as it can change a number"""
    made_by: str
    """commit, as far as it is known"""


class ListedFile(Strict):
    """One file as it was when the manifest was written."""

    job: str
    """which one made it"""
    bytes: int = Field(ge=0)
    """size"""
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    """of its content, links followed"""


class Manifest(Strict):
    """The content of manifest.json."""

    experiment: str
    """scale, or scale+overlay"""
    config_files: list[str]
    """that it was read from, this machine's local.yaml among them"""
    jobs: dict[str, ListedJob]
    """by name"""
    files: dict[str, ListedFile]
    """by path below the scale's results"""
    sha256: str
    """of all of the above, so that an altered manifest is noticed"""


def write_manifest(experiment: Experiment, declared: Sequence[Job]) -> list[str]:
    """List what is there of all jobs of a scale; called by the workflow, which sees to it that it is up to date.

    Returns:
        declared outputs that are not there: at protected scales nothing is made again for them.
    """
    results = Path(experiment.results)
    present = {name: job for job in declared for name in files_of(results, job)}
    size = {name: (results / name).stat().st_size for name in present}
    files = {}
    with progress(sum(size.values())) as bar:
        for name, job in present.items():
            sha256 = file_digest(results / name, bar.update)
            files[name] = {"job": job.name, "bytes": size[name], "sha256": sha256}
    made = {job.name: job for job in present.values()}
    listed = {name: _listed(experiment, job) for name, job in made.items()}
    content = {"experiment": experiment.name, "config_files": experiment.read_from, "jobs": listed, "files": files}
    write_json(results / MANIFEST, {**content, "sha256": _digest(content)})
    due = [output for job in declared if not job.optional for output in job.outputs]
    return [output for output in due if not (results / output).exists()]


def read_manifest(path: Path) -> Manifest:
    """A manifest, checked.

    Raises:
        FileNotFoundError: no such file, with what to run.
        DamagedError: it is cut off, altered, or no manifest.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; run snakemake with this configuration to its end first")
    content = read_json(path, REMEDY)
    stated = content.get("sha256")
    if stated != _digest({key: value for key, value in content.items() if key != "sha256"}):
        raise DamagedError(f"{path}: is not what was written there (its own sha256 differs); {REMEDY}")
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DamagedError(f"{path}: is of another version ({where}: {first['msg']}); {REMEDY}") from None


def progress(total: int) -> "tqdm[Any]":
    """A bar of bytes, on a terminal alone."""
    return tqdm(total=total, desc="hashing", unit="B", unit_scale=True, disable=None)


def _listed(experiment: Experiment, job: Job) -> dict[str, Any]:
    """What made a job's files: from its provenance, or, of what is drawn, as the workflow has just made sure."""
    if job.record is None:
        return {"rule": job.rule, **job.origin(experiment).identity, "made_by": commit_of({"git": git_state()})}
    record = read_record(Path(experiment.results) / job.record)
    digests = {key: record[key] for key in ("config_digest", "code_digest")}
    return {"rule": job.rule, **digests, "made_by": commit_of(record)}


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
