"""Ground truths that are misprints in their source: ``datasets/corrections.yaml``, applied when data is prepared.

The fetched files stay as they are. What is corrected in a dataset has a digest, which its prepared file carries.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator

from real.system.names import Line
from real.system.sentences import ConfigError, one_per_key, sentence, unknown
from real.system.yaml_files import read_yaml
from real.tasks.sources import SOURCES_FILE, read_sources

CORRECTIONS_FILE = SOURCES_FILE.with_name("corrections.yaml")
NOTHING_CORRECTED = "none"


def _is_row(text: str) -> str:
    if not re.fullmatch("0|[1-9][0-9]*", text):
        raise ValueError("it must be a row of the dataset's file: write its number, from 0, in quotes")
    return text


class Correction(BaseModel):
    """What one ground truth is in the source and should be."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)

    found: Line
    """as the source has it, without white space around it"""
    corrected: Line
    """what stands in the prepared file"""
    reason: Line
    """why it is wrong, for readers of the report"""

    @model_validator(mode="after")
    def _corrects(self) -> Self:
        if self.found == self.corrected:
            raise ValueError("found and corrected are the same; correct one of them, or remove the row")
        return self


Corrections = Mapping[str, Mapping[str, Correction]]
"""By dataset, then by row."""
_FILE = TypeAdapter(dict[str, dict[Annotated[str, AfterValidator(_is_row)], Correction]])


def read_corrections(sources_file: Path = SOURCES_FILE) -> Corrections:
    """The corrections that stand beside ``sources_file``; without such a file nothing is corrected.

    Raises:
        ConfigError: one sentence per mistake, naming file and key.
    """
    file = sources_file.with_name(CORRECTIONS_FILE.name)
    if not file.exists():
        return {}
    content, known = read_yaml(file), read_sources(sources_file)
    problems = [unknown("dataset", name, known) for name in content if name not in known]
    try:
        corrections = _FILE.validate_python(content)
    except ValidationError as error:
        rule = "every correction states every key: add it"
        problems += [sentence(problem, Correction.model_fields, rule) for problem in one_per_key(error.errors())]
    if problems:
        raise ConfigError("\n".join(f"{file}: {problem}" for problem in problems))
    return corrections


def corrections_digest(corrections: Corrections, name: str) -> str:
    """Of what a dataset's prepared rows depend on, so not of the reasons; ``none`` where nothing is corrected."""
    if not corrections.get(name):
        return NOTHING_CORRECTED
    changed = {row: one.model_dump(exclude={"reason"}) for row, one in corrections[name].items()}
    return hashlib.sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()
