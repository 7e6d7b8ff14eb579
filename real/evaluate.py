"""Checkpoint to one row per sampled answer: one parquet per benchmark.

Problems are sampled in fixed chunks, each with random numbers of its own, so that the rows of a benchmark depend on
the checkpoint, the evaluation settings and nothing else.
"""

import random
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from tqdm import tqdm
from transformers import PreTrainedModel

from real.arithmetic import Problem, decode, encode, grade, held_out_problems
from real.config import ConfigError, Evaluation, TorchScale
from real.torch_engine.policy import load_checkpoint, prepare_torch
from real.torch_engine.sampler import sample

COLUMNS = {
    "problem_id": "str",
    "sample": "int64",
    "response": "str",
    "answer": "str",
    "correct": "bool",
    "status": "str",
    "tokens": "int64",
    "truncated": "bool",
}


def evaluate(scale: TorchScale, model_folder: Path, output: Path, benchmarks: Sequence[str] | None = None) -> None:
    """Sample every test problem of the benchmarks and grade the responses into ``output/<benchmark>.parquet``.

    Args:
        scale: gives the task and the evaluation settings.
        model_folder: a Hugging Face checkpoint.
        benchmarks: default: all of ``scale.evaluation.benchmarks``.

    Raises:
        FileNotFoundError: ``model_folder`` holds no checkpoint.
        ConfigError: an unknown benchmark, or the configured device is missing.
    """
    device = prepare_torch(scale.device)
    settings, task = scale.evaluation, scale.task
    held_out = held_out_problems(task.seed, task.test_problems, task.validation_problems)
    wanted = list(benchmarks or settings.benchmarks)
    for benchmark in wanted:
        if (benchmark, "test") not in held_out:
            raise ConfigError(
                f"benchmarks: unknown benchmark {benchmark!r}; choose from {', '.join(settings.benchmarks)}"
            )
    model, _ = load_checkpoint(model_folder, device)
    output.mkdir(parents=True, exist_ok=True)
    for benchmark in tqdm(wanted, "evaluate", disable=None):
        rows = sample_benchmark(model, held_out[benchmark, "test"], settings)
        partial = output / f"{benchmark}.parquet.partial"
        rows.to_parquet(partial, index=False)
        partial.replace(output / f"{benchmark}.parquet")
        tqdm.write(f"{benchmark}: pass@1 {rows['correct'].mean():.3f} over {len(rows)} samples")


def sample_benchmark(model: PreTrainedModel, problems: Sequence[Problem], settings: Evaluation) -> pd.DataFrame:
    """One row per (problem, sample), with the columns of :data:`COLUMNS`."""
    rows = []
    for start in range(0, len(problems), settings.chunk_problems):
        chunk = problems[start : start + settings.chunk_problems]
        seed = random.Random(f"evaluate {settings.seed} {chunk[0].problem_id}").getrandbits(63)
        rollouts = sample(
            model,
            [encode(problem.prompt) for problem in chunk],
            settings.samples,
            settings.temperature,
            settings.top_p,
            settings.max_response_tokens,
            torch.Generator().manual_seed(seed),
        )
        lengths, truncated = rollouts.mask.sum(dim=1).tolist(), rollouts.truncated.tolist()
        for i, ids in enumerate(rollouts.response.tolist()):
            problem, response = chunk[i // settings.samples], decode(ids)
            correct, answer, status = grade(response, problem.answer)
            row = (
                problem.problem_id,
                i % settings.samples,
                response,
                answer,
                correct,
                status,
                lengths[i],
                truncated[i],
            )
            rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
