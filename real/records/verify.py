"""``python -m real verify``: are a scale's results all there, as they were written, and made as they would be now?

Every listed file is hashed again. Where a file differs, its own format says more: the line, the column, the header.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml
from safetensors import SafetensorError, safe_open

from real.config import Experiment
from real.models.checkpoints import digest_of_hashes
from real.records.consistent import changes, read_record
from real.records.jobs import BASE, MODEL, Job, run_job, workflow_owns
from real.records.manifest import MANIFEST, Manifest, progress, read_manifest
from real.system.errors import ExpectedError
from real.system.files import DamagedError, file_digest, read_csv, read_json, read_json_lines, read_table

# not declared: what the workflow notes of its jobs, and running jobs' states
UNDECLARED = ("logs", "benchmarks", "work", MANIFEST)
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
        "configuration, which repeats the job that made it; if the change is meant, list it with `snakemake --forcerun "
        "manifest`"
    ),
    "stale": (
        "run snakemake with the same configuration, which makes it again; at a protected scale it does so for a base "
        "model, run or evaluation only with `--forcerun base`, `train` or `evaluate`; or go back to the commit and "
        "configuration that made it"
    ),
    "mismatched": (
        "delete the folder of the evaluation and run snakemake with the same configuration, which evaluates the "
        "present checkpoint"
    ),
    "unlisted": (
        "move it away, or, if a target of its own made it since, list it with `snakemake --forcerun manifest` and the "
        "same configuration"
    ),
}
KINDS = tuple(REMEDIES)


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be: a file, or a job's folder or rule, by its path below the results."""

    kind: str
    path: str
    detail: str


def verify(experiment: Experiment, declared: Sequence[Job]) -> tuple[list[Finding], Manifest]:
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
    findings = [
        *_changed(results, manifest),
        *_never_made(present, manifest),
        *_unlisted(results, manifest),
        *_stale(experiment, present, manifest),
        *_mismatched(results, present, manifest),
    ]
    return sorted(findings, key=lambda finding: (KINDS.index(finding.kind), finding.path)), manifest


def verify_report(experiment: Experiment, declared: Sequence[Job]) -> tuple[str, bool]:
    """What :func:`verify` finds, a line each, with a remedy per kind and the count, and whether all is well."""
    findings, manifest = verify(experiment, declared)
    size = sum(file.bytes for file in manifest.files.values())
    checked = f"{experiment.results}: {len(manifest.files)} files, {size / 1e6:,.1f} MB"
    if not findings:
        return f"{checked}: all as they were written, from the present code and configuration", True
    counts = Counter(finding.kind for finding in findings)
    lines = [f"{finding.kind:10}  {finding.path}: {finding.detail}" for finding in findings]
    remedies = [f"{kind}: {REMEDIES[kind]}." for kind in counts]
    counted = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    return "\n".join([*lines, "", *remedies, "", f"{checked}: {counted}"]), False


def damage(path: Path) -> str | None:
    """What is wrong with a file by the rules of its own format; None if it can be read, or has no such rules."""
    try:
        if path.suffix in READERS:
            READERS[path.suffix](path)
    except DamagedError as error:
        return str(error).removeprefix(f"{path}: ").removesuffix("; ")
    except (SafetensorError, yaml.YAMLError, UnicodeDecodeError) as error:
        return f"is damaged ({' '.join(str(error).split())})"
    return None


READERS: dict[str, Callable[[Path], object]] = {
    ".parquet": partial(read_table, remedy=""),
    ".jsonl": partial(read_json_lines, remedy=""),
    ".json": partial(read_json, remedy=""),
    ".csv": partial(read_csv, remedy=""),
    ".yaml": lambda path: yaml.safe_load(path.read_text(encoding="utf-8")),
    ".safetensors": partial(safe_open, framework="np"),  # compares its header with its size
}


def _changed(results: Path, manifest: Manifest) -> Iterator[Finding]:
    """Listed files that are gone or hold other bytes."""
    with progress(sum(file.bytes for file in manifest.files.values())) as bar:
        for name, listed in manifest.files.items():
            path = results / name
            if not path.is_file():
                yield Finding("missing", name, "is listed, but not there")
                continue
            size = path.stat().st_size
            if size != listed.bytes:
                yield _altered(path, name, f"has {size:,} bytes instead of {listed.bytes:,}")
            elif file_digest(path, bar.update) != listed.sha256:
                yield _altered(path, name, "holds other bytes than were written there")


def _altered(path: Path, name: str, how: str) -> Finding:
    wrong = damage(path)
    return Finding("altered", name, how) if wrong is None else Finding("damaged", name, f"{wrong}; {how}")


def _never_made(present: dict[str, Job], manifest: Manifest) -> Iterator[Finding]:
    """Declared outputs that were not there when the manifest was written."""
    for job in present.values():
        if job.optional:
            continue
        if job.name not in manifest.jobs:
            yield Finding("missing", job.name, "is declared, but was never made")
            continue
        for output in job.outputs:
            if output not in manifest.files and not any(name.startswith(f"{output}/") for name in manifest.files):
                yield Finding("missing", output, "is declared, but was not there when the manifest was written")


def _unlisted(results: Path, manifest: Manifest) -> Iterator[Finding]:
    for path in results.rglob("*"):
        name = path.relative_to(results)
        ours = path.is_file() and name.parts[0] not in UNDECLARED and not workflow_owns(path)
        if ours and str(name) not in manifest.files:
            yield Finding("unlisted", str(name), "is not in the manifest")


def _stale(experiment: Experiment, present: dict[str, Job], manifest: Manifest) -> Iterator[Finding]:
    for name, listed in manifest.jobs.items():
        if name not in present:
            yield Finding("stale", name, "belongs to nothing that the present configuration declares")
            continue
        now = present[name].origin(experiment).identity
        reasons = []
        if listed.config_digest != now["config_digest"]:
            reasons.append(f"by another configuration{_keys(experiment, present[name])}")
        if listed.code_digest != now["code_digest"]:
            reasons.append("by other code than the present")
        if reasons:
            yield Finding("stale", name, f"was made {' and '.join(reasons)}, at {listed.made_by}")


def _keys(experiment: Experiment, job: Job) -> str:
    """Which keys differ, as far as a job's provenance can be read."""
    if job.record is None:
        return ""
    try:
        made_from = read_record(Path(experiment.results) / job.record)["config"]
        return f" ({changes(made_from, job.origin(experiment).settings)})"
    except (OSError, DamagedError):  # reported as such
        return ""


def _mismatched(results: Path, present: dict[str, Job], manifest: Manifest) -> Iterator[Finding]:
    """Evaluations of another checkpoint than the listed one of their run."""
    for job in present.values():
        if job.kind != "evaluate" or job.name not in manifest.jobs:
            continue
        producer = BASE if job.seed is None else run_job(str(job.method), job.seed).name
        model = f"{producer}/{MODEL}/"
        hashes = {
            name.removeprefix(model): file.sha256 for name, file in manifest.files.items() if name.startswith(model)
        }
        about = f"{job.name}/evaluation.json"
        try:
            if about in manifest.files and file_digest(results / about) != manifest.files[about].sha256:
                continue  # reported as altered; what it says is not to be believed
            evaluated = read_json(results / about)["sampler"]["checkpoint"]
        except (OSError, DamagedError, KeyError, TypeError):  # reported as missing or damaged
            continue
        if hashes and evaluated != f"sha256:{digest_of_hashes(hashes)}":
            yield Finding("mismatched", job.name, f"evaluated {str(evaluated)[:23]}…, which is not {model[:-1]}")
