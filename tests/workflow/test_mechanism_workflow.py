"""The target `mechanism`: what it needs, what it runs, and that it ends with table and figure."""

import hashlib
import json

import pandas as pd
import pytest
import yaml

from tests.support.checkout import copy_checkout, counts, dry_runs, planned, snakemake

LAPTOP = ("--configfile", "paper_configs/laptop.yaml")
SHORT = (*LAPTOP, "paper_configs/variants/stale_rollouts.yaml")
FULL = (*SHORT, "paper_configs/variants/stale_rollouts_full.yaml")
RULES = {"one": ("constant", "ratio"), "other": ("ratio", "ratio")}
# two seeds of two rules, each seed from a base model of its own; steps enough for rollouts to be stale
TINY = {
    "seeds": [0, 1],
    "task": {"test_problems": 4, "validation_problems": 1},
    "base": {"further_seeds": [5]},
    "training": {"steps": 4, "warmup_steps": 1, "gradient_sample_steps": [3, 4]},
    "evaluation": {"samples": 2},
    "variants": {
        name: {"method": "counterfactual", "label": name, "hyperparameters": {"positives": p, "negatives": n}}
        for name, (p, n) in RULES.items()
    },
    "grid": [{"methods": list(RULES), "learning_rate": [1.0e-3], "staleness": [2]}],
    "mechanism": {
        "hypotheses": {"h": {"statement": "more", "better": "one", "worse": "other", "smallest_difference": 0.0}}
    },
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    folder = copy_checkout(tmp_path_factory.mktemp("mechanism") / "project")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    return folder


def test_the_overlays_ask_for_their_runs(checkout):
    short, full = map(counts, dry_runs(checkout, ["mechanism", *SHORT], ["mechanism", *FULL]))
    for jobs, runs in (short, 7 * 2), (full, (11 * 2 + 1 + 3 * 2 * 2) * 6):
        assert (jobs["train"], jobs["evaluate"], jobs["mechanism"]) == (runs, runs, 1)
    assert (short.get("further_base", 0), full["further_base"]) == (0, 1)


def test_without_its_overlay_the_target_says_which_it_needs(checkout):
    done = snakemake(checkout, "mechanism", "--dry-run", "--cores", "1", *LAPTOP)
    assert done.returncode != 0
    assert "mechanism: needs its overlay: snakemake mechanism" in done.stdout


def test_table_and_figure_come_from_runs_of_stale_rollouts_and_two_base_models(checkout):
    configuration = ("--configfile", "paper_configs/smoke.yaml", "tiny.yaml")
    done = snakemake(checkout, "mechanism", "claims", "--cores", "2", *configuration)
    assert done.returncode == 0, done.stdout
    results = checkout / "results" / "smoke+tiny"
    runs = pd.read_csv(results / "tables" / "mechanism_runs.csv")
    assert list(runs["method"]) == ["one_lr1.0e-3_k2"] * 2 + ["other_lr1.0e-3_k2"] * 2
    assert list(runs["base_seed"]) == [0, 5] * 2
    row = pd.read_csv(results / "tables" / "mechanism.csv").iloc[0]
    assert row["value"] == pytest.approx(runs["test"][:2].mean() - runs["test"][2:].mean())
    bases = [hashlib.sha256((results / f / "model" / "model.safetensors").read_bytes()) for f in ("base", "base-seed5")]
    assert bases[0].digest() != bases[1].digest()
    scores = [
        json.loads(line)["score_abs_max"]
        for line in (results / "runs" / "one_lr1.0e-3_k2" / "seed1" / "metrics.jsonl").read_text().splitlines()[1:]
    ]
    # on-policy, the first mini-batch of the last step alone would be near 0; here all of it is stale
    assert max(scores) > 0.01
    for kind in ("pdf", "png"):
        assert (results / "figures" / f"mechanism.{kind}").stat().st_size > 10_000
    assert planned(checkout, "mechanism", *configuration) == {}
