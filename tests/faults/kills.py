"""Jobs that are killed or interrupted, again and again, and then finished."""

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import psutil

from tests.faults.jobs import BASE, METHODS, Job, evaluation_of, run_of, spread, wait_for_a_moment
from tests.faults.place import Place, Program, SkippedError, last_lines, must, must_have_no_traceback
from tests.faults.tries import Tried, share_verdict

# imports before a job begins to work take about this long on an idle machine; one try in five falls into them
IMPORT_SECONDS = 4.0
INTERRUPT_SECONDS = 15.0


def training_killed(place: Place, rng: Random, tries: int) -> Iterator[Tried]:
    """kill -9 of training, many times in a row: whatever stands under a final name is whole, a resume goes on from the
    last saved step, and Snakemake then completes the scale to an undisturbed run's bytes, tables and figures too."""
    return _in_a_row(place, rng, tries, run_of(rng.choice(METHODS)), _kill, by_snakemake=True)


def base_killed(place: Place, rng: Random, tries: int) -> Iterator[Tried]:
    """kill -9 of the base model's training: as for a run; all else is a function of the base model's bytes."""
    return _in_a_row(place, rng, tries, BASE, _kill, by_snakemake=False)


def evaluation_killed(place: Place, rng: Random, tries: int) -> Iterator[Tried]:
    """kill -9 of an evaluation: finished chunks are not sampled again, and the scale completes to the same bytes."""
    return _in_a_row(place, rng, tries, evaluation_of(rng.choice(METHODS)), _kill, by_snakemake=True)


def training_interrupted(place: Place, rng: Random, tries: int) -> Iterator[Tried]:
    """Ctrl-C of training: it ends within seconds by its own doing, says how to go on, and resumes to the same bytes."""
    return _in_a_row(place, rng, tries, run_of(rng.choice(METHODS)), _interrupt, by_snakemake=False)


def jobs_killed_under_snakemake(place: Place, rng: Random, tries: int) -> Iterator[Tried]:
    """kill -9 of whichever job runs under Snakemake, from nothing on: Snakemake says that it failed, keeps what is
    finished, and the same command again goes on; at the end the whole scale is byte for byte the reference."""
    place.clear("*")

    def kills() -> Iterator[str]:
        done = 0
        for _ in range(3 * tries):
            if done == tries:
                return
            with place.snakemake() as program:
                before = rng.randint(0, 2)
                _let_jobs_begin(program, before + 1)
                moment = rng.uniform(0.0, 2 * IMPORT_SECONDS)
                program.wait(moment)
                records = place.results.rglob("provenance.json")  # written last
                finished = place.stamps(*(str(path.parent.relative_to(place.results)) for path in records))
                words = _kill_a_job(program)
                code = program.end()
            if not words:  # the scale was complete before
                must(code == 0, f"Snakemake failed unharmed: {last_lines(program.text)}")
                place.must_be_identical()
                place.clear("*")
                continue
            must(code != 0, f"Snakemake took a killed `{words}` for finished")
            place.must_be_whole()
            place.must_be_untouched(finished)
            done += 1
            yield f"killed `{words}` {moment:.1f} s after {before} jobs"

    yield from share_verdict(kills(), lambda: _completed(place))


def _let_jobs_begin(program: Program, count: int) -> None:
    """Wait until Snakemake has started so many jobs, or has ended."""
    seen: set[int] = set()

    def look() -> bool:
        seen.update(job.pid for job in program.jobs())
        return len(seen) >= count

    program.wait_until(look)


def _kill_a_job(program: Program) -> str | None:
    """Kill the job that Snakemake runs, or will run next; its words, or None if no job is left."""
    while program.wait_until(program.jobs):
        for job in program.jobs():
            with suppress(psutil.Error):  # it has just ended
                words = " ".join(job.cmdline()[3:])
                job.kill()
                if words:
                    return words
    return None


def _in_a_row(
    place: Place, rng: Random, tries: int, job: Job, stop: Callable[[Program], None], by_snakemake: bool
) -> Iterator[Tried]:
    job.clear(place)
    series = _stops(place, rng, tries, job, stop)
    return share_verdict(series, lambda: _completed(place) if by_snakemake else _finished(place, job))


def _stops(place: Place, rng: Random, tries: int, job: Job, stop: Callable[[Program], None]) -> Iterator[str]:
    """Start the job and stop it at a random moment, ``tries`` times; one that ends before isn't counted.

    After each stop, what stands under a final name is whole, and finished chunks are those of before.
    """
    done, reached = 0, 0
    chunks: dict = {}
    for _ in range(4 * tries):
        if done == tries:
            return
        with place.real(*job.arguments) as program:
            if rng.random() < 0.2:
                moment = rng.uniform(0.0, IMPORT_SECONDS)
                program.wait(moment)
                when = f"{moment:.2f} s after its start"
            else:
                when = wait_for_a_moment(rng, job, place, program, spread(job, tries))
            if program.ended:
                must(program.end() == 0, f"failed unharmed: {last_lines(program.text)}")
                place.must_be_identical(job.makes)
                job.clear(place)
                reached, chunks = 0, {}
                continue
            stop(program)
            text = program.text
        place.must_be_whole()
        if not (place.results / job.last).exists():
            # a benchmark whose rows are written needs its chunks no more
            sampled = {path: stamp for path, stamp in chunks.items() if not _has_rows(place, job, path)}
            place.must_be_untouched(sampled)
            found = place.stamps(f"{job.work}/chunks-*")
            chunks = {path: stamp for path, stamp in found.items() if path.suffix != ".partial"}  # finished ones
            reached = _must_go_on(text, reached, job)
        done += 1
        yield f"{job.name} stopped {when}: {last_lines(text, 1)[:50]}"
    raise SkippedError(f"{job.name} ended before its kill too often")


def _has_rows(place: Place, job: Job, chunk: Path) -> bool:
    """Whether the benchmark of a chunk has its parquet file."""
    return (place.results / job.makes / f"{chunk.name.split('-')[0]}.parquet").exists()


def _must_go_on(text: str, reached: int, job: Job) -> int:
    """The step that is safe now, by the log; a resume must not have fallen behind the one that was safe before."""
    resumed = re.search(r"resumes after step (\d+)", text)
    if resumed:
        must(int(resumed[1]) >= reached, f"resumed after step {resumed[1]}, although {reached} was saved")
    steps = [int(step) for step in re.findall(r"step (\d+)/", text)]
    must(not steps or not reached or bool(resumed), f"began anew, although step {reached} was saved")
    if job.makes.startswith("runs/") and steps:
        return max(reached, (steps[-1] - 1) // 2 * 2)  # faults.yaml: checkpoint_every is 2
    return max(reached, int(resumed[1]) if resumed else 0)


def _kill(program: Program) -> None:
    program.send(signal.SIGKILL)
    program.end()


def _interrupt(program: Program) -> None:
    program.send(signal.SIGINT)
    code = program.end(INTERRUPT_SECONDS)
    must_have_no_traceback(program.text)
    if code == 0:  # it was asked in its last step, after which nothing is left to stop; the bytes tell at the end
        return
    # both are 130 to a shell: CPython ends itself by SIGINT where the signal fell into an exec() of text, as imports do
    must(code in (130, -signal.SIGINT), f"Ctrl-C ended it with {code}: {last_lines(program.text)}")
    must("the same command" in program.text, f"does not say how to go on: {last_lines(program.text)}")


def _finished(place: Place, job: Job) -> None:
    place.must_complete(place.real(*job.arguments))
    place.must_be_identical(job.makes)


def _completed(place: Place) -> None:
    place.must_complete(place.snakemake())
    place.must_be_identical()
