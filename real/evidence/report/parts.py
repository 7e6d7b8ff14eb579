"""Which files a report of a scale shows: its own, and those of targets that the default one doesn't make."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from real.config import Experiment
from real.evidence.exhibit import Exhibit
from real.records.jobs import trained_jobs
from real.records.provenance import RECORD
from real.tasks.sources import read_sources

SHOWN = (".csv", ".json", ".png")
RECORDS = (RECORD, "evaluation.json")


@dataclass(frozen=True)
class Aside:
    """What a target of its own makes.

    Attributes:
        stem: of its table, figure and caption; title: for the reader.
        tables: its tables that are there, as JSON; figures: its pictures that are there.
        command: what makes it.
        exhibit: whose it is; None of contamination, which belongs to no scale.
    """

    stem: str
    title: str
    tables: tuple[Path, ...]
    figures: tuple[Path, ...]
    command: str
    exhibit: Exhibit | None


def asides(experiment: Experiment, exhibits: Sequence[Exhibit]) -> list[Aside]:
    """Exhibits with a target of their own, of this scale with whatever overlays; contamination by each training set."""
    data = Path(experiment.results).parent / "datasets"
    found = [_aside(experiment, exhibit) for exhibit in exhibits if exhibit.command]
    for name, source in read_sources().items():
        if source.split == "train":
            page = data / f"contamination_{name}.html"
            table = page.with_suffix(".json")
            title, command = f"Contamination by {source.label}", f"snakemake {page} --cores all"
            found.append(Aside("contamination", title, (table,) if table.exists() else (), (), command, None))
    return found


def own_inputs(experiment: Experiment, exhibits: Sequence[Exhibit]) -> list[str]:
    """This scale's files that its report reads, below its results, but for those of other targets that are not there.

    At protected scales without what runs left beside tables and figures: no loss of a record may repeat a run.
    """
    drawn = [
        output
        for exhibit in exhibits
        if not exhibit.absent(experiment)
        for output in exhibit.outputs
        if Path(output).suffix in SHOWN and (not exhibit.command or Path(experiment.results, output).exists())
    ]
    left = [output for job in trained_jobs(experiment) for output in job.outputs if Path(output).name in RECORDS]
    return drawn if experiment.scale.protected else [*drawn, *left]


def foreign_inputs(experiment: Experiment, exhibits: Sequence[Exhibit]) -> list[Path]:
    """What it reads besides, as far as it is there."""
    own = {str(Path(experiment.results, name)) for name in own_inputs(experiment, exhibits)}
    paths = [path for aside in asides(experiment, exhibits) for path in (*aside.tables, *aside.figures)]
    return [path for path in paths if str(path) not in own]


def _aside(experiment: Experiment, exhibit: Exhibit) -> Aside:
    """What is there of a target of this scale with whatever overlays."""
    assert exhibit.command is not None
    results = Path(experiment.results)
    folders = [results, *sorted(results.parent.glob(f"{experiment.scale.scale}+*"))]
    paths = [folder / name for folder in dict.fromkeys(folders) for name in exhibit.outputs]
    tables, figures = (
        tuple(path for path in paths if path.suffix == kind and path.exists()) for kind in (".json", ".png")
    )
    return Aside(exhibit.name, exhibit.title, tables, figures, exhibit.command(experiment), exhibit)
