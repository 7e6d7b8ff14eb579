"""The configuration: complete scales, overlays, and one sentence per mistake."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from real.config import PAPER_EVALUATION, ConfigError, TorchScale, digest, json_schema, load, resolve
from real.records.jobs import base_jobs, base_of_run
from real.records.made_from import base_origin
from tests.support.paths import ROOT

SCALES = sorted(
    path
    for path in (ROOT / "paper_configs").glob("*.yaml")
    if path.name not in ("methods.yaml", "claims.yaml", "local.yaml")
)
LAPTOP = ROOT / "paper_configs" / "laptop.yaml"
METHODS = ROOT / "paper_configs" / "methods.yaml"
SWEEP = ROOT / "paper_configs" / "variants" / "learning_rate_sweep.yaml"

OF_OVERLAYS = {"accept_code", "grid", "mechanism", "base.further_seeds"}
STALE = ("variants/stale_rollouts", "variants/stale_rollouts_full")


def read(*files: Path):
    return load(files, methods_file=METHODS, local_file=Path("absent"))


@pytest.fixture
def changed(tmp_path):
    """A laptop.yaml with one value changed (or removed, with ...)."""

    def change(keys: str, value, source: Path = LAPTOP) -> Path:
        content = yaml.safe_load(source.read_text())
        *parents, last = keys.split(".")
        section = content
        for key in parents:
            section = section[int(key)] if isinstance(section, list) else section[key]
        if value is ...:
            del section[last]
        else:
            section[last] = value
        path = tmp_path / "changed.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return change


@pytest.mark.parametrize("path", SCALES, ids=lambda path: path.stem)
def test_every_scale_states_every_key_itself(path):
    """No scale inherits: what validation returns has the keys of the file, and those of overlays alone."""

    def keys(value, prefix=""):
        if isinstance(value, dict):
            return {f"{prefix}{k}" for k in value} | {x for k, v in value.items() for x in keys(v, f"{prefix}{k}.")}
        return set()

    content = yaml.safe_load(path.read_text())
    assert keys(read(path).scale.model_dump()) - OF_OVERLAYS == keys(content)
    assert content["scale"] == path.stem


@pytest.mark.parametrize("path", SCALES, ids=lambda path: path.stem)
def test_removing_any_key_of_a_scale_is_an_error(path, changed):
    for key in yaml.safe_load(path.read_text()):
        with pytest.raises(ConfigError):
            read(changed(key, ..., path))


def test_generated_schema_is_current():
    stored = json.loads((ROOT / "workflow" / "schemas" / "config.schema.json").read_text())
    assert stored == json_schema(), "stale: run `python -m real schema`"


READ_ALL = """
import sys
from pathlib import Path
from real.config import load
for files in sys.argv[1:]:
    load(files.split(), local_file=Path("absent"))
sys.exit("torch" in sys.modules)
"""


def test_a_configuration_is_read_and_checked_without_waiting_for_torch():
    grid = " ".join(f"paper_configs/{name}.yaml" for name in ("laptop", *STALE))
    scales = [str(path.relative_to(ROOT)) for path in SCALES]
    subprocess.run([sys.executable, "-c", READ_ALL, *scales, grid], cwd=ROOT, check=True)


def test_methods_are_the_released_ones():
    methods = read(LAPTOP).methods
    assert list(methods) == ["real", "grpo", "dapo", "gspo", "real_bce", "real_product"]
    assert methods["real"].hyperparameters == {"tau": 0.5, "one_sided": "drop"}
    assert methods["gspo"].hyperparameters == {"clip_low": 3e-4, "clip_high": 4e-4}
    assert {name: method.kl_coefficient for name, method in methods.items() if method.kl_coefficient} == {"grpo": 0.001}
    assert all(method.source for method in methods.values())


def test_an_overlay_names_the_results_folder_and_declares_methods():
    experiment = read(LAPTOP, SWEEP)
    assert experiment.results == "results/laptop+learning_rate_sweep"
    run = resolve(experiment, "real_lr3.0e-4", 0)
    assert run.training.learning_rate == 3e-4
    assert run.settings.objective == "real"
    assert {**run.training.model_dump(), "learning_rate": 0} == {
        **read(LAPTOP).scale.training.model_dump(),
        "learning_rate": 0,
    }


def test_an_overlay_may_change_a_hyperparameter(tmp_path):
    overlay = tmp_path / "tau.yaml"
    overlay.write_text("methods: [real_tau0.1]\nvariants: {real_tau0.1: {method: real, hyperparameters: {tau: 0.1}}}")
    experiment = read(LAPTOP, overlay)
    assert experiment.methods["real_tau0.1"].hyperparameters == {"tau": 0.1, "one_sided": "drop"}


def test_local_file_is_the_last_overlay_and_does_not_rename_the_scale(tmp_path):
    local = tmp_path / "local.yaml"
    local.write_text("device: cuda")
    experiment = load([LAPTOP], methods_file=METHODS, local_file=local)
    assert isinstance(experiment.scale, TorchScale)
    assert experiment.scale.device == "cuda"
    assert experiment.name == "laptop"


def test_digest_follows_values_only():
    experiment = read(LAPTOP)
    assert digest(resolve(experiment, "real", 0)) == digest(resolve(read(LAPTOP), "real", 0))
    assert digest(resolve(experiment, "real", 0)) != digest(resolve(experiment, "real", 1))


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("training.lerning_rate", 1.0, "training.lerning_rate is not a known key; did you mean 'learning_rate'?"),
        (
            "training.learning_rate",
            "2e-6",
            "training.learning_rate is the text '2e-6', not a number; write it as 2.0e-06",
        ),
        ("training.learning_rate", -1.0, "training.learning_rate is -1.0"),
        ("training.steps", 7.5, "training.steps is 7.5"),
        ("training.steps", ..., "training.steps is missing"),
        ("training.mini_batch_prompts", 7, "training.mini_batch_prompts 7 must divide training.prompts 32"),
        ("training.mini_batch_prompts", 64, "training.mini_batch_prompts 64 must divide training.prompts 32"),
        ("training.max_response_tokens", 36, "training.max_response_tokens is 36, but the longest correct answer"),
        ("evaluation.max_response_tokens", 36, "evaluation.max_response_tokens is 36, but the longest correct answer"),
        ("training.gradient_sample_steps", [0], "training.gradient_sample_steps has 0, outside 1 to"),
        ("evaluation.benchmarks", ["add9"], "evaluation.benchmarks: unknown benchmark 'add9'"),
        ("task.training_families", ["mix7"], "task.training_families: unknown family 'mix7'"),
        ("policy.hidden_size", 60, "policy.hidden_size 60 must be an even multiple of policy.attention_heads 4"),
        ("methods", ["reall"], "unknown method 'reall'; choose from"),
        ("methods", [], "methods is []"),
        ("seeds", [-1], "seeds.0 is -1"),
        ("seeds", [True], "seeds.0 is true"),
        ("evaluation.samples", 0, "evaluation.samples is 0"),
        ("engine", "verll", "engine must be 'torch', 'verl' or 'reported', found 'verll'"),
        ("device", "gpu", "device is 'gpu'"),
        ("protected", "no", "protected is 'no'"),
    ],
)
def test_a_mistake_is_one_sentence_with_file_and_key(changed, key, value, sentence):
    path = changed(key, value)
    with pytest.raises(ConfigError) as error:
        read(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert sentence in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("variant", "sentence"),
    [
        ({"method": "realy"}, "unknown method 'realy'; choose from"),
        ({"method": "real", "hyperparameters": {"taus": 0.1}}, "taus: objective 'real' has no such hyper-parameter"),
        ({"method": "real", "training": {"learning_rat": 0.1}}, "learning_rat is not a known key"),
        ({"method": "grpo", "hyperparameters": {"clip_low": 2.0}}, "clip_low: 2.0 is out of range"),
    ],
)
def test_a_wrong_variant_is_named(tmp_path, variant, sentence):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(yaml.safe_dump({"methods": ["mine"], "variants": {"mine": variant}}))
    with pytest.raises(ConfigError) as error:
        read(LAPTOP, overlay)
    assert "variants.mine" in str(error.value)
    assert sentence in str(error.value)


def test_files_in_the_wrong_place_are_named(tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1")
    listed = tmp_path / "list.yaml"
    listed.write_text("- 1")
    for files, sentence in (
        ((SWEEP,), "has no key 'scale'"),
        ((LAPTOP, LAPTOP), "is a scale file, but"),
        ((tmp_path / "none.yaml",), "no such file"),
        ((broken,), "is not valid YAML"),
        ((listed,), "expected a mapping of keys to values, found list"),
        ((), "no config file given"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            read(*files)


def test_a_scale_may_be_evaluated_on_the_papers_test_sets(changed):
    scale = read(changed("evaluation.benchmarks", ["mix4", "aime", "olympiad_bench"])).scale
    assert isinstance(scale, TorchScale)
    assert scale.evaluation.benchmarks == ["mix4", "aime", "olympiad_bench"]


def test_the_papers_evaluation_is_the_released_scripts():
    paper = PAPER_EVALUATION
    assert (paper.samples, paper.temperature, paper.top_p, paper.max_response_tokens) == (16, 0.6, 0.95, 8192)
    assert sorted(paper.benchmarks) == ["aime", "aime25", "amc", "math", "minerva", "olympiad_bench"]


def test_a_scale_that_trains_nothing_has_no_runs():
    with pytest.raises(ConfigError, match="trains nothing"):
        resolve(read(ROOT / "paper_configs" / "published.yaml"), "real", 0)


def test_a_grid_crosses_its_methods_with_every_learning_rate_and_staleness(tmp_path):
    overlay = tmp_path / "crossed.yaml"
    grid = [
        {"methods": ["real", "slow"], "learning_rate": [7.5e-5, 3.0e-4], "staleness": [0, 8]},
        {"methods": ["grpo"], "learning_rate": [1.0e-3]},
    ]
    slow = {"method": "real", "label": "slow REAL", "hyperparameters": {"tau": 2.0}, "training": {"warmup_steps": 9}}
    overlay.write_text(yaml.safe_dump({"grid": grid, "variants": {"slow": slow}}))
    experiment = read(LAPTOP, overlay)
    names = [f"{m}_lr{r}_k{k}" for k in (0, 8) for r in ("7.5e-5", "3.0e-4") for m in ("real", "slow")]
    assert list(experiment.methods) == [*names, "grpo_lr1.0e-3"]
    assert list(experiment.parents.values()) == [*["real", "slow"] * 4, "grpo"]
    run = resolve(experiment, "slow_lr3.0e-4_k8", 0)
    assert (run.training.learning_rate, run.training.staleness, run.training.warmup_steps) == (3.0e-4, 8, 9)
    assert (run.settings.label, run.settings.hyperparameters["tau"]) == ("slow REAL", 2.0)
    assert resolve(experiment, "grpo_lr1.0e-3", 0).training == experiment.scale.training.model_copy(
        update={"learning_rate": 1.0e-3}
    )
    assert experiment.methods["grpo_lr1.0e-3"] == read(LAPTOP).methods["grpo"]
    with pytest.raises(ConfigError, match="unknown method 'slow'"):
        resolve(experiment, "slow", 0)


def test_a_run_starts_from_the_base_model_of_its_seed(tmp_path):
    overlay = tmp_path / "bases.yaml"
    overlay.write_text(yaml.safe_dump({"base": {"further_seeds": [5, 3]}}))
    experiment, alone = read(LAPTOP, overlay), read(LAPTOP)
    assert [base_of_run(experiment.trained, seed) for seed in range(4)] == ["base", "base-seed5", "base-seed3", "base"]
    assert {base_of_run(alone.trained, seed) for seed in range(4)} == {"base"}
    assert base_origin(experiment).identity == base_origin(alone).identity, (
        "further base models change nothing of the first"
    )
    digests = {base_origin(experiment, seed).identity["config_digest"] for seed in (0, 5, 3)}
    assert len(digests) == 3
    jobs = [(job.name, job.rule, job.seed) for job in base_jobs(experiment.trained)]
    assert jobs == [("base", "base", 0), ("base-seed5", "further_base", 5), ("base-seed3", "further_base", 3)]
