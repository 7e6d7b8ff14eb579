"""The DAG: what runs, what reruns, what stops before it starts, and that two runs write the same bytes."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from real.system.locks import exclusive
from real.system.portable import not_portable_because
from tests.support import cpu_pins
from tests.support.checkout import (
    PUBLISHED,
    copy_checkout,
    counts,
    dry_runs,
    planned,
    shown_by_default,
    snakemake,
    snakemakes,
)

# differ from run to run by nature: clocks, machine load, and logs that print neither
UNSTABLE = ("timings.jsonl", "provenance.json", "report.html", ".snakemake_timestamp")
SMOKE, RESULTS = ("--configfile", "paper_configs/smoke.yaml"), "results/smoke"
PAPER_FIGURES = ("training_dynamics", "gradient_magnitude")
SWEEP = ("--configfile", "paper_configs/laptop.yaml", "paper_configs/variants/learning_rate_sweep.yaml")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return copy_checkout(tmp_path_factory.mktemp("fresh") / "project")


# targets and configuration -> the rules of their jobs
TARGETS = {
    ("gradient_magnitude",): {"gradient_magnitude"},
    ("benchmarks", *PUBLISHED): {"benchmarks"},
    ("claims", *PUBLISHED): {"claims"},
    # names of earlier versions
    ("benchmark_tables", *PUBLISHED): {"benchmarks", "benchmark_tables"},
    ("learning_rate_figure", *SWEEP): {"base", "train", "learning_rate_sweep", "learning_rate_figure"},
    ("report", *PUBLISHED): {"report", "claims", "benchmarks", "training_curves", *PAPER_FIGURES},
    ("training_dynamics", *PUBLISHED): {"training_curves", "training_dynamics"},
    ("learning_rate_sweep", *SWEEP): {"base", "train", "learning_rate_sweep"},
}


@pytest.mark.slow
def test_targets_run_what_they_need_and_the_default_is_the_laptop_scale(checkout):
    laptop, published, *named = map(counts, dry_runs(checkout, [], PUBLISHED, *TARGETS))
    trained = {"base": 1, "train": 19, "evaluate_base": 1, "evaluate": 18}
    assert laptop == {"all": 1, **trained, **shown_by_default("laptop"), "manifest": 1}
    assert laptop.keys() >= {"benchmarks", "differences", "claims", "gradient_measured", "report"}
    assert published == {"all": 1, **shown_by_default("published"), "manifest": 1}
    assert published.keys() >= {"benchmarks", "claims", *PAPER_FIGURES, "report"}
    assert dict(zip(TARGETS, map(set, named), strict=True)) == TARGETS


@pytest.mark.slow
def test_the_default_profile_is_loaded(checkout):
    done = snakemake(checkout, "--dry-run")  # cores come from the profile
    assert done.returncode == 0, done.stdout
    assert "profiles/default" in done.stdout


REFUSED = [
    (["differences", *PUBLISHED], "differences: the scale 'published' trains nothing; name one that does"),
    ([*SMOKE, "--config", "protected=True"], "write an overlay file"),
    (["learning_rate_sweep"], "paper_configs/variants/learning_rate_sweep.yaml"),
]


@pytest.mark.slow
def test_what_a_scale_lacks_and_an_override_are_refused_with_the_remedy(checkout):
    runs = snakemakes(checkout, [["--dry-run", *arguments] for arguments, _ in REFUSED])
    for (arguments, sentence), (code, printed) in zip(REFUSED, runs, strict=True):
        assert code != 0, arguments
        assert sentence in printed


@pytest.mark.slow
def test_claims_of_a_method_that_is_missing_are_refused_before_the_first_job(checkout):
    with changed(lambda text: text.replace("baseline: gspo", "baseline: gsop"), checkout / "paper_configs/claims.yaml"):
        done = snakemake(checkout, "--dry-run", "--cores", "1", *SMOKE)
    assert done.returncode != 0
    assert "paper_configs/claims.yaml: claims.real_over_gspo_1_5b.parameters: unknown method 'gsop'" in done.stdout


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
def test_a_second_snakemake_on_the_same_results_is_told_which_process_makes_them(checkout):
    """As from another checkout whose results are the same folder, where Snakemake's own lock is another."""
    place = checkout / "results/published"
    (place / "work").mkdir(parents=True)
    with exclusive(place / "work/snakemake"):
        done = snakemake(checkout, "gradient_magnitude", "--cores", "1", *PUBLISHED)
    assert done.returncode != 0
    assert f"results/published: process {os.getpid()}, a Snakemake of another checkout" in done.stdout
    assert not (place / "figures").exists()
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A checkout in which the smoke scale has run on two cores, by the command that a user gives."""
    checkout = copy_checkout(tmp_path_factory.mktemp("first") / "project")
    done = snakemake(checkout, "--cores", "2", *SMOKE)
    assert done.returncode == 0, done.stdout
    return checkout


def results(checkout: Path) -> dict[str, bytes]:
    folder = checkout / RESULTS
    found = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.name not in UNSTABLE
        and path.relative_to(folder).parts[0] not in ("benchmarks", "logs", "provenance")
    }
    manifest = found.get("manifest.json")
    return {**found, "manifest.json": stable_manifest(manifest)} if manifest else found


def stable_manifest(content: bytes) -> bytes:
    """A manifest without the entries of files that differ from run to run, and without its own hash."""
    manifest = json.loads(content)
    listed = manifest["files"].items()
    files = {
        name: entry for name, entry in listed if Path(name).name not in UNSTABLE and not name.startswith("provenance/")
    }
    return json.dumps({**manifest, "files": files, "sha256": None}).encode()


@pytest.mark.slow
def test_a_base_model_runs_and_evaluations_have_the_same_bytes_when_made_on_one_core(finished, tmp_path):
    again = copy_checkout(tmp_path / "project")
    made = ("base/", *(f"{kind}/{method}/seed0/" for kind in ("runs", "evaluations") for method in ("real", "grpo")))
    evaluations = [f"{RESULTS}/{folder}evaluation.json" for folder in made if folder.startswith("evaluations")]
    done = snakemake(again, *evaluations, "--cores", "1", *SMOKE)
    assert done.returncode == 0, done.stdout
    first, second = (
        {name: content for name, content in results(checkout).items() if name.startswith(made)}
        for checkout in (finished, again)
    )
    assert len(first) > 20
    assert different(first, second) == []


@pytest.mark.slow
def test_tables_figures_and_pages_have_the_same_bytes_when_made_again_on_one_core(finished):
    before = results(finished)
    done = snakemake(finished, "--forcerun", *shown_by_default("smoke"), "--cores", "1", *SMOKE)
    assert done.returncode == 0, done.stdout
    assert len(before) > 50
    assert different(before, results(finished)) == []


@pytest.fixture
def pins() -> dict[str, str]:
    """sha256 by file of what the smoke scale writes."""
    pinned = json.loads(cpu_pins.PINS.read_text())
    if pinned["platform"] != cpu_pins.this_platform():
        pytest.skip(f"pinned on {pinned['platform']}, this is {cpu_pins.this_platform()}")
    if reason := not_portable_because():
        pytest.skip(reason)
    return pinned["sha256"]


@pytest.mark.slow
def test_training_evaluation_and_tables_have_the_bytes_that_every_processor_writes(finished, pins):
    found = cpu_pins.digests(finished / RESULTS)
    assert cpu_pins.different(pins, found) == [], f"other bytes on {cpu_pins.this_processor()}"


def test_the_run_with_learning_rate_0_ends_with_the_base_models_weights_and_no_table_shows_it(finished):
    run = finished / RESULTS / "runs" / "untrained" / "seed0"
    weights = [folder / "model" / "model.safetensors" for folder in (run, finished / RESULTS / "base")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    measured = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert {line["learning_rate"] for line in measured[1:]} == {0.0}
    assert len({line["reward_mean"] for line in measured[1:]}) > 1, "it samples as every run does"
    tables = [path.read_text() for path in (finished / RESULTS / "tables").glob("*.csv")]
    assert tables
    assert not [table for table in tables if "untrained" in table]


# as processors without these instructions would choose
MASKS = {
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX2,-AVX,-FMA,-FMA4",
    # what a cluster sets for its jobs
    "OPENBLAS_NUM_THREADS": "2",
    "OMP_NUM_THREADS": "2",
}


@pytest.mark.slow
def test_a_base_model_a_run_and_an_evaluation_have_these_bytes_with_fewer_instructions(finished, pins, tmp_path):
    checkout = copy_checkout(tmp_path / "project")
    target = f"{RESULTS}/evaluations/dapo/seed0/evaluation.json"
    done = snakemake(checkout, target, "--cores", "1", *SMOKE, variables=MASKS)
    assert done.returncode == 0, done.stdout
    found = cpu_pins.digests(checkout / RESULTS)
    assert len(found) > 5
    assert cpu_pins.different({name: pins[name] for name in found}, found) == []


def different(first: dict[str, bytes], second: dict[str, bytes]) -> list[str]:
    """Names of files that one of two folders alone has, or that have other bytes."""
    return sorted(name for name in first | second if first.get(name) != second.get(name))


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
    assert planned(finished, *SMOKE) == {}


@pytest.mark.slow
def test_a_finished_scale_verifies_and_what_the_rules_declare_is_what_the_manifest_lists(finished):
    """An output that a rule declares and the manifest doesn't know would be unlisted, the reverse missing."""
    command = [sys.executable, "-m", "real", "verify", "--scale", "smoke"]
    done = subprocess.run(command, cwd=finished, text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")
    listed = json.loads((finished / RESULTS / "manifest.json").read_text())["files"]
    assert f"{RESULTS}: {len(listed)} files" in done.stdout
    assert len(listed) > 60
    assert set(found_files(finished)) == set(listed)


@pytest.mark.slow
def test_an_evaluation_edited_by_hand_stays_visible_after_snakemake_ran_again(finished, tmp_path):
    checkout = shutil.copytree(finished, tmp_path / "project", symlinks=True)
    path = checkout / RESULTS / "evaluations/grpo/seed0/add3.parquet"
    table, times = (checkout / RESULTS / "tables/benchmarks.csv").read_bytes(), path.stat()
    pd.read_parquet(path).assign(correct=True).to_parquet(path)
    # Snakemake goes by times, and has nothing to do but what it is told to
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    listed = snakemake(checkout, "--forcerun", "manifest", "--cores", "2", *SMOKE)
    assert listed.returncode == 0, listed.stdout
    command = [sys.executable, "-m", "real", "verify", "--scale", "smoke"]
    verified = subprocess.run(command, cwd=checkout, text=True, capture_output=True)
    assert verified.returncode == 1
    assert "altered     evaluations/grpo/seed0/add3.parquet: " in verified.stdout
    assert "The chain breaks at evaluations/grpo/seed0; made from it: benchmarks, " in verified.stdout
    assert (checkout / RESULTS / "tables/benchmarks.csv").read_bytes() == table
    path.touch()
    again = snakemake(checkout, "--cores", "2", *SMOKE)
    assert again.returncode != 0
    assert f"real: {path.relative_to(checkout)}: " in again.stdout
    assert subprocess.run(command, cwd=checkout, capture_output=True).returncode == 1


def found_files(checkout: Path) -> list[str]:
    """What a finished scale holds besides the manifest, notes and locks of jobs."""
    folder = checkout / RESULTS
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
    ("modules", "rules"),
    [
        ("real/objectives.py", {*TRAINED, "gradient_magnitude"}),
        ("real/exact.py", {*TRAINED, "gradient_magnitude"}),
        ("real/config/schema.py real/system/files.py real/engines/verl/worker.py", set()),
        ("real/engines/torch/update.py", TRAINED),
        ("real/engines/torch/supervised.py", {"base", "evaluate_base", *TRAINED}),
        ("real/evaluation/evaluate.py", {"evaluate", "evaluate_base", *TABLES - {"training_curves"}}),
        ("real/evidence/claims/judge.py", {"claims"}),
        ("real/statistics/intervals.py", {*TABLES, "training_dynamics"}),
        ("figures/style.py", FIGURES),
        ("figures/training_dynamics.py", {"training_dynamics"}),
        ("real/evidence/report/facts.py", {"report"}),
    ],
)
def test_an_edited_module_reruns_what_depends_on_it_and_nothing_else(finished, modules, rules):
    with changed(lambda text: f"{text}\nEDITED = True\n", *(finished / module for module in modules.split())):
        asked = {"all", *rules, "report", "manifest"} if rules else set()
        assert set(planned(finished, *SMOKE)) == asked


@pytest.mark.slow
def test_comments_rerun_nothing(finished):
    code = [*finished.glob("real/**/*.py"), *finished.glob("figures/*.py")]
    with changed(lambda text: f"{text}\n# a comment\n", *code):
        assert planned(finished, *SMOKE) == {}


@pytest.mark.slow
def test_a_changed_value_and_a_newer_base_model_retrain(finished):
    """At a scale that isn't protected; test_paper_scale_workflow.py has the others."""
    with changed(lambda text: text.replace("gradient_clip: 1.0", "gradient_clip: 2.0"), finished / SMOKE[1]):
        jobs = planned(finished, *SMOKE)
    assert (jobs["train"], jobs["evaluate"]) == (13, 12), "the untrained run, which has no evaluation, among them"
    assert "base" not in jobs
    assert planned(finished, *SMOKE) == {}, "what was changed back"
    with changed(str, finished / RESULTS / "base" / "model" / ".snakemake_timestamp"):
        assert planned(finished, *SMOKE)["train"] == 13


@contextmanager
def changed(change: Callable[[str], str], *paths: Path) -> Iterator[None]:
    """Files written anew after a change of their text, and then put back with their times."""
    before = {path: (path.read_text(), path.stat()) for path in paths}
    try:
        for path, (text, _) in before.items():
            path.write_text(change(text))
        yield
    finally:
        for path, (text, status) in before.items():
            path.write_text(text)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.slow
def test_redrawing_a_figure_retrains_nothing(finished):
    assert planned(finished, "--forcerun", "training_dynamics", *SMOKE) == {
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
        assert planned(finished, *SMOKE) == {"all": 1, "report": 1, "manifest": 1}
    finally:
        shutil.rmtree(table.parent)
    assert planned(finished, *SMOKE) == {}


@pytest.mark.slow
def test_snakemakes_own_report_holds_every_table_and_figure_with_its_caption(finished, tmp_path):
    done = snakemake(finished, "--report", str(tmp_path / "report.html"), *SMOKE)
    assert done.returncode == 0, done.stdout
    page = (tmp_path / "report.html").read_text()
    stems = {path.stem for path in (finished / RESULTS).glob("*/*") if path.suffix in (".csv", ".png")}
    for stem in {*stems, "claims", "workflow"}:
        caption = (finished / "workflow" / "report" / f"{stem}.rst").read_text()
        assert " ".join(caption.split())[:60] in " ".join(page.split()).replace("\\n", " "), stem
