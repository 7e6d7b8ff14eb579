"""Results that are edited, forged or swapped so that they can be read, and then listed anew as if they were measured.

The command line runs in this process, as in damage.py. A try survives if ``verify`` names what was done, whoever listed
it, and if nothing that shows it can be made, or says what it shows.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pandas as pd

from tests.faults.damage import command
from tests.faults.place import CONFIG, Place, last_lines, must, must_have_no_traceback
from tests.faults.tries import Tried, judged

# what shows a file, by where it stands; what is drawn is shown by the report
SHOWN_BY = {
    "evaluations": ("benchmarks", "differences", "pass_at_k", "claims"),
    "runs": ("training_curves", "claims", "gradient_measured"),
    "tables": ("report",),
    "claims.json": ("report",),
    "figures": ("report",),
}
RECORD, RECORDS = "provenance.json", "provenance"


def rows_edited(path: Path, rng: Random) -> None:
    """Some answers of an evaluation, or measured scores, become others."""
    frame = pd.read_parquet(path)
    column = "correct" if "correct" in frame else "weight"
    chosen = frame.sample(max(1, len(frame) // 3), random_state=rng.randrange(2**31)).index
    frame.loc[chosen, column] = ~frame.loc[chosen, column] if column == "correct" else frame.loc[chosen, column] + 1
    frame.to_parquet(path)


def number_edited(path: Path, rng: Random) -> None:
    """One digit of a number becomes another."""
    text = path.read_text(encoding="utf-8")
    at, digit = rng.choice([(found.start(), found[0]) for found in re.finditer(r"(?<=\.)\d", text)])
    path.write_text(f"{text[:at]}{(int(digit) + rng.randrange(1, 10)) % 10}{text[at + 1 :]}", encoding="utf-8")


def pixel_edited(path: Path, rng: Random) -> None:
    """A part of a picture becomes white."""
    from PIL import Image

    with Image.open(path) as picture:
        painted = picture.convert("RGB")
    at = (rng.randrange(painted.width // 2), rng.randrange(painted.height // 2))
    painted.paste((255, 255, 255), (*at, at[0] + painted.width // 3, at[1] + painted.height // 3))
    painted.save(path)


EDITS: dict[str, Callable[[Path, Random], None]] = {
    "evaluations/*/seed0/*.parquet": rows_edited,
    "runs/*/seed0/metrics.jsonl": number_edited,
    "runs/*/seed0/gradient_samples.parquet": rows_edited,
    "tables/*.csv": number_edited,
    "tables/*.json": number_edited,
    "claims.json": number_edited,
    "figures/*.png": pixel_edited,
    "evaluations/*/seed0/evaluation.json": number_edited,
}


def results_edited(place: Place, rng: Random, tries: int) -> Iterator[Tried]:
    """A result is edited into another that can be read, with or without its time kept, and the manifest is made anew:
    ``verify`` names that file as altered, and whoever shows it refuses it."""
    patterns = [pattern for pattern in EDITS if sorted(place.results.glob(pattern))]
    for number in range(tries):
        pattern = patterns[number % len(patterns)]
        path = rng.choice(sorted(place.results.glob(pattern)))
        name = str(path.relative_to(place.results))
        yield judged(place, f"{name} edited", lambda p=path, n=name, e=EDITS[pattern]: _edited(place, rng, p, n, e))


def _edited(place: Place, rng: Random, path: Path, name: str, edit: Callable[[Path, Random], None]) -> str:
    kept = rng.random() < 0.5
    with _undone(place):
        times = path.stat()
        edit(path, rng)
        if kept:
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        must_list_anew(place)
        must_be_named(place, name, "altered", "damaged")
        for exhibit in SHOWN_BY[Path(name).parts[0]]:
            if _reads(place, exhibit, name):
                ended = command(place, "make", exhibit, "--config", CONFIG)
                must(ended.code == 1, f"{exhibit} was made from it: laundered")
                must_have_no_traceback(ended.text)
                must(name in ended.text, f"{exhibit} doesn't name it: {last_lines(ended.text)}")
    return ", its time kept" if kept else ""


def links_forged(place: Place, rng: Random, tries: int) -> Iterator[Tried]:
    """A result is edited and its own record forged to fit, and the manifest is made anew: ``verify`` names those that
    read the result before, and whoever is made anew from it refuses it or says so."""
    patterns = [pattern for pattern in EDITS if pattern.startswith("runs") or pattern == "tables/*.json"]
    for number in range(tries):
        pattern = patterns[number % len(patterns)]
        path = rng.choice(sorted(place.results.glob(pattern)))
        name = str(path.relative_to(place.results))
        what = f"{name} edited, its record forged"
        yield judged(place, what, lambda p=path, n=name, e=EDITS[pattern]: _forged(place, rng, p, n, e))


def _forged(place: Place, rng: Random, path: Path, name: str, edit: Callable[[Path, Random], None]) -> None:
    from real.system.files import file_digest

    drawn = name.startswith("tables")
    record = place.results / RECORDS / f"{path.stem}.json" if drawn else path.with_name(RECORD)
    with _undone(place):
        edit(path, rng)
        content = json.loads(record.read_text())
        wrote = content["wrote"][str(path.relative_to(place.results if drawn else record.parent))]
        wrote |= {"bytes": path.stat().st_size, "sha256": file_digest(path)}
        record.write_text(json.dumps(content, indent=2) + "\n")
        must_list_anew(place)
        must_be_named(place, "report" if drawn else str(Path("evaluations", *Path(name).parts[1:3])), "mismatched")


def results_swapped(place: Place, rng: Random, tries: int) -> Iterator[Tried]:
    """Two results change places, of methods, of benchmarks or of runs: ``verify`` names both, and no table is made of
    them."""
    for number in range(tries):
        kind = ("benchmarks", "methods", "models")[number % 3]
        first, second = _pair(place, rng, kind)
        what = f"{first.relative_to(place.results)} and {second.relative_to(place.results)} change places"
        yield judged(place, what, lambda first=first, second=second, kind=kind: _swapped(place, first, second, kind))


def _pair(place: Place, rng: Random, kind: str) -> tuple[Path, Path]:
    if kind == "models":
        first, second, *_ = sorted(place.results.glob("runs/*/seed0/model/model.safetensors"))
        return first, second
    files = sorted(place.results.glob("evaluations/*/seed0/*.parquet"))
    first = rng.choice(files)
    same = {"benchmarks": lambda other: other.parent == first.parent, "methods": lambda other: other.name == first.name}
    return first, rng.choice([other for other in files if other != first and same[kind](other)])


def _swapped(place: Place, first: Path, second: Path, kind: str) -> None:
    with _undone(place):
        aside = first.with_name("aside")
        first.rename(aside)
        second.rename(first)
        aside.rename(second)
        must_list_anew(place)
        for path in (first, second):
            must_be_named(place, str(path.relative_to(place.results)), "altered")
        if kind != "models":
            ended = command(place, "make", "benchmarks", "--config", CONFIG)
            must(ended.code == 1, "benchmarks was made from them: laundered")
            must_have_no_traceback(ended.text)


def must_list_anew(place: Place) -> None:
    """What a forced rule ``manifest`` runs."""
    ended = command(place, "manifest", "--config", CONFIG)
    must(ended.code == 0, f"manifest ended with {ended.code}: {last_lines(ended.text)}")


def must_be_named(place: Place, name: str, *kinds: str) -> None:
    """``verify`` ends with code 1 and gives one of the kinds to the name."""
    ended = command(place, "verify", "--config", CONFIG)
    must(ended.code == 1, f"verify ended with {ended.code}: laundered")
    found = re.findall(r"^(\w+) +(.+?): ", ended.text, re.M)
    named = any(kind in kinds and path == name for kind, path in found)
    must(named, f"verify doesn't name {name}: {last_lines(ended.text, 8)}")


def _reads(place: Place, exhibit: str, name: str) -> bool:
    """Whether the finished exhibit was made from a file."""
    return name in json.loads((place.results / RECORDS / f"{exhibit}.json").read_text())["read"]


@contextmanager
def _undone(place: Place) -> Iterator[None]:
    """Put every file of the results back that the block changed."""
    before = place.scratch / "before"
    shutil.copytree(place.results, before, symlinks=True)
    try:
        yield
    finally:
        shutil.rmtree(place.results)
        before.rename(place.results)
