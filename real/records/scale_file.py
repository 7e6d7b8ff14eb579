"""Whose results a folder holds: two scale files that call themselves the same would write over each other's.

The folder has the name that the scale file states, not that of the file, so a copy elsewhere has the same one.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from real.config import ConfigError, Experiment
from real.records.manifest import MANIFEST
from real.records.provenance import RECORD
from real.system.errors import ExpectedError
from real.system.files import read_json
from real.system.yaml_files import read_yaml

# of a base model; of an evaluation of one; of runs and their evaluations
DEPTHS = ("*", "*/*", "*/*/*")


class OtherScaleError(ExpectedError):
    """The results are those of another scale file of the same name; the message names both."""


def require_own_results(experiment: Experiment) -> None:
    """Refuse to write over what another file made that has this one's name: a scale's by `scale`, an overlay's its own.

    A file that is gone, was renamed or is this one by another path is no other. Records that can't be read say nothing;
    their readers name them.

    Raises:
        OtherScaleError: naming the two files, and a record that tells of the other one.
    """
    for record, files in _recorded(Path(experiment.results)):
        # local.yaml, which is read after those that name the results, is left over
        for mine, other in zip(experiment.files, files, strict=False):
            if _is_another(Path(mine), Path(other)):
                raise OtherScaleError(
                    f"{experiment.results}: holds results of {other} ({record}), and {mine} has the same name, so it "
                    f"would overwrite them; give {mine} another name (a scale file its key scale, an overlay its file "
                    f"name), or move {experiment.results} away"
                )


def _recorded(results: Path) -> Iterator[tuple[Path, Sequence[str]]]:
    """The configuration files that records name, by record."""
    for record in [
        results / MANIFEST,
        *(path for depth in DEPTHS for path in sorted(results.glob(f"{depth}/{RECORD}"))),
    ]:
        try:
            files = read_json(record)["config_files"]
        except (OSError, ExpectedError, KeyError):
            continue
        if isinstance(files, list) and all(isinstance(file, str) for file in files):
            yield record, files


def _is_another(mine: Path, other: Path) -> bool:
    """Whether ``other`` is there, is another file, and gives results the same name."""
    try:
        if other.samefile(mine):
            return False
        stated = [read_yaml(path).get("scale") for path in (mine, other)]
    except (OSError, ConfigError, ValueError):  # gone, or no longer what it was
        return False
    return stated[0] == stated[1] and (stated[0] is not None or mine.stem == other.stem)
