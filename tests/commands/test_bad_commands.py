"""Bad commands: a flag, a name or a file that can't be, each refused in one sentence before anything is written."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from real.commands.command_line import main
from real.config import load, resolve
from tests.config.test_bad_input import edited, outcome
from tests.support.checkout import copy_checkout
from tests.support.paths import ROOT

SMOKE, PUBLISHED = "paper_configs/smoke.yaml", "paper_configs/published.yaml"
SWEEP = "paper_configs/variants/learning_rate_sweep.yaml"
TRAIN = ["train", "--config", SMOKE, "--method", "real", "--seed", "0"]
EVALUATE = ["evaluate", "--config", SMOKE, "--model", "absent", "--output", "unused"]


def train_with(*files: str) -> list[str]:
    return ["train", "--config", *files, "--method", "real", "--seed", "0"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A checkout's configuration, as the working folder."""
    for name in ("paper_configs", "datasets"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "the following arguments are required: VERB; `python -m real --help` says what can be given"),
        (["trian"], "invalid choice: 'trian' (choose from 'plan', 'download',"),
        (
            ["train", "--method", "real", "--seed", "0"],
            "the following arguments are required: --config; `python -m real",
        ),
        ([*TRAIN, "--sed", "1"], "unrecognized arguments: --sed 1; `python -m real --help` says"),
        ([*TRAIN, "--seed", "one"], "argument --seed: invalid int value: 'one'; `python -m real train --help` says"),
        ([*TRAIN, "--seed", "-1"], "seed is -1; must be 0 to 4294967295: choose one between"),
        ([*TRAIN, "--seed", str(2**32)], "seed is 4294967296; must be 0 to 4294967295: choose one between"),
        ([*TRAIN, "--method", "ppo"], "unknown method 'ppo'; choose from real, grpo, dapo,"),
        ([*TRAIN, "--gpus", "-1"], "argument --gpus: '-1' is no whole number of 0 or more; `python -m real train"),
        (
            [*TRAIN, "--accept-code", "0F"],
            "argument --accept-code: '0F' is no digest of code, 16 digits or letters a to f:",
        ),
        (train_with("none.yaml"), "none.yaml: no such file; run from the root of the repository and check the name"),
        (train_with("paper_configs"), "paper_configs: can't be read (Is a directory); name a file that can"),
        (train_with(SWEEP), f"{SWEEP}: has no key 'scale', so it is no scale file; name a scale first, overlays after"),
        (
            train_with(SMOKE, SMOKE),
            f"{SMOKE}: is a scale file, but {SMOKE} is one already; give one scale, then overlays",
        ),
        (train_with(SMOKE, SWEEP, SWEEP), f"{SWEEP}: is named twice; name each overlay once"),
        (train_with("paper_configs/methods.yaml"), "paper_configs/methods.yaml: has no key 'scale', so it is no scale"),
        (train_with(PUBLISHED), f"{PUBLISHED}: the scale 'published' trains nothing; name one that does, for example"),
        (["base", "--config", PUBLISHED], f"{PUBLISHED}: the scale 'published' trains nothing; name one that does"),
        (
            EVALUATE,
            "absent: no such folder, and no hub id (organisation/name) either; check the path, or train it first",
        ),
        ([*EVALUATE, "--model", "datasets"], "datasets: holds no Hugging Face checkpoint (config.json is missing);"),
        ([*EVALUATE, "--model", ""], "argument --model: is empty; `python -m real evaluate --help` says"),
        (
            [*EVALUATE, "--benchmarks", "aim"],
            "command line: evaluation.benchmarks: unknown benchmark 'aim'; choose from",
        ),
        (
            [*EVALUATE, "--benchmarks", ""],
            "command line: evaluation.benchmarks: unknown benchmark ''; choose from add3",
        ),
        ([*EVALUATE, "--samples", "0"], "command line: samples is 0; must be at least 1: set it to that or more"),
        ([*EVALUATE, "--temperature", "nan"], "command line: temperature is nan; must be a finite number: write one"),
        ([*EVALUATE, "--temperature", "0"], "command line: temperature is 0.0; must be at least 0.01: set it to that"),
        ([*EVALUATE, "--top-p", "0"], "command line: top_p is 0.0; must be more than 0.0: set it to a number above"),
        ([*EVALUATE, "--chunk-problems", "0"], "command line: chunk_problems is 0; must be at least 1: set it to that"),
        ([*EVALUATE, "--seed", "-1"], "command line: seed is -1; must be at least 0: set it to that or more"),
        ([*EVALUATE, "--gpus", "0"], "--gpus is 0; give 1 or more"),
        ([*EVALUATE, "--processes", "0"], "argument --processes: '0' is no whole number of 1 or more; `python -m real"),
        (
            [*EVALUATE, "--device", "gpu"],
            "argument --device: invalid choice: 'gpu' (choose from 'cpu', 'cuda'); `python",
        ),
        (["plan"], "no config file given; name a scale, for example paper_configs/laptop.yaml"),
        (["plan", "--scale", "nosuch"], "paper_configs/nosuch.yaml: no such file; run from the root of the repository"),
        (["plan", "--scale", "published"], "the scale 'published' trains nothing; name one that does"),
        (["plan", "--scale", "1.5b", "--rate", "nan"], "argument --rate: 'nan' is no price: a number of 0 or more;"),
        (["download", "amie"], "unknown dataset 'amie'; choose from aime, aime25,"),
        (["prepare", "amie"], "unknown dataset 'amie'; choose from aime, aime25,"),
        (["contamination", "amc"], "amc is a benchmark; name a training set of datasets/sources.yaml"),
    ],
)
def test_a_wrong_command_ends_in_one_sentence(folder, arguments, sentence):
    code, lines = outcome(arguments)
    assert code in (1, 2)
    assert len(lines) == 1
    assert sentence in lines[0]
    assert {path.name for path in folder.iterdir()} == {"paper_configs", "datasets"}


def test_a_mirror_that_is_no_folder_is_named_with_its_variable(folder, monkeypatch):
    monkeypatch.setenv("REAL_DATASETS_MIRROR", "no/such/folder")
    assert outcome(["download", "aime"]) == (
        1,
        ["no/such/folder: the mirror is no folder; correct REAL_DATASETS_MIRROR or datasets.mirror"],
    )


def test_overlays_whose_names_can_not_name_results_are_refused(folder):
    for name, sentence in (
        ("a b.yaml", "a b.yaml: 'a b' can't name results; it names files and folders: use letters,"),
        (".yaml", ".yaml: '.yaml' can't name results; it names files and folders: use letters, digits,"),
        ("one/same.yaml", "one/same.yaml: another overlay has the file name same too; rename one of them"),
    ):
        path = Path(name)
        path.parent.mkdir(exist_ok=True)
        path.write_text("protected: true\n")
        Path("same.yaml").write_text("protected: true\n")
        code, lines = outcome(train_with(SMOKE, name, "same.yaml"))
        assert (code, len(lines)) == (1, 1)
        assert sentence in lines[0]


def test_too_few_gpus_granted_stop_a_run_of_either_engine(folder):
    """Snakemake lowers resources in silence; the job compares before it takes a GPU."""
    Path("gpu.yaml").write_text("device: cuda\n")
    for files, needed in (([SMOKE, "gpu.yaml"], 1), (["paper_configs/1.5b.yaml"], 8)):
        code, lines = outcome([*train_with(*files), "--gpus", "0"])
        assert code == 1
        assert f"the job was granted 0 of the {needed} GPUs that the config asks for; run snakemake with" in lines[0]
        assert not Path("results").exists()


def test_a_seed_outside_the_scale_is_run_with_a_word_about_it(folder, monkeypatch, capsys):
    """By hand any seed is fine: its results stand beside the others and no table reads them."""
    asked = []
    monkeypatch.setattr("real.commands.start.train_run", lambda experiment, *run: asked.append(run))
    assert main([*TRAIN, "--seed", "7"]) == 0
    assert asked == [("real", 7, None)]
    assert "seed 7 is none of the scale's (0, 1), so no table will show this run" in capsys.readouterr().err
    assert main(TRAIN) == 0
    assert capsys.readouterr().err == ""


def test_a_whole_number_is_read_where_a_fraction_may_stand(folder):
    """1 is 1.0, the same run; true and "1" are neither."""
    digests = []
    for text in ("1", "1.0"):
        Path("overlay.yaml").write_text(f"training: {{gradient_clip: {text}}}\n")
        digests.append(resolve(load([SMOKE, "overlay.yaml"]), "real", 0).model_dump_json())
    assert digests[0] == digests[1]
    Path("overlay.yaml").write_text("training: {gradient_clip: true}\n")
    assert outcome(train_with(SMOKE, "overlay.yaml")) == (
        1,
        ["overlay.yaml: training.gradient_clip is true; must be a number: write it in digits, without quotes"],
    )


def test_yes_and_no_without_quotes_are_true_and_false(folder):
    Path("overlay.yaml").write_text("protected: yes\nevaluation: {strict_format: off}\n")
    scale = load([SMOKE, "overlay.yaml"]).trained
    assert (scale.protected, scale.evaluation.strict_format) == (True, False)


def test_the_format_version_is_part_of_no_run(folder):
    """A new version of the format alone must retrain nothing."""
    assert "version" not in resolve(load([SMOKE]), "real", 0).model_dump()


# one Snakemake start takes seconds, a further one in the same process half of one
RUNS = """
import contextlib, io, json, sys
from snakemake.cli import main
printed = []
for arguments in json.loads(sys.argv[1]):
    out, code = io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            main(["--cores", "1", *arguments])
        except SystemExit as end:
            code = end.code
    printed.append((code, out.getvalue()))
json.dump(printed, sys.stdout)
"""
IN_SNAKEMAKE = [
    ({"version": 2}, "wrong.yaml: version is 2, but this package reads version 1 of the configuration's format;"),
    ({"scale": "../smoke"}, "wrong.yaml: scale is '../smoke'; it names files and folders: use letters,"),
    (
        {"training.dynamic_sampling": True},
        "wrong.yaml: training.dynamic_sampling belongs to the verl engine, which this",
    ),
    ({"seeds": [0, 0]}, "wrong.yaml: seeds has 0 more than once; keep one of them"),
    ({"training.learning_rate": float("nan")}, "wrong.yaml: training.learning_rate is nan; must be a finite number:"),
    (lambda text: f"{text}seeds: [0]\n", "wrong.yaml: line 81: the key 'seeds' stands in line 8 already; remove one"),
]


@pytest.mark.slow
def test_snakemake_stops_at_a_mistake_before_any_job(tmp_path):
    checkout = copy_checkout(tmp_path / "project")
    commands = []
    for number, (change, _) in enumerate(IN_SNAKEMAKE):
        path = checkout / str(number) / "wrong.yaml"
        path.parent.mkdir()
        path.write_text((checkout / SMOKE).read_text())
        path.write_text(edited(path, change).after)
        commands.append(["--configfile", str(path.relative_to(checkout))])
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [sys.executable, "-c", RUNS, json.dumps(commands)],
        cwd=checkout, env=environment, text=True, capture_output=True, check=True,
    )  # fmt: skip
    for (code, printed), (_, sentence) in zip(json.loads(done.stdout), IN_SNAKEMAKE, strict=True):
        assert code == 1, printed
        assert sentence in printed
        assert "Traceback" not in printed
    assert not list((checkout / "results").iterdir())
    assert yaml.safe_load((checkout / SMOKE).read_text())["version"] == 1
