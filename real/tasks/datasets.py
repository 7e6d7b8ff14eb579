"""Datasets in one schema: :func:`prepare` converts the fetched files, :func:`load_problems` reads the result.

Fetched files are verified again before they are read (sources.py), and their misprints corrected (corrections.py);
prepared ones carry the source's hash, digests of their content and of what was corrected, and their row count, and are
checked against them on every load.
"""

import hashlib
import json
import math
import re
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from real.system.files import write_atomically
from real.tasks.corrections import (
    CORRECTIONS_FILE,
    NOTHING_CORRECTED,
    Correction,
    Corrections,
    corrections_digest,
    read_corrections,
)
from real.tasks.problems import Problem
from real.tasks.sources import JSON_LINES, RAW, SOURCES_FILE, DatasetError, Source, find_source, verify

PREPARED = Path("datasets/prepared")
SCHEMA = pa.schema(
    {
        "problem_id": pa.string(),
        "benchmark": pa.string(),
        "prompt": pa.list_(pa.struct({"role": pa.string(), "content": pa.string()})),
        "ground_truths": pa.list_(pa.string()),
        "split": pa.string(),
    }
)
# with which every prompt of the released files ends, after a space
INSTRUCTION = "Let's think step by step and output the final answer within \\boxed{}."
# before the truth of a worked solution, and between the thousands of that
TRUTH, THOUSANDS = "####", re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
ROW_REMEDY = f"correct the entry in {SOURCES_FILE}"
CORRECTION_REMEDY = f"correct or remove it in {CORRECTIONS_FILE}"


def prepare(
    source: Source, raw_folder: Path = RAW, prepared_folder: Path = PREPARED, sources_file: Path = SOURCES_FILE
) -> Path:
    """Convert the fetched file, verified again and corrected, to the schema of :class:`real.tasks.problems.Problem`.

    Args:
        sources_file: beside which corrections.yaml stands, if anything is corrected.

    Returns:
        ``prepared_folder/<name>.parquet``; its metadata holds the source's hash, the row count and digests of its
        content and of what was corrected.

    Raises:
        ConfigError: a mistake in corrections.yaml.
        DatasetError: the file is missing, altered, of another shape, has a row without prompt or answer, or lacks what
            is to be corrected.
        WriteError: the disk is full or refuses.
    """
    corrections, raw = read_corrections(sources_file), raw_folder / source.raw
    if not raw.exists():
        raise DatasetError(f"{raw}: no such file; fetch it with `python -m real download {source.name}`")
    verify(raw, source)
    rows = _raw_rows(raw, source)
    corrected = {int(row): correction for row, correction in corrections.get(source.name, {}).items()}
    if beyond := [row for row in corrected if row >= len(rows)]:
        raise DatasetError(f"{source.name}: has no row {beyond[0]} to be corrected; {CORRECTION_REMEDY}")
    problems = [p for index, row in enumerate(rows) if (p := _problem(source, index, row, corrected.get(index)))]
    records = [asdict(problem) for problem in problems]
    metadata = {
        "real.source": source.identity,
        "real.rows": str(len(records)),
        "real.unanswered": str(len(rows) - len(records)),
        "real.content": _content_digest(records),
        "real.corrections": corrections_digest(corrections, source.name),
    }
    prepared_folder.mkdir(parents=True, exist_ok=True)
    target = prepared_folder / f"{source.name}.parquet"
    write_atomically(target, partial(pq.write_table, pa.Table.from_pylist(records, SCHEMA.with_metadata(metadata))))
    left_out = f"{len(rows) - len(records)} rows without an answer left out"
    tqdm.write(f"{target}: {len(records)} problems, {left_out}, {len(corrected)} ground truths corrected")
    return target


def load_problems(name: str, folder: Path = PREPARED, sources_file: Path = SOURCES_FILE) -> list[Problem]:
    """The problems of a prepared dataset, in the order of its file.

    Raises:
        ConfigError: an unknown dataset, or a mistake in corrections.yaml.
        DatasetError: it isn't prepared yet, was made from another file or with other corrections, or was altered since.
    """
    corrections = read_corrections(sources_file)
    _, records = _prepared(find_source(name, sources_file), corrections, folder / f"{name}.parquet")
    return [
        Problem(**{**record, "prompt": tuple(record["prompt"]), "ground_truths": tuple(record["ground_truths"])})
        for record in records
    ]


def data_identity(name: str, folder: Path = PREPARED) -> dict[str, str]:
    """Of a prepared dataset: ``source``, the hash of the fetched file; ``content`` and ``corrections``, the sha256 of
    its problems and of what was corrected in them, ``none`` where nothing was.

    Raises:
        ConfigError, DatasetError: as :func:`load_problems`.
    """
    corrections = read_corrections()
    metadata, _ = _prepared(find_source(name), corrections, folder / f"{name}.parquet")
    return {
        "source": metadata["real.source"],
        "content": metadata["real.content"],
        "corrections": corrections_digest(corrections, name),
    }


def ground_truth_texts(answers: Any) -> tuple[str, ...]:
    """Every usable answer as text: 142.0 -> "142", 70 -> "70", text without the white space around it.

    Nothing else changes here: the grader reads what is left. Empty text, NaN and None are no answers.
    """
    texts = map(_answer_text, answers if isinstance(answers, list) else [answers])
    return tuple(text for text in texts if text)


def _prepared(source: Source, corrections: Corrections, path: Path) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Metadata and rows of a prepared dataset, compared with each other, with the source and with the corrections."""
    command = f"`snakemake {path} --cores 1`"
    if not path.exists():
        raise DatasetError(f"{path}: no such file; prepare it with {command}")
    remedy = f"delete it and prepare it again with {command}"
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError):
        raise DatasetError(f"{path}: is damaged; {remedy}") from None
    metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    if metadata.get("real.source") != source.identity:
        raise DatasetError(f"{path}: was not made from the file with {source.identity}; {remedy}")
    if metadata.get("real.corrections", NOTHING_CORRECTED) != corrections_digest(corrections, source.name):
        raise DatasetError(f"{path}: was prepared with other corrections than {CORRECTIONS_FILE} has; {remedy}")
    records = table.to_pylist()
    if (metadata.get("real.rows"), metadata.get("real.content")) != (str(len(records)), _content_digest(records)):
        raise DatasetError(f"{path}: was altered since it was prepared; {remedy}")
    return metadata, records


def _raw_rows(path: Path, source: Source) -> list[dict[str, Any]]:
    rows = _solutions(path) if path.suffix == JSON_LINES else _released_rows(path)
    if source.rows not in (None, len(rows)):
        raise DatasetError(f"{path}: has {len(rows)} rows, not {source.rows}; {ROW_REMEDY}")
    return rows


def _released_rows(path: Path) -> list[dict[str, Any]]:
    try:
        columns = pq.read_schema(path).names
        missing = [name for name in ("prompt", "reward_model") if name not in columns]
        if missing:
            raise DatasetError(f"{path}: has no column {', '.join(missing)}, only {', '.join(columns)}; {ROW_REMEDY}")
        return pq.read_table(path, columns=["prompt", "reward_model"]).to_pylist()
    except pa.ArrowException as error:
        raise DatasetError(f"{path}: is no parquet file ({' '.join(str(error).split())}); {ROW_REMEDY}") from None


def _solutions(path: Path) -> list[dict[str, Any]]:
    """JSON lines of a question and its worked solution, as GSM8K has them, in the shape of the released files.

    The question is asked as the released files ask theirs: in one message of the user, followed by their instruction.
    The grader reads boxes, and so sets of both kinds can be trained on, evaluated and compared alike.
    """
    rows = []
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
                question, (_, found, truth) = row["question"].strip(), row["answer"].rpartition(TRUTH)
            except (ValueError, KeyError, TypeError, AttributeError):
                raise DatasetError(
                    f"{path}: line {number} is no JSON of a question and an answer in words; {ROW_REMEDY}"
                ) from None
            if not found:
                raise DatasetError(f"{path}: line {number} has no {TRUTH} before its answer; {ROW_REMEDY}")
            prompt = [{"role": "user", "content": f"{question} {INSTRUCTION}" if question else ""}]
            rows.append({"prompt": prompt, "reward_model": {"ground_truth": THOUSANDS.sub("", truth).strip()}})
    return rows


def _problem(source: Source, index: int, row: dict[str, Any], correction: Correction | None) -> Problem | None:
    """One row as a problem, corrected; None where it has no answer and such rows are left out."""
    where = f"{source.name}: row {index}"
    try:
        prompt = tuple({"role": str(turn["role"]), "content": str(turn["content"])} for turn in row["prompt"])
        answers = row["reward_model"]["ground_truth"]
    except (KeyError, TypeError):
        raise DatasetError(f"{where} holds no chat messages with a reward_model.ground_truth; {ROW_REMEDY}") from None
    if not prompt or not all(turn["content"].strip() for turn in prompt):
        raise DatasetError(f"{where} has an empty prompt; {ROW_REMEDY}")
    ground_truths = ground_truth_texts(answers)
    if correction:
        if correction.found not in ground_truths:
            raise DatasetError(
                f"{where} has the ground truth {answers!r}, not {correction.found!r}, which is to be corrected; "
                f"{CORRECTION_REMEDY}"
            )
        ground_truths = tuple(correction.corrected if text == correction.found else text for text in ground_truths)
    if not ground_truths:
        if source.unanswered == "drop":
            return None
        raise DatasetError(f"{where} has no usable answer, found {answers!r}; {ROW_REMEDY}")
    return Problem(f"{source.name}-{index}", source.name, prompt, ground_truths, source.split)


def _answer_text(answer: Any) -> str:
    match answer:
        case str():
            return answer.strip()
        case float() if not math.isfinite(answer):
            return ""
        case float():
            return str(int(answer)) if answer.is_integer() else repr(answer)
        case int() if not isinstance(answer, bool):
            return str(answer)
    return ""


def _content_digest(records: list[dict[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(records, sort_keys=True).encode()).hexdigest()
