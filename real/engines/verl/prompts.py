"""Training and validation prompts as the files that verl's dataset reads."""

import random
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from real.config import VerlRun
from real.tasks.arithmetic import TrainingPrompts, held_out_problems, problem_of
from real.tasks.datasets import load_problems
from real.tasks.problems import Problem


def write_prompts(run: VerlRun, folder: Path) -> tuple[Path, Path]:
    """Write ``train.parquet`` and ``validation.parquet``.

    The laptop's task has the prompts of the torch engine, in its order; a published training set is shuffled by verl.

    Raises:
        DatasetError: a dataset that is not prepared, or was altered since.
    """
    if run.task is not None:
        task, training = run.task, run.training
        source = TrainingPrompts(task.training_families, task.seed, task.test_problems, task.validation_problems)
        texts = [
            text
            for step in range(1, training.steps + 1)
            for text in source.draw(training.prompts, random.Random(f"prompts {run.seed} {step}"))
        ]
        train: Sequence[Problem] = [problem_of(text, f"train-{at}", "train", "train") for at, text in enumerate(texts)]
        held_out = held_out_problems(task.seed, task.test_problems, task.validation_problems)
        validation = [problem for (_, split), part in held_out.items() if split == "validation" for problem in part]
    else:
        assert run.data is not None, "a verl run has either a task or data"
        train, validation = load_problems(run.data.train), load_problems(run.data.validation)
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "train.parquet", folder / "validation.parquet"
    for path, problems in zip(paths, (train, validation), strict=True):
        columns = {
            # one source for all of a file, so that verl reports one validation figure
            "data_source": path.stem,
            "prompt": [list(problem.prompt) for problem in problems],
            "reward_model": [{"ground_truth": list(p.ground_truths), "style": "rule"} for p in problems],
            "extra_info": [{"index": index, "problem_id": p.problem_id} for index, p in enumerate(problems)],
        }
        pd.DataFrame(columns).to_parquet(path, index=False)
    return paths
