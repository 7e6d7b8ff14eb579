"""Results of one scale belong together: made by the present configuration and by one version of the code.

At scales that are not protected the workflow makes again what was not. At protected ones it never does, so whatever
reads results asks here first, and a mixture is refused rather than tabulated.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from real.config import Experiment, digest
from real.records.jobs import Job, trained_jobs
from real.system.code import commit_of
from real.system.errors import ExpectedError
from real.system.files import read_json

RUNS = ("base", "train")
EVALUATIONS = (*RUNS, "evaluate")
REMAKE = "delete its folder and run snakemake again"
SHOWN_KEYS = 4
WORDS = {"base": "base model", "train": "runs", "evaluate": "evaluations"}
RULES = {"base": "base", "train": "train", "evaluate": "evaluate_base evaluate"}
_ABSENT = object()


class OriginError(ExpectedError):
    """Results of different origin in one folder; the message is one sentence per problem, with the remedy."""


def require_one_origin(experiment: Experiment, kinds: Collection[str]) -> None:
    """Refuse results that another configuration made, and runs or evaluations of several versions of the code.

    Code that is older than the present but the same for all is allowed; ``python -m real verify`` says so.

    Args:
        kinds: :data:`RUNS` or :data:`EVALUATIONS`, what the caller's result depends on: the workflow may be making the
            rest of the scale again meanwhile.

    Raises:
        OriginError: naming folders, differing keys and commits.
        DamagedError: a provenance.json that is damaged or lacks a key.
    """
    results = Path(experiment.results)
    records = {
        job: read_record(path)
        for job in trained_jobs(experiment)
        if job.kind in kinds and (path := results / str(job.record)).exists()
    }
    problems = []
    for kind in kinds:
        of_kind = {job: record for job, record in records.items() if job.kind == kind}
        problems += [*_other_configurations(experiment, of_kind), *_several_versions(results, of_kind)]
    if problems:
        raise OriginError("\n".join(problems))


def read_record(path: Path) -> dict[str, Any]:
    """A provenance.json with the keys that its readers need.

    Raises:
        FileNotFoundError: no such file.
        DamagedError: it is damaged, or lacks one of them.
    """
    return read_json(path, keys=("config", "config_digest", "code_digest", "git"), remedy=REMAKE)


def differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The first few dotted keys whose values differ, each with both values; ``-`` where there is none."""
    old, new = dict(_flat(before)), dict(_flat(now))
    keys = [key for key in dict.fromkeys([*old, *new]) if old.get(key, _ABSENT) != new.get(key, _ABSENT)]
    shown = [f"{key} was {old.get(key, '-')}, is {new.get(key, '-')}" for key in keys[:SHOWN_KEYS]]
    more = len(keys) - SHOWN_KEYS
    return "; ".join([*shown, f"and {more} keys more"] if more > 0 else shown) or "no key of it is known"


def _other_configurations(experiment: Experiment, records: Mapping[Job, Mapping[str, Any]]) -> list[str]:
    differences: dict[str, list[Job]] = {}
    for job, record in records.items():
        settings = job.settings(experiment)
        if record["config_digest"] != digest(settings):
            differences.setdefault(differing(record["config"], settings), []).append(job)
    return [
        f"{experiment.results}: {_few(jobs)} {'were' if len(jobs) > 1 else 'was'} made by another configuration "
        f"({difference}); give the change a name of its own as an overlay (paper_configs/variants), undo it, or make "
        f"the {WORDS[jobs[0].kind]} again with `snakemake --forcerun {RULES[jobs[0].kind]}`"
        for difference, jobs in differences.items()
    ]


def _several_versions(results: Path, records: Mapping[Job, Mapping[str, Any]]) -> list[str]:
    versions: dict[str, list[Job]] = {}
    for job, record in records.items():
        versions.setdefault(record["code_digest"], []).append(job)
    if len(versions) <= 1:
        return []
    kind = next(iter(records)).kind
    named = ", ".join(f"{_few(jobs)} by {commit_of(records[jobs[0]])}" for jobs in versions.values())
    oldest = commit_of(records[min(records, key=lambda job: (results / str(job.record)).stat().st_mtime)])
    return [
        f"{results}: its {WORDS[kind]} were made by {len(versions)} versions of the code ({named}); go back to "
        f"{oldest} for those that remain, or make all again with `snakemake --forcerun {RULES[kind]}`"
    ]


def _few(jobs: list[Job]) -> str:
    more = len(jobs) - 2
    return ", ".join(job.name for job in jobs[:2]) + (f" and {more} more" if more > 0 else "")


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
