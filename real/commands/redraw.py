"""``python -m real redraw``: every table, figure and claim of a recorded scale, drawn again without training.

By the present code, from what ``results/recorded/<scale>`` holds. What is drawn is held against what was drawn when the
scale was recorded. The report is not redrawn, because it shows times, nor are pages of other scales.
"""

import shutil
import tempfile
from graphlib import TopologicalSorter
from pathlib import Path

from real.commands.exhibits import exhibits
from real.config import Experiment, load
from real.evidence.exhibit import Exhibit
from real.evidence.report.write import REPORT
from real.records.recorded import About, read_about, renew, unpack
from real.system.files import file_digest


def redraw(name: str, folder: Path, write: bool = False) -> list[str]:
    """Draw all exhibits of a recorded scale into ``folder/<name>``.

    Args:
        write: make what is drawn now what is recorded.

    Returns:
        files that don't have the bytes that were recorded, in the order in which they were drawn.

    Raises:
        ExpectedError: nothing of that name is recorded, or what is recorded is damaged or of another configuration.
    """
    experiment = load(read_about(name).config_files)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".drawing-") as place:
        there = experiment.model_copy(update={"place": place})
        about = unpack(name, Path(there.results))
        drawn = [output for one in in_order(there, about) for output in _draw(one, there)]
        shutil.rmtree(folder / name, ignore_errors=True)
        for output in drawn:
            (folder / name / output).parent.mkdir(parents=True, exist_ok=True)
            Path(there.results, output).rename(folder / name / output)
    if write:
        renew(name, folder / name, drawn)
    return [output for output in drawn if file_digest(folder / name / output) != about.files[output].sha256]


def in_order(experiment: Experiment, about: About) -> list[Exhibit]:
    """The exhibits that were recorded, those before that others read."""
    shown = {one.name: one for one in exhibits() if one.name != REPORT and set(one.outputs) <= about.files.keys()}
    maker = {output: one.name for one in shown.values() for output in one.outputs}
    after = {name: {maker[path] for path in one.reads(experiment) if path in maker} for name, one in shown.items()}
    return [shown[name] for name in TopologicalSorter(after).static_order()]


def exhibits_read(experiment: Experiment) -> set[str]:
    """What the exhibits that can be redrawn read, by path below the results."""
    had = [one for one in exhibits() if one.name != REPORT and not one.absent(experiment)]
    return {path for one in had for path in one.reads(experiment)}


def _draw(exhibit: Exhibit, experiment: Experiment) -> tuple[str, ...]:
    exhibit.make(experiment, Path(experiment.results))
    return exhibit.outputs
