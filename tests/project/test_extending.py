"""docs/extending.md holds: its examples, taken from the page, are three files at most and do what it says."""

import html
import json
import re
import sys
from collections import Counter

import pytest

from tests.project.extending import extended_checkout, files_of, run, sections
from tests.support.checkout import planned

# one process, so that torch and transformers are imported once
JOBS = """
import json, os
from pathlib import Path
import pandas as pd, torch
from real.commands.command_line import main
from real.commands.exhibits import exhibits
from real.config import load, resolve
from real.exact import token_weights
from real.objectives import make_objective

os.environ["REAL_DATASETS_MIRROR"] = "my_sets"
CONFIG = ["--config", "paper_configs/pocket.yaml", *(f"paper_configs/variants/{o}.yaml" for o in ("rloo", "long_sums"))]
EXPERIMENT = load(CONFIG[1:])
RESULTS = Path("results/pocket+rloo+long_sums")
OUTPUT = RESULTS / "evaluations/rloo/seed0"


def do(verb, *options):
    assert main([verb, *options]) == 0, (verb, options)


do("download", "long_sums")
do("prepare", "long_sums")
do("base", *CONFIG)
for method, seed in EXPERIMENT.runs:
    do("train", *CONFIG, "--method", method, "--seed", str(seed))
for checkpoint in ("base", *(f"{method}/seed0" for method in EXPERIMENT.methods)):
    model = RESULTS / ("base" if checkpoint == "base" else f"runs/{checkpoint}") / "model"
    output = RESULTS / "evaluations" / checkpoint
    do("evaluate", *CONFIG, "--model", str(model), "--output", str(output), "--processes", "1")
# the report, which shows the others, is the last of them
for exhibit in exhibits():
    if not exhibit.absent(EXPERIMENT):
        do("make", exhibit.name, *CONFIG)
do("manifest", *CONFIG)

group, reward = torch.tensor([0, 0, 0, 0, 1]), torch.tensor([1.0, 0.0, 0.0, 1.0, 1.0])
mask = torch.tensor([[1, 1], [1, 0], [1, 1], [1, 1], [1, 1]])
weights = token_weights(make_objective("rloo"), torch.zeros(5, 2), mask, group, reward)
products = load(["paper_configs/laptop.yaml", "paper_configs/variants/products.yaml"])
verl = load(["paper_configs/verl_smoke.yaml", "paper_configs/variants/rloo.yaml"])
found = {
    "weights": weights.tolist(),
    "metrics": [json.loads(line) for line in (RESULTS / "runs/rloo/seed0/metrics.jsonl").open()],
    "graded": pd.read_parquet(OUTPUT / "long_sums.parquet")[["problem_id", "correct"]].values.tolist(),
    "products": products.scale.evaluation.benchmarks,
    "verl": resolve(verl, "rloo", 0).settings.objective,
}
Path("found.json").write_text(json.dumps(found))
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return extended_checkout(tmp_path_factory.mktemp("extended") / "project")


@pytest.fixture(scope="module")
def found(checkout):
    run(checkout, sys.executable, "-c", JOBS)
    return json.loads((checkout / "found.json").read_text())


def test_every_example_changes_three_files_at_most():
    found = {name: files_of(example) for name, example in sections().items()}
    assert [name for name, diffs in found.items() if not diffs] == []
    assert {name: diffs for name, diffs in found.items() if max(map(len, diffs)) > 3} == {}


@pytest.mark.slow
def test_the_methods_weights_are_its_closed_form_and_it_trains(found):
    """Leave-one-out advantages of rewards 1, 0, 0, 1 are 2/3, −2/3, −2/3, 2/3; each is shared out over the tokens."""
    expected = [[-1 / 15, -1 / 15], [2 / 15, 0.0], [1 / 15, 1 / 15], [-1 / 15, -1 / 15], [-1 / 10, -1 / 10]]
    assert found["weights"] == [pytest.approx(row) for row in expected]
    steps = [line for line in found["metrics"] if line["step"] > 0]
    assert [line["step"] for line in steps] == [1, 2]
    assert all(line["grad_norm"] > 0 for line in steps)
    assert found["verl"] == "rloo"


@pytest.mark.slow
def test_the_repositorys_own_tests_pass_for_what_was_added(checkout):
    """Exact gradients of the real policy under micro-batches of 1, 3, 5 and 16 rows among them."""
    files = [f"tests/{name}.py" for name in ("test_objectives", "engines/test_torch_engine", "tasks/test_sources")]
    printed = run(checkout, sys.executable, "-m", "pytest", *files, "-k", "rloo or readme or knows", "-rA")
    passed = set(re.findall(r"^PASSED \S+::(test_\w+)", printed, re.M))
    assert passed >= {
        "test_any_micro_batch_split_gives_the_whole_batch_gradient",
        "test_every_micro_batch_size_gives_the_gradient_of_the_undivided_objective",
        "test_dropped_one_sided_groups_give_no_gradient",
        "test_the_project_knows_the_papers_eight_files_at_pinned_commits",
        "test_the_datasets_readme_states_what_the_sources_do",
    }


@pytest.mark.slow
def test_the_benchmark_is_prepared_sampled_and_graded(found):
    assert Counter(name for name, _ in found["graded"]) == {f"long_sums-{number}": 4 for number in range(20)}
    assert {correct for _, correct in found["graded"]} == {True, False}
    assert found["products"] == ["add3", "mul3", "mul4"]


@pytest.mark.slow
def test_the_scales_plan_their_jobs(checkout):
    pocket = planned(checkout, "--configfile", "paper_configs/pocket.yaml", "paper_configs/variants/products.yaml")
    jobs = {"base": 1, "train": 3, "evaluate": 2, "response_length": 1}
    assert {rule: pocket[rule] for rule in jobs} == jobs
    plan = run(checkout, sys.executable, "-m", "real", "plan", "--scale", "14b", "--rate", "2.5")
    assert "train real, seed 0" in plan
    assert "assumption: twice" in plan


@pytest.mark.slow
def test_the_figure_is_drawn_listed_and_shown_with_its_caption_and_in_words(checkout, found):
    results = checkout / "results/pocket+rloo+long_sums"
    pdf, png = (results / f"figures/response_length.{kind}" for kind in ("pdf", "png"))
    assert (pdf.read_bytes()[:5], png.read_bytes()[:4]) == (b"%PDF-", b"\x89PNG")
    manifest = json.loads((results / "manifest.json").read_text())
    assert manifest["jobs"]["response_length"]["rule"] == "response_length"
    files = {name for name, file in manifest["files"].items() if file["job"] == "response_length"}
    drawn = {"figures/response_length.pdf", "figures/response_length.png"}
    assert files == {*drawn, "provenance/response_length.json"}
    report = html.unescape((results / "report.html").read_text())
    caption = (checkout / "workflow/report/response_length.rst").read_text().split("\n\n")[0]
    assert " ".join(caption.split()) in report
    first, last = (line["response_length_mean"] for line in found["metrics"][1:])
    shown = re.search(r'<img[^>]* alt="(A line per method of tokens per response [^"]*)"', report)
    assert shown is not None
    assert f"RLOO {first:.3g} → {last:.3g}" in shown[1]
