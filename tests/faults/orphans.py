"""Snakemake killed, its trainer not."""

import signal
from collections.abc import Iterator
from random import Random

import psutil

from tests.faults.jobs import run_of, wait_for_a_moment
from tests.faults.place import END_SECONDS, Ended, Place, SkippedError, last_lines, must, must_have_no_traceback
from tests.faults.tries import Tried, judged

FINISHED = ("base", "runs/real", "evaluations/real", "evaluations/base", "figures/gradient_magnitude.*")
# what becomes of the orphan: the first two meet the rerun, as a run of hours would
FATES = ("works on beside the rerun and ends", "is killed beside the rerun", "ends before the rerun")


def snakemake_killed(place: Place, rng: Random, tries: int) -> Iterator[Tried]:
    """SIGKILL of Snakemake alone: the next start names `--unlock`; a rerun says which process holds the work folder;
    once that one has ended or was killed, the same command completes to the same bytes and makes nothing again."""
    for number in range(tries):
        fate = FATES[number % len(FATES)]
        yield judged(place, f"Snakemake killed; its trainer {fate}", lambda fate=fate: _orphaned(place, rng, fate))


def _orphaned(place: Place, rng: Random, fate: str) -> str:
    job = run_of("grpo")
    job.clear(place)
    finished = place.stamps(*FINISHED)
    target = f"results/faults/{job.makes}/metrics.jsonl"
    with place.snakemake(target) as first:
        first.wait_until(first.jobs)
        trainer = next(iter(first.jobs()), None)
        when = wait_for_a_moment(rng, job, place, first, 0.8, place.results / job.log)
        if trainer is None or first.ended or not (place.results / f"{job.work}.pid").exists():
            raise SkippedError("the trainer ended before Snakemake was killed")
        first.send(signal.SIGKILL)
        first.end()
        if "beside" in fate:
            trainer.suspend()  # stands for a long run: it holds its folder while the rerun starts
        else:
            _await(trainer)
        locked = place.finish(place.snakemake(target))
        must(locked.code != 0 and "--unlock" in locked.text, f"does not name --unlock: {last_lines(locked.text)}")
        place.must_complete(place.snakemake("--unlock"))
        if "beside" in fate:
            _must_name_the_holder(place.finish(place.snakemake(target)), trainer.pid)
            trainer.resume()
            trainer.kill() if "killed" in fate else _await(trainer)
            place.must_be_whole()
    place.must_complete(place.snakemake(target))
    place.must_be_identical(job.makes)
    place.must_be_untouched(finished)
    return f", {when}"


def _must_name_the_holder(ended: Ended, pid: int) -> None:
    must(ended.code != 0, "the rerun ended well although the folder was held")
    must_have_no_traceback(ended.text)
    must(f"is in use by process {pid}" in ended.text, f"does not say who holds it: {last_lines(ended.text, 12)}")


def _await(trainer: psutil.Process) -> None:
    gone, _ = psutil.wait_procs([trainer], timeout=END_SECONDS)
    must(bool(gone), "the orphan did not end")
