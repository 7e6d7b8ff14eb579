"""Bad commands: a flag, a name or a file that can't be, each refused in one sentence before anything is written."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from real.commands.command_line import main
from real.config import load, resolve
from tests.support.answers import answer, names
from tests.support.checkout import copy_checkout, snakemakes
from tests.support.edits import REMOVED, Change, changed_text

SMOKE = "paper_configs/smoke.yaml"
TRAIN = ["train", "--config", SMOKE, "--method", "real", "--seed", "0"]
PUBLISHED = ["--config", "paper_configs/published.yaml"]
EVALUATE = ["evaluate", "--config", SMOKE, "--model", "absent", "--output", "unused"]


# commands, and what the answer names: tests/support/answers.py; those of tests/config/mistakes.py are about files
WRONG: list[tuple[list[str], str]] = [
    ([], "required: VERB ... --help"),
    (["trian"], "'trian' ... 'plan'"),
    (["train", "--method", "real", "--seed", "0"], "required: --config ... --help"),
    ([*TRAIN, "--sed", "1"], "--sed 1 ... --help"),
    ([*TRAIN, "--seed", "one"], "--seed ... int ... 'one' ... train --help"),
    ([*TRAIN, "--gpus", "-1"], "--gpus ... '-1' ... 0 or more ... train --help"),
    ([*TRAIN, "--accept-code", "0F"], "--accept-code ... '0F' ... 16 digits"),
    (EVALUATE, "absent ... folder ... hub id"),
    ([*EVALUATE, "--model", "datasets"], "datasets ... config.json ... missing"),
    ([*EVALUATE, "--model", ""], "--model ... empty ... evaluate --help"),
    ([*EVALUATE, "--benchmarks", "aim"], "command line: evaluation.benchmarks ... 'aim' ... amc"),
    ([*EVALUATE, "--benchmarks", ""], "command line: evaluation.benchmarks ... '' ... amc"),
    ([*EVALUATE, "--samples", "0"], "command line: samples ... 0 ... 1"),
    ([*EVALUATE, "--temperature", "nan"], "command line: temperature ... nan ... finite"),
    ([*EVALUATE, "--temperature", "0"], "command line: temperature ... 0.0 ... 0.01"),
    ([*EVALUATE, "--top-p", "0"], "command line: top_p ... 0.0 ... more than 0.0"),
    ([*EVALUATE, "--chunk-problems", "0"], "command line: chunk_problems ... 0 ... 1"),
    ([*EVALUATE, "--seed", "-1"], "command line: seed ... -1 ... 0"),
    ([*EVALUATE, "--gpus", "0"], "--gpus ... 0 ... 1 or more"),
    ([*EVALUATE, "--processes", "0"], "--processes ... '0' ... 1 or more ... evaluate --help"),
    ([*EVALUATE, "--device", "gpu"], "--device ... 'gpu' ... 'cpu' ... 'cuda' ... evaluate --help"),
    (["plan", "--scale", "1.5b", "--rate", "nan"], "--rate ... 'nan' ... 0 or more ... plan --help"),
    (["download", "amie"], "dataset 'amie' ... aime25"),
    (["prepare", "amie"], "dataset 'amie' ... aime25"),
    (["contamination", "amc"], "amc ... benchmark ... datasets/sources.yaml"),
    ([*EVALUATE, "--gpus", "2"], "--gpus ... 2 ... torch ... one ... --sampler vllm"),
    (["evaluate", "--model", "m", "--samples", "0"], "command line: samples ... 0 ... 1"),
    (["evaluate", "--model", "m", "--benchmarks", "mix4,mix4"], "command line: benchmarks ... 'mix4' ... once"),
    (["evaluate", "--model", "m", "--benchmarks", "mix4"], "'mix4' ... laptop"),
    (["evaluate", "--model", "m", *PUBLISHED], "paper_configs/published.yaml ... trains nothing ... laptop.yaml"),
    (["make", "benchmark", *PUBLISHED], "exhibit 'benchmark' ... 'benchmarks'"),
    (["make", "differences", *PUBLISHED], "differences ... 'published' ... trains nothing ... laptop.yaml"),
    *([] if find_spec("vllm") else [([*EVALUATE, "--sampler", "vllm"], "vLLM ... not installed ... make gpu-env")]),
]


@pytest.mark.parametrize(("arguments", "parts"), WRONG, ids=[" ".join(row[0]) for row in WRONG])
def test_a_wrong_command_ends_in_one_sentence_on_standard_error(workplace, capsys, arguments, parts):
    before = set(workplace.iterdir())
    code, [line] = answer(arguments)
    assert code in (1, 2)
    assert capsys.readouterr().out == ""
    assert names(line, parts), line
    assert set(workplace.iterdir()) == before


def test_a_sweep_without_its_overlay_is_answered_with_the_command_that_has_it(workplace):
    code, [line] = answer(["sweep", "--config", SMOKE])
    assert code == 1
    assert line.startswith("learning_rate_sweep: ")
    assert "snakemake learning_rate_sweep --cores all" in line


def test_a_mirror_that_is_no_folder_is_named_with_its_variable(workplace, monkeypatch):
    monkeypatch.setenv("REAL_DATASETS_MIRROR", "no/such/folder")
    code, [line] = answer(["download", "aime"])
    assert code == 1
    assert names(line, "mirror ... REAL_DATASETS_MIRROR ... datasets.mirror", "no/such/folder: ")


def test_too_few_gpus_granted_stop_a_run_of_either_engine(workplace):
    """Snakemake lowers resources in silence; the job compares before it takes a GPU."""
    Path("gpu.yaml").write_text("device: cuda\n", encoding="utf-8")
    for files, needed in (([SMOKE, "gpu.yaml"], 1), (["paper_configs/1.5b.yaml"], 8)):
        code, [line] = answer([*TRAIN, "--config", *files, "--gpus", "0"])
        assert code == 1
        assert names(line, f"0 of the {needed} GPUs ... run snakemake", "resources.gpu: ")
        assert not Path("results").exists()


def test_a_seed_outside_the_scale_is_run_with_a_word_about_it(workplace, monkeypatch, capsys):
    """By hand any seed is fine: its results stand beside the others and no table reads them."""
    asked = []
    monkeypatch.setattr("real.commands.start.train_run", lambda experiment, *run: asked.append(run))
    assert main([*TRAIN, "--seed", "7"]) == 0
    assert asked == [("real", 7, None, 1)]
    assert "seed 7 is none of the scale's (0, 1), so no table will show this run" in capsys.readouterr().err
    assert main(TRAIN) == 0
    assert capsys.readouterr().err == ""


def test_a_whole_number_is_read_where_a_fraction_may_stand(workplace):
    """1 is 1.0, the same run; true and "1" are neither."""
    digests = []
    for text in ("1", "1.0"):
        Path("overlay.yaml").write_text(f"training: {{gradient_clip: {text}}}\n", encoding="utf-8")
        digests.append(resolve(load([SMOKE, "overlay.yaml"]), "real", 0).model_dump_json())
    assert digests[0] == digests[1]
    Path("overlay.yaml").write_text("training: {gradient_clip: true}\n", encoding="utf-8")
    code, [line] = answer([*TRAIN, "--config", SMOKE, "overlay.yaml"])
    assert code == 1
    assert names(line, "training.gradient_clip ... true ... number", "overlay.yaml: ")


def test_yes_and_no_without_quotes_are_true_and_false(workplace):
    Path("overlay.yaml").write_text("protected: yes\nevaluation: {strict_format: off}\n", encoding="utf-8")
    scale = load([SMOKE, "overlay.yaml"]).trained
    assert (scale.protected, scale.evaluation.strict_format) == (True, False)


def test_the_format_version_is_part_of_no_run(workplace):
    """A new version of the format alone must retrain nothing."""
    assert "version" not in resolve(load([SMOKE]), "real", 0).model_dump()


# of smoke.yaml, which the default scale's values must not complete either
IN_SNAKEMAKE: list[tuple[Change, str]] = [
    ({"version": 2}, "version ... 2 ... 1"),
    ({"scale": "../smoke"}, "scale ... '../smoke' ... letters"),
    ({"methods": ["reall"]}, "methods ... 'reall' ... 'real'"),
    ({"seeds": REMOVED}, "seeds ... missing"),
    ({"seeds": [0, 0]}, "seeds ... 0 ... once"),
    ({"training.lerning_rate": 1.0}, "training.lerning_rate ... 'learning_rate'"),
    ({"training.dynamic_sampling": True}, "training.dynamic_sampling ... verl ... remove"),
    ({"training.steps": "70"}, "training.steps ... '70' ... 70"),
    ({"training.learning_rate": "2e-6"}, "training.learning_rate ... '2e-6' ... 2.0e-06"),
    ({"training.learning_rate": float("nan")}, "training.learning_rate ... nan ... finite"),
    (lambda text: f"{text}seeds: [0]\n", "line 82 ... 'seeds' ... line 8"),
]


@pytest.mark.slow
def test_snakemake_stops_at_a_mistake_before_any_job(tmp_path):
    checkout = copy_checkout(tmp_path / "project")
    smoke = (checkout / SMOKE).read_text()
    for number, (change, _) in enumerate(IN_SNAKEMAKE):
        (checkout / f"wrong{number}.yaml").write_text(changed_text(smoke, change))
    commands = [["--cores", "1", "--configfile", f"wrong{number}.yaml"] for number in range(len(IN_SNAKEMAKE))]
    for number, (code, printed) in enumerate(snakemakes(checkout, commands)):
        assert code == 1, printed
        file = f"wrong{number}.yaml: "
        [line] = [text.removeprefix("real: ") for text in printed.splitlines() if file in text]
        assert names(line, IN_SNAKEMAKE[number][1], file), printed
        assert "Traceback" not in printed
    assert not list((checkout / "results").iterdir())
