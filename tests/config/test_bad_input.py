"""Bad input: every mistake ends in one sentence with file, key and remedy, before anything is written.

The mistakes stand in ``mistakes_in_fields.py`` and ``mistakes_in_rules.py`` beside this file; two tests prove that they
cover every field of every configuration file and every refusal of the code that reads them.
"""

import ast
import inspect
import re
import shutil
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

import real.config.loading
import real.config.paper_scale
import real.config.schema
import real.config.sections
import real.evidence.claims.schema
import real.planning.costs
import real.system.names
import real.system.yaml_files
from real.commands.command_line import main
from real.config import Method, ReportedScale, TorchScale, VerlArithmeticScale, VerlScale
from real.evidence.claims.schema import ClaimsFile
from real.planning.costs import Costs
from real.tasks.sources import Source
from tests.config.mistakes_in_fields import (
    CLAIMS,
    COSTS,
    FIELDS,
    METHODS,
    OVERLAY,
    PAPER,
    REMOVED,
    REPORTED,
    SMOKE,
    SOURCES,
    VERL,
)
from tests.config.mistakes_in_rules import RULES, TEXTS
from tests.support.paths import ROOT

MODELS: dict[str, Any] = {
    SMOKE: TorchScale,
    VERL: VerlArithmeticScale,
    PAPER: VerlScale,
    REPORTED: ReportedScale,
    METHODS: dict[str, Method],
    SOURCES: dict[str, Source],
    CLAIMS: ClaimsFile,
    COSTS: Costs,
    OVERLAY: TorchScale,
}
CHANGES = [(file, *row) for table in (FIELDS, RULES) for file, rows in table.items() for row in rows]
MISTAKES = [*CHANGES, *((SMOKE, change, sentence) for change, sentence in TEXTS)]
# whose every refusal needs a mistake in the tables
READERS = [
    real.system.yaml_files,
    real.system.names,
    real.config.sections,
    real.config.paper_scale,
    real.config.schema,
    real.config.loading,
    real.evidence.claims.schema,
    real.planning.costs,
]
# refusals of what a command names, not of what a file says: tests/commands/test_bad_commands.py; and the one that no
# trace sees, because Python stops tracing where the recursion limit is met
ELSEWHERE = (
    "no config file given",
    "no such file",
    "can't be read",
    "name a scale first",
    "is named twice",
    "can't name results",
    "another overlay has",
    "trains nothing",
    "unknown('method', method",
    "seed is {seed}",
    "is nested too deeply",
)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The files of a checkout that a user edits, as the working folder."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "paper_configs", folder / "paper_configs", ignore=shutil.ignore_patterns("local.yaml"))
    # of the claims only those that the mistakes are made in: the file is long, and read for each of them
    content = yaml.safe_load((folder / "paper_configs" / CLAIMS).read_text())
    content["claims"] = {"real_entropy_stable": content["claims"]["real_entropy_stable"]}
    (folder / "paper_configs" / CLAIMS).write_text(yaml.safe_dump(content))
    (folder / "datasets").mkdir()
    shutil.copy(ROOT / "datasets" / SOURCES, folder / "datasets")
    (folder / "paper_configs" / OVERLAY).write_text("methods: [mine]\nvariants: {mine: {method: real}}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def outcomes(project):
    """(exit code, sentences, files left behind) of every mistake, and the lines of the readers that ran."""
    before = {path.relative_to(project) for path in project.rglob("*")}
    seen: set[tuple[str, int]] = set()
    found = []
    for file, change, _ in MISTAKES:
        # traced one by one: Python stops tracing where the recursion limit is met
        with edited(place(file), change), traced({module.__file__ for module in READERS}, seen):
            result = outcome(command(file))
        found.append((*result, {path.relative_to(project) for path in project.rglob("*")} - before))
    return found, seen


@pytest.mark.parametrize("number", range(len(MISTAKES)), ids=lambda number: f"{MISTAKES[number][0]}-{number}")
def test_a_mistake_ends_in_a_sentence_with_file_key_and_remedy(outcomes, number):
    file, _, sentence = MISTAKES[number]
    code, lines, left = outcomes[0][number]
    wanted = re.escape(f"{place(file)}: {sentence}").replace(re.escape("..."), ".+")
    assert [line for line in lines if re.fullmatch(wanted, line)], lines
    assert all(line.startswith(str(place(file))) for line in lines)
    assert (code, left) == (1, set())


def test_every_field_has_a_mistake():
    changed = {
        key
        for file, change, _ in CHANGES
        if file in MODELS
        for path in change
        if (key := field_at(MODELS[file], path.split(".")))
    }
    fields = {field for model in MODELS.values() for field in fields_of(model)}
    assert len(fields) > 100
    assert fields - changed == set()


def test_every_refusal_of_the_readers_has_a_mistake(outcomes):
    missing = [
        f"{module.__name__}, line {lines[0]}: {text}"
        for module in READERS
        for lines, text in refusals(module)
        if not any((module.__file__, line) in outcomes[1] for line in lines)
        and not any(words in text for words in ELSEWHERE)
    ]
    assert missing == []


def outcome(arguments: list[str]) -> tuple[int, list[str]]:
    """Exit code of a command and what it wrote to standard error, without the program's name."""
    with pytest.MonkeyPatch.context() as patch:
        written: list[str] = []
        patch.setattr(sys, "stderr", types.SimpleNamespace(write=written.append, flush=lambda: None))
        try:
            code = main(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
    return code, "".join(written).removeprefix("real: ").splitlines()


def place(file: str) -> Path:
    """Where a file stands in a checkout."""
    return Path("datasets" if file == SOURCES else "paper_configs", file)


def command(file: str) -> list[str]:
    """The command that reads a file and would work with it."""
    if file == SOURCES:
        return ["download", "aime"]
    if file == COSTS:
        return ["plan", "--config", "paper_configs/1.5b.yaml"]
    if file in (CLAIMS, REPORTED):
        return ["claims", "--config", "paper_configs/published.yaml"]
    scale = file if file in (SMOKE, VERL, PAPER) else SMOKE
    overlays = [str(place(file))] if file == OVERLAY else []
    return ["train", "--config", str(place(scale)), *overlays, "--method", "real", "--seed", "0"]


class edited:  # noqa: N801, used as a context manager
    """A file with some keys changed, or its text; put back at the end."""

    def __init__(self, path: Path, change: Any) -> None:
        self.path, self.before = path, path.read_text() if path.exists() else None
        text = self.before or "{}"
        self.after = change(text) if callable(change) else with_values(text, change)

    def __enter__(self) -> None:
        self.path.write_text(self.after, encoding="utf-8", errors="surrogateescape")

    def __exit__(self, *_: object) -> None:
        if self.before is None:
            self.path.unlink()
        else:
            self.path.write_text(self.before)


def with_values(text: str, change: dict[str, Any]) -> str:
    """YAML with values set by dotted key, or removed."""
    content = yaml.safe_load(text)
    for path, value in change.items():
        *parents, last = path.split(".")
        section = content
        for key in parents:
            section = section[int(key)] if isinstance(section, list) else section[key]
        if value is REMOVED:
            del section[last]
        else:
            section[last] = value
    return yaml.safe_dump(content, allow_unicode=True)


class traced:  # noqa: N801, used as a context manager
    """Collects (file, line) of every line that runs in some files."""

    def __init__(self, files: set[str | None], seen: set[tuple[str, int]]) -> None:
        self.files, self.seen = files, seen

    def __enter__(self) -> None:
        self.before = sys.gettrace()
        sys.settrace(self._call)

    def __exit__(self, *_: object) -> None:
        sys.settrace(self.before)

    def _call(self, frame: types.FrameType, event: str, argument: object) -> Any:
        return self._line if frame.f_code.co_filename in self.files else None

    def _line(self, frame: types.FrameType, event: str, argument: object) -> Any:
        self.seen.add((frame.f_code.co_filename, frame.f_lineno))
        return self._line


def refusals(module: types.ModuleType) -> Iterator[tuple[range, str]]:
    """Lines and code of every place at which a module refuses something."""
    assert module.__file__
    for node in ast.walk(ast.parse(Path(module.__file__).read_text())):
        called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_refuse"
        if isinstance(node, ast.Raise) or called:
            yield range(node.lineno, (node.end_lineno or node.lineno) + 1), ast.unparse(node)


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The sections that a type names, however deep: list[Phase], dict[str, Variant], Region | None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in models_in(part)]


def declared(model: type[BaseModel], field: str) -> str:
    """A field by the class that declares it first, so that what scales inherit needs one mistake alone."""
    owner = next(base for base in reversed(model.__mro__) if field in inspect.get_annotations(base))
    return f"{owner.__name__}.{field}"


def fields_of(annotation: Any) -> Iterator[str]:
    """All fields of the sections that a type names, and of those below them."""
    for model in models_in(annotation):
        for name, field in model.model_fields.items():
            yield declared(model, name)
            yield from fields_of(field.annotation)


def field_at(annotation: Any, path: list[str]) -> str | None:
    """The field that a dotted key leads to; None where it leads to none: an entry of a mapping, an unknown key."""
    model, found = None, None
    for key in path:
        model = next(iter(models_in(annotation)), None)
        if model is not None and key in model.model_fields:
            found, annotation = declared(model, key), model.model_fields[key].annotation
        else:
            found = None  # an index, a name in a mapping: the type stays
    return found
