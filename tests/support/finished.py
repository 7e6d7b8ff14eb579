"""An experiment from training to report, made by the real jobs in this process."""

from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from real.commands.command_line import main
from real.commands.exhibits import exhibits
from real.config import Experiment
from real.records.jobs import BASE, MODEL, trained_jobs

PRINTED = "printed.txt"
# exhibits that show others, in this order
AFTER_OTHERS = ("training_dynamics", "report")


def train_and_evaluate(experiment: Experiment) -> None:
    """Run every job that trains or evaluates, in the current folder; PRINTED there holds what they print."""
    results, commands = Path(experiment.results), []
    for job in trained_jobs(experiment):
        if job.kind == "base":
            commands.append(["base", *([] if job.name == BASE else ["--seed", str(job.seed)])])
        elif job.kind == "train":
            commands.append(["train", "--method", str(job.method), "--seed", str(job.seed)])
        else:
            trained = BASE if job.seed is None else f"runs/{job.method}/seed{job.seed}"
            model, output = ["--model", str(results / trained / MODEL)], ["--output", str(results / job.name)]
            work = ["--work", str(results / "work/evaluations"), "--processes", "1"]
            commands.append(["evaluate", *model, *output, *work])
    _run(experiment, commands)


def show(experiment: Experiment) -> None:
    """Make every exhibit that the experiment has, and list all; see :func:`train_and_evaluate`."""
    names = [exhibit.name for exhibit in exhibits() if not exhibit.absent(experiment)]
    first = [name for name in names if name not in AFTER_OTHERS]
    _run(experiment, [*(["make", name] for name in (*first, *AFTER_OTHERS)), ["manifest"]])


def _run(experiment: Experiment, commands: Sequence[Sequence[str]]) -> None:
    with open(PRINTED, "a", encoding="utf-8") as printed, redirect_stdout(printed), redirect_stderr(printed):
        for verb, *options in commands:
            assert main([verb, *options, "--config", *experiment.files]) == 0, (
                f"{verb}: {Path(PRINTED).read_text(encoding='utf-8')}"
            )
