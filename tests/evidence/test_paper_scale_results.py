"""Tables, claims, curves and figures of a scale of the verl engine, from made-up files (test data, no results)."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import save_file

from figures import gradient_measured, learning_rate_sweep, training_dynamics
from real.commands.command_line import main
from real.evidence.benchmarks import write_benchmarks
from real.evidence.claims.judge import judge, write_claims
from real.evidence.claims.schema import load_claims
from real.evidence.differences import write_differences
from real.evidence.learning_rate_sweep import write_learning_rate_sweep
from real.evidence.pass_at_k import write_pass_at_k
from real.evidence.printed import benchmarks, validation_problems
from real.evidence.training_curves import training_curves
from real.planning.needs import Needs, needs
from real.records.made_from import base_origin, evaluation_origin, run_origin
from real.statistics.intervals import paired_difference
from tests.support.made_up import record_all, with_samples, with_steps, with_training, write_correct, write_metrics
from tests.support.paths import PAPER_CONFIGS, ROOT
from tests.support.scales import shipped

LABELS = ["AIME24", "AIME25", "MATH500", "AMC23", "Minerva", "OlympiadBench"]
RATE = {"base": 0.2, "real": 0.7, "grpo": 0.4, "dapo": 0.45, "gspo": 0.5}
PROBLEMS, SAMPLES = 20, 4


@pytest.fixture
def finished(workplace):
    """A function: made-up files of every run and evaluation of an experiment, and each method's (P,) rates."""

    def make(*names: str | Path, steps: int = 2):
        experiment, rng = with_samples(with_steps(shipped(*names), steps), SAMPLES), np.random.default_rng(0)
        scale = experiment.scale.model_copy(update={"seeds": [0]})
        experiment = experiment.model_copy(update={"scale": scale})
        results, rates = Path(experiment.results), {}
        for method in ("base", *experiment.methods):
            folder = results / "evaluations" / method / ("" if method == "base" else "seed0")
            rate = RATE[method.partition("_")[0]]
            correct = {name: rng.random((PROBLEMS, SAMPLES)) < rate for name in experiment.scale.evaluation.benchmarks}
            write_correct(folder, correct)
            rates |= {(method, name): rows.mean(axis=1) for name, rows in correct.items()}
        for place, method in enumerate(experiment.methods):
            folder = results / "runs" / method / "seed0"
            ends = {"entropy": (0.5, 0.4), "reward_mean": (0.3, 0.35), "solve_all": (2, 3)}
            metrics = {name: [None, *np.linspace(*pair, steps).tolist()] for name, pair in ends.items()}
            metrics["val_pass_at_1"] = [0.2, *[None] * (steps - 1), 0.2 + 0.05 * place]
            write_metrics(folder, metrics)
        record_all(experiment)
        return experiment, rates

    return make


def texts(stem: Path) -> list[str]:
    return [stem.with_suffix(kind).read_text() for kind in (".html", ".md", ".tex")]


def test_benchmark_table_has_the_six_printed_columns_and_their_means(finished):
    experiment, rates = finished("single_gpu")
    write_benchmarks(experiment, Path())
    header, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in Path("tables/benchmarks.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("|")
    ]
    assert header == ["method", *LABELS, "mean"]
    assert [row[0] for row in rows] == ["Base model", "REAL", "GRPO", "DAPO"]
    wide = pd.read_csv("tables/benchmarks.csv").set_index("method")
    for method in ("base", *experiment.methods):
        values = [rates[method, benchmark].mean() for benchmark in benchmarks()]
        assert wide.loc[method, [*benchmarks(), "mean"]].tolist() == pytest.approx([*values, np.mean(values)])
    for text in texts(Path("tables/benchmarks")):
        assert "None" not in text
        assert "nan" not in text
        assert "4 samples per problem, 120 problems in all" in text
        assert "Intervals cover problems only" in text


def test_differences_and_pass_at_k_are_those_of_the_files(finished):
    experiment, rates = finished("1.5b")
    write_differences(experiment, Path())
    stored = pd.read_csv("tables/differences.csv").set_index(["method", "benchmark"])
    real, gspo = ([rates[method, name][None] for name in benchmarks()] for method in ("real", "gspo"))
    expected = paired_difference(real, gspo)
    assert stored.loc[("gspo", "mean"), ["value", "low", "high"]].tolist() == pytest.approx(
        [expected.value, expected.low, expected.high]
    )
    write_pass_at_k(experiment, Path())
    scores = pd.read_csv("tables/pass_at_k.csv").set_index(["method", "k"])["value"]
    assert scores["dapo", 1] == pytest.approx(np.mean([rates["dapo", name].mean() for name in benchmarks()]))
    assert scores["dapo", 4] == pytest.approx(np.mean([(rates["dapo", name] > 0).mean() for name in benchmarks()]))
    for stem in ("differences", "pass_at_k"):
        assert not [text for text in texts(Path("tables", stem)) if "None" in text]


def test_claims_are_judged_at_their_own_scale_and_have_analogues_on_one_gpu(finished):
    experiment, rates = finished("1.5b", steps=1400)
    rows = {row.id: row for row in judge(experiment, load_claims())}
    assert rows["real_over_gspo_aime24_1_5b"].interval.value == pytest.approx(
        rates["real", "aime"].mean() - rates["gspo", "aime"].mean()
    )
    assert rows["real_over_dapo_1_5b"].verdict == "seen in one run"
    assert rows["real_over_dapo_7b"].verdict == rows["bce_over_dapo_1_5b"].verdict == "not run"
    assert rows["bce_over_dapo_1_5b"].command.endswith("1.5b.yaml paper_configs/variants/ablations.yaml")

    experiment, _ = finished("single_gpu")
    write_claims(experiment, Path("written"))
    stored = {row["id"]: row for row in json.loads(Path("written/claims.json").read_text(encoding="utf-8"))["rows"]}
    assert stored["real_over_dapo_1_5b"]["verdict"] == "not run"
    analogue = stored["real_over_dapo_1_5b@single_gpu"]
    assert analogue["verdict"] == "seen in one run"
    assert analogue["command"] == (
        f"snakemake benchmarks claims --cores all --resources gpu=1 --configfile {experiment.files[0]}"
    )
    assert analogue["cost"] == (
        "estimate: 17 to 33 GPU-hours, 2 methods of 1 seed each; a verdict on the method needs 2 seeds or more"
    )
    assert "None" not in Path("written/claims.html").read_text(encoding="utf-8")


def test_an_overlay_that_trains_otherwise_judges_no_claim_of_its_scale_and_fills_analogues(finished):
    other = Path("other_model.yaml")
    other.write_text(
        f"model: {{name: other/model, revision: {'a' * 40}}}\n"
        "training: {learning_rate: 1.0e-6, checkpoint_every: 10}\n",
        encoding="utf-8",
    )
    for overlay, keys in (
        ("variants/dapo17k", "data.train"),
        (other, "model.name, model.revision, training.learning_rate"),
    ):
        experiment, _ = finished("1.5b", overlay, steps=1400)
        rows = {row.id: row for row in judge(experiment, load_claims())}
        claim, analogue = rows["real_over_dapo_1_5b"], rows[f"real_over_dapo_1_5b@{experiment.name}"]
        assert (claim.verdict, claim.interval, analogue.verdict) == ("not run", None, "seen in one run")
        assert claim.reason == (
            f"these runs are trained otherwise than the claim's: {keys} not as in paper_configs/1.5b.yaml"
        )


def test_7b_trains_at_the_rate_that_others_name_and_an_overlay_goes_back_to_the_released_one(finished):
    small, large, released = shipped("1.5b"), shipped("7b"), shipped("7b", "variants/released_rate")
    rates = [experiment.scale.training.learning_rate for experiment in (small, large, released)]
    assert rates == [2.0e-6, 1.0e-6, 2.0e-6]
    assert released.scale.training == small.scale.training, "the rate is all that 7B is trained otherwise by"
    text = (PAPER_CONFIGS / "7b.yaml").read_text(encoding="utf-8")
    assert re.search(r"learning_rate: 1\.0e-6 +# secondary: the note on v1, and DisCO's 7B script", text)
    experiment, _ = finished("7b", "variants/released_rate", steps=1400)
    row = {row.id: row for row in judge(experiment, load_claims())}["real_over_dapo_7b"]
    assert (row.verdict, row.reason) == (
        "not run",
        "these runs are trained otherwise than the claim's: training.learning_rate not as in paper_configs/7b.yaml",
    )


@pytest.mark.parametrize("overlay", ["ablations", "full_dapo", "one_sided_train"])
def test_further_methods_and_finer_validation_leave_the_claims_to_their_scale(finished, overlay):
    often = Path("often.yaml")
    often.write_text("training: {validation_every: 5}\n", encoding="utf-8")
    experiment, _ = finished("1.5b", f"variants/{overlay}", often, steps=1400)
    rows = judge(experiment, load_claims())
    reasons = {row.reason for row in rows if row.kind == "claim" and row.backbone.endswith("1.5B")}
    assert reasons
    assert not [reason for reason in reasons if "otherwise" in reason]
    assert not [row.id for row in rows if row.id.startswith("real_over_dapo_1_5b@")]


def test_curves_and_their_figures_say_what_was_validated_on(finished):
    experiment, _ = finished("single_gpu")
    curves = training_curves(experiment)
    picked = curves[(curves["metric"] == "val_pass_at_1") & (curves["method"] == "dapo")]
    assert picked[["step", "value"]].to_numpy().tolist() == [[0.0, 0.2], [2.0, pytest.approx(0.3)]]
    assert len(curves) == 3 * (3 * 2 + 2)
    figure = training_dynamics.draw(curves, experiment.scale.figures.smoothing_steps, 16, experiment.scale.evidence)
    assert [axis.get_title() for axis in figure.axes] == ["Entropy", "Val pass@1", "Rewards", "Solve all"]
    assert figure.axes[0].lines[-1].get_ydata().tolist() == pytest.approx([0.45, 0.45])  # the window spans both steps
    printed = " ".join(text.get_text() for text in figure.texts)
    assert "None" not in printed
    assert experiment.scale.evidence.split(",")[0] in printed.replace("\n", " ")

    scores = pd.DataFrame({"step": 10, "method": "dapo", "score": [1e-3, -1e-3, 1e-3, -2e-3], "reward": [1, 1, 0, 0]})
    methods = {name: method.model_dump() for name, method in experiment.methods.items()}
    figure = gradient_measured.draw(scores, methods, {name: name for name in methods}, experiment.scale.evidence)
    assert "4 responses of steps 10" in " ".join(text.get_text() for text in figure.texts)


def test_the_sweep_is_judged_on_the_named_validation_set(finished):
    experiment, _ = finished("1.5b", "variants/learning_rate_sweep_paper")
    write_learning_rate_sweep(experiment, Path())
    text = Path("tables/learning_rate_sweep.md").read_text(encoding="utf-8")
    assert "| method   | 5.0e-07   | 1.0e-06   | 2.0e-06   | 4.0e-06   |" in text
    assert "step 2, seeds 0; 8 samples of each of 30 problems of AIME24" in text
    scores = pd.read_csv("tables/learning_rate_sweep.csv")
    expected = 0.2 + 0.05 * list(experiment.methods).index("grpo_lr5.0e-7")
    assert scores.set_index(["method", "learning_rate"]).loc[("grpo", 5.0e-7), "val_pass_at_1"] == pytest.approx(
        expected
    )
    axis = learning_rate_sweep.draw(scores, experiment.scale.evidence).axes[0]
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["5.0e-07", "1.0e-06", "2.0e-06", "4.0e-06"]
    assert len(axis.lines) == 4 * (1 + 4)


def test_validation_is_named_for_captions(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert validation_problems(shipped("7b").scale) == "30 problems of AIME24"
    assert validation_problems(shipped("gsm8k").scale) == "1319 problems of GSM8K"
    assert validation_problems(shipped("verl_smoke").scale) == "24 problems"
    assert validation_problems(shipped("laptop").scale) == "300 problems"


def test_jobs_need_the_gpus_of_all_nodes_and_none_on_a_cpu(monkeypatch):
    monkeypatch.chdir(ROOT)
    scale = shipped("7b").scale
    assert needs(scale).gpus == 8
    cluster = scale.cluster.model_copy(update={"nodes": 3})
    assert needs(scale.model_copy(update={"cluster": cluster})) == Needs(24, 192, 24 * 64_000, 2_880)
    assert needs(shipped("verl_smoke").scale).gpus == needs(shipped("laptop").scale).gpus == 0
    laptop = shipped("laptop").scale
    assert needs(laptop.model_copy(update={"device": "cuda"})).gpus == 1


def test_provenance_keeps_the_identity_that_the_rule_tracks(finished, tmp_path):
    """The verb `base` of a hub scale, with a folder in place of the hub."""
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "config.json").write_text("{}")
    save_file({}, checkpoint / "model.safetensors")
    overlay = tmp_path / "mine.yaml"
    overlay.write_text(f"model: {{name: {checkpoint}, revision: null}}\n")
    files = ["paper_configs/1.5b.yaml", str(overlay)]
    assert main(["base", "--config", *files]) == 0
    folder = Path("results/1.5b+mine/base")
    stored = json.loads((folder / "provenance.json").read_text())
    identity = base_origin(shipped("1.5b", overlay)).identity
    assert {key: stored[key] for key in identity} == identity
    assert stored["config_digest"] != base_origin(shipped("1.5b")).identity["config_digest"]
    assert {path.name for path in folder.iterdir()} == {"model", "provenance.json"}


def test_identities_follow_what_made_the_result_and_nothing_else(monkeypatch):
    monkeypatch.chdir(ROOT)
    experiment, laptop = shipped("1.5b"), shipped("laptop")
    edited = with_training(experiment, steps=1401)
    of_run = run_origin(experiment, "real", 0).identity
    assert run_origin(edited, "real", 0).identity["config_digest"] != of_run["config_digest"]
    assert run_origin(experiment, "grpo", 0).identity["config_digest"] != of_run["config_digest"]
    assert run_origin(laptop, "real", 0).identity["code_digest"] != of_run["code_digest"]
    assert base_origin(edited).identity == base_origin(experiment).identity
    assert evaluation_origin(edited).identity == evaluation_origin(experiment).identity
    of_7b = base_origin(shipped("7b")).identity
    assert of_7b["config_digest"] != base_origin(experiment).identity["config_digest"]
