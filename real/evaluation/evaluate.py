"""Checkpoint to one row per sampled answer: one parquet per benchmark, and what made them in ``evaluation.json``.

Problems are sampled in fixed chunks. A finished chunk is on disk, so an interrupted evaluation goes on with the next
one; a half-done chunk is done again as a whole, because the shape of a batch changes rounding. Responses are graded
when a benchmark is complete. The rows depend on the checkpoint, the problems, the settings and the code, and on nothing
else; what other code did is used only if the user accepts that code by name.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from real.config import ConfigError, Evaluation, Task, digest
from real.evaluation.chunks import Chunks
from real.grading import grade_many
from real.grading.forms import is_understood
from real.grading.reading import readings
from real.models.chat import Sampler
from real.system.code import accepting, versions
from real.system.files import DamagedError, read_json, read_table, write_json, write_table
from real.system.work_folder import hold
from real.tasks.arithmetic import END_THINK, FAMILIES, held_out_problems
from real.tasks.datasets import load_problems
from real.tasks.problems import Problem

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
ABOUT = "evaluation.json"
UNGRADED = ("no_answer", "not_understood", "timeout", "worker_died")
# of the settings, what decides how responses are graded or kept, but not which are sampled
AFTER_SAMPLING = {"benchmarks", "strict_format", "keep_responses"}


def problems_of(benchmarks: Sequence[str], task: Task | None) -> dict[str, Sequence[Problem]]:
    """Test problems by benchmark.

    Args:
        task: of the laptop's scale, whose families need it.

    Raises:
        ConfigError: a family of the task without ``task``.
        DatasetError: a test set that is not prepared, or was altered since.
    """
    problems: dict[str, Sequence[Problem]] = {}
    for benchmark in benchmarks:
        if benchmark not in FAMILIES:
            problems[benchmark] = load_problems(benchmark)
            continue
        if task is None:
            raise ConfigError(
                f"benchmark {benchmark!r} belongs to the laptop's task; say which one by --config "
                "paper_configs/laptop.yaml"
            )
        held_out = held_out_problems(task.seed, task.test_problems, task.validation_problems)
        problems[benchmark] = held_out[benchmark, "test"]
    return problems


def evaluate(
    sampler: Sampler,
    problems: Mapping[str, Sequence[Problem]],
    settings: Evaluation,
    output: Path,
    work: Path,
    processes: int,
    code: str,
    protected: bool = False,
    accepted: Collection[str] = (),
) -> list[dict[str, Any]]:
    """Sample and grade ``problems`` into ``output/<benchmark>.parquet``, with ``output/evaluation.json`` beside them.

    Interrupted, it goes on where it stopped when it is called again: finished chunks are in ``work``, and a benchmark
    that ``evaluation.json`` lists is left as it is.

    Args:
        processes: that grade at once.
        code, protected: see :class:`Chunks`.
        accepted: digests of other code whose chunks and finished benchmarks are used.

    Returns:
        The other versions of the code that sampled or graded some of the rows: ``code_digest`` and ``benchmarks``.

    Raises:
        ConfigError: a prompt that doesn't fit, or an ``output`` that another checkpoint, other settings or other code
            made.
        DamagedError: rows of an earlier evaluation in ``output`` that are cut off or altered.
        FolderInUseError, OtherRunError: see :func:`hold` and :class:`Chunks`.
    """
    for asked in problems.values():
        sampler.check(asked)
    with hold(work) as abandoned:
        about = _describe(sampler, settings, output, {code, *accepted})
        key = digest(sampler.identity, settings.model_dump(exclude=AFTER_SAMPLING))
        chunks = Chunks(work, key, code, protected, accepted)
        output.mkdir(parents=True, exist_ok=True)
        for benchmark, asked in problems.items():
            path, fingerprint = output / f"{benchmark}.parquet", digest([asdict(problem) for problem in asked])
            known = about["benchmarks"].get(benchmark)
            if known and known["digest"] == fingerprint and path.exists():
                require_summary(path, known)
                tqdm.write(f"{benchmark}: was evaluated before")
            else:
                responses = sample_benchmark(sampler, benchmark, asked, settings, chunks)
                rows = grade_benchmark(responses, asked, settings, processes)
                write_table(path, rows)
                makers = list(dict.fromkeys([*responses["code"], code]))
                found = {**summary(rows), "ground_truths_not_understood": not_understood(asked)}
                known = about["benchmarks"][benchmark] = {"digest": fingerprint, "code": makers, **found}
                write_json(output / ABOUT, about)
                _warn_if_none_thinks(benchmark, responses, settings)
            tqdm.write(_log_line(benchmark, known))
        if abandoned():
            tqdm.write(f"{work}: is kept, because the Snakemake that started this job is gone: the next one repeats it")
        else:
            chunks.remove(problems)
    return _by_other_code(about["benchmarks"], code)


def sample_benchmark(
    sampler: Sampler, benchmark: str, problems: Sequence[Problem], settings: Evaluation, chunks: Chunks
) -> pd.DataFrame:
    """One row per (problem, sample): ``problem_id, sample, response, tokens, truncated, code``."""
    parts = []
    starts = range(0, len(problems), settings.chunk_problems)
    for at, start in enumerate(tqdm(starts, benchmark, disable=None), 1):
        chunk = problems[start : start + settings.chunk_problems]
        name = f"{benchmark}-{start}-{digest([(problem.problem_id, problem.prompt) for problem in chunk])}"
        part = chunks.load(name)
        if part is None:
            part = pd.DataFrame(sampler.sample(chunk, settings.samples)).rename(columns={"text": "response"})
            part["problem_id"] = [problem.problem_id for problem in chunk for _ in range(settings.samples)]
            part["sample"] = list(range(settings.samples)) * len(chunk)
            chunks.save(name, part)
            part["code"] = chunks.code
            tqdm.write(
                f"{benchmark}: chunk {at} of {len(starts)}, {len(part)} samples, {part['tokens'].mean():.0f} tokens on "
                f"average, {part['truncated'].mean():.1%} truncated"
            )
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def grade_benchmark(
    responses: pd.DataFrame, problems: Sequence[Problem], settings: Evaluation, processes: int
) -> pd.DataFrame:
    """The rows of :func:`sample_benchmark` with their grades: the columns of :data:`COLUMNS`."""
    truths = {problem.problem_id: problem.ground_truths for problem in problems}
    asked = [truths[name] for name in responses["problem_id"]]
    grades = grade_many(responses["response"].tolist(), asked, processes, strict_format=settings.strict_format)
    graded = responses.join(pd.DataFrame(grades))
    if not settings.keep_responses:
        graded["response"] = None
    return graded[list(COLUMNS)].astype(COLUMNS)


def summary(rows: pd.DataFrame) -> dict[str, Any]:
    """Counts and pass@1 (mean correctness) of one benchmark's rows."""
    return {
        "problems": int(rows["problem_id"].nunique()),
        "samples": len(rows),
        "pass_at_1": float(rows["correct"].mean()),
        "truncated": int(rows["truncated"].sum()),
        "status": {status: int(count) for status, count in sorted(rows["status"].value_counts().items())},
    }


def not_understood(problems: Sequence[Problem]) -> list[str]:
    """Ids of the problems with a ground truth that the grader doesn't understand, whatever it reads it as."""
    return [
        problem.problem_id
        for problem in problems
        if any(not any(map(is_understood, readings(text))) for text in problem.ground_truths)
    ]


def require_summary(path: Path, known: Mapping[str, Any]) -> None:
    """Raise DamagedError for rows that are cut off, or are not those that evaluation.json counted."""
    counted = summary(read_table(path))
    if counted != {key: known.get(key) for key in counted}:
        raise DamagedError(f"{path}: doesn't hold what {ABOUT} counted; delete it and run the same command again")


def _describe(sampler: Sampler, settings: Evaluation, output: Path, codes: Collection[str]) -> dict[str, Any]:
    """What makes the rows; with the benchmarks that ``output`` has already, if the same and one of ``codes`` did."""
    parts = {
        "sampler": sampler.identity,
        "settings": settings.model_dump(exclude={"benchmarks"}),
        "grading": {"packages": versions("math-verify", "latex2sympy2_extended", "sympy")},
    }
    about = {"model": sampler.name, **parts, "benchmarks": {}}
    if not (output / ABOUT).exists():
        return about
    found = read_json(output / ABOUT, keys=list(about))
    differing = [
        f"{part}.{key}" for part, values in parts.items() for key in values if found[part].get(key) != values[key]
    ]
    # the last one graded it
    strange = {known.get("code", ["unknown"])[-1] for known in found["benchmarks"].values()} - set(codes)
    if differing or strange:
        by_name = "" if differing or "unknown" in strange else f", {accepting(sorted(strange))}"
        raise ConfigError(
            f"{output}: holds an evaluation of {found['model']} that differs in "
            f"{', '.join([*differing, *(['code'] if strange else [])])}; choose another --output{by_name}, or delete "
            "this one"
        )
    return {**about, "benchmarks": found["benchmarks"]}


def _by_other_code(benchmarks: Mapping[str, Mapping[str, Any]], code: str) -> list[dict[str, Any]]:
    """Which benchmarks each other version of the code sampled or graded some of."""
    makers = dict.fromkeys(maker for known in benchmarks.values() for maker in known["code"] if maker != code)
    return [
        {"code_digest": maker, "benchmarks": [name for name, known in benchmarks.items() if maker in known["code"]]}
        for maker in makers
    ]


def _warn_if_none_thinks(benchmark: str, responses: pd.DataFrame, settings: Evaluation) -> None:
    if settings.strict_format and not responses["response"].str.contains(END_THINK, regex=False).any():
        tqdm.write(
            f"{benchmark}: warning: not one response has {END_THINK}, without which it is wrong; if the model doesn't "
            "write it, evaluate with --any-format (evaluation.strict_format: false)"
        )


def _log_line(benchmark: str, counts: Mapping[str, Any]) -> str:
    failures = ", ".join(f"{counts['status'].get(kind, 0)} {kind}" for kind in UNGRADED)
    return (
        f"{benchmark}: pass@1 {counts['pass_at_1']:.3f} over {counts['samples']} samples, "
        f"{counts['truncated'] / counts['samples']:.1%} truncated, {failures}"
    )
