"""An experiment cut to seconds: every method, variant, label, crossed key and hypothesis stays, and little else."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from real.config import read

OVERLAY = "cut.yaml"
STEPS, SEEDS, VALUES = 2, 1, 2
SIZES: dict[str, dict[str, int]] = {
    "training": {
        "steps": STEPS,
        "warmup_steps": 1,
        "prompts": 4,
        "mini_batch_prompts": 2,
        "rollouts": 8,
        "checkpoint_every": 1,
        "validation_every": 1,
        "validation_samples": 1,
    },
    "evaluation": {"samples": 2, "chunk_problems": 4},
    "task": {"test_problems": 2, "validation_problems": 1},
    "policy": {"hidden_size": 16, "layers": 1, "attention_heads": 2, "feed_forward_size": 16},
}
# answers without a derivation are learnt, to about one in ten, in seconds: rewards of RL must differ
PHASE = {"steps": 80, "warmup_steps": 1, "learning_rate": 1.0e-2, "direct": 1.0, "easy_fraction": 0.0}


def cut(files: Sequence[Path], folder: Path) -> list[str]:
    """Write an overlay into a folder that cuts an experiment to :data:`STEPS`, :data:`SEEDS` and :data:`VALUES`.

    Returns:
        the files, and the overlay behind them.
    """
    (folder / OVERLAY).write_text(yaml.safe_dump(_changes(read(files))))
    return [*map(str, files), str(folder / OVERLAY)]


def _changes(content: dict[str, Any]) -> dict[str, Any]:
    sizes = {section: dict(changes) for section, changes in SIZES.items() if section in content}
    lists = {
        "seeds": content["seeds"][:SEEDS],
        "evaluation": {**sizes["evaluation"], "benchmarks": content["evaluation"]["benchmarks"][:VALUES]},
        "training": {**sizes["training"], "gradient_sample_steps": list(range(1, STEPS + 1))[:VALUES]},
        "grid": [
            {key: values if key == "methods" else values[:VALUES] for key, values in cross.items()}
            for cross in content.get("grid", [])
        ],
    }
    if base := content.get("base"):
        further = base.get("further_seeds", [])[:VALUES]
        lists["base"] = {"phases": [{**base["phases"][0], **PHASE}], "further_seeds": further}
    # what a variant sizes by itself is cut as all are
    variants = {
        name: {"training": {key: SIZES["training"].get(key, value) for key, value in changed.items()}}
        for name, variant in content["variants"].items()
        if (changed := variant.get("training"))
    }
    return {**sizes, **lists, "variants": variants}
