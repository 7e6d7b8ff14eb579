"""Flags of the command line and what ``--help`` prints; the verbs themselves are in command_line.py."""

import argparse
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from real.config import PAPER_EVALUATION
from real.system.names import CODE_DIGEST
from real.system.sentences import unknown

SCALE_HELP = "short for --config paper_configs/SCALE.yaml; --config then names overlays"
INTRODUCTION = """\
REAL, rewards as labels: the paper's jobs one by one, and what looks at them.
`snakemake --cores all` runs all of them in their order, at laptop scale."""
EPILOG = "`python -m real VERB --help` has the options of a verb, and an example"
NAME_WIDTH = 15
# our names of the columns of a log of samples (real/evidence/sample_log.py): three that it must have, two that it may
LOG_COLUMNS = ("problem_id", "sample", "correct", "seed", "benchmark")
# what `evaluate` takes together with --from-log, and what its other flags are where they are not given
OF_A_LOG = {"verb", "log", "from_log", "columns", "output"}
NOT_GIVEN = {"gpus": 1, "processes": 2, "attempt": 1}
REDRAWN = Path("results/published/recorded")


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one sentence, and whose texts are printed with the lines that they have."""

    def __init__(self, **options: Any):
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"real: {message}; `{self.prog} --help` says what can be given\n")


def whole(least: int) -> Callable[[str], int]:
    """Converter of a flag's value to a whole number of at least ``least``."""

    def convert(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number of {least} or more")
        return int(text)

    return convert


def price(text: str) -> float:
    """Converter of a flag's value to a price."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no price: a number of 0 or more")
    return value


def nonempty(text: str) -> str:
    """Converter of a flag's value that must not be empty, as an unset variable of the shell would be."""
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty")
    return text


def folder(text: str) -> Path:
    """Converter of a flag's value that names a folder."""
    return Path(nonempty(text))


def code_name(text: str) -> str:
    """Converter of a flag's value that names a version of the code."""
    if not CODE_DIGEST.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no digest of code, 16 digits or letters a to f: copy it whole")
    return text


def column_pair(text: str) -> tuple[str, str]:
    """Converter of ``OURS=THEIRS``: one of our names of a log's columns, and what the log calls it."""
    ours, equals, theirs = text.partition("=")
    if not equals or not theirs:
        raise argparse.ArgumentTypeError(f"{text!r} names no column; write OURS=THEIRS, such as problem_id=question")
    if ours not in LOG_COLUMNS:
        raise argparse.ArgumentTypeError(unknown("column", ours, LOG_COLUMNS))
    return ours, theirs


def overview(groups: Mapping[str, Mapping[str, str]]) -> str:
    """All verbs by title, a line each, from what each verb of a title does."""
    lines = [INTRODUCTION]
    for title, verbs in groups.items():
        lines += ["", f"{title}:", *(f"  {name:{NAME_WIDTH}}{text}" for name, text in verbs.items())]
    return "\n".join(lines)


def add_config(parser: argparse.ArgumentParser, short: bool, required: bool) -> None:
    """--config and, where ``short``, --scale in its place; --accept-code."""
    parser.add_argument(
        "--config",
        nargs="+",
        metavar="FILE",
        required=required and not short,
        help="a scale file (paper_configs/laptop.yaml), then overlays (paper_configs/variants)",
    )
    if short:
        parser.add_argument("--scale", help=SCALE_HELP)
    parser.add_argument(
        "--accept-code",
        nargs="+",
        default=[],
        type=code_name,
        metavar="DIGEST",
        help="continue and read what this other code did; the same as accept_code in paper_configs/local.yaml",
    )


def add_log(parser: argparse.ArgumentParser) -> None:
    """--log."""
    parser.add_argument(
        "--log", type=Path, metavar="FILE", help="write there what is printed, instead of to the terminal"
    )


def add_attempt(parser: argparse.ArgumentParser) -> None:
    """--attempt."""
    parser.add_argument(
        "--attempt",
        type=whole(1),
        default=1,
        help="by Snakemake's count; a second one by itself is made where the last saved anything (default: 1)",
    )


def add_run_arguments(trainer: argparse.ArgumentParser) -> None:
    """Flags of ``train``."""
    trainer.add_argument("--method", required=True, help="one of the scale's, such as real or grpo")
    trainer.add_argument(
        "--seed", type=int, required=True, help="one of the scale's; any other is trained, but in no table"
    )
    trainer.add_argument(
        "--gpus", type=whole(0), help="GPUs that the workflow granted, to compare with what the run needs"
    )


def add_plan_arguments(planner: argparse.ArgumentParser) -> None:
    """Flags of ``plan``."""
    planner.add_argument("--rate", type=price, help="price of a GPU-hour, in any currency (default: no costs)")
    planner.add_argument("--check", action="store_true", help="list what is missing here; exit code 1 if anything is")
    planner.add_argument("--gpus", type=whole(0), help="with --check: GPUs that the job was granted (resources.gpu)")


def add_verify_arguments(verifier: argparse.ArgumentParser) -> None:
    """Flags of ``verify``."""
    verifier.add_argument(
        "--expected", action="store_true", help="compare with results/recorded too: the same bytes, or what differs"
    )
    verifier.add_argument(
        "--export", type=folder, metavar="FOLDER", help="check what `export` wrote, by itself, instead of a scale"
    )


def add_redraw_arguments(drawer: argparse.ArgumentParser) -> None:
    """Flags of ``redraw``."""
    drawer.add_argument("name", help="of a folder of results/recorded")
    drawer.add_argument(
        "--write", action="store_true", help="make what the present code draws what is recorded; look at it before"
    )
    drawer.add_argument(
        "--output", type=Path, default=REDRAWN, help=f"folder in which it gets a folder (default: {REDRAWN})"
    )


def add_export_arguments(exporter: argparse.ArgumentParser) -> None:
    """Flags of ``export``."""
    exporter.add_argument("folder", type=folder, help="to write into, new or empty; before --config")
    exporter.add_argument("--weights", action="store_true", help="with all weights (default: their sha256 alone)")


def add_evaluation_arguments(evaluator: argparse.ArgumentParser) -> None:
    """Flags of ``evaluate``; each setting comes from its flag, else from --config, else from the paper."""
    paper, asked = PAPER_EVALUATION, evaluator.add_mutually_exclusive_group()

    def add(flag: str, convert: Callable[[str], object], what: str, default: object) -> None:
        evaluator.add_argument(flag, type=convert, help=f"{what} (default: {default}, or the scale's with --config)")

    asked.add_argument("--model", type=nonempty, help="a Hugging Face checkpoint: a folder, or a hub id")
    asked.add_argument(
        "--from-log",
        type=Path,
        metavar="FILE",
        help="score samples that are graded already: a .csv, .jsonl or .parquet with problem_id, sample and correct",
    )
    evaluator.add_argument(
        "--columns",
        nargs="+",
        type=column_pair,
        default=[],
        metavar="OURS=THEIRS",
        help=f"with --from-log, what the file calls {', '.join(LOG_COLUMNS)} (default: the first three as they are)",
    )
    add("--benchmarks", lambda names: names.split(","), "comma-separated", ",".join(paper.benchmarks))
    add("--samples", int, "per problem", paper.samples)
    add("--temperature", float, "of sampling", paper.temperature)
    add("--top-p", float, "nucleus of sampling", paper.top_p)
    add("--max-response-tokens", int, "response limit", paper.max_response_tokens)
    add("--chunk-problems", int, "problems sampled at once: less needs less memory", paper.chunk_problems)
    add("--seed", int, "of sampling", paper.seed)
    evaluator.add_argument(
        "--device",
        choices=("cpu", "cuda"),
        help="where the model lives (default: cuda where a GPU is visible, or the scale's with --config)",
    )
    evaluator.add_argument(
        "--sampler",
        choices=("torch", "transformers", "vllm"),
        help="what samples: torch alone, where it equals transformers on the checkpoint; transformers in any case; "
        "vllm (default: torch, or vllm for a scale of the verl engine)",
    )
    evaluator.add_argument("--gpus", type=int, default=1, help="copies of the model, a GPU each, by vllm (default: 1)")
    for flag, what, default in (
        ("--output", "one parquet per benchmark, or a log's scores", "results/evaluations/<name of the model or log>"),
        ("--work", "finished chunks, to go on from", "<output>/.partial"),
    ):
        evaluator.add_argument(flag, type=Path, help=f"folder for {what} (default: {default})")
    evaluator.add_argument("--processes", type=whole(1), default=2, help="that grade at once (default: 2)")
    for flag, key, what in (
        ("--any-format", "strict_format", "read a response without </think> whole (default: it is wrong)"),
        ("--drop-responses", "keep_responses", "leave the response texts out of the parquet files"),
    ):
        evaluator.add_argument(flag, dest=key, action="store_const", const=False, help=what)
