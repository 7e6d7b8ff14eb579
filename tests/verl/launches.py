"""How these tests launch a training of verl_smoke.yaml, with an overlay of their own, and read what it measured."""

import json
from collections.abc import Sequence
from pathlib import Path

import yaml

from tests.support.random_checkpoint import SPECIAL, write_checkpoint

SCALE = "paper_configs/verl_smoke.yaml"
# heads of 32 numbers, which vLLM's CPU attention has code for; thinking closed by ordinary text, which verl keeps
SHAPE = {"width": 64, "special": SPECIAL[:3]}


def overlay(project, name: str, content: dict) -> tuple[list[str], Path]:
    """Config arguments with an overlay of this test, and the results folder they lead to."""
    path = project.folder / f"{name}.yaml"
    base = yaml.safe_load((project.folder / "tests" / "verl" / "all_methods.yaml").read_text())
    path.write_text(yaml.safe_dump({**base, **content}))
    results = project.folder / "results" / f"verl_smoke+{name}"
    if not (results / "base").exists():
        (results / "base").parent.mkdir(parents=True, exist_ok=True)
        (results / "base").symlink_to(project.folder / "results" / "verl_smoke" / "base")
    return ["--config", SCALE, path.name], results


def train(config: list[str], method: str) -> list[str]:
    return ["-m", "real", "train", *config, "--method", method, "--seed", "0"]


def lines(folder: Path, name: str = "metrics") -> list[dict]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


def write_model(folder: Path, words: Sequence[str] = ()) -> Path:
    """A random checkpoint with a padding token: without one transformers takes Qwen's, for which it has no row."""
    write_checkpoint(folder, seed=0, words=words, **SHAPE)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "pad_token": SPECIAL[0]}))
    return folder
