"""Every overlay that is shipped, on every experiment that it is meant for: it ends in tables, figures and a report.

Experiments of one engine are the same kind once they are cut, which sets all that scales differ by but their names and
test sets: an overlay is run once for each engine, on the first experiment that it names. The torch engine trains; what
the verl engine would leave is made up, and everything behind training is real.
"""

from pathlib import Path

import pytest
import yaml

from real.config import Experiment, load, read
from real.evidence.layout import read_page
from real.evidence.results import run_metrics
from real.records.jobs import trained_jobs
from tests.support.cut import SEEDS, STEPS, VALUES, cut
from tests.support.finished import show, train_and_evaluate
from tests.support.made_up import write_results
from tests.support.paths import PAPER_CONFIGS
from tests.support.scales import shipped
from tests.support.workplaces import link_rooms

OVERLAYS = sorted(path.stem for path in (PAPER_CONFIGS / "variants").glob("*.yaml"))
VARIANTS = Path("paper_configs/variants")


def meant_for(overlay: str) -> list[str]:
    """The names of the experiments that an overlay is laid on."""
    return yaml.safe_load((PAPER_CONFIGS / "variants" / f"{overlay}.yaml").read_text()).get("meant_for", [])


def files_of(overlay: str, experiment: str) -> list[Path]:
    """The files of an experiment, from the root of a checkout, and the overlay behind them."""
    scale, *others = experiment.split("+")
    return [Path(f"paper_configs/{scale}.yaml"), *(VARIANTS / f"{name}.yaml" for name in (*others, overlay))]


def kinds() -> list[tuple[str, str]]:
    """Overlays, each with the first experiment of each engine that it is meant for."""
    found: dict[tuple[str, str], str] = {}
    for overlay in OVERLAYS:
        for experiment in meant_for(overlay):
            engine = shipped(experiment.partition("+")[0]).scale.engine
            found.setdefault((overlay, engine), experiment)
    return [(overlay, experiment) for (overlay, _), experiment in found.items()]


def experiment_of(*files: str | Path) -> Experiment:
    return load(files, local_file=Path("absent"))


def grid(experiment: Experiment) -> list[dict[str, list[float]]]:
    """As its files have it."""
    return read(experiment.files).get("grid", [])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_says_what_it_is_meant_for_and_cut_short_keeps_all_that_it_declares(overlay, workplace):
    assert meant_for(overlay)
    for name in meant_for(overlay):
        files = files_of(overlay, name)
        whole, short = experiment_of(*files), experiment_of(*cut(files, workplace))
        assert set(short.parents.values()) == set(whole.parents.values())
        assert set(short.methods) <= set(whole.methods)
        assert {one: short.methods[one] for one in short.methods} == {one: whole.methods[one] for one in short.methods}
        assert short.scale.hypotheses == whole.scale.hypotheses
        assert short.scale.variants.keys() == whole.scale.variants.keys()
        assert [set(cross) for cross in grid(short)] == [set(cross) for cross in grid(whole)]
        assert {training.steps for training in short.training.values()} == {STEPS}
        assert len(short.scale.run_seeds) == SEEDS
        assert len(short.scale.evaluated_on) <= VALUES
        assert all(len(cross[key]) <= VALUES for cross in grid(short) for key in cross if key != "methods")


@pytest.mark.slow
@pytest.mark.parametrize(("overlay", "name"), kinds())
def test_an_overlay_runs_from_training_to_the_report(overlay, name, tmp_path, monkeypatch):
    link_rooms(tmp_path)
    monkeypatch.chdir(tmp_path)
    experiment = load(cut(files_of(overlay, name), Path()))
    if experiment.scale.engine == "torch":
        train_and_evaluate(experiment)
        runs = run_metrics(experiment, list(experiment.methods)).values()
        assert max(run["grad_norm"].max() for run in runs) > 0, "something was learnt"
    else:
        write_results(experiment)
    show(experiment)
    results = Path(experiment.results)
    for job in trained_jobs(experiment):
        assert all((results / output).exists() for output in job.outputs), job.name
    sections = read_page(results / "tables/benchmarks.json")[1]
    (table,) = sections.values()
    assert list(table["method"]) == ["Base model", *(method.label for method in experiment.methods.values())]
