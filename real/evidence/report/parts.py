"""Which files a report of a scale shows: its own, and those of targets that the default one doesn't make."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from real.config import Experiment
from real.evidence.exhibit import Exhibit
from real.records.jobs import trained_jobs
from real.tasks.sources import read_sources

SHOWN = (".csv", ".html", ".json", ".png")


@dataclass(frozen=True)
class Aside:
    """What a target of its own makes.

    Attributes:
        stem: of its table, figure and caption; title: for the reader.
        pages: its tables that are there, as pages; figures: its pictures that are there.
        command: what makes it.
        exhibit: whose it is; None of contamination, which belongs to no scale.
    """

    stem: str
    title: str
    pages: tuple[Path, ...]
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
            pages = (page,) if page.exists() else ()
            command = f"snakemake {page} --cores all"
            found.append(Aside("contamination", f"Contamination by {source.label}", pages, (), command, None))
    return found


def own_inputs(experiment: Experiment, exhibits: Sequence[Exhibit]) -> list[str]:
    """This scale's files that its report reads, below its results, but for those of other targets that are not there.

    At protected scales without what runs left beside tables and figures: no loss of a record may repeat a run.
    """
    return [*_drawn(experiment, exhibits), *_records(experiment)]


def foreign_inputs(experiment: Experiment, exhibits: Sequence[Exhibit]) -> list[Path]:
    """What it reads besides, as far as it is there."""
    own = {str(Path(experiment.results, name)) for name in own_inputs(experiment, exhibits)}
    paths = [path for aside in asides(experiment, exhibits) for path in (*aside.pages, *aside.figures)]
    return [path for path in paths if str(path) not in own]


def _drawn(experiment: Experiment, exhibits: Sequence[Exhibit]) -> Iterator[str]:
    for exhibit in exhibits:
        if exhibit.absent(experiment):
            continue
        for output in exhibit.outputs:
            there = exhibit.command is None or Path(experiment.results, output).exists()
            if there and Path(output).suffix in SHOWN:
                yield output


def _records(experiment: Experiment) -> Iterator[str]:
    if not experiment.scale.protected:
        for job in trained_jobs(experiment):
            yield from (output for output in job.outputs if output.endswith((str(job.record), "/evaluation.json")))


def _aside(experiment: Experiment, exhibit: Exhibit) -> Aside:
    """What is there of a target of this scale with whatever overlays."""
    assert exhibit.command is not None
    results = Path(experiment.results)
    folders = [results, *sorted(results.parent.glob(f"{experiment.scale.scale}+*"))]
    paths = [folder / name for folder in dict.fromkeys(folders) for name in exhibit.outputs]
    pages, figures = (
        tuple(path for path in paths if path.suffix == kind and path.exists()) for kind in (".html", ".png")
    )
    return Aside(exhibit.name, exhibit.title, pages, figures, exhibit.command(experiment), exhibit)
