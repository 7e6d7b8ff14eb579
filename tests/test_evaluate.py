"""Evaluation: the file contract, and samples that depend on the checkpoint and settings alone."""

import pandas as pd
import pytest
import torch

from real.arithmetic import held_out_problems
from real.config import ConfigError
from real.evaluate import COLUMNS, evaluate, sample_benchmark
from real.torch_engine.policy import load_checkpoint


def test_evaluation_rows_follow_the_contract(base_folder, smoke, tmp_path):
    _, folder = base_folder
    evaluate(smoke.scale, folder / "base" / "model", tmp_path, ["mix4", "add3"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["add3.parquet", "mix4.parquet"]
    rows = pd.read_parquet(tmp_path / "mix4.parquet")
    settings, task = smoke.scale.evaluation, smoke.scale.task
    assert list(rows) == list(COLUMNS)
    assert len(rows) == task.test_problems * settings.samples
    assert (
        rows.groupby("problem_id")["sample"].apply(list).tolist()
        == [list(range(settings.samples))] * task.test_problems
    )
    assert rows["correct"].equals(rows["status"] == "exact")
    assert rows["tokens"].between(1, settings.max_response_tokens).all()
    with pytest.raises(ConfigError, match="unknown benchmark 'aime'"):
        evaluate(smoke.scale, folder / "base" / "model", tmp_path, ["aime"])


def test_a_problems_samples_do_not_depend_on_other_benchmarks_or_later_chunks(base_folder, smoke):
    _, folder = base_folder
    model, _ = load_checkpoint(folder / "base" / "model", torch.device("cpu"))
    problems = held_out_problems(0, 8, 4)["mix4", "test"]
    settings = smoke.scale.evaluation.model_copy(update={"chunk_problems": 4})
    every, first = sample_benchmark(model, problems, settings), sample_benchmark(model, problems[:4], settings)
    assert every[: len(first)].equals(first)
