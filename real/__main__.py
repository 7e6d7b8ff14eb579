"""The command line: ``python -m real VERB``. Each verb is a thin call; the rules of the workflow call these."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from real.config import (
    PAPER_EVALUATION,
    ArithmeticScale,
    ConfigError,
    Evaluation,
    Experiment,
    ReportedScale,
    TorchRun,
    TorchScale,
    VerlArithmeticScale,
    VerlScale,
    changed,
    json_schema,
    load,
    resolve,
)
from real.errors import ExpectedError
from real.identity import base_identity, run_identity

SCHEMA_FILE = Path("workflow/schemas/config.schema.json")


def base(arguments: argparse.Namespace) -> None:
    """train the base model of a scale, or find the checkpoint that it names"""
    experiment, started = load(arguments.config), time.time()
    scale = _trained_scale(experiment)
    folder, identity = Path(experiment.results), base_identity(experiment)
    if isinstance(scale, ArithmeticScale):
        from real.torch_engine.supervised import train_base

        train_base(scale, folder)
    else:
        from real.checkpoints import link_checkpoint

        link_checkpoint(scale.model.name, scale.model.revision, folder / "base" / "model")
    _write_provenance(folder / "base", started, arguments.config, identity)


def train(arguments: argparse.Namespace) -> None:
    """train one method with one seed"""
    experiment, started = load(arguments.config), time.time()
    run = resolve(experiment, arguments.method, arguments.seed)
    identity = run_identity(experiment, run.method, run.seed)  # before, not after: the code may be edited meanwhile
    results, part = Path(experiment.results), Path(run.method) / f"seed{run.seed}"
    output = results / "runs" / part
    places = (results / "base" / "model", output, results / "work" / part)
    if isinstance(run, TorchRun):
        from real.torch_engine.train import train as train_torch

        train_torch(run, *places)
    else:
        from real.verl_engine.train import train as train_verl

        train_verl(run, *places)
    (output / "config.yaml").write_text(yaml.safe_dump(run.model_dump(mode="json"), sort_keys=False))
    _write_provenance(output, started, arguments.config, identity)


def evaluate(arguments: argparse.Namespace) -> None:
    """sample and grade any checkpoint on the benchmarks"""
    import torch

    from real.evaluate import evaluate as evaluate_with
    from real.evaluate import problems_of
    from real.torch_engine.transformers_sampler import TransformersSampler

    scale = _trained_scale(load(arguments.config)) if arguments.config else None
    given = {key: getattr(arguments, key) for key in Evaluation.model_fields if getattr(arguments, key) is not None}
    settings = changed(scale.evaluation if scale else PAPER_EVALUATION, given, "command line")
    problems = problems_of(settings.benchmarks, scale.task if isinstance(scale, ArithmeticScale) else None)
    device = arguments.device or (
        scale.device if isinstance(scale, TorchScale) else "cuda" if torch.cuda.is_available() else "cpu"
    )
    output = arguments.output or Path("results/evaluations", Path(arguments.model).name)
    sampler = TransformersSampler(arguments.model, settings, device)
    evaluate_with(sampler, problems, settings, output, arguments.work or output / ".partial", arguments.processes)


def tables(arguments: argparse.Namespace) -> None:
    """write the benchmark tables of a scale"""
    from real.tables import write_benchmarks

    experiment = load(arguments.config)
    write_benchmarks(experiment, Path(experiment.results) / "tables")


def differences(arguments: argparse.Namespace) -> None:
    """write the table of paired differences of a scale"""
    from real.tables import write_differences

    experiment = load(arguments.config)
    _trained_scale(experiment)
    write_differences(experiment, Path(experiment.results) / "tables")


def pass_at_k(arguments: argparse.Namespace) -> None:
    """write the table of pass@k of a scale"""
    from real.tables import write_pass_at_k

    experiment = load(arguments.config)
    _trained_scale(experiment)
    write_pass_at_k(experiment, Path(experiment.results) / "tables")


def claims(arguments: argparse.Namespace) -> None:
    """judge the paper's claims by a scale's own data"""
    from real.claims import write_claims

    experiment = load(arguments.config)
    for row in write_claims(experiment, Path(experiment.results)):
        print(f"{row.verdict:13}{row.id}{f' ({row.reason})' if row.reason else ''}")


def curves(arguments: argparse.Namespace) -> None:
    """collect the training curves of a scale into one CSV"""
    from real.tables import training_curves

    experiment = load(arguments.config)
    path = Path(experiment.results) / "tables" / "training_curves.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    training_curves(experiment).to_csv(path, index=False)


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


def schema(arguments: argparse.Namespace) -> None:
    """regenerate the JSON schema of the config"""
    SCHEMA_FILE.write_text(json.dumps(json_schema(), indent=2) + "\n")


def main(arguments: list[str] | None = None) -> int:
    """Parse and run; expected failures end in one sentence and exit code 1."""
    parsed = _parser().parse_args(arguments)
    try:
        parsed.verb(parsed)
    except (ExpectedError, FileNotFoundError) as error:
        print(f"real: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("real: interrupted; run the same command again to go on from the last saved step", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m real", description="REAL: train, evaluate, tabulate.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def add(verb: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        added = verbs.add_parser(verb.__name__, help=verb.__doc__)
        added.set_defaults(verb=verb)
        if verb not in (download, prepare, contamination, schema):
            added.add_argument("--config", nargs="+", required=verb is not evaluate, help="a scale file, then overlays")
        return added

    add(base)
    trainer = add(train)
    trainer.add_argument("--method", required=True)
    trainer.add_argument("--seed", type=int, required=True)
    _add_evaluation_arguments(add(evaluate))
    for verb in (tables, differences, pass_at_k, claims, curves, sweep, schema):
        add(verb)
    for verb in (download, prepare):
        add(verb).add_argument("dataset", help="a name of datasets/sources.yaml")
    add(contamination).add_argument("train", help="a training set of datasets/sources.yaml")
    return parser


def _add_evaluation_arguments(evaluator: argparse.ArgumentParser) -> None:
    """Flags of ``evaluate``; each setting comes from its flag, else from --config, else from the paper."""
    paper = PAPER_EVALUATION

    def add(flag: str, convert: Callable[[str], object], what: str, default: object) -> None:
        evaluator.add_argument(flag, type=convert, help=f"{what} (default: {default}, or the scale's with --config)")

    evaluator.add_argument("--model", required=True, help="a Hugging Face checkpoint: a folder, or a hub id")
    add("--benchmarks", lambda names: names.split(","), "comma-separated", ",".join(paper.benchmarks))
    add("--samples", int, "per problem", paper.samples)
    add("--temperature", float, "of sampling", paper.temperature)
    add("--top-p", float, "nucleus of sampling", paper.top_p)
    add("--max-response-tokens", int, "response limit", paper.max_response_tokens)
    add("--chunk-problems", int, "problems sampled at once: less needs less memory", paper.chunk_problems)
    add("--seed", int, "of sampling", paper.seed)
    add("--device", str, "cpu or cuda", "cuda where torch finds it")
    for flag, what, default in (
        ("--output", "one parquet per benchmark", "results/evaluations/<name of the model>"),
        ("--work", "finished chunks, to go on from", "<output>/.partial"),
    ):
        evaluator.add_argument(flag, type=Path, help=f"folder for {what} (default: {default})")
    evaluator.add_argument("--processes", type=int, default=2, help="that grade at once (default: 2)")
    for flag, key, what in (
        ("--any-format", "strict_format", "read a response without </think> whole (default: it is wrong)"),
        ("--drop-responses", "keep_responses", "leave the response texts out of the parquet files"),
    ):
        evaluator.add_argument(flag, dest=key, action="store_const", const=False, help=what)


def _trained_scale(experiment: Experiment) -> TorchScale | VerlScale | VerlArithmeticScale:
    if isinstance(experiment.scale, ReportedScale):
        raise ConfigError(f"{experiment.files[0]}: the scale '{experiment.scale.scale}' trains and evaluates nothing")
    return experiment.scale


def _write_provenance(folder: Path, started: float, config: list[str], identity: dict[str, str]) -> None:
    from real.provenance import describe

    description = describe(started, config=config, **identity)
    folder.joinpath("provenance.json").write_text(json.dumps(description, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
