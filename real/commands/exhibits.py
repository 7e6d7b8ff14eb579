"""Every table, figure and page that there is: the declarations of real/evidence and figures/, found by themselves."""

from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from real.config import ConfigError, Experiment
from real.evidence.exhibit import Exhibit
from real.records.consistent import require_chain
from real.records.custody import in_custody
from real.records.jobs import Job, trained_jobs
from real.system.sentences import unknown

PACKAGES = ("real.evidence", "figures")


@lru_cache
def exhibits() -> tuple[Exhibit, ...]:
    """All exhibits by name; the report, which shows the others, last."""
    # imported here, as the modules below: what draws and tabulates takes seconds to import
    from real.evidence.report.write import report_of

    found = sorted(_declared(), key=lambda exhibit: exhibit.name)
    return (*found, report_of(found))


def all_jobs(experiment: Experiment) -> list[Job]:
    """All jobs of a scale that leave results: what is trained and evaluated, then the exhibits that it has."""
    shown = [exhibit.job for exhibit in exhibits() if not exhibit.absent(experiment)]
    return [*trained_jobs(experiment), *shown]


def make(name: str, experiment: Experiment) -> None:
    """Write one exhibit into the folder of the scale's results.

    Raises:
        ConfigError: an unknown name, or an exhibit that the scale doesn't have, with what to do.
        ExpectedError: results that it reads are missing, damaged or of different origin.
    """
    # alone where its module tells, because all of them take seconds to import
    exhibit = next(_declared(name), None) or next((one for one in exhibits() if one.name == name), None)
    if exhibit is None:
        raise ConfigError(unknown("exhibit", name, [one.name for one in exhibits()]))
    if reason := exhibit.absent(experiment):
        raise ConfigError(f"{name}: {reason}")
    results, job = Path(experiment.results), exhibit.job
    reads = [*(results / path for path in exhibit.reads(experiment)), *exhibit.beside(experiment)]
    printed = map(Path, exhibit.printed(experiment))
    writes = [results / output for output in exhibit.outputs]
    require_chain(experiment, reads)
    origin = job.origin(experiment)
    with in_custody(results / job.record, results, origin, experiment.read_from, [*reads, *printed], writes):
        exhibit.make(experiment, results)


def _declared(name: str | None = None) -> Iterator[Exhibit]:
    """The exhibits that modules right below the packages declare; of all modules, or of those with a name."""
    for package in map(import_module, PACKAGES):
        for module in iter_modules(package.__path__, f"{package.__name__}."):
            if name in (None, module.name.rpartition(".")[2]):
                exhibit = getattr(import_module(module.name), "EXHIBIT", None)
                if exhibit is not None:
                    yield exhibit
