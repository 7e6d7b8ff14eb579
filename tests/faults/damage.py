"""Files that are cut off, altered, deleted or replaced: those that a resume reads, and those that are finished.

The command line runs in this process here, through the same real.commands.command_line.main: a thousand imports would
cost more than the tries.
"""

import io
import os
import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from random import Random

import pandas as pd

from tests.faults.jobs import METHODS, Job, evaluation_of, run_of, wait_for_a_moment
from tests.faults.place import CONFIG, SCALE, Ended, Place, SkippedError, last_lines, must, must_be_one_sentence
from tests.faults.tries import Tried, judged

MANIFEST = "manifest.json"


def cut_off(content: bytes, rng: Random, other: bytes) -> bytes:
    """Its beginning."""
    return content[: rng.randrange(1, len(content))]


def bit_flipped(content: bytes, rng: Random, other: bytes) -> bytes:
    """One bit of it altered."""
    altered = bytearray(content)
    altered[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(altered)


def emptied(content: bytes, rng: Random, other: bytes) -> bytes:
    """Nothing of it."""
    return b""


def garbled(content: bytes, rng: Random, other: bytes) -> bytes:
    """Random bytes in its place."""
    return rng.randbytes(len(content))


def replaced(content: bytes, rng: Random, other: bytes) -> bytes:
    """Another run's file in its place."""
    return other


HARMS = (cut_off, bit_flipped, emptied, garbled)


def command(place: Place, *arguments: str) -> Ended:
    """``python -m real`` in this process."""
    from real.commands.command_line import main

    printed = io.StringIO()
    with chdir(place.checkout), redirect_stdout(printed), redirect_stderr(printed):
        code = main(list(arguments))
    return Ended(code, printed.getvalue())


def state_damaged(place: Place, rng: Random, tries: int) -> Iterator[Tried]:
    """A file of a work folder, read by a resume, is damaged: it is detected and named, and the result is the same."""
    for number in range(tries):
        job = (run_of(rng.choice(METHODS)), evaluation_of(rng.choice(METHODS)))[number % 3 == 2]
        harm = HARMS[number % len(HARMS)]
        yield judged(
            place,
            f"{job.name}: {harm.__name__}",
            lambda job=job, harm=harm: _resumes_from_damage(place, rng, job, harm),
        )


def _resumes_from_damage(place: Place, rng: Random, job: Job, harm) -> str:
    job.clear(place)
    with place.real(*job.arguments) as program:
        kept, made = place.results / job.work, place.results / job.makes
        program.wait_until(lambda: _saved(kept, made))
        wait_for_a_moment(rng, job, place, program, 0.8)
        if program.ended:
            raise SkippedError(f"{job.name} ended before its state was damaged")
        program.send(signal.SIGKILL)
        program.end()
    files = _saved(kept, made)
    if not files:
        raise SkippedError(f"{job.name} had finished with its work folder")
    path = rng.choice(files)
    path.write_bytes(harm(path.read_bytes(), rng, b""))
    text = place.must_complete(place.real(*job.arguments))
    place.must_be_identical(job.makes)
    must(path.name in text, f"{path.name} was damaged, but is not named: {last_lines(text, 8)}")
    return f" {path.name}"


def _saved(folder: Path, made: Path) -> list[Path]:
    """What a resume reads first: the newest state, or any finished chunk of an unfinished benchmark."""
    chunks = (path for path in folder.glob("chunks-*/*.chunk") if not (made / _benchmark_file(path)).exists())
    return sorted([*folder.glob("state.pt"), *chunks])


def _benchmark_file(chunk: Path) -> str:
    return f"{chunk.name.split('-')[0]}.parquet"


def artefact_damaged(place: Place, rng: Random, tries: int) -> Iterator[Tried]:
    """A finished artefact is cut off, altered, emptied, garbled, deleted or replaced by another run's: ``python -m real
    verify`` names that file and no other, and ends with code 1; with the file back it ends well."""
    finished = _listed(place)
    kinds = _by_kind(finished)
    for number in range(tries):
        kind = sorted(kinds)[number % len(kinds)]
        name = rng.choice(kinds[kind])
        harm = (*HARMS, replaced, None)[rng.randrange(len(HARMS) + 2)]
        what = f"{name} {harm.__name__ if harm else 'deleted'}"
        yield judged(place, what, lambda name=name, harm=harm: _verify_names(place, rng, name, harm, finished))


def _verify_names(place: Place, rng: Random, name: str, harm, finished: Sequence[str]) -> None:
    path = place.results / name
    content, times = path.read_bytes(), path.stat()
    other = next((o for o in finished if Path(o).name == Path(name).name and _read(place, o) != content), None)
    try:
        if harm is None:
            path.unlink()
        else:
            harmed = harm(content, rng, _read(place, other) if other else b"another run's")
            if harmed == content:
                raise SkippedError("the harm changed nothing")
            path.write_bytes(harmed)
        ended = command(place, "verify", "--config", CONFIG)
    finally:
        path.write_bytes(content)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    if name == MANIFEST:
        must_be_one_sentence(ended, f"{SCALE}/{name}: ")
        return
    must(ended.code == 1, f"verify ended with {ended.code}: {last_lines(ended.text)}")
    named = {found[1] for found in re.finditer(r"^(?:missing|damaged|altered) +(.+?): ", ended.text, re.M)}
    must(named == {name}, f"verify names {', '.join(sorted(named)) or 'nothing'}: {last_lines(ended.text)}")
    ended = command(place, "verify", "--config", CONFIG)
    must(ended.code == 0, f"verify does not end well with the file back: {last_lines(ended.text)}")


def reading_damage(place: Place, rng: Random, tries: int) -> Iterator[Tried]:
    """What tables, curves and claims read is cut off: they end in one sentence that names the file, and write nothing.
    An altered byte of a parquet file is refused, or changes no value that is read."""
    readers = {
        "evaluations/*/seed0/*.parquet": ("benchmarks", "differences", "pass_at_k", "claims"),
        "runs/*/seed0/metrics.jsonl": ("training_curves", "claims"),
    }
    for number in range(tries):
        pattern = list(readers)[number % 2]
        path = rng.choice(sorted(place.results.glob(pattern)))
        name = str(path.relative_to(place.results))
        if number % 4 == 2:
            yield judged(place, f"{name} bit_flipped", lambda path=path: _refused_or_same(path, rng))
        else:
            verb = rng.choice(readers[pattern])
            yield judged(
                place, f"{name} cut_off, read by {verb}", lambda p=path, v=verb: _ends_in_a_sentence(place, rng, p, v)
            )


def _ends_in_a_sentence(place: Place, rng: Random, path: Path, verb: str) -> None:
    content = path.read_bytes()
    try:
        path.write_bytes(cut_off(content, rng, b""))
        ended = command(place, "make", verb, "--config", CONFIG)
    finally:
        path.write_bytes(content)
    must_be_one_sentence(ended, str(path.relative_to(place.checkout)))
    place.must_be_identical()


def _refused_or_same(path: Path, rng: Random) -> None:
    from real.system.files import DamagedError, read_table

    content, before = path.read_bytes(), read_table(path)
    try:
        path.write_bytes(bit_flipped(content, rng, b""))
        after: pd.DataFrame | None = read_table(path)
    except DamagedError:
        after = None
    finally:
        path.write_bytes(content)
    must(after is None or after.equals(before), "other values were read without a word")


def _listed(place: Place) -> list[str]:
    """Every file of the finished results that is declared, clocks and provenance among them."""
    left_out = {"benchmarks", "logs", "work"}
    return [
        str(path.relative_to(place.results))
        for path in sorted(place.results.rglob("*"))
        if path.is_file()
        and path.relative_to(place.results).parts[0] not in left_out
        and path.name != ".snakemake_timestamp"
    ]


def _by_kind(names: Sequence[str]) -> dict[str, list[str]]:
    """Names by what they are: the same file of every method, seed and benchmark is one kind."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        first, last = Path(name).parts[0], Path(name).name
        if first == "evaluations" and name.endswith(".parquet"):
            last = "*.parquet"
        kinds.setdefault(f"{first}/{last}", []).append(name)
    return kinds


def _read(place: Place, name: str) -> bytes:
    return (place.results / name).read_bytes()
