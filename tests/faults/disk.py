"""Disks that are full or can't be written."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

from tests.faults.downloads import NAME, PREPARED, RAW, served
from tests.faults.jobs import BASE, METHODS, Job, evaluation_of, run_of, wait_for_a_moment
from tests.faults.place import (
    CONFIG,
    SCALE,
    Ended,
    Place,
    Program,
    SkippedError,
    declared,
    last_lines,
    must,
    must_be_one_sentence,
    must_have_no_traceback,
)
from tests.faults.tries import Tried, judged

DISK_BYTES = 96 << 20
FULL = "No space left on device"
TABLES = {
    "benchmarks": "tables/benchmarks.*",
    "differences": "tables/differences.*",
    "pass_at_k": "tables/pass_at_k.*",
    "training_curves": "tables/training_curves.*",
    "claims": "claims.*",
}


class Disk:
    """A small disk, in memory."""

    def __init__(self, folder: Path):
        self.folder = folder

    def fill(self, room: int) -> None:
        """Leave ``room`` bytes, in whole pages."""
        size = 0
        with (self.folder / "filler").open("wb") as file:
            while (taken := self._left() - room) > 0:
                with suppress(OSError):  # others took some of it meanwhile
                    os.posix_fallocate(file.fileno(), size, taken)
                    size += taken

    def _left(self) -> int:
        status = os.statvfs(self.folder)
        return status.f_bavail * status.f_frsize

    def free(self) -> None:
        (self.folder / "filler").unlink(missing_ok=True)


@contextmanager
def small_disk(place: Place, folder: Path) -> Iterator[Disk]:
    """Let ``folder`` be a disk of its own, with what it held.

    Raises:
        SkippedError: mounting isn't allowed here.
    """
    held = place.scratch / "held"
    shutil.rmtree(held, ignore_errors=True)
    shutil.copytree(folder, held, symlinks=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "small", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SkippedError(f"mounting a small disk isn't allowed here ({done.stderr.strip()})")
    try:
        shutil.copytree(held, folder, symlinks=True, dirs_exist_ok=True)
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def disk_full_for_a_job(place: Place, rng: Random, tries: int) -> Iterator[Tried]:
    """The disk fills up while a job works: it ends in one sentence with the system's reason, what was finished is
    intact, nothing half-written stands under a final name, and with room the same command completes to the same bytes.
    Where no disk may be mounted, a limit on the size of files (``ulimit -f``) stands in."""
    for number in range(tries):
        job = (run_of(rng.choice(METHODS)), BASE, evaluation_of(rng.choice(METHODS)))[number % 3]
        yield judged(place, f"disk full: {job.name}", lambda job=job: _job_on_full_disk(place, rng, job))


def disk_full_for_a_table(place: Place, rng: Random, tries: int) -> Iterator[Tried]:
    """The same for tables, curves and claims, whose files are written at their job's end."""
    for number in range(tries):
        name = list(TABLES)[number % len(TABLES)]
        yield judged(place, f"disk full: {name}", lambda name=name: _table_on_full_disk(place, rng, name))


def disk_full_for_a_dataset(place: Place, rng: Random, tries: int) -> Iterator[Tried]:
    """The same for fetching and converting a dataset."""
    for number in range(tries):
        verb = ("download", "prepare")[number % 2]
        yield judged(place, f"disk full: {verb}", lambda verb=verb: _dataset_on_full_disk(place, rng, verb))


def disk_full_under_snakemake(place: Place, rng: Random, tries: int) -> Iterator[Tried]:
    """The disk of the results, logs among them, or of the whole project, ``.snakemake`` among it, fills up: Snakemake
    fails, what was finished is intact and not made again, and with room the same command completes to the same bytes.
    Where only the results are on the full disk, the job's sentence arrives in what Snakemake prints."""
    for number in range(tries):
        whole = number % 2 == 1
        what = "the project's disk, .snakemake on it," if whole else "the results' disk"
        yield judged(
            place, f"{what} full under Snakemake", lambda whole=whole: _snakemake_on_full_disk(place, rng, whole)
        )


def _job_on_full_disk(place: Place, rng: Random, job: Job) -> str:
    weights = (place.reference / SCALE / "base/model/model.safetensors").stat().st_size
    # an evaluation's last file is smaller than a page
    room = rng.randrange(0, weights // 2) if job.makes.startswith(("base", "runs")) else 0
    try:
        with small_disk(place, place.results.parent) as disk:
            job.clear(place)
            finished = place.stamps("*")
            with place.real(*job.arguments) as program:
                when = wait_for_a_moment(rng, job, place, program)
                disk.fill(room)
                _must_fail(place, program, FULL)
            _must_be_intact(place, finished, job.work)
            disk.free()
            place.must_complete(place.real(*job.arguments))
            place.must_be_identical(job.makes)
        return f", {when}, with {room} bytes left"
    except SkippedError as reason:
        if "isn't allowed" not in str(reason):
            raise
    largest = max(
        len(content) for name, content in declared(place.reference / SCALE).items() if name.startswith(job.makes)
    )
    limit = rng.randint(1, max(1, largest // 1024 - 1))
    job.clear(place)
    finished = place.stamps("*")
    with place.real(*job.arguments, before=("bash", "-c", f'ulimit -f {limit}; exec "$@"', "bash")) as program:
        _must_fail(place, program, "File too large")
    _must_be_intact(place, finished, job.work)
    place.must_complete(place.real(*job.arguments))
    place.must_be_identical(job.makes)
    return f", by a limit of {limit} KiB a file"


def _table_on_full_disk(place: Place, rng: Random, name: str) -> str:
    made = [path.stat().st_size for path in (place.reference / SCALE).glob(TABLES[name])]
    room = rng.randrange(0, max(1, sum(4096 * -(-size // 4096) for size in made) - 4096))
    with small_disk(place, place.results.parent) as disk:
        place.clear(TABLES[name])
        finished = place.stamps("*")
        disk.fill(room)
        with place.real("make", name, "--config", CONFIG) as program:
            _must_fail(place, program, FULL)
        _must_be_intact(place, finished)
        disk.free()
        place.must_complete(place.real("make", name, "--config", CONFIG))
        place.must_be_identical()
    return f" with {room} bytes left"


def _dataset_on_full_disk(place: Place, rng: Random, verb: str) -> str:
    with served(place, seconds=0.0) as (_, content), small_disk(place, place.checkout / "datasets") as disk:
        if verb == "prepare":
            place.must_complete(place.real("download", NAME))
        room = rng.randrange(0, len(content) // 4)
        disk.fill(room)
        ended = place.finish(place.real(verb, NAME))
        must_be_one_sentence(ended, FULL)
        made = place.checkout / (PREPARED if verb == "prepare" else RAW / f"{NAME}.parquet")
        must(not made.exists(), f"{made.name} stands half-written under its final name")
        disk.free()
        place.must_complete(place.real(verb, NAME))
        place.must_complete(place.real("prepare", NAME))
        left = [path.name for path in made.parent.rglob("*") if path.is_file() and path.suffix != ".lock"]
        must(left == [made.name], f"{made.parent.name} holds {', '.join(left)}")
    return f" with {room} bytes left"


def _snakemake_on_full_disk(place: Place, rng: Random, whole: bool) -> str:
    job = run_of(rng.choice(METHODS))
    room = rng.randrange(0, 16 << 10)
    target = f"{SCALE}/{job.makes}/metrics.jsonl"
    with small_disk(place, place.checkout if whole else place.results.parent) as disk:
        job.clear(place)
        finished = place.stamps("base", "runs", "evaluations", "tables", "figures")
        with place.snakemake(target) as program:
            when = wait_for_a_moment(rng, job, place, program, 0.9, place.results / job.log)
            if program.ended:
                raise SkippedError("the job ended before the disk was full")
            disk.fill(room)
            code, text = program.end(), program.text
        if code == 0:
            raise SkippedError("all had been written before the disk was full")
        if not whole:
            must_have_no_traceback(text)
            must(FULL in text, f"the reason did not arrive: {last_lines(text, 12)}")
        _must_be_intact(place, finished)
        disk.free()
        _unlock_if_asked(place, target)
        place.must_be_identical(job.makes)
        place.must_be_untouched(finished)
    return f", {when}, with {room} bytes left"


def _unlock_if_asked(place: Place, target: str) -> None:
    """The same command again, after the documented ``--unlock`` where Snakemake itself was cut off by the disk."""
    again = place.finish(place.snakemake(target))
    if again.code and "--unlock" in again.text:
        place.must_complete(place.snakemake("--unlock"))
        again = place.finish(place.snakemake(target))
    must(again.code == 0, f"the same command again ended with {again.code}: {last_lines(again.text)}")


def _must_fail(place: Place, program: Program, reason: str) -> None:
    code = program.end()
    if code == 0:
        raise SkippedError("all had been written before the disk was full")
    must_be_one_sentence(Ended(code, program.text), reason, "run the same command again")
    place.must_be_whole()


def _must_be_intact(place: Place, finished: dict[Path, tuple[int, int]], *own: str) -> None:
    """Finished files are as they were, apart from the job's own work folder."""
    kept = {path: stamp for path, stamp in finished.items() if not any(f"/{part}" in str(path) for part in own)}
    place.must_be_untouched({path: stamp for path, stamp in kept.items() if "/logs/" not in str(path)})
    place.must_be_whole()
