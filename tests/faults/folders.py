"""Results that can't be written: another thing in the folder's place, a read-only disk, no permission."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from tests.faults.place import CONFIG, SCALE, Place, SkippedError, must_be_one_sentence
from tests.faults.tries import Tried, judged

TABLE, RECORD = "tables/benchmarks.*", "provenance/benchmarks.json"
# root without the right to ignore permissions, so that it meets them as everyone does
UNPRIVILEGED = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search,-sys_admin")
CASES = (
    "a file in the place of the results folder",
    "a file in the place of the scale's folder",
    "a file in the place of the tables' folder",
    "results on a read-only disk",
    "results without permission to write",
)


def results_unwritable(place: Place, rng: Random, tries: int) -> Iterator[Tried]:
    """The results can't be written: the command line and Snakemake each say so in one sentence that names what is in
    the way, finished files are as they were, and once it is mended the same command completes to the same bytes."""
    del rng  # nothing is drawn
    for number in range(tries):
        case, program = CASES[number % len(CASES)], ("snakemake", "real")[number // len(CASES) % 2]
        yield judged(place, f"{case}, {program}", lambda case=case, program=program: _refused(place, case, program))


def _refused(place: Place, case: str, program: str) -> None:
    place.clear(TABLE, RECORD)
    finished = place.stamps("*")

    def start(before: tuple[str, ...] = ()):
        if program == "real":
            return place.real("make", "benchmarks", "--config", CONFIG, before=before)
        return place.snakemake(f"{SCALE}/tables/benchmarks.csv", before=before)

    results = place.results.parent
    if case.startswith("a file"):
        path = {"results": results, "scale's": place.results, "tables'": place.results / "tables"}[case.split()[-2]]
        with _moved_away(path):
            path.write_text("in the way\n")
            ended = place.finish(start())
            path.unlink()
        words = [str(path.relative_to(place.checkout))]
    elif "read-only" in case:
        with _read_only(results):
            ended = place.finish(start())
        words = ["Read-only file system"]
    else:
        with _no_permission(place.results):
            if subprocess.run([*UNPRIVILEGED, "true"], capture_output=True, check=False).returncode:
                raise SkippedError("setpriv can't take the right to ignore permissions from this user")
            ended = place.finish(start(UNPRIVILEGED))
        words = ["Permission denied"]
    must_be_one_sentence(ended, *words)
    place.must_be_untouched({path: stamp for path, stamp in finished.items() if "/logs/" not in str(path)})
    place.must_be_whole()
    place.must_complete(start())
    place.must_be_identical()


@contextmanager
def _moved_away(path: Path) -> Iterator[None]:
    aside = path.with_name(f"{path.name} aside")
    path.rename(aside)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        aside.rename(path)


@contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    """``folder`` bound over itself, for reading alone."""
    for options in ("bind", "remount,bind,ro"):
        mount = ["mount", "-o", options, str(folder), str(folder)]
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SkippedError(f"mounting a read-only disk isn't allowed here ({done.stderr.strip()})")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def _no_permission(folder: Path) -> Iterator[None]:
    """Nobody may write into ``folder`` or the folders below it."""
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for path in folders:
        path.chmod(0o555)
    try:
        yield
    finally:
        for path in folders:
            path.chmod(0o755)
