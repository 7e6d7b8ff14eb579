"""The command line: ``python -m real VERB``. Each verb is a thin call; the rules of the workflow call these."""

import argparse
import io
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from real.config import PAPER_EVALUATION, ArithmeticScale, ConfigError, Evaluation, changed, json_schema, load, resolve
from real.errors import ExpectedError, system_sentence
from real.interrupts import Stopped, interruptible

SCHEMA_FILE = Path("workflow/schemas/config.schema.json")
SCALE_HELP = "short for --config paper_configs/SCALE.yaml; --config then names overlays"


def base(arguments: argparse.Namespace) -> None:
    """train the base model of a scale, or find the checkpoint that it names"""
    from real.jobs import make_base

    experiment = load(arguments.config)
    seeds = experiment.trained.base.seeds if isinstance(experiment.trained, ArithmeticScale) else []
    if arguments.seed is not None and arguments.seed not in seeds:
        known = ", ".join(map(str, seeds)) or "none, because it is a published checkpoint"
        raise ConfigError(f"--seed is {arguments.seed}, but seeds of the base model are {known}; leave it out")
    make_base(experiment, arguments.seed)


def train(arguments: argparse.Namespace) -> None:
    """train one method with one seed"""
    from real.jobs import train as train_run

    experiment = load(arguments.config)
    resolve(experiment, arguments.method, arguments.seed)  # refuses what can't be
    if arguments.seed not in (seeds := experiment.trained.seeds):
        print(
            f"real: seed {arguments.seed} is none of the scale's ({', '.join(map(str, seeds))}), so no table will show "
            "this run; add it to `seeds` for that",
            file=sys.stderr,
        )
    train_run(experiment, arguments.method, arguments.seed, arguments.gpus)


def evaluate(arguments: argparse.Namespace) -> None:
    """sample and grade any checkpoint on the benchmarks"""
    from real.jobs import evaluate as evaluate_model

    experiment = load(arguments.config) if arguments.config else None
    given = {key: getattr(arguments, key) for key in Evaluation.model_fields if getattr(arguments, key) is not None}
    evaluate_model(
        arguments.model,
        changed(experiment.trained.evaluation if experiment else PAPER_EVALUATION, given, "command line"),
        experiment,
        arguments.output or Path("results/evaluations", Path(arguments.model).name),
        arguments.work,
        arguments.processes,
        arguments.sampler,
        arguments.device,
        arguments.gpus,
    )


def tables(arguments: argparse.Namespace) -> None:
    """write the benchmark tables of a scale"""
    from real.tables import write_benchmarks

    experiment = load(arguments.config)
    write_benchmarks(experiment, Path(experiment.results) / "tables")


def differences(arguments: argparse.Namespace) -> None:
    """write the table of paired differences of a scale"""
    from real.tables import write_differences

    experiment = load(arguments.config)
    write_differences(experiment, Path(experiment.results) / "tables")


def pass_at_k(arguments: argparse.Namespace) -> None:
    """write the table of pass@k of a scale"""
    from real.tables import write_pass_at_k

    experiment = load(arguments.config)
    write_pass_at_k(experiment, Path(experiment.results) / "tables")


def mechanism(arguments: argparse.Namespace) -> None:
    """write the table of the mechanism: what each part of the gradient weights does"""
    from real.mechanism import write_mechanism

    experiment = load(arguments.config)
    write_mechanism(experiment, Path(experiment.results) / "tables")


def claims(arguments: argparse.Namespace) -> None:
    """judge the paper's claims by a scale's own data"""
    from real.claims import write_claims

    experiment = load(arguments.config)
    for row in write_claims(experiment, Path(experiment.results)):
        print(f"{row.verdict:13}{row.id}{f' ({row.reason})' if row.reason else ''}")


def report(arguments: argparse.Namespace) -> None:
    """put the claims, tables and figures of a finished scale on one page"""
    from real.report import write_report

    experiment = load(arguments.config)
    write_report(experiment, Path(experiment.results))


def curves(arguments: argparse.Namespace) -> None:
    """collect the training curves of a scale into one CSV"""
    from real.files import write_csv
    from real.tables import training_curves

    experiment = load(arguments.config)
    path = Path(experiment.results) / "tables" / "training_curves.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_csv(path, training_curves(experiment))


def sweep(arguments: argparse.Namespace) -> None:
    """write the table of a learning-rate sweep"""
    from real.tables import write_learning_rate_sweep

    experiment = load(arguments.config)
    write_learning_rate_sweep(experiment, Path(experiment.results) / "tables")


def download(arguments: argparse.Namespace) -> None:
    """fetch and verify one dataset"""
    from real.sources import fetch, find_source, mirror_folder

    fetch(find_source(arguments.dataset), mirror=mirror_folder())


def prepare(arguments: argparse.Namespace) -> None:
    """convert a fetched dataset to the schema of problems"""
    from real.data import prepare as prepare_dataset
    from real.sources import find_source

    prepare_dataset(find_source(arguments.dataset))


def contamination(arguments: argparse.Namespace) -> None:
    """report what the benchmarks share with a training set, and duplicates"""
    from real.contamination import write_report

    write_report(arguments.train, Path("results/datasets"))


def plan(arguments: argparse.Namespace) -> None:
    """say what a scale costs, or with --check what its jobs lack here"""
    from real.planning import plan as make_plan
    from real.planning_text import text
    from real.preflight import require

    experiment = load(_config_files(arguments))
    if arguments.check:
        require(experiment, arguments.gpus)
        print("ready")
    else:
        print(text(make_plan(experiment), arguments.rate))


def manifest(arguments: argparse.Namespace) -> None:
    """list every result of a finished scale with its hash; the workflow calls it once all is up to date"""
    from real.manifest import write_manifest

    for name in write_manifest(load(arguments.config)):
        print(f"not there: {name}")


def verify(arguments: argparse.Namespace) -> int:
    """hash the results of a scale again, and say what is missing, altered or stale"""
    from real.verification import report as found

    text, well = found(load(_config_files(arguments)))
    print(text)
    return 0 if well else 1


def schema(arguments: argparse.Namespace) -> None:
    """regenerate the JSON schema of the config"""
    SCHEMA_FILE.write_text(json.dumps(json_schema(), indent=2) + "\n")


def main(arguments: list[str] | None = None) -> int:
    """Parse and run; expected failures end in one sentence and exit code 1, an interruption in one and 130."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # what a job printed is in its log however it ends
    with interruptible() as interrupted:
        try:
            parsed = _parser().parse_args(arguments)
            return parsed.verb(parsed) or 0
        except ExpectedError as error:
            print(f"real: {error}", file=sys.stderr)
            return 1
        except OSError as error:
            print(f"real: {system_sentence(error)}", file=sys.stderr)
            return 1
        except Stopped as stopped:
            print(f"real: {stopped}", file=sys.stderr)
            return 130
        except BaseException as error:
            if not (interrupted() or isinstance(error, KeyboardInterrupt)):
                raise
            print("real: interrupted; run the same command again to go on from the last saved step", file=sys.stderr)
            return 130


def _config_files(arguments: argparse.Namespace) -> list[str]:
    """The files of --scale, then of --config."""
    return ([f"paper_configs/{arguments.scale}.yaml"] if arguments.scale else []) + (arguments.config or [])


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one sentence."""

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


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m real", description="REAL: train, evaluate, tabulate.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def add(verb: Callable[[argparse.Namespace], int | None]) -> argparse.ArgumentParser:
        added = verbs.add_parser(verb.__name__, help=verb.__doc__)
        added.set_defaults(verb=verb)
        if verb not in (download, prepare, contamination, schema):
            required = verb not in (evaluate, plan, verify)
            added.add_argument("--config", nargs="+", required=required, help="a scale file, then overlays")
        return added

    add(base).add_argument("--seed", type=whole(0), help="of base.further_seeds (default: base.seed)")
    trainer = add(train)
    trainer.add_argument("--method", required=True)
    trainer.add_argument("--seed", type=int, required=True)
    trainer.add_argument(
        "--gpus", type=whole(0), help="GPUs that the workflow granted, to compare with what the run needs"
    )
    _add_evaluation_arguments(add(evaluate))
    for verb in (tables, differences, pass_at_k, claims, curves, sweep, mechanism, report, manifest, schema):
        add(verb)
    _add_plan_arguments(add(plan))
    add(verify).add_argument("--scale", help=SCALE_HELP)
    for verb in (download, prepare):
        add(verb).add_argument("dataset", help="a name of datasets/sources.yaml")
    add(contamination).add_argument("train", help="a training set of datasets/sources.yaml")
    return parser


def _add_plan_arguments(planner: argparse.ArgumentParser) -> None:
    planner.add_argument("--scale", help=SCALE_HELP)
    planner.add_argument("--rate", type=price, help="price of a GPU-hour, in any currency (default: no costs)")
    planner.add_argument("--check", action="store_true", help="list what is missing here; exit code 1 if anything is")
    planner.add_argument("--gpus", type=whole(0), help="with --check: GPUs that the job was granted (resources.gpu)")


def _add_evaluation_arguments(evaluator: argparse.ArgumentParser) -> None:
    """Flags of ``evaluate``; each setting comes from its flag, else from --config, else from the paper."""
    paper = PAPER_EVALUATION

    def add(flag: str, convert: Callable[[str], object], what: str, default: object) -> None:
        evaluator.add_argument(flag, type=convert, help=f"{what} (default: {default}, or the scale's with --config)")

    evaluator.add_argument(
        "--model", type=nonempty, required=True, help="a Hugging Face checkpoint: a folder, or a hub id"
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
        choices=("transformers", "vllm"),
        help="library that samples (default: transformers, or vllm for a scale of the verl engine)",
    )
    evaluator.add_argument("--gpus", type=int, default=1, help="copies of the model, a GPU each, by vllm (default: 1)")
    for flag, what, default in (
        ("--output", "one parquet per benchmark", "results/evaluations/<name of the model>"),
        ("--work", "finished chunks, to go on from", "<output>/.partial"),
    ):
        evaluator.add_argument(flag, type=Path, help=f"folder for {what} (default: {default})")
    evaluator.add_argument("--processes", type=whole(1), default=2, help="that grade at once (default: 2)")
    for flag, key, what in (
        ("--any-format", "strict_format", "read a response without </think> whole (default: it is wrong)"),
        ("--drop-responses", "keep_responses", "leave the response texts out of the parquet files"),
    ):
        evaluator.add_argument(flag, dest=key, action="store_const", const=False, help=what)
