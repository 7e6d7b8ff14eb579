"""A finished scale of a few steps, made by the real jobs in this process: seconds, not the smoke scale's minute."""

import runpy
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import yaml

from real.commands.command_line import main
from real.config import Experiment, load
from real.evidence.printed import evidence_line

ROOT = Path(__file__).resolve().parent.parent
OVERLAY = "tiny.yaml"
CONFIG = ["--config", "paper_configs/smoke.yaml", OVERLAY]
RESULTS = Path("results/smoke+tiny")
METHODS = ("real", "gspo")
CHANGES = {
    "seeds": [0],
    "task": {"test_problems": 2, "validation_problems": 1},
    "training": {"steps": 2, "prompts": 4, "mini_batch_prompts": 2, "rollouts": 4, "gradient_sample_steps": [1, 2]},
    "evaluation": {"samples": 2, "benchmarks": ["add3", "mix4"]},
}


def experiment() -> Experiment:
    """The scale, read from the current folder."""
    return load(CONFIG[1:])


def enter(folder: Path) -> None:
    """Make a folder one that the command line can be used in: the caller changes into it."""
    for room in ("paper_configs", "datasets", "workflow"):
        (folder / room).symlink_to(ROOT / room)
    write_overlay(folder)


def write_overlay(folder: Path, methods: Sequence[str] = METHODS) -> None:
    """Write the scale's overlay, with the methods that are to be trained."""
    phase = yaml.safe_load((ROOT / "paper_configs" / "smoke.yaml").read_text())["base"]["phases"][0] | {"steps": 20}
    (folder / OVERLAY).write_text(yaml.safe_dump({**CHANGES, "methods": list(methods), "base": {"phases": [phase]}}))


def draw(name: str) -> None:
    """Run a figure's script on the current folder's results, as the rule of its name does."""
    scale, methods = experiment().scale, experiment().methods
    stem = RESULTS / "figures" / name
    stem.parent.mkdir(exist_ok=True)
    samples = [str(RESULTS / f"runs/{method}/seed0/gradient_samples.parquet") for method in METHODS]
    job = SimpleNamespace(
        input=SimpleNamespace(curves=str(RESULTS / "tables/training_curves.csv"), samples=samples),
        output=SimpleNamespace(pdf=f"{stem}.pdf", png=f"{stem}.png"),
        params=SimpleNamespace(
            files=CONFIG[1:],
            methods={method: methods[method].model_dump() for method in METHODS},
            evidence=evidence_line(scale),
            smoothing_steps=1,
            prompts=scale.training.prompts,
        ),
    )
    runpy.run_path(str(ROOT / "figures" / f"{name}.py"), {"snakemake": job}, run_name="__main__")


def finish() -> None:
    """Run every job of the scale in the current folder."""
    model = ["--model", str(RESULTS / "base/model"), "--output", str(RESULTS / "evaluations/base")]
    work = ["--work", str(RESULTS / "work/evaluations"), "--processes", "1"]
    commands = [["base"], ["evaluate", *model, *work]]
    for method in METHODS:
        model = ["--model", str(RESULTS / f"runs/{method}/seed0/model")]
        output = ["--output", str(RESULTS / f"evaluations/{method}/seed0")]
        commands += [["train", "--method", method, "--seed", "0"], ["evaluate", *model, *output, *work]]
    commands += [["tables"], ["differences"], ["pass_at_k"], ["curves"], ["claims"]]
    for verb, *options in commands:
        assert main([verb, *CONFIG, *options]) == 0, verb
    for name in ("training_dynamics", "gradient_magnitude", "gradient_measured"):
        draw(name)
    for verb in ("report", "manifest"):
        assert main([verb, *CONFIG]) == 0
