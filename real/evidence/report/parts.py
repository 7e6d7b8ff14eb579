"""Which files a report of a scale shows: its own, and those of targets that the default one doesn't make."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from real.config import Experiment, ReportedScale, TorchScale
from real.records.jobs import jobs, trained_jobs
from real.tasks.sources import read_sources

REPORT = "report"
SHOWN = (".csv", ".html", ".json", ".png")
LAPTOP = "paper_configs/laptop.yaml"
VARIANTS = "paper_configs/variants"


@dataclass(frozen=True)
class Aside:
    """What a target of its own makes.

    Attributes:
        stem: of its table, figure and caption; title: for the reader.
        pages: its tables that are there, as pages; figures: its pictures that are there.
        command: what makes it.
    """

    stem: str
    title: str
    pages: tuple[Path, ...]
    figures: tuple[Path, ...]
    command: str


def sweep_command(experiment: Experiment) -> str:
    """What makes the learning-rate sweep of a scale; of one that trains nothing, the laptop's."""
    trains = not isinstance(experiment.scale, ReportedScale)
    laptop = not trains or isinstance(experiment.scale, TorchScale)
    overlay = "learning_rate_sweep" if laptop else "learning_rate_sweep_paper"
    config = experiment.files[0] if trains else LAPTOP
    return f"snakemake learning_rate_sweep --cores all --configfile {config} {VARIANTS}/{overlay}.yaml"


def mechanism_command() -> str:
    """What makes the mechanism's table and figure, which only the laptop scale has."""
    return f"snakemake mechanism --cores all --configfile {LAPTOP} {VARIANTS}/stale_rollouts.yaml"


def asides(experiment: Experiment) -> list[Aside]:
    """The sweep and the mechanism, of this scale with or without overlays, and contamination by each training set."""
    data = Path(experiment.results).parent / "datasets"
    found = [
        _aside(experiment, "learning_rate_sweep", "Learning-rate sweep", sweep_command(experiment)),
        _aside(experiment, "mechanism", "Which part of the gradient weight matters", mechanism_command()),
    ]
    for name, source in read_sources().items():
        if source.split == "train":
            page = data / f"contamination_{name}.html"
            pages = (page,) if page.exists() else ()
            command = f"snakemake {page} --cores all"
            found.append(Aside("contamination", f"Contamination by {source.label}", pages, (), command))
    return found


def own_inputs(experiment: Experiment) -> list[str]:
    """Paths of this scale's files that its report reads, but for those of optional targets that are not there.

    At protected scales without what runs left beside tables and figures: no loss of a record may repeat a run.
    """
    results = Path(experiment.results)
    return [str(results / name) for name in (*_drawn(experiment), *_records(experiment))]


def foreign_inputs(experiment: Experiment) -> list[Path]:
    """What it reads besides, as far as it is there."""
    own = set(own_inputs(experiment))
    paths = [path for aside in asides(experiment) for path in (*aside.pages, *aside.figures)]
    return [path for path in paths if str(path) not in own]


def _drawn(experiment: Experiment) -> Iterator[str]:
    for job in jobs(experiment):
        if job.kind != "drawn" or job.name == REPORT:
            continue
        for output in job.outputs:
            there = not job.optional or Path(experiment.results, output).exists()
            if there and Path(output).suffix in SHOWN:
                yield output


def _records(experiment: Experiment) -> Iterator[str]:
    if not experiment.scale.protected:
        for job in trained_jobs(experiment):
            yield from (output for output in job.outputs if output.endswith((str(job.record), "/evaluation.json")))


def _aside(experiment: Experiment, stem: str, title: str, command: str) -> Aside:
    """What is there of a target of this scale with whatever overlays."""
    results = Path(experiment.results)
    folders = [results, *sorted(results.parent.glob(f"{experiment.scale.scale}+*"))]
    pages, figures = (
        tuple(dict.fromkeys(path for folder in folders if (path := folder / name).exists()))
        for name in (f"tables/{stem}.html", f"figures/{stem}.png")
    )
    return Aside(stem, title, pages, figures, command)
