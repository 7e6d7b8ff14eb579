"""``results/<scale>/manifest.json``: every declared file of a scale with its hash, as the job that made it recorded it.

The rule ``manifest`` writes it when all else is done; real/records/verify.py holds the files against it.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from real.config import Experiment
from real.config.sections import Strict
from real.records.custody import written_by
from real.records.jobs import Job
from real.records.provenance import read_record
from real.system.code import commit_of
from real.system.files import DamagedError, file_digest, read_json, write_json

MANIFEST = "manifest.json"
REMEDY = "make it again with `snakemake --forcerun manifest` and this configuration: it lists what the jobs recorded"


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
    """One file as its job left it."""

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
    """List what the jobs of a scale recorded; called by the workflow, which sees to it that it is up to date.

    What a job wrote is listed as the job left it, whatever is there now, so that an edited file stays one. Of jobs of
    earlier versions, which recorded no hashes, the records alone are listed.

    Returns:
        declared outputs that are not there: at protected scales nothing is made again for them.
    """
    results = Path(experiment.results)
    records = {job: read_record(path) for job in declared if (path := results / job.record).exists()}
    files: dict[str, Any] = {}
    listed = {}
    for job, record in records.items():
        files |= {name: {"job": job.name, **about} for name, about in written_by(job.record, record).items()}
        about = (results / job.record).stat()
        files[job.record] = {"job": job.name, "bytes": about.st_size, "sha256": file_digest(results / job.record)}
        digests = {key: record[key] for key in ("config_digest", "code_digest")}
        listed[job.name] = {"rule": job.rule, **digests, "made_by": commit_of(record)}
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


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
