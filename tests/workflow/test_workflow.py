"""The DAG: what runs, what reruns, what stops before it starts, and that two runs write the same bytes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support import tiny_scale as tiny
from tests.support.checkout import PUBLISHED, copy_checkout, planned, shown_by_default, snakemake

# differ from run to run by nature: clocks, machine load, and logs that print neither
UNSTABLE = ("timings.jsonl", "provenance.json", "report.html", ".snakemake_timestamp")
SMOKE = ("--configfile", "paper_configs/smoke.yaml")
PAPER_FIGURES = ("training_dynamics", "gradient_magnitude")
SWEEP = ("--configfile", "paper_configs/laptop.yaml", "paper_configs/variants/learning_rate_sweep.yaml")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return copy_checkout(tmp_path_factory.mktemp("fresh") / "project")


@pytest.mark.slow
def test_the_default_target_is_the_laptop_scale(checkout):
    trained = {"base": 1, "train": 18, "evaluate_base": 1, "evaluate": 18}
    assert planned(checkout) == {"all": 1, **trained, **shown_by_default("laptop"), "manifest": 1}
    assert shown_by_default("laptop").keys() >= {"benchmarks", "differences", "claims", "gradient_measured", "report"}


@pytest.mark.slow
def test_the_published_scale_trains_nothing(checkout):
    assert planned(checkout, *PUBLISHED) == {"all": 1, **shown_by_default("published"), "manifest": 1}
    assert shown_by_default("published").keys() >= {"benchmarks", "claims", *PAPER_FIGURES, "report"}


@pytest.mark.slow
def test_the_default_profile_is_loaded(checkout):
    done = snakemake(checkout, "--dry-run")  # cores come from the profile
    assert done.returncode == 0, done.stdout
    assert "profiles/default" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "configuration", "rules"),
    [
        ("gradient_magnitude", (), {"gradient_magnitude"}),
        ("benchmarks", PUBLISHED, {"benchmarks"}),
        ("claims", PUBLISHED, {"claims"}),
        # names of earlier versions
        ("benchmark_tables", PUBLISHED, {"benchmarks", "benchmark_tables"}),
        ("learning_rate_figure", SWEEP, {"base", "train", "learning_rate_sweep", "learning_rate_figure"}),
        ("report", PUBLISHED, {"report", "claims", "benchmarks", "training_curves", *PAPER_FIGURES}),
        ("training_dynamics", PUBLISHED, {"training_curves", "training_dynamics"}),
        ("learning_rate_sweep", SWEEP, {"base", "train", "learning_rate_sweep"}),
    ],
)
def test_named_targets_run_what_they_need(checkout, target, configuration, rules):
    assert set(planned(checkout, target, *configuration)) == rules


@pytest.mark.slow
def test_what_a_scale_lacks_is_said_with_what_to_do(checkout):
    done = snakemake(checkout, "differences", "--dry-run", *PUBLISHED)
    assert done.returncode != 0
    assert "differences: the scale 'published' trains nothing; name one that does" in done.stdout


@pytest.mark.slow
def test_jobs_run_by_the_interpreter_of_snakemake_and_paths_of_config_files_are_text_to_the_shell(checkout):
    folder = checkout / "my configs $(touch hacked); `touch hacked` 'quoted'"
    folder.mkdir()
    shutil.copy(checkout / "paper_configs/published.yaml", folder)
    command = [str(Path(sys.executable).with_name("snakemake")), "gradient_magnitude", "--cores", "1"]
    done = subprocess.run(
        [*command, "--configfile", f"{folder.name}/published.yaml"],
        cwd=checkout,
        env={"PATH": "/usr/bin:/bin", "HOME": str(checkout)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout
    assert (checkout / "results/published/figures/gradient_magnitude.png").exists()
    assert not list(checkout.rglob("hacked"))
    shutil.rmtree(checkout / "results/published")


@pytest.mark.slow
def test_a_scale_reads_no_other_scales_file(checkout):
    """smoke.yaml without one key is an error, although laptop.yaml, the default, has it."""
    content = yaml.safe_load((checkout / "paper_configs" / "smoke.yaml").read_text())
    del content["seeds"]
    (checkout / "paper_configs" / "incomplete.yaml").write_text(yaml.safe_dump(content))
    done = snakemake(checkout, "--dry-run", "--configfile", "paper_configs/incomplete.yaml")
    assert done.returncode != 0
    assert "paper_configs/incomplete.yaml: seeds is missing; every scale file states every key" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keys", "value", "sentence"),
    [
        (("training", "lerning_rate"), 1.0, "training.lerning_rate is not a known key; did you mean 'learning_rate'?"),
        (("methods",), ["reall"], "methods: unknown method 'reall'; choose from"),
        (("training", "steps"), "70", "training.steps is the text '70', not a number"),
        (("training", "learning_rate"), "2e-6", "training.learning_rate is the text '2e-6', not a number"),
    ],
)
def test_a_mistake_stops_before_any_job(checkout, keys, value, sentence):
    content = yaml.safe_load((checkout / "paper_configs" / "smoke.yaml").read_text())
    section = content
    for key in keys[:-1]:
        section = section[key]
    section[keys[-1]] = value
    (checkout / "paper_configs" / "wrong.yaml").write_text(yaml.safe_dump(content))
    done = snakemake(checkout, "--cores", "1", "--configfile", "paper_configs/wrong.yaml")
    assert done.returncode != 0
    assert f"paper_configs/wrong.yaml: {sentence}" in done.stdout
    assert "Traceback" not in done.stdout
    assert not list((checkout / "results").iterdir())


@pytest.mark.slow
def test_config_overrides_and_a_missing_overlay_are_refused_with_the_remedy(checkout):
    done = snakemake(checkout, "--dry-run", *SMOKE, "--config", "protected=True")
    assert done.returncode != 0
    assert "write an overlay file" in done.stdout
    done = snakemake(checkout, "--dry-run", "learning_rate_sweep")
    assert done.returncode != 0
    assert "paper_configs/variants/learning_rate_sweep.yaml" in done.stdout


# the smoke scale with fewer seeds, prompts and benchmarks: `make test` runs the whole of it after the tests
SMALL = (*SMOKE, tiny.OVERLAY)
METHODS = ("real", "grpo", "dapo", "gspo", "real_bce", "real_product")


def copy_small(folder: Path) -> Path:
    """A checkout with the smaller scale's overlay."""
    checkout = copy_checkout(folder)
    tiny.write_overlay(checkout, METHODS)
    return checkout


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A checkout in which the smaller scale has run on two cores."""
    checkout = copy_small(tmp_path_factory.mktemp("first") / "project")
    done = snakemake(checkout, "--cores", "2", *SMALL)
    assert done.returncode == 0, done.stdout
    return checkout


def results(checkout: Path) -> dict[str, bytes]:
    folder = checkout / tiny.RESULTS
    found = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.name not in UNSTABLE
        and path.relative_to(folder).parts[0] not in ("benchmarks", "logs")
    }
    return {**found, "manifest.json": stable_manifest(found["manifest.json"])}


def stable_manifest(content: bytes) -> bytes:
    """A manifest without the entries of files that differ from run to run, and without its own hash."""
    manifest = json.loads(content)
    files = {name: entry for name, entry in manifest["files"].items() if Path(name).name not in UNSTABLE}
    return json.dumps({**manifest, "files": files, "sha256": None}).encode()


@pytest.mark.slow
def test_two_runs_on_one_and_two_cores_write_the_same_bytes(finished, tmp_path):
    again = copy_small(tmp_path / "project")
    done = snakemake(again, "--cores", "1", *SMALL)
    assert done.returncode == 0, done.stdout
    first, second = results(finished), results(again)
    assert len(first) > 50
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


@pytest.mark.slow
def test_a_finished_scale_has_every_declared_file_and_nothing_left_to_do(finished):
    found = results(finished)
    for name in (
        *(
            f"tables/{table}.{kind}"
            for table in ("benchmarks", "differences", "pass_at_k")
            for kind in ("csv", "html", "md", "tex")
        ),
        "claims.json",
        "claims.html",
        *(
            f"figures/{figure}.{kind}"
            for figure in ("training_dynamics", "gradient_magnitude", "gradient_measured")
            for kind in ("pdf", "png")
        ),
        *(f"evaluations/base/{benchmark}.parquet" for benchmark in ("add3", "mix4")),
        "runs/real_product/seed0/model/model.safetensors",
        "runs/grpo/seed0/gradient_samples.parquet",
        "runs/grpo/seed0/config.yaml",
    ):
        assert found[name], name
    assert not [name for name in found if name.startswith("work/") and not name.endswith(".lock")]
    assert planned(finished, *SMALL) == {}


@pytest.mark.slow
def test_a_finished_scale_verifies_and_what_the_rules_declare_is_what_the_manifest_lists(finished):
    """An output that a rule declares and the manifest doesn't know would be unlisted, the reverse missing."""
    command = [sys.executable, "-m", "real", "verify", *tiny.CONFIG]
    done = subprocess.run(command, cwd=finished, text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")
    listed = json.loads((finished / tiny.RESULTS / "manifest.json").read_text())["files"]
    assert f"{tiny.RESULTS}: {len(listed)} files" in done.stdout
    assert len(listed) > 60
    assert set(found_files(finished)) == set(listed)


def found_files(checkout: Path) -> list[str]:
    """What a finished scale holds besides the manifest, notes and locks of jobs."""
    folder = checkout / tiny.RESULTS
    paths = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    notes = ("benchmarks", "logs", "work", "manifest.json")
    return [str(path) for path in paths if path.parts[0] not in notes and path.name != ".snakemake_timestamp"]


TABLES, FIGURES = (
    {"benchmarks", "differences", "pass_at_k", "training_curves", "claims"},
    {"training_dynamics", "gradient_magnitude", "gradient_measured"},
)
TRAINED = {"train", "evaluate", *TABLES, "training_dynamics", "gradient_measured"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "rules"),
    [
        ("real/objectives.py", {*TRAINED, "gradient_magnitude"}),
        ("real/exact.py", {*TRAINED, "gradient_magnitude"}),
        ("real/config/schema.py", set()),
        ("real/system/files.py", set()),
        ("real/engines/verl/worker.py", set()),
        ("real/engines/torch/update.py", TRAINED),
        ("real/engines/torch/supervised.py", {"base", "evaluate_base", *TRAINED}),
        ("real/evaluation/evaluate.py", {"evaluate", "evaluate_base", *TABLES - {"training_curves"}}),
        ("real/evidence/claims/judge.py", {"claims"}),
        ("real/statistics/intervals.py", {*TABLES, "training_dynamics"}),
        ("figures/style.py", FIGURES),
        ("figures/training_dynamics.py", {"training_dynamics"}),
        ("real/evidence/report/facts.py", set()),
    ],
)
def test_an_edited_module_reruns_what_depends_on_it_and_nothing_else(finished, module, rules):
    path = finished / module
    before, times = path.read_text(), path.stat()
    try:
        path.write_text(before + "\n# a comment changes nothing\n")
        assert planned(finished, *SMALL) == {}
        path.write_text(before + "\nEDITED = True\n")
        asked = {*rules, "report", "manifest"} if rules or "report" in module else set()
        assert set(planned(finished, *SMALL)) - {"all"} == asked
    finally:
        path.write_text(before)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.slow
def test_redrawing_a_figure_retrains_nothing(finished):
    assert planned(finished, "--forcerun", "training_dynamics", *SMALL) == {
        "all": 1,
        "training_dynamics": 1,
        "report": 1,
        "manifest": 1,
    }


@pytest.mark.slow
def test_the_report_is_made_again_for_what_another_target_made_and_makes_none_of_it(finished):
    table = finished / "results" / "datasets" / "contamination_dapo_math_17k.json"
    table.parent.mkdir()
    try:
        table.write_text("{}")
        assert planned(finished, *SMALL) == {"all": 1, "report": 1, "manifest": 1}
    finally:
        shutil.rmtree(table.parent)
    assert planned(finished, *SMALL) == {}


@pytest.mark.slow
def test_snakemakes_own_report_holds_every_table_and_figure_with_its_caption(finished, tmp_path):
    done = snakemake(finished, "--report", str(tmp_path / "report.html"), *SMALL)
    assert done.returncode == 0, done.stdout
    page = (tmp_path / "report.html").read_text()
    stems = {path.stem for path in (finished / tiny.RESULTS).glob("*/*") if path.suffix in (".csv", ".png")}
    for stem in {*stems, "claims", "workflow"}:
        caption = (finished / "workflow" / "report" / f"{stem}.rst").read_text()
        assert " ".join(caption.split())[:60] in " ".join(page.split()).replace("\\n", " "), stem
