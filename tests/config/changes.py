"""Changes of a configuration that the tables of mistakes are made of."""

from collections.abc import Callable
from typing import Any


def crossed(**changes: Any) -> dict[str, Any]:
    """A grid of two methods with some keys changed."""
    grid = [{"methods": ["real", "grpo"], "learning_rate": [1.0e-3]}]
    return {"grid": grid, **{f"grid.0.{key}": value for key, value in changes.items()}}


def hypothesis(**changes: Any) -> dict[str, Any]:
    """A grid, and a hypothesis about it with some keys changed."""
    mine = {"statement": "more", "better": "real", "worse": "grpo", "smallest_difference": 0.02, **changes}
    changed = {f"mechanism.hypotheses.mine.{key}": value for key, value in mine.items()}
    return {**crossed(), "mechanism": {"hypotheses": {"mine": {}}}, **changed}


def add(text: str) -> Callable[[str], str]:
    """An edit that appends a line."""
    return lambda before: f"{before}{text}\n"


def put(text: str, new: str) -> Callable[[str], str]:
    """An edit that replaces a passage where it stands first."""
    return lambda before: before.replace(text, new, 1)


def model_facts(**changes: Any) -> dict[str, Any]:
    """Facts about a model, with some of their keys changed; two underscores stand for a dot."""
    fact = {"low": 1, "high": 2, "source": "somebody"}
    time = {**fact, "hardware": "8 H100", "gpus": 8, "responses": 1024, "max_response_tokens": 8192}
    shape = {"parameters": 1, "layers": 1, "attention_width": 1}
    mine = {**shape, "steps": [time], "evaluation": dict(time), "one_response": fact}
    return {"models": {"mine": mine}, **{f"models.mine.{key.replace('__', '.')}": to for key, to in changes.items()}}
