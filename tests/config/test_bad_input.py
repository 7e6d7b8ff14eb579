"""Bad input: every mistake ends in one sentence with file, key and remedy, before anything is written.

The mistakes stand in ``mistaken_values.py`` and ``mistakes.py`` beside this file; two tests prove that they cover every
field of every configuration file and every refusal of the code that reads them.
"""

import ast
import inspect
import shlex
import shutil
import sys
import types
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

import real.config.crossing
import real.config.labels
import real.config.loading
import real.config.paper_scale
import real.config.runs
import real.config.schema
import real.config.sections
import real.evidence.claims.schema
import real.planning.costs
import real.system.names
import real.system.yaml_files
import real.tasks.corrections
from real.config import Method, ReportedScale, TorchScale, VerlArithmeticScale, VerlScale
from real.evidence.claims.schema import ClaimsFile
from real.planning.costs import Costs
from real.tasks.corrections import Correction
from real.tasks.sources import Source
from tests.config.mistaken_values import (
    CLAIMS,
    CORRECTIONS,
    COSTS,
    METHODS,
    OVERLAY,
    PAPER,
    REPORTED,
    SMOKE,
    SOURCES,
    VERL,
)
from tests.config.mistakes import COMMANDS, SENTENCES, mistakes
from tests.support.answers import answer, names
from tests.support.edits import Change, edited
from tests.support.paths import ROOT
from tests.support.workplaces import copy_configs

MODELS: dict[str, Any] = {
    SMOKE: TorchScale,
    VERL: VerlArithmeticScale,
    PAPER: VerlScale,
    REPORTED: ReportedScale,
    METHODS: dict[str, Method],
    SOURCES: dict[str, Source],
    CORRECTIONS: dict[str, dict[str, Correction]],
    CLAIMS: ClaimsFile,
    COSTS: Costs,
    OVERLAY: TorchScale,
}
MISTAKES = list(mistakes())
CHANGES: list[tuple[str, Change]] = [*((one.file, one.change) for one in MISTAKES), *(row[:2] for row in SENTENCES)]
# whose every refusal needs a mistake in the tables
READERS = [
    real.system.yaml_files,
    real.system.names,
    real.config.labels,
    real.config.sections,
    real.config.paper_scale,
    real.config.crossing,
    real.config.schema,
    real.config.loading,
    real.config.runs,
    real.evidence.claims.schema,
    real.planning.costs,
    real.tasks.corrections,
]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The files of a checkout that a user edits, as the working folder."""
    folder = tmp_path_factory.mktemp("project")
    copy_configs(folder)
    # of the claims only those that the mistakes are made in: the file is long, and read for each of them
    content = yaml.safe_load((folder / "paper_configs" / CLAIMS).read_text())
    kept = ("real_entropy_stable", "real_validation_rises", "bounded_and_monotone")
    content["claims"] = {name: content["claims"][name] for name in kept}
    (folder / "paper_configs" / CLAIMS).write_text(yaml.safe_dump(content))
    (folder / "datasets").mkdir()
    for name in (SOURCES, CORRECTIONS):
        shutil.copy(ROOT / "datasets" / name, folder / "datasets")
    (folder / "paper_configs" / OVERLAY).write_text("methods: [mine]\nvariants: {mine: {method: real}}\n")
    (folder / "one").mkdir()
    for name in ("a b.yaml", ".yaml", "same.yaml", "one/same.yaml"):
        (folder / name).write_text("protected: true\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def outcomes(project):
    """(exit code, lines) of every mistake and of every command, and the lines of the readers that ran."""
    files, seen = {module.__file__ for module in READERS}, set()
    before = set(project.rglob("*"))
    of_changes, of_commands = [], []
    for file, change in CHANGES:
        # traced one by one: Python stops tracing where the recursion limit is met
        with edited(place(file), change), traced(files, seen):
            of_changes.append(answer(command(file)))
    for line, *_ in COMMANDS:
        with traced(files, seen):
            of_commands.append(answer(shlex.split(line)))
    assert set(project.rglob("*")) == before, "something was written"
    return of_changes, of_commands, seen


@pytest.mark.parametrize("number", range(len(MISTAKES)), ids=lambda number: f"{MISTAKES[number].file}-{number}")
def test_a_mistake_ends_in_a_sentence_with_file_key_and_remedy(outcomes, number):
    file, _, answers = MISTAKES[number]
    code, lines = outcomes[0][number]
    assert code == 1
    assert len(lines) == len(answers), lines
    for parts in answers:
        assert any(names(line, parts, f"{place(file)}: ") for line in lines), (parts, lines)


def test_a_mistake_of_each_kind_ends_in_this_sentence(outcomes):
    found = outcomes[0][len(MISTAKES) :]
    assert found == [(1, [f"{place(file)}: {sentence}"]) for file, _, sentence in SENTENCES]


@pytest.mark.parametrize("number", range(len(COMMANDS)), ids=lambda number: COMMANDS[number][0])
def test_a_command_that_names_no_configuration_ends_in_a_sentence(outcomes, number):
    _, file, parts = COMMANDS[number]
    code, [line] = outcomes[1][number]
    assert code == 1
    assert names(line, parts, file and f"{file}: "), line


def test_every_field_has_a_mistake():
    changed = {
        key
        for file, change in CHANGES
        if file in MODELS and isinstance(change, dict)
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
        if not any((module.__file__, line) in outcomes[2] for line in lines)
        and "is nested too deeply" not in text  # no trace sees it: Python stops tracing at the recursion limit
    ]
    assert missing == []


def place(file: str) -> Path:
    """Where a file stands in a checkout."""
    return Path("datasets" if file in (SOURCES, CORRECTIONS) else "paper_configs", file)


def command(file: str) -> list[str]:
    """The command that reads a file and would work with it."""
    if file == SOURCES:
        return ["download", "aime"]
    if file == CORRECTIONS:
        return ["prepare", "olympiad_bench"]
    if file == COSTS:
        return ["plan", "--config", "paper_configs/1.5b.yaml"]
    if file in (CLAIMS, REPORTED):
        return ["claims", "--config", "paper_configs/published.yaml"]
    scale = file if file in (SMOKE, VERL, PAPER) else SMOKE
    overlays = [str(place(file))] if file == OVERLAY else []
    return ["train", "--config", str(place(scale)), *overlays, "--method", "real", "--seed", "0"]


@contextmanager
def traced(files: set[str | None], seen: set[tuple[str, int]]) -> Iterator[None]:
    """Collect (file, line) of every line that runs in some files."""

    def line(frame: types.FrameType, event: str, argument: object) -> Any:
        seen.add((frame.f_code.co_filename, frame.f_lineno))
        return line

    before = sys.gettrace()
    sys.settrace(lambda frame, event, argument: line if frame.f_code.co_filename in files else None)
    try:
        yield
    finally:
        sys.settrace(before)


def refusals(module: types.ModuleType) -> Iterator[tuple[range, str]]:
    """Lines and code of every place at which a module refuses something."""
    assert module.__file__
    for node in ast.walk(ast.parse(Path(module.__file__).read_text(encoding="utf-8"))):
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
