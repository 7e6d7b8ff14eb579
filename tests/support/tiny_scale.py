"""A finished scale of a few steps, made by the real jobs in this process: seconds, not the smoke scale's minute."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from real.config import Experiment, load
from tests.support.edits import changed_text
from tests.support.finished import show, train_and_evaluate
from tests.support.paths import PAPER_CONFIGS
from tests.support.workplaces import link_rooms

OVERLAY = "tiny.yaml"
CONFIG = ["--config", "paper_configs/smoke.yaml", OVERLAY]
RESULTS = Path("results/smoke+tiny")
METHODS = ("real", "gspo")
CHANGES = {
    "seeds": [0],
    "untrained": False,
    "task": {"test_problems": 2, "validation_problems": 1},
    "training": {"steps": 2, "prompts": 4, "mini_batch_prompts": 2, "rollouts": 4, "gradient_sample_steps": [1, 2]},
    "evaluation": {"samples": 2, "benchmarks": ["add3", "mix4"]},
}


def experiment() -> Experiment:
    """The scale, read from the current folder."""
    return load(CONFIG[1:])


def enter(folder: Path) -> None:
    """Make a folder one that the command line can be used in: the caller changes into it."""
    link_rooms(folder)
    write_overlay(folder)


def write_overlay(folder: Path, methods: Sequence[str] = METHODS) -> None:
    """Write the scale's overlay, with the methods that are to be trained."""
    phase = yaml.safe_load((PAPER_CONFIGS / "smoke.yaml").read_text())["base"]["phases"][0] | {"steps": 20}
    (folder / OVERLAY).write_text(yaml.safe_dump({**CHANGES, "methods": list(methods), "base": {"phases": [phase]}}))


def change(values: dict[str, Any]) -> None:
    """Change the overlay in the current folder, by dotted keys."""
    Path(OVERLAY).write_text(changed_text(Path(OVERLAY).read_text(encoding="utf-8"), values), encoding="utf-8")


def finish() -> None:
    """Run every job of the scale in the current folder; PRINTED there holds what they print."""
    train_and_evaluate(experiment())
    show(experiment())
