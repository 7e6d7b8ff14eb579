"""Results of one scale belong together: made by the present configuration and by one version of the code.

Other versions join in only if the user accepts them by name, and then stand beside whatever is drawn from them.
At scales that are not protected the workflow makes again what was not. At protected ones it never does, so whatever
reads results asks here first, and a mixture is refused rather than tabulated.
"""

from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from real.config import Experiment, digest
from real.records.custody import files_in, links, of_unknown_origin, record_of, upstream
from real.records.jobs import Job, trained_jobs
from real.records.provenance import RECORD, Record, place_of, read_record
from real.system.code import accepting, commit_of
from real.system.errors import ExpectedError
from real.system.sentences import differing

RUNS = ("base", "train")
EVALUATIONS = (*RUNS, "evaluate")
SHOWN_KEYS = 4
SHOWN_JOBS = 2
WORDS = {"base": "base model", "train": "runs", "evaluate": "evaluations"}
PLURALS = {"base": "base models", "train": "runs", "evaluate": "evaluations"}
RULES = {"base": "base", "train": "train", "evaluate": "evaluate_base evaluate"}


class OriginError(ExpectedError):
    """Results of different origin in one folder; the message is one sentence per problem, with the remedy."""


def require_one_origin(experiment: Experiment, kinds: Collection[str]) -> None:
    """Refuse results that another configuration made, and runs or evaluations of several versions of the code.

    Versions that the scale accepts by name (``accept_code``) don't count, nor do those that were accepted when a job
    went on with their work. Code that is older than the present but the same for all is allowed; ``python -m real
    verify`` says so.

    Args:
        kinds: :data:`RUNS` or :data:`EVALUATIONS`, what the caller's result depends on: the workflow may be making the
            rest of the scale again meanwhile.

    Raises:
        OriginError: naming folders, differing keys and commits. DamagedError: as :func:`read_record`.
    """
    problems = []
    for kind in kinds:
        records = _records(experiment, kind)
        problems += [*_other_configurations(experiment, records), *_several_versions(experiment, records)]
    if problems:
        raise OriginError("\n".join(problems))


def require_chain(experiment: Experiment, reads: Iterable[Path]) -> None:
    """Refuse results that were made from others than are there now, whatever lies between them.

    Args:
        reads: files of the scale that a caller is about to read.

    Raises:
        OriginError: naming the job and what it read. DamagedError: as :func:`read_record`.
    """
    results = Path(experiment.results)
    below = [path for path in files_in(reads) if path.is_relative_to(results)]
    chain = upstream((record for path in below if (record := record_of(path))), results)
    problems = [
        f"{place_of(record) if record.name == RECORD else record}: {link}; delete it and run snakemake again with the "
        "same configuration, which makes it from what is there"
        for record in chain
        for link in links(record, results)
        if not link.same_files
    ]
    if problems:
        raise OriginError("\n".join(problems))


def origin_notes(experiment: Experiment, kinds: Collection[str]) -> tuple[str, str]:
    """What stands below a table of :data:`RUNS` or :data:`EVALUATIONS`: :func:`code_note` and :func:`custody_note`."""
    return code_note(experiment, kinds), custody_note(experiment, kinds)


def custody_note(experiment: Experiment, kinds: Collection[str]) -> str:
    """A sentence on results whose files nobody recorded, or beside whose origin another record stands; else empty."""
    results = Path(experiment.results)
    records = {job: record for kind in kinds for job, record in _records(experiment, kind).items()}
    unknown = [job for job, record in records.items() if of_unknown_origin(record)]
    changed = [f"{job.name}: {link}" for job in records for link in links(results / job.record, results)]
    facts = [f"{_few(unknown)}: of unknown origin, made before jobs recorded what they wrote"] if unknown else []
    return f"Not verified: {'; '.join([*facts, *changed])}." if facts or changed else ""


def code_note(experiment: Experiment, kinds: Collection[str]) -> str:
    """A sentence on which code made what is shown of :data:`RUNS` or :data:`EVALUATIONS`; empty of one version."""
    facts = [fact for kind in kinds for fact in _versions_of(_records(experiment, kind))]
    return f"Several versions of the code made these results: {'; '.join(facts)}." if facts else ""


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The first few dotted keys whose values differ, each with both values; ``-`` where there is none."""
    found = differing(before, now)
    shown = [f"{key} was {old}, is {new}" for key, (old, new) in islice(found.items(), SHOWN_KEYS)]
    more = len(found) - SHOWN_KEYS
    return "; ".join([*shown, f"and {more} keys more"] if more > 0 else shown) or "no key of it is known"


def _other_configurations(experiment: Experiment, records: Mapping[Job, Record]) -> list[str]:
    differences: dict[str, list[Job]] = {}
    for job, record in records.items():
        settings = job.origin(experiment).settings
        if record["config_digest"] != digest(settings):
            differences.setdefault(changes(record["config"], settings), []).append(job)
    return [
        f"{experiment.results}: {_few(jobs)} {'were' if len(jobs) > 1 else 'was'} made by another configuration "
        f"({difference}); give the change a name of its own as an overlay (paper_configs/variants), undo it, or make "
        f"the {WORDS[jobs[0].kind]} again with `snakemake --forcerun {RULES[jobs[0].kind]}`"
        for difference, jobs in differences.items()
    ]


def _several_versions(experiment: Experiment, records: Mapping[Job, Record]) -> list[str]:
    versions = _by_version(records)
    accepted = {version["code_digest"] for record in records.values() for version in record.get("earlier_code", [])}
    strange = [code for code in versions if code not in {*accepted, *experiment.scale.accept_code}]
    if len(strange) <= 1:
        return []
    kind = next(iter(records)).kind
    named = ", ".join(f"{_few(jobs)} by {commit_of(records[jobs[0]])}: {code}" for code, jobs in versions.items())
    written = {job: Path(experiment.results, job.record).stat().st_mtime for job in records}
    oldest = commit_of(records[min(written, key=written.__getitem__)])
    newest = max(strange, key=lambda code: max(written[job] for job in versions[code]))
    by_name = accepting(code for code in strange if code != newest)
    return [
        f"{experiment.results}: its {WORDS[kind]} were made by {len(versions)} versions of the code ({named}); go back "
        f"to {oldest} for those that remain, {by_name}, or make all again with `snakemake --forcerun {RULES[kind]}`"
    ]


def _versions_of(records: Mapping[Job, Record]) -> list[str]:
    """Which code made which jobs of one kind, and where it changed within a job; empty if it is one version."""
    versions = _by_version(records)
    changed = {job: record["earlier_code"] for job, record in records.items() if record.get("earlier_code")}
    if len(versions) <= 1 and not changed:
        return []
    made = {code: ", ".join(job.name for job in jobs) for code, jobs in versions.items()}
    most, jobs = max(versions.items(), key=lambda version: len(version[1]))
    if len(jobs) > SHOWN_JOBS:
        made[most] = f"{'the other' if len(versions) > 1 else 'all'} {len(jobs)} {PLURALS[jobs[0].kind]}"
    began: dict[str, list[str]] = {}
    names = {code: f"{code} ({commit_of(records[jobs[0]])})" for code, jobs in versions.items()}
    for job, earlier in changed.items():
        for version in earlier:
            if (code := version["code_digest"]) not in versions:
                began.setdefault(code, []).append(job.name)
                names[code] = f"{code} ({version['commit']})" if "commit" in version else code
    return [
        *(f"{names[code]} began {', '.join(jobs)}" for code, jobs in began.items()),
        *(f"{names[code]} made {jobs}" for code, jobs in made.items()),
        *(f"{job.name}: {_changes(earlier, records[job]['code_digest'])}" for job, earlier in changed.items()),
    ]


def _changes(earlier: Iterable[Mapping[str, Any]], last: str) -> str:
    """How the code changed within a job: ``A until step 120, then B``."""
    parts = [
        f"{version['code_digest']} until step {version['last_step']}"
        if "last_step" in version
        else f"{version['code_digest']} for some or all of {', '.join(version['benchmarks'])}"
        for version in earlier
    ]
    return f"{', '.join(parts)}, then {last}"


def _records(experiment: Experiment, kind: str) -> dict[Job, Record]:
    """What the finished jobs of one kind recorded."""
    paths = {job: Path(experiment.results, job.record) for job in trained_jobs(experiment) if job.kind == kind}
    return {job: read_record(path) for job, path in paths.items() if path.exists()}


def _by_version(records: Mapping[Job, Record]) -> dict[str, list[Job]]:
    """Jobs by the digest of the code that finished them."""
    versions: dict[str, list[Job]] = {}
    for job, record in records.items():
        versions.setdefault(record["code_digest"], []).append(job)
    return versions


def _few(jobs: list[Job]) -> str:
    more = len(jobs) - SHOWN_JOBS
    return ", ".join(job.name for job in jobs[:SHOWN_JOBS]) + (f" and {more} more" if more > 0 else "")
