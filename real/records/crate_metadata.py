"""The metadata of a published scale: what its RO-Crate says of files, jobs, code, data and authors.

Nothing in it depends on the moment or the machine of the export: the date is that of the last job.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from rocrate.model.contextentity import ContextEntity
from rocrate.model.entity import Entity
from rocrate.rocrate import ROCrate

from real.config import Experiment
from real.config.loading import METHODS_FILE
from real.records.jobs import MODEL, Job
from real.records.manifest import MANIFEST, ListedFile, Manifest
from real.records.provenance import read_record
from real.system.code import ROOT
from real.system.files import file_digest
from real.system.yaml_files import read_yaml
from real.tasks.sources import read_sources

# of RO-Crate; stated, so that a later library writes the same
FORMAT = "1.2"
LEFT_OUT = "#not-included/"
# not asked of the system, whose table of types is another on each machine
ENCODINGS = {
    ".cff": "application/yaml",
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".tex": "application/x-tex",
    ".txt": "text/plain",
    ".yaml": "application/yaml",
}


class Stated(NamedTuple):
    """What is said of a file; as text, as the metadata have it."""

    bytes: str
    sha256: str


def stated_of(path: Path) -> Stated:
    """What can be said of a file now."""
    return Stated(str(path.stat().st_size), file_digest(path))


def as_listed(entry: ListedFile) -> Stated:
    """What the manifest says of a file."""
    return Stated(str(entry.bytes), entry.sha256)


def is_weight(name: str, entry: ListedFile) -> bool:
    """Whether a file of the manifest lies in a folder of weights."""
    return name.startswith(f"{entry.job}/{MODEL}/")


def crate_of(experiment: Experiment, declared: Sequence[Job], manifest: Manifest, weights: bool) -> ROCrate:
    """The crate of a scale's results, to be written.

    Args:
        declared: all jobs of the scale.
        manifest: of the results, which are as it lists them.
        weights: put the folders of weights in, too; otherwise their sha256 alone.

    Raises:
        FileNotFoundError: LICENSE or a file of the configuration is gone.
        ConfigError: CITATION.cff or datasets/sources.yaml has a mistake.
    """
    crate, results = ROCrate(version=FORMAT), Path(experiment.results)
    licence, citation = _add_file(crate, "LICENSE", ROOT / "LICENSE"), _add_citation(crate)
    for place, file in enumerate([METHODS_FILE, *map(Path, experiment.read_from)]):
        outside = file.is_absolute() or ".." in file.parts
        _add_file(crate, f"configuration/{place}_{file.name}" if outside else file.as_posix(), file)
    listing = _add_file(crate, f"{results}/{MANIFEST}", results / MANIFEST)
    entities = {
        name: _add_file(crate, f"{results}/{name}", results / name, as_listed(entry))
        if weights or not is_weight(name, entry)
        else _add_left_out(crate, f"{results}/{name}", as_listed(entry))
        for name, entry in manifest.files.items()
    }
    data = {
        name: _add(crate, f"#data/{name}", "CreativeWork", name=source.label, license=source.licence)
        for name, source in read_sources().items()
    }
    records = {job.name: results / job.record for job in declared if job.name in manifest.jobs}
    actions = []
    for name, path in records.items():
        record = read_record(path)
        code = _add_code(crate, record["git"], citation, licence)
        read = [entities[one] for one in record.get("read", {}) if one in entities]
        read += [data[one] for one in record.get("data", {}) if one in data]
        made = [entities[file] for file, entry in manifest.files.items() if entry.job == name]
        action = _add(crate, f"#job/{name}", "CreateAction", name=name, instrument=code, object=read, result=made)
        actions.append(action)
    left_out = [entity for entity in entities.values() if entity.id.startswith(LEFT_OUT)]
    newest = max(path.stat().st_mtime for path in records.values())
    for key, value in {
        "name": f"Results of the scale {experiment.name}: {citation.get('title', 'REAL')}",
        "description": experiment.scale.evidence,
        "datePublished": datetime.fromtimestamp(newest, UTC).date().isoformat(),
        "license": licence,
        "mainEntity": listing,
        "mentions": [*actions, *data.values(), *left_out],
    }.items():
        crate.root_dataset[key] = value
    return crate


def _add_citation(crate: ROCrate) -> dict[str, Any]:
    """CITATION.cff where it is there, with what it says of authors and paper; its content."""
    file = ROOT / "CITATION.cff"
    if not file.exists():
        return {}
    _add_file(crate, file.name, file)
    citation = read_yaml(file)
    crate.root_dataset["author"] = [_add_author(crate, one) for one in citation["authors"]]
    if paper := citation.get("preferred-citation"):
        authors = [_add_author(crate, one) for one in paper["authors"]]
        article = _add(crate, paper["url"], "ScholarlyArticle", name=paper["title"], author=authors)
        crate.root_dataset["citation"] = article
    return citation


def _add(crate: ROCrate, identifier: str, kind: str, **properties: Any) -> Entity:
    """An entity that is no file, without those properties that are empty."""
    given = {key: value for key, value in properties.items() if value not in (None, [])}
    return crate.add(ContextEntity(crate, identifier, properties={"@type": kind, **given}))


def _add_file(crate: ROCrate, name: str, source: Path, about: Stated | None = None) -> Entity:
    size, sha256 = about or stated_of(source)
    encoding = ENCODINGS.get(source.suffix, "text/plain" if name == "LICENSE" else "application/octet-stream")
    facts = {"name": name, "contentSize": size, "sha256": sha256, "encodingFormat": encoding}
    return crate.add_file(source.absolute(), dest_path=name, properties=facts)


def _add_left_out(crate: ROCrate, name: str, about: Stated) -> Entity:
    said = "weights, not included; the sha256 is that of the file"
    facts = {"name": name, "description": said, "contentSize": about.bytes, "sha256": about.sha256}
    return _add(crate, f"{LEFT_OUT}{quote(name)}", "MediaObject", **facts)


def _add_code(crate: ROCrate, git: Mapping[str, Any], citation: Mapping[str, Any], licence: Entity) -> Entity:
    """The version of this repository that made something, as its record has it."""
    commit, modified = git["commit"] or "unknown", bool(git["modified_files"])
    name = f"#code/{commit}{'-modified' if modified else ''}"
    facts = {"name": citation.get("title", "REAL"), "programmingLanguage": "Python", "license": licence}
    version = f"commit {commit}{' with modified files' if modified else ''}"
    return crate.get(name) or _add(crate, name, "SoftwareSourceCode", version=version, **facts)


def _add_author(crate: ROCrate, author: Mapping[str, str]) -> Entity:
    """An author of CITATION.cff: a person, or an entity with a name."""
    given, family = author.get("given-names"), author.get("family-names")
    name = author.get("name") or f"{given} {family}"
    kind = "Organization" if "name" in author else "Person"
    return _add(crate, f"#{quote(name)}", kind, name=name, givenName=given, familyName=family)
