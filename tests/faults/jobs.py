"""The jobs that are harmed, as a user types them, and what is known of an undisturbed one."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.faults.place import CONFIG, SCALE, Place, Program

# what is made of every evaluation
AFTER_EVALUATION = ("tables/*", "claims.*", "report.html", "manifest.json")


@dataclass(frozen=True)
class Job:
    """A job of the harness's scale; folders and files are below its results."""

    name: str
    arguments: tuple[str, ...]
    """of ``python -m real``"""
    makes: str
    """folder of its outputs"""
    work: str
    """its work folder, whose lock says when it begins to work"""
    last: str
    """the output that it writes last"""
    lines: int
    """of progress that it prints"""
    piece: float
    """share of its work between two savings"""
    log: str
    """of the job under Snakemake"""
    downstream: tuple[str, ...]
    """what Snakemake makes from it"""

    def clear(self, place: Place) -> None:
        """As if it had never run."""
        place.clear(self.makes, f"{self.log}*", self.work, f"{self.work}.pid", *self.downstream)

    def begun(self, place: Place, program: Program) -> bool:
        """Whether the program holds the work folder."""
        try:
            return json.loads((place.results / f"{self.work}.pid").read_text())["pid"] == program.process.pid
        except (OSError, ValueError):  # not there yet, or being written
            return False

    def work_seconds(self, place: Place) -> float:
        """How long the undisturbed one held its work folder: from the lock's creation to the last output."""
        results = place.reference / SCALE
        return (results / self.last).stat().st_mtime - (results / f"{self.work}.lock").stat().st_mtime


def run_of(method: str) -> Job:
    """Training one method; checkpoint_every is 2 of 60 steps in faults.yaml."""
    return Job(
        f"training {method}",
        ("train", "--config", CONFIG, "--method", method, "--seed", "0"),
        makes=f"runs/{method}/seed0",
        work=f"work/{method}/seed0",
        last=f"runs/{method}/seed0/provenance.json",
        lines=60,
        piece=2 / 60,
        log=f"logs/train/{method}/seed0.log",
        downstream=(f"evaluations/{method}", *AFTER_EVALUATION, "figures/training_dynamics.*"),
    )


def evaluation_of(method: str) -> Job:
    """Evaluating one method's model; three benchmarks of 16 problems, four in a chunk."""
    return Job(
        f"evaluating {method}",
        (
            *("evaluate", "--config", CONFIG, "--model", f"{SCALE}/runs/{method}/seed0/model"),
            *("--output", f"{SCALE}/evaluations/{method}/seed0"),
            *("--work", f"{SCALE}/work/evaluations/{method}/seed0", "--processes", "1"),
        ),
        makes=f"evaluations/{method}/seed0",
        work=f"work/evaluations/{method}/seed0",
        last=f"evaluations/{method}/seed0/provenance.json",
        lines=12,
        piece=1 / 12,
        log=f"logs/evaluate/{method}/seed0.log",
        downstream=AFTER_EVALUATION,
    )


BASE = Job(
    "training the base model",
    ("base", "--config", CONFIG),
    makes="base",
    work="work/base",
    last="base/provenance.json",
    lines=9,
    piece=200 / 440,
    log="logs/base.log",
    downstream=(),
)
METHODS = ("real", "grpo")
# a line of progress: of training, or of an evaluation
LINE = r"step \d+/\d+ |chunk \d+ of "


def wait_for_a_moment(
    rng: Random, job: Job, place: Place, program: Program, share: float = 1.0, log: Path | None = None
) -> str:
    """Let the program work for a random while: until it has printed a random number of lines, up to ``share`` of the
    job's, and then for a random part of the time between two.

    Lines rather than seconds, so that on a busy machine a moment lies as deep in the work as on an idle one.

    Args:
        log: of the job, where the program is not the job itself but Snakemake.

    Returns:
        when that was, in words.
    """
    program.wait_until(lambda: log.exists() if log else job.begun(place, program))
    lines = rng.randint(0, round(min(share, 1.0) * (job.lines - 1)))
    program.wait_until(lambda: len(re.findall(LINE, log.read_text() if log else program.text)) >= lines)
    pause = rng.uniform(0.0, job.work_seconds(place) / job.lines)
    program.wait(pause)
    return f"{pause:.2f} s after {lines} lines of work"


def spread(job: Job, tries: int) -> float:
    """The share of its work up to which each try of a series lets a job go on, so that the tries spread over it all."""
    return max(2 / (tries + 1), 1.5 * job.piece)
