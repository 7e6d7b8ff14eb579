"""``python -m real verify``: are a scale's results all there, as they were written, and made as they would be now?

Every listed file is hashed again, and held against the manifest and against the record of the job that wrote it; what
each job read is held against what the jobs before it wrote. Where a file differs, its own format says more: the line,
the column, the header. What was made from a broken link is named too.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from real.config import Experiment
from real.records.consistent import changes
from real.records.custody import hashing, links, of_unknown_origin, otherwise, written_by
from real.records.jobs import Job, workflow_owns
from real.records.manifest import MANIFEST, Manifest, read_manifest
from real.records.provenance import Record, read_record
from real.system.errors import ExpectedError
from real.system.files import DamagedError, file_digest
from real.tasks.corrections import CORRECTIONS_FILE, NOTHING_CORRECTED, corrections_digest, read_corrections
from real.tasks.sources import SOURCES_FILE, read_sources

# not declared: what the workflow notes of its jobs, running jobs' states, and what is redrawn from records, which is
# held against them as it is drawn
UNDECLARED = ("logs", "benchmarks", "work", "recorded", MANIFEST)
REMEDIES = {
    "missing": (
        "run snakemake with the same configuration, which makes a declared file again; at a protected scale it repeats "
        "a run or an evaluation for metrics.jsonl, model and parquet files alone: restore the others from a copy, or "
        "delete the folder of that run or evaluation"
    ),
    "damaged": (
        "delete the file (of a model: its folder) and run snakemake with the same configuration, which repeats the job "
        "that made it; or restore it from a copy"
    ),
    "altered": (
        "restore the file from a copy, or delete it (of a model: its folder) and run snakemake with the same "
        "configuration, which repeats the job that made it; if that job was run by hand since, run snakemake, which "
        "lists what it wrote"
    ),
    "stale": (
        "run snakemake with the same configuration, which makes it again; at a protected scale it does so for a base "
        "model, run or evaluation only with `--forcerun base`, `train` or `evaluate`; or go back to the commit and "
        "configuration that made it"
    ),
    "mismatched": (
        "restore what was read from a copy, or delete what was made from it (of a run or an evaluation: its folder) "
        "and run snakemake with the same configuration, which makes it from what is there"
    ),
    "unknown": (
        "make it again for a record of what it wrote; until then, tables say so below them, and nobody can say whether "
        "the files are as they were written"
    ),
    "unlisted": (
        "move it away, or, if a target of its own made it since, list it with `snakemake --forcerun manifest` and the "
        "same configuration"
    ),
}
KINDS = tuple(REMEDIES)
# kinds that break the chain of custody, rather than its being up to date
BREAKS = ("missing", "damaged", "altered", "mismatched", "unknown")
UNKNOWN = "was made before jobs recorded what they wrote"


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be: a file, or a job's folder or rule, by its path below the results."""

    kind: str
    path: str
    detail: str


@dataclass(frozen=True)
class Verdict:
    """What was found.

    Attributes:
        broken: a sentence per first broken link, with what was made from it.
    """

    findings: list[Finding]
    broken: list[str]
    manifest: Manifest


def verify(experiment: Experiment, declared: Sequence[Job]) -> Verdict:
    """Hold the results of a scale, of all its jobs, against their manifest, the present code and configuration.

    Raises:
        FileNotFoundError, DamagedError: as :func:`read_manifest`.
        ExpectedError: the manifest is of another experiment.
    """
    results = Path(experiment.results)
    manifest = read_manifest(results / MANIFEST)
    if manifest.experiment != experiment.name:
        raise ExpectedError(
            f"{results / MANIFEST}: is of the experiment '{manifest.experiment}', not of '{experiment.name}'; move it "
            f"to results/{manifest.experiment}, or delete it and run snakemake again"
        )
    present = {job.name: job for job in declared}
    records = _as_listed(results, manifest, declared)
    findings = [
        *_changed(results, manifest, records),
        *_never_made(present, manifest),
        *_unlisted(results, manifest, records),
        *_stale(experiment, present, manifest, records),
        *_mismatched(results, records),
        *_of_other_data(records),
        *(Finding("unknown", job.name, UNKNOWN) for job, record in records.items() if of_unknown_origin(record)),
    ]
    findings.sort(key=lambda finding: (KINDS.index(finding.kind), finding.path))
    return Verdict(findings, _broken(findings, declared, manifest, records), manifest)


def verify_report(experiment: Experiment, declared: Sequence[Job]) -> tuple[str, bool]:
    """What :func:`verify` finds, a line each, with a remedy per kind and the count, and whether all is well."""
    verdict = verify(experiment, declared)
    findings, manifest = verdict.findings, verdict.manifest
    size = sum(file.bytes for file in manifest.files.values())
    checked = f"{experiment.results}: {len(manifest.files)} files, {size / 1e6:,.1f} MB"
    if not findings:
        return f"{checked}: all as they were written, from the present code and configuration", True
    counts = Counter(finding.kind for finding in findings)
    lines = [f"{finding.kind:10}  {finding.path}: {finding.detail}" for finding in findings]
    remedies = [f"{kind}: {REMEDIES[kind]}." for kind in counts]
    counted = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    return "\n".join([*lines, "", *verdict.broken, *remedies, "", f"{checked}: {counted}"]), False


def _as_listed(results: Path, manifest: Manifest, declared: Sequence[Job]) -> dict[Job, Record]:
    """The records of all jobs, but for those that are gone or altered, which are reported as such."""
    records = {}
    for job in declared:
        path, entry = results / job.record, manifest.files.get(job.record)
        if entry and path.is_file() and file_digest(path) == entry.sha256:
            records[job] = read_record(path)
    return records


def _changed(results: Path, manifest: Manifest, records: Mapping[Job, Record]) -> Iterator[Finding]:
    """Listed files that are gone, or hold other bytes than are listed or than their job recorded."""
    recorded = {
        name: about for job, record in records.items() for name, about in written_by(job.record, record).items()
    }
    with hashing(sum(file.bytes for file in manifest.files.values())) as bar:
        for name, entry in manifest.files.items():
            path, known = results / name, entry.model_dump()
            if not path.is_file():
                yield Finding("missing", name, "is listed, but not there")
                continue
            sha256 = file_digest(path, bar.update)
            for expected in (known, recorded.get(name, known)):
                if sha256 != expected["sha256"]:
                    how, hurt = otherwise(path, expected)
                    yield Finding("damaged" if hurt else "altered", name, how)
                    break


def _never_made(present: dict[str, Job], manifest: Manifest) -> Iterator[Finding]:
    """Declared outputs that were not there when the manifest was written."""
    listed = {str(path) for name in manifest.files for path in (name, *PurePath(name).parents)}
    for job in present.values():
        if job.optional:
            continue
        if job.name not in manifest.jobs:
            yield Finding("missing", job.name, "is declared, but was never made")
            continue
        for output in job.outputs:
            if output not in listed:
                yield Finding("missing", output, "is declared, but was not there when the manifest was written")


def _unlisted(results: Path, manifest: Manifest, records: Mapping[Job, Record]) -> Iterator[Finding]:
    unknown = {Path(output) for job, record in records.items() if of_unknown_origin(record) for output in job.outputs}
    for path in results.rglob("*"):
        name = path.relative_to(results)
        ours = path.is_file() and name.parts[0] not in UNDECLARED and not workflow_owns(path)
        if ours and str(name) not in manifest.files and unknown.isdisjoint((name, *name.parents)):
            yield Finding("unlisted", str(name), "is not in the manifest")


def _stale(
    experiment: Experiment, present: Mapping[str, Job], manifest: Manifest, records: Mapping[Job, Record]
) -> Iterator[Finding]:
    for name, listed in manifest.jobs.items():
        if name not in present:
            yield Finding("stale", name, "belongs to nothing that the present configuration declares")
            continue
        job = present[name]
        now, record = job.origin(experiment), records.get(job)
        reasons = []
        if listed.config_digest != now.identity["config_digest"]:
            keys = f" ({changes(record['config'], now.settings)})" if record and job.kind != "drawn" else ""
            reasons.append(f"by another configuration{keys}")
        if listed.code_digest != now.identity["code_digest"]:
            reasons.append("by other code than the present")
        if reasons:
            yield Finding("stale", name, f"was made {' and '.join(reasons)}, at {listed.made_by}")


def _mismatched(results: Path, records: Mapping[Job, Record]) -> Iterator[Finding]:
    """Jobs whose results were made from others than are there, by records that are as listed."""
    trusted = {results / job.record for job in records}
    for job in records:
        try:
            found = [link for link in links(results / job.record, results) if link.record in trusted]
        except (OSError, DamagedError):  # reported as missing or damaged
            continue
        if found:
            more = f", and so are {len(found) - 1} more that it read" if len(found) > 1 else ""
            yield Finding("mismatched", job.name, f"{found[0]}{more}")


def _of_other_data(records: Mapping[Job, Record]) -> Iterator[Finding]:
    """Jobs that read problems from another file than datasets/sources.yaml names, or otherwise corrected."""
    read_data = any("data" in record for record in records.values())
    sources, corrections = (read_sources(), read_corrections()) if read_data else ({}, {})
    for job, record in records.items():
        for name, identity in record.get("data", {}).items():
            if name in sources and identity.get("source") != sources[name].identity:
                yield Finding("mismatched", job.name, f"read {name} from another file than {SOURCES_FILE} names")
            elif identity.get("corrections", NOTHING_CORRECTED) != corrections_digest(corrections, name):
                yield Finding("mismatched", job.name, f"read {name} with other corrections than {CORRECTIONS_FILE} has")


def _broken(
    findings: Sequence[Finding], declared: Sequence[Job], manifest: Manifest, records: Mapping[Job, Record]
) -> list[str]:
    """A sentence per job whose link is the first of its chain to break, with all that was made from it."""
    job_of = {name: entry.job for name, entry in manifest.files.items()}
    broken = {job_of.get(finding.path, finding.path) for finding in findings if finding.kind in BREAKS}
    by_record = {job.record: job.name for job in declared}
    origins = {
        job.name: {by_record[name] for name in record.get("read", {}) if name in by_record} - {job.name}
        for job, record in records.items()
    }
    closures = {name: _closure(name, origins) for name in manifest.jobs}
    sentences = []
    for first in [name for name in manifest.jobs if name in broken]:
        if broken & closures[first]:
            continue
        after = [name for name, closure in closures.items() if first in closure]
        made = f"; made from it: {', '.join(after)}" if after else "; nothing else was made from it"
        sentences.append(f"The chain breaks at {first}{made}.")
    return sentences


def _closure(name: str, origins: Mapping[str, set[str]]) -> set[str]:
    """All jobs that a job's results come from, itself left out."""
    found: set[str] = set()
    pending = [name]
    while pending:
        new = origins.get(pending.pop(), set()) - found
        found |= new
        pending += new
    return found
