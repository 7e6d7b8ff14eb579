"""The configuration: complete scales, overlays, grids."""

import json

import pytest
import yaml

from real.config import PAPER_EVALUATION, UNTRAINED, ConfigError, TorchScale, digest, json_schema, load, resolve
from real.records.jobs import base_jobs, base_of_run, trained_jobs
from real.records.made_from import base_origin
from tests.support.edits import REMOVED, changed_text
from tests.support.paths import PAPER_CONFIGS, ROOT
from tests.support.processes import python
from tests.support.scales import shipped

SCALES = sorted(
    path for path in PAPER_CONFIGS.glob("*.yaml") if path.name not in ("methods.yaml", "claims.yaml", "local.yaml")
)
OF_OVERLAYS = {"accept_code", "meant_for", "grid", "mechanism", "base.further_seeds"}
STALE = ("variants/stale_rollouts", "variants/stale_rollouts_full")


@pytest.mark.parametrize("path", SCALES, ids=lambda path: path.stem)
def test_every_scale_states_every_key_itself(path):
    """No scale inherits: what validation returns has the keys of the file, and those of overlays alone."""

    def keys(value, prefix=""):
        if isinstance(value, dict):
            return {f"{prefix}{k}" for k in value} | {x for k, v in value.items() for x in keys(v, f"{prefix}{k}.")}
        return set()

    content = yaml.safe_load(path.read_text())
    assert keys(shipped(path).scale.model_dump()) - OF_OVERLAYS == keys(content)
    assert content["scale"] == path.stem


@pytest.mark.parametrize("path", SCALES, ids=lambda path: path.stem)
def test_removing_any_key_of_a_scale_is_an_error(path, tmp_path):
    for key in yaml.safe_load(path.read_text()):
        (tmp_path / "without.yaml").write_text(changed_text(path.read_text(), {key: REMOVED}))
        with pytest.raises(ConfigError):
            shipped(tmp_path / "without.yaml")


def test_generated_schema_is_current():
    stored = json.loads((ROOT / "workflow" / "schemas" / "config.schema.json").read_text())
    assert stored == json_schema(), "stale: run `python -m real schema`"


READ_ALL = """
import sys
from pathlib import Path
import real.commands.command_line
from real.config import load
for files in sys.argv[1:]:
    load(files.split(), local_file=Path("absent"))
found = [name for name in ("torch", "transformers", "matplotlib", "scipy") if name in sys.modules]
sys.exit(", ".join(found) or 0)
"""


def test_a_configuration_is_read_and_checked_without_waiting_for_torch_or_what_draws():
    grid = " ".join(f"paper_configs/{name}.yaml" for name in ("laptop", *STALE))
    done = python("-c", READ_ALL, *SCALES, grid)
    assert done.returncode == 0, done.stderr


def test_methods_are_the_released_ones():
    methods = shipped("laptop").methods
    assert list(methods) == ["real", "grpo", "dapo", "gspo", "real_bce", "real_product"]
    assert methods["real"].hyperparameters == {"tau": 0.5, "one_sided": "drop"}
    assert methods["gspo"].hyperparameters == {"clip_low": 3e-4, "clip_high": 4e-4}
    assert {name: method.kl_coefficient for name, method in methods.items() if method.kl_coefficient} == {"grpo": 0.001}
    assert all(method.source for method in methods.values())


def test_an_overlay_names_the_results_folder_and_declares_methods():
    experiment = shipped("laptop", "variants/learning_rate_sweep")
    assert experiment.results == "results/laptop+learning_rate_sweep"
    run = resolve(experiment, "real_lr3.0e-4", 0)
    assert run.training.learning_rate == 3e-4
    assert run.settings.objective == "real"
    assert {**run.training.model_dump(), "learning_rate": 0} == {
        **shipped("laptop").scale.training.model_dump(),
        "learning_rate": 0,
    }


def test_an_overlay_may_change_a_hyperparameter(tmp_path):
    overlay = tmp_path / "tau.yaml"
    overlay.write_text("methods: [real_tau0.1]\nvariants: {real_tau0.1: {method: real, hyperparameters: {tau: 0.1}}}")
    experiment = shipped("laptop", overlay)
    assert experiment.methods["real_tau0.1"].hyperparameters == {"tau": 0.1, "one_sided": "drop"}


def test_local_file_is_the_last_overlay_and_does_not_rename_the_scale(tmp_path):
    local = tmp_path / "local.yaml"
    local.write_text("device: cuda")
    experiment = load([PAPER_CONFIGS / "laptop.yaml"], PAPER_CONFIGS / "methods.yaml", local)
    assert isinstance(experiment.scale, TorchScale)
    assert experiment.scale.device == "cuda"
    assert experiment.name == "laptop"
    assert experiment.files == [str(PAPER_CONFIGS / "laptop.yaml")]
    assert experiment.read_from == [*experiment.files, str(local)]


def test_a_local_file_that_is_not_there_is_none_that_was_read(tmp_path):
    experiment = load([PAPER_CONFIGS / "laptop.yaml"], PAPER_CONFIGS / "methods.yaml", tmp_path / "local.yaml")
    assert experiment.read_from == experiment.files


def test_digest_follows_values_only():
    experiment = shipped("laptop")
    assert digest(resolve(experiment, "real", 0)) == digest(resolve(shipped("laptop"), "real", 0))
    assert digest(resolve(experiment, "real", 0)) != digest(resolve(experiment, "real", 1))


def test_a_scale_may_be_evaluated_on_the_papers_test_sets(tmp_path):
    overlay = tmp_path / "sets.yaml"
    overlay.write_text("evaluation: {benchmarks: [mix4, aime, olympiad_bench]}")
    scale = shipped("laptop", overlay).scale
    assert isinstance(scale, TorchScale)
    assert scale.evaluation.benchmarks == ["mix4", "aime", "olympiad_bench"]


def test_the_papers_evaluation_is_the_released_scripts():
    paper = PAPER_EVALUATION
    assert (paper.samples, paper.temperature, paper.top_p, paper.max_response_tokens) == (16, 0.6, 0.95, 8192)
    assert sorted(paper.benchmarks) == ["aime", "aime25", "amc", "math", "minerva", "olympiad_bench"]


def test_a_scale_that_trains_nothing_has_no_runs():
    with pytest.raises(ConfigError, match="trains nothing"):
        resolve(shipped("published"), "real", 0)


def test_an_untrained_run_has_learning_rate_0_once_and_belongs_to_no_method():
    laptop = shipped("laptop")
    run = resolve(laptop, UNTRAINED, 0)
    assert run.training.learning_rate == 0
    trained = resolve(laptop, "real", 0)
    assert run.training.model_copy(update={"learning_rate": trained.training.learning_rate}) == trained.training
    assert run.settings.objective == trained.settings.objective
    assert laptop.runs[-1] == (UNTRAINED, 0)
    assert [one for one, _ in laptop.runs].count(UNTRAINED) == 1
    assert UNTRAINED not in laptop.methods
    jobs = [job.name for job in trained_jobs(laptop) if job.method == UNTRAINED]
    assert jobs == ["runs/untrained/seed0"], "its checkpoint is the base model's, which is evaluated already"


def test_a_grid_and_a_scale_that_declines_have_no_untrained_run():
    for experiment in (shipped("laptop", "variants/learning_rate_sweep"), shipped("1.5b"), shipped("published")):
        assert UNTRAINED not in experiment.training
        with pytest.raises(ConfigError, match=r"unknown method|trains nothing"):
            resolve(experiment, UNTRAINED, 0)


def test_a_grid_crosses_its_methods_with_every_learning_rate_and_staleness(tmp_path):
    overlay = tmp_path / "crossed.yaml"
    grid = [
        {"methods": ["real", "slow"], "learning_rate": [7.5e-5, 3.0e-4], "staleness": [0, 8]},
        {"methods": ["grpo"], "learning_rate": [1.0e-3]},
    ]
    slow = {"method": "real", "label": "slow REAL", "hyperparameters": {"tau": 2.0}, "training": {"warmup_steps": 9}}
    overlay.write_text(yaml.safe_dump({"grid": grid, "variants": {"slow": slow}}))
    experiment = shipped("laptop", overlay)
    names = [f"{m}_lr{r}_k{k}" for k in (0, 8) for r in ("7.5e-5", "3.0e-4") for m in ("real", "slow")]
    assert list(experiment.methods) == [*names, "grpo_lr1.0e-3"]
    assert list(experiment.parents.values()) == [*["real", "slow"] * 4, "grpo"]
    run = resolve(experiment, "slow_lr3.0e-4_k8", 0)
    assert (run.training.learning_rate, run.training.staleness, run.training.warmup_steps) == (3.0e-4, 8, 9)
    label = "slow REAL (learning_rate 3e-4, staleness 8)"
    assert (run.settings.label, run.settings.hyperparameters["tau"]) == (label, 2.0)
    assert set(experiment.rule_labels.values()) == {"REAL", "slow REAL", "GRPO"}
    assert resolve(experiment, "grpo_lr1.0e-3", 0).training == experiment.scale.training.model_copy(
        update={"learning_rate": 1.0e-3}
    )
    grpo = shipped("laptop").methods["grpo"].model_copy(update={"label": "GRPO (learning_rate 1e-3)"})
    assert experiment.methods["grpo_lr1.0e-3"] == grpo
    with pytest.raises(ConfigError, match="unknown method 'slow'"):
        resolve(experiment, "slow", 0)


def test_a_variant_without_a_label_is_called_by_its_method_and_the_changed_keys(tmp_path):
    overlay = tmp_path / "called.yaml"
    variants = {
        "tau": {"method": "real", "hyperparameters": {"tau": 0.1}},
        "same": {"method": "gspo"},
        "own": {"method": "real", "hyperparameters": {"tau": 0.1}, "label": "τ small"},
        "both": {
            "method": "real",
            "hyperparameters": {"tau": 0.1},
            "training": {"learning_rate": 2.5e-6, "steps": 70},
        },
    }
    overlay.write_text(yaml.safe_dump({"methods": ["real", *variants], "variants": variants}))
    labels = [method.label for method in shipped("laptop", overlay).methods.values()]
    assert labels == ["REAL", "REAL (tau 0.1)", "GSPO", "τ small", "REAL (tau 0.1, learning_rate 2.5e-6, steps 70)"]
    grid = [{"methods": ["tau", "own"], "learning_rate": [1.0e-3], "staleness": [2]}]
    overlay.write_text(yaml.safe_dump({"grid": grid, "variants": variants}))
    crossed = shipped("laptop", overlay)
    assert [method.label for method in crossed.methods.values()] == [
        "REAL (tau 0.1, learning_rate 1e-3, staleness 2)",
        "τ small (learning_rate 1e-3, staleness 2)",
    ]
    assert list(crossed.rule_labels.values()) == ["REAL (tau 0.1)", "τ small"]


def test_a_label_may_hold_a_formula_that_can_be_typeset(tmp_path):
    overlay = tmp_path / "formula.yaml"
    variant = {"method": "real", "label": r"REAL, $\frac{\tau}{2}$ at 1 \$"}
    overlay.write_text(yaml.safe_dump({"methods": ["mine"], "variants": {"mine": variant}}))
    assert shipped("laptop", overlay).methods["mine"].label == variant["label"]


def test_a_run_starts_from_the_base_model_of_its_seed(tmp_path):
    overlay = tmp_path / "bases.yaml"
    overlay.write_text(yaml.safe_dump({"base": {"further_seeds": [5, 3]}}))
    experiment, alone = shipped("laptop", overlay), shipped("laptop")
    bases = [base_of_run(experiment.trained, seed) for seed in range(4)]
    assert bases == ["base", "base-seed5", "base-seed3", "base"]
    assert {base_of_run(alone.trained, seed) for seed in range(4)} == {"base"}
    first = base_origin(experiment).identity
    assert first == base_origin(alone).identity, "further base models change nothing of the first"
    digests = {base_origin(experiment, seed).identity["config_digest"] for seed in (0, 5, 3)}
    assert len(digests) == 3
    jobs = [(job.name, job.rule, job.seed) for job in base_jobs(experiment.trained)]
    assert jobs == [("base", "base", 0), ("base-seed5", "further_base", 5), ("base-seed3", "further_base", 3)]
