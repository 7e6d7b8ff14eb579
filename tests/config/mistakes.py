"""The mistakes that a user can make in a configuration, each with what the answer must name.

``test_bad_input.py`` beside this file makes every one of them; a field of a schema, or a refusal of the code, that none
of them meets is a failure there. The values that can't stand are a table of their own, in ``mistaken_values.py``.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tests.config.changes import add, put
from tests.config.mistaken_values import CLAIM, CLAIMS, ROWS, SMOKE, SOURCES
from tests.support.edits import REMOVED, Change

SCALE, REPORTED, METHODS = (f"paper_configs/{name}.yaml" for name in ("smoke", "published", "methods"))
SWEEP = "paper_configs/variants/learning_rate_sweep.yaml"
TRAIN = "train --method real --seed 0 --config"
ENTRY = {"label": "Sums", "split": "test", "file": "sums.parquet", "urls": ["https://example.org/sums.parquet"]}
ENTRY |= {"rows": 1, "bytes": 1, "sha256": 64 * "0", "git_blob": None, "unanswered": "error", "licence": "not stated"}


class Mistake(NamedTuple):
    """What is done to a file, and what each line of the answer names, as tests/support/answers.py compares it."""

    file: str
    change: Change
    answers: tuple[str, ...]


# what is done to the text of smoke.yaml
TEXTS: list[tuple[Callable[[str], str], str]] = [
    (put("  seed: 0", "  seed: 0\n  seed: 1"), "line 15 ... 'seed' ... line 14 ... remove"),
    (put("s: 6", "s: 010"), "line 49 ... 010 ... plain digits"),
    (put("s: 6", "s: 1:30"), "line 49 ... 1:30 ... plain digits"),
    (put("s: 6", f"s: {2**63}"), f"line 49 ... {2**63} ... 2**63"),
    (put("s: 6", f"s: {'9' * 5000}"), "valid YAML ... limit"),
    (put("[0, 1]", "&s [0, 1]\nx: *s"), "line 9 ... *s ... alias ... write the value out"),
    (add("1: 2"), "line 82 ... 1 ... quotes"),
    (add("off: 2"), "line 82 ... false ... quotes"),
    (add("? [a]\n: 2"), "line 82 ... ['a'] ... quotes"),
    (add("x: !!python/object/apply:os.mkdir [results]"), "valid YAML ... python/object"),
    (put("  steps: 6", "\tsteps: 6"), "valid YAML ... cannot start any token"),
    (put("seed: 0", "seed: 2024-13-45"), "valid YAML ... month"),
    (put("scale: smoke", "scale: 2024-01-01"), "scale ... date 2024-01-01 ... text"),
    (lambda _: "# nothing\n", "empty ... leave the file out"),
    (lambda _: "- 1\n", "mapping ... list ... key: value"),
    (lambda _: "[" * 5000, "nested ... brackets"),
    (add("x: \udcff"), "UTF-8 ... UTF-8"),
    (add("x: \x00"), "valid YAML ... special characters"),
]

# commands that name what is no configuration, the file with which the answer begins, and what else it names
COMMANDS: list[tuple[str, str, str]] = [
    ("plan", "", "config ... paper_configs/laptop.yaml"),
    ("plan --scale nosuch", "paper_configs/nosuch.yaml", "no such file ... root"),
    (f"{TRAIN} none.yaml", "none.yaml", "no such file ... root"),
    (f"{TRAIN} paper_configs", "paper_configs", "read ... Is a directory ... file"),
    (f"{TRAIN} {SWEEP}", SWEEP, "'scale' ... scale first"),
    (f"{TRAIN} {METHODS}", METHODS, "'scale' ... scale first"),
    (f"{TRAIN} {SCALE} {SCALE}", SCALE, f"scale file ... {SCALE} ... one scale"),
    (f"{TRAIN} {SCALE} {SWEEP} {SWEEP}", SWEEP, "twice ... once"),
    (f"{TRAIN} {SCALE} 'a b.yaml'", "a b.yaml", "'a b' ... letters ... rename"),
    (f"{TRAIN} {SCALE} .yaml", ".yaml", "'.yaml' ... letters ... rename"),
    (f"{TRAIN} {SCALE} one/same.yaml same.yaml", "one/same.yaml", "same ... rename"),
    (f"{TRAIN} {REPORTED}", REPORTED, "'published' ... trains nothing ... paper_configs/laptop.yaml"),
    (f"base --config {REPORTED}", REPORTED, "'published' ... trains nothing ... paper_configs/laptop.yaml"),
    ("plan --scale published", REPORTED, "'published' ... trains nothing ... paper_configs/laptop.yaml"),
    (f"{TRAIN} {SCALE} --method ppo", "", "method 'ppo' ... grpo"),
    (f"{TRAIN} {SCALE} --seed -1", "", "seed ... -1 ... 4294967295"),
    (f"{TRAIN} {SCALE} --seed {2**32}", "", f"seed ... {2**32} ... 4294967295"),
]

# whole sentences, one of each kind
SENTENCES: list[tuple[str, Change, str]] = [
    (SMOKE, {"training.steps": 0}, "training.steps is 0; must be at least 1: set it to that or more"),
    (SMOKE, {"training.lerning_rate": 1.0}, "training.lerning_rate is not a known key; did you mean 'learning_rate'?"),
    (
        SMOKE,
        {"version": 2},
        "version is 2, but this package reads version 1 of the configuration's format; take the package that the file "
        "was made for, or write its values into a copy of a scale file of this package, which has version: 1",
    ),
    (
        SMOKE,
        {"training.mini_batch_prompts": 3},
        "training.mini_batch_prompts 3 must divide training.prompts 8; choose one of 1, 2, 4, 8",
    ),
    (SMOKE, {"engine": "torhc"}, "engine must be 'torch', 'verl' or 'reported', found 'torhc'; choose one"),
    (SMOKE, add("seeds: [0]"), "line 82: the key 'seeds' stands in line 8 already; remove one of the two"),
    (
        CLAIMS,
        {f"{CLAIM}.region": {"above": 2.0, "below": 1.0}},
        f"{CLAIM}.region: region is empty: above 2.0 must be less than below 1.0; correct them",
    ),
    (SOURCES, {"add3": ENTRY}, "add3: has the name of a family of the laptop's task; choose another name"),
]


def mistakes() -> Iterator[Mistake]:
    """Those of ROWS, one per key, and of TEXTS."""
    for file, rows in ROWS.items():
        for first, *rest in rows:
            if isinstance(first, dict):
                yield Mistake(file, first, tuple(rest))
                continue
            value, reason = rest
            parts = reason if value is REMOVED else f"{shown(value)} ... {reason}"
            yield from (Mistake(file, {key: value}, (f"{key} ... {parts}",)) for key in first.split())
    yield from (Mistake(SMOKE, edit, (parts,)) for edit, parts in TEXTS)


def shown(value: Any) -> str:
    """A value as an answer quotes it."""
    return json.dumps(value) if value is None or isinstance(value, bool) else repr(value)
