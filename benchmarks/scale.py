"""What grows with a scale: time and memory of all that is made from results, at up to 1,000 runs.

    python -m benchmarks.scale [--runs 18 250 500 1000] [--problems 1000] [--only claims]
    python -m benchmarks.scale --quick                    # small sizes, which prove nothing

Results are made up, in the structure that real jobs leave: every file, with every record of what was read and written.
They lie in a temporary folder; a smaller size is the largest one's first runs, by hard links. Runs grow in two ways:

- *seeds*: the laptop's six methods with ever more seeds; seven rows per table, however many runs.
- *grid*: seven rules of weighting by ever more learning rates, ten seeds each; the tables grow too.

Texts are small here: a response has ten characters, a file of a model some twenty, so hashing has less to do than at a
real scale. Every command is a process of its own, with its start-up. Seconds are CPU time of the process and of those
that it starts; of the smallest size, the least of three turns. The exponent p is that of CPU time beyond the smallest
size's against runs beyond it, by least squares over the other sizes: 1 is linear, 2 quadratic.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from tqdm import tqdm

from real.commands.exhibits import exhibits
from real.config import Experiment, load, resolve
from real.evidence.scores import NONE
from real.records.custody import hashed_and_checked, name_of
from real.records.jobs import BASE, MODEL, Job, base_of_run, trained_jobs
from real.records.provenance import this_process
from real.system.files import write_json_lines
from tests.support.finished import AFTER_OTHERS
from tests.support.made_up import record, write_correct, write_run
from tests.support.paths import ROOT
from tests.support.processes import environment
from tests.support.workplaces import link_rooms

METHODS = 6
# of paper_configs/variants/stale_rollouts.yaml, whose hypotheses name them
RULES = [
    *("ratio_ratio", "constant_ratio", "floored_ratio", "ratio_capped"),
    *("constant_capped", "constant_constant", "real_real"),
]
SEEDS_OF_RULES = 10
# of the torch engine's checkpoints, the names alone
MODEL_FILES = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
DRY_RUN = "snakemake -n"
# of the smallest size, which stands for start-up: all exponents depend on it
TURNS = 3
VERBS = ("manifest", "verify", "status", "plan")
# so many times the smallest size's time, at least, tell an exponent from noise
GROWN = 3
# a process of its own starts the command: a child's peak begins with that of whoever started it
TIMER = """
import json, resource, subprocess, sys, time
began = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
taken = [used.ru_utime + used.ru_stime, time.perf_counter() - began, used.ru_maxrss / 1024]
json.dump([done.returncode, done.stdout[-2000:], *taken], sys.stdout)
"""


@dataclass(frozen=True)
class Shape:
    """One way in which a scale grows.

    Attributes:
        files: the scale and its shipped overlays, below paper_configs.
        overlay: what makes it as large, from the number of runs asked for.
    """

    files: tuple[str, ...]
    overlay: Callable[[int], dict[str, Any]]


@dataclass(frozen=True)
class Taken:
    """What one command took: CPU and wall seconds, and the peak of its memory in MiB."""

    cpu: float
    wall: float
    memory: float


def more_seeds(runs: int) -> dict[str, Any]:
    """The overlay of the shape *seeds*."""
    return {"seeds": list(range(math.ceil(runs / METHODS)))}


def more_rates(runs: int) -> dict[str, Any]:
    """The overlay of the shape *grid*; at least two rates, which its learning-rate sweep needs."""
    seeds = min(SEEDS_OF_RULES, math.ceil(runs / (2 * len(RULES))))
    rates = [round(1e-5 * (1 + place), 6) for place in range(max(2, math.ceil(runs / seeds / len(RULES))))]
    return {
        "seeds": list(range(seeds)),
        "grid": [{"methods": RULES, "learning_rate": rates, "staleness": [8]}],
    }


SHAPES = {
    "seeds": Shape(("laptop.yaml",), more_seeds),
    "grid": Shape(("laptop.yaml", "variants/stale_rollouts.yaml"), more_rates),
}


def workplace(folder: Path, shape: Shape, runs: int, samples: int) -> list[str]:
    """Make a folder one that commands can be used in, for a scale of so many runs; the files that name it."""
    folder.mkdir()
    link_rooms(folder)
    (folder / "figures").symlink_to(ROOT / "figures")
    overlay = {**shape.overlay(runs), "evaluation": {"samples": samples}}
    (folder / "grown.yaml").write_text(yaml.safe_dump(overlay), encoding="utf-8")
    return [*(f"paper_configs/{file}" for file in shape.files), "grown.yaml"]


def make_up(experiment: Experiment, problems: int) -> None:
    """Write all results of an experiment into the current folder, with so many problems of each benchmark."""
    rng, results = np.random.default_rng(0), Path(experiment.results)
    facts = {"config_files": experiment.read_from, **this_process(), "cpu_seconds": 1.0, "peak_memory_bytes": 1 << 28}
    for job in tqdm(trained_jobs(experiment), "made up", disable=None):
        folder = results / job.name
        (folder / MODEL if job.kind != "evaluate" else folder).mkdir(parents=True)
        if job.kind == "evaluate":
            make_up_evaluation(experiment, folder, problems, rng)
        else:
            for name in MODEL_FILES:
                (folder / MODEL / name).write_text(f"{job.name} {name}")
        if job.kind == "base":
            write_json_lines(folder / "metrics.jsonl", [{"step": 1, "loss": 1.0}])
        if job.kind == "train":
            write_run(folder, resolve(experiment, str(job.method), int(str(job.seed))), rng)
        reads = hashed_and_checked(_reads(experiment, job), results)
        record(experiment, job, read={name_of(path, results): sha256 for path, sha256 in reads.items()}, **facts)


def make_up_evaluation(experiment: Experiment, folder: Path, problems: int, rng: np.random.Generator) -> None:
    """Rows of every benchmark, of problems of all difficulties."""
    shape = problems, experiment.trained.evaluation.samples
    names = experiment.trained.evaluated_on
    write_correct(folder, {name: rng.random(shape) < rng.random((problems, 1)) for name in names})


def _reads(experiment: Experiment, job: Job) -> list[Path]:
    """The model that a job starts from."""
    results = Path(experiment.results)
    if job.kind == "train":
        return [results / base_of_run(experiment.trained, int(str(job.seed))) / MODEL]
    if job.kind == "evaluate":
        return [results / (BASE if job.seed is None else f"runs/{job.method}/seed{job.seed}") / MODEL]
    return []


def link_part(part: Experiment, whole: Path, folder: Path) -> None:
    """Give a smaller experiment, whose workplace is ``folder``, its share of the results in another workplace."""
    for job in trained_jobs(part):
        path = Path(part.results, job.name)
        shutil.copytree(whole / path, folder / path, copy_function=os.link)


def commands(experiment: Experiment, files: Sequence[str]) -> dict[str, list[str]]:
    """What is measured, by name: each exhibit that the experiment has, then what reads all results."""
    had = [exhibit.name for exhibit in exhibits() if not exhibit.absent(experiment)]
    made = (*(name for name in had if name not in AFTER_OTHERS), *AFTER_OTHERS)
    verbs = {**{name: ["make", name] for name in made}, **{verb: [verb] for verb in VERBS}}
    return {name: [sys.executable, "-m", "real", *verb, "--config", *files] for name, verb in verbs.items()}


def dry_run(files: Sequence[str]) -> list[str]:
    """`snakemake -n` of a scale."""
    return [sys.executable, "-m", "snakemake", "-n", "--snakefile", str(ROOT / "Snakefile"), "--configfile", *files]


def taken_by(command: Sequence[str], folder: Path, turns: int) -> Taken:
    """Run a command to its end, and again; what counts is the turn of least CPU time.

    Raises:
        RuntimeError: it failed, with what it printed.
    """
    variables = environment(PYTHONPATH=str(ROOT))
    timer = [sys.executable, "-S", "-c", TIMER, *command]
    found = []
    for _ in range(turns):
        done = subprocess.run(timer, cwd=folder, env=variables, capture_output=True, text=True, check=True)
        code, printed, *taken = json.loads(done.stdout)
        if code:
            raise RuntimeError(f"{' '.join(command)}: {printed}")
        found.append(Taken(*taken))
    return min(found, key=lambda one: one.cpu)


def exponent(runs: Sequence[int], seconds: Sequence[float]) -> float:
    """p of seconds = a + b (runs − the fewest)^p, with a of the fewest; NaN where too little grows to tell."""
    beyond = [(size - runs[0], taken - seconds[0]) for size, taken in zip(runs, seconds, strict=True)]
    grown = np.log([pair for pair in beyond if min(pair) > 0])
    if len(grown) < 2 or seconds[-1] < GROWN * seconds[0]:
        return math.nan
    return float(np.polyfit(*grown.T, 1)[0])


def measure(shape: Shape, asked: argparse.Namespace, folder: Path) -> str:
    """Grow one shape in a folder, and the table of what that took."""
    taken: dict[str, list[Taken]] = {}
    counts, pages, whole = [], [0], folder / f"runs{max(asked.runs)}"
    for size in sorted(asked.runs, reverse=True):
        place, turns = folder / f"runs{size}", TURNS if size == min(asked.runs) else 1
        files = workplace(place, shape, size, asked.samples)
        os.chdir(place)
        experiment = load(files)
        counts.append(len(experiment.methods) * len(experiment.trained.seeds))
        todo = {DRY_RUN: dry_run(files), **commands(experiment, files)}
        todo = {name: command for name, command in todo.items() if not asked.only or name in asked.only}
        if DRY_RUN in todo:
            taken.setdefault(DRY_RUN, []).append(taken_by(todo.pop(DRY_RUN), place, turns))
        make_up(experiment, asked.problems) if place == whole else link_part(experiment, whole, place)
        for name, command in tqdm(todo.items(), f"{counts[-1]} runs", disable=None):
            taken.setdefault(name, []).append(taken_by(command, place, turns))
        pages += [path.stat().st_size for path in Path(experiment.results).glob("report.html")]
    found = table(counts[::-1], {name: those[::-1] for name, those in taken.items()})
    return f"{found}\n\nlargest report.html: {max(pages) / 1e6:.1f} MB"


def table(counts: Sequence[int], taken: dict[str, list[Taken]]) -> str:
    """CPU seconds by size, the exponent, and wall seconds and memory at the smallest and the largest size."""
    rows = []
    for name, those in taken.items():
        seconds = [one.cpu for one in those]
        growth = {f"{count:,} runs": f"{cpu:.1f}" for count, cpu in zip(counts, seconds, strict=True)}
        wall, memory = f"{those[-1].wall:.1f}", f"{those[0].memory:.0f} to {those[-1].memory:.0f}"
        power = exponent(counts, seconds)
        grown = NONE if math.isnan(power) else f"{power:.2f}"
        rows.append({"CPU seconds": name, **growth, "p": grown, "wall": wall, "MiB": memory})
    return pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, nargs="+", default=[18, 250, 500, 1000])
    parser.add_argument("--problems", type=int, default=1000, help="of each of six benchmarks")
    parser.add_argument("--samples", type=int, default=16, help="of each problem")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--only", nargs="+", default=[], help=f"of exhibits, verbs and {DRY_RUN!r}")
    parser.add_argument("--quick", action="store_true", help="18, 36 and 54 runs of 3 problems, 2 samples")
    asked = parser.parse_args(arguments)
    if asked.quick:
        asked.runs, asked.problems, asked.samples = [18, 36, 54], 3, 2
    for name in asked.shapes:
        with tempfile.TemporaryDirectory(prefix="scale") as folder:
            found = measure(SHAPES[name], asked, Path(folder))
            os.chdir(ROOT)
        print(f"\n{name}: {asked.problems:,} problems of each of six benchmarks, {asked.samples} samples\n\n{found}")


if __name__ == "__main__":
    main()
