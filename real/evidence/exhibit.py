"""A table, a figure or a page of a scale, declared once: for the workflow, the manifest, ``verify`` and the report.

A module of real/evidence or of figures/ that has an ``EXHIBIT`` is found by real/commands/exhibits.py. The exhibit's
name is one word everywhere: its rule, ``python -m real make NAME``, its files, its caption in workflow/report.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from real.config import UNTRAINED, ConfigError, Experiment
from real.records.jobs import Job, trained_jobs
from real.records.made_from import Origin
from real.records.provenance import DRAWN
from real.system.code import EVIDENCE
from real.system.errors import system_reason

READABLE = ("csv", "html", "json", "md", "tex")
LAPTOP = "paper_configs/laptop.yaml"
VARIANTS = "paper_configs/variants"


@dataclass(frozen=True)
class Exhibit:
    """One table, figure or page.

    Attributes:
        name: see above; title: for readers.
        doing: what the workflow says while it is made.
        outputs: its files, as paths below the scale's results.
        make: writes them into the folder of the scale's results.
        reads: the files that it is made from, as paths below the scale's results; the jobs that make them come first.
        settings: what it shows of the configuration, as JSON can hold it.
        printed: files of this repository that it is made from; by content, since their times say nothing after a clone.
        beside: files of other targets that it shows where they are there; no target is run for them.
        absent: why a scale doesn't have it, with what to do; empty where it has.
        command: what to type for it, where a target of its own makes it; None: the default target does.
        alt_text: what its picture shows, for those who can't see it, from the results in a folder.
    """

    name: str
    title: str
    doing: str
    outputs: tuple[str, ...]
    make: Callable[[Experiment, Path], None]
    reads: Callable[[Experiment], Iterable[str]] = lambda _: []
    settings: Callable[[Experiment], Any] = lambda _: []
    printed: Callable[[Experiment], list[str]] = lambda _: []
    beside: Callable[[Experiment], list[Path]] = lambda _: []
    absent: Callable[[Experiment], str] = lambda _: ""
    command: Callable[[Experiment], str] | None = None
    alt_text: Callable[[Experiment, Path], str] | None = None

    def origin(self, experiment: Experiment) -> Origin:
        """What it is made from; what it reads of results counts by its times.

        Raises:
            ConfigError: a file of this repository that it is made from is gone.
        """
        try:
            printed = [Path(file).read_text(encoding="utf-8") for file in self.printed(experiment)]
        except OSError as error:
            raise ConfigError(f"{error.filename}: {system_reason(error)}; restore it from the repository") from None
        return Origin({"settings": self.settings(experiment), "printed": printed}, (self.make.__module__,), EVIDENCE)

    @property
    def job(self) -> Job:
        """For the manifest, ``verify`` and the report."""
        outputs = (*self.outputs, f"{DRAWN}/{self.name}.json")
        return Job("drawn", self.name, self.name, outputs, self.origin, optional=self.command is not None)


def table_files(stem: str) -> tuple[str, ...]:
    """A table as numbers and for reading."""
    return tuple(f"tables/{stem}.{kind}" for kind in READABLE)


def figure_files(stem: str) -> tuple[str, ...]:
    """A figure."""
    return (f"figures/{stem}.pdf", f"figures/{stem}.png")


def evaluations(experiment: Experiment) -> list[str]:
    """The rows of the base model and of every run on every benchmark; none at a scale that trains nothing."""
    return _outputs(experiment, "evaluate", ".parquet")


def metrics(experiment: Experiment) -> list[str]:
    """What every run measured."""
    return _outputs(experiment, "train", "metrics.jsonl")


def untrained_metrics(experiment: Experiment) -> list[str]:
    """What the run that learns nothing measured, at a scale that has one; no table of runs shows it."""
    jobs = [job for job in trained_jobs(experiment) if job.method == UNTRAINED]
    return [output for job in jobs for output in job.outputs if output.endswith("metrics.jsonl")]


def gradient_samples(experiment: Experiment) -> list[str]:
    """Scores and weights that every run met."""
    return _outputs(experiment, "train", "gradient_samples.parquet")


def methods_shown(experiment: Experiment) -> dict[str, Any]:
    """The methods with their hyper-parameters."""
    return {name: method.model_dump() for name, method in experiment.methods.items()}


def curves_shown(experiment: Experiment) -> dict[str, Any]:
    """The first method of each gradient curve, which methods that are only trained otherwise share, and its label."""
    shown = methods_shown(experiment)
    first = dict.fromkeys(curve_of(experiment).values())
    return {name: {**shown[name], "label": experiment.rule_labels[name]} for name in first}


def curve_of(experiment: Experiment) -> dict[str, str]:
    """For each method the one that :func:`curves_shown` names its gradient curve by."""
    rules = [(name, (one["objective"], one["hyperparameters"])) for name, one in methods_shown(experiment).items()]
    return {name: next(first for first, other in rules if other == rule) for name, rule in rules}


def runs_shown(experiment: Experiment) -> list[Any]:
    """Which runs are shown, and how they are called."""
    labels = {name: method.label for name, method in experiment.methods.items()}
    return [labels, list(labels), experiment.scale.run_seeds]


def evaluations_shown(experiment: Experiment) -> list[Any]:
    """What is shown of evaluations."""
    scale = experiment.scale
    return [*runs_shown(experiment), scale.evaluated_on, scale.evidence]


def printed_benchmarks(experiment: Experiment) -> list[str]:
    """Tables of the papers, at the scale that shows them."""
    printed = experiment.scale.printed
    return printed.benchmarks if printed else []


def nothing_is_trained(experiment: Experiment) -> str:
    """Why a scale of printed numbers lacks what only measured results can give."""
    if experiment.scale.trains:
        return ""
    return f"the scale '{experiment.scale.scale}' trains nothing; name one that does, for example {LAPTOP}"


def _outputs(experiment: Experiment, kind: str, ending: str) -> list[str]:
    jobs = [job for job in trained_jobs(experiment) if job.kind == kind and job.method != UNTRAINED]
    outputs = [output for job in jobs for output in job.outputs]
    return [output for output in outputs if output.endswith(ending)]
