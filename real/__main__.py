"""The command line: ``python -m real VERB``. Each verb is a thin call; the rules of the workflow call these."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from real.config import ConfigError, Experiment, TorchScale, json_schema, load, resolve

SCHEMA_FILE = Path("workflow/schemas/config.schema.json")


def base(arguments: argparse.Namespace) -> None:
    """train the base model of a scale"""
    from real.torch_engine.supervised import train_base

    experiment, started = load(arguments.config), time.time()
    folder = Path(experiment.results)
    train_base(_torch_scale(experiment), folder)
    _write_provenance(folder / "base", started, arguments.config)


def train(arguments: argparse.Namespace) -> None:
    """train one method with one seed"""
    from real.torch_engine.train import train as train_run

    experiment, started = load(arguments.config), time.time()
    run = resolve(experiment, arguments.method, arguments.seed)
    results, part = Path(experiment.results), Path(run.method) / f"seed{run.seed}"
    output = results / "runs" / part
    train_run(run, results / "base" / "model", output, results / "work" / part)
    (output / "config.yaml").write_text(yaml.safe_dump(run.model_dump(mode="json"), sort_keys=False))
    _write_provenance(output, started, arguments.config)


def evaluate(arguments: argparse.Namespace) -> None:
    """sample and grade a checkpoint on the benchmarks"""
    from real.evaluate import evaluate as evaluate_checkpoint

    experiment = load(arguments.config)
    benchmarks = arguments.benchmarks.split(",") if arguments.benchmarks else None
    evaluate_checkpoint(_torch_scale(experiment), Path(arguments.model), Path(arguments.output), benchmarks)


def tables(arguments: argparse.Namespace) -> None:
    """write the benchmark tables of a scale"""
    from real.tables import write_benchmarks

    experiment = load(arguments.config)
    write_benchmarks(experiment, Path(experiment.results) / "tables")


def differences(arguments: argparse.Namespace) -> None:
    """write the table of paired differences of a scale"""
    from real.tables import write_differences

    experiment = load(arguments.config)
    _torch_scale(experiment)
    write_differences(experiment, Path(experiment.results) / "tables")


def pass_at_k(arguments: argparse.Namespace) -> None:
    """write the table of pass@k of a scale"""
    from real.tables import write_pass_at_k

    experiment = load(arguments.config)
    _torch_scale(experiment)
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


def schema(arguments: argparse.Namespace) -> None:
    """regenerate the JSON schema of the config"""
    SCHEMA_FILE.write_text(json.dumps(json_schema(), indent=2) + "\n")


def main(arguments: list[str] | None = None) -> int:
    """Parse and run; expected failures end in one sentence and exit code 1."""
    from real.torch_engine.work_folder import FolderInUseError

    parsed = _parser().parse_args(arguments)
    try:
        parsed.verb(parsed)
    except (ConfigError, FileNotFoundError, FolderInUseError) as error:
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
        if verb is not schema:
            added.add_argument("--config", nargs="+", required=True, help="a scale file, then overlays")
        return added

    add(base)
    trainer = add(train)
    trainer.add_argument("--method", required=True)
    trainer.add_argument("--seed", type=int, required=True)
    evaluator = add(evaluate)
    evaluator.add_argument("--model", required=True, help="a Hugging Face checkpoint folder")
    evaluator.add_argument("--benchmarks", help="comma-separated; default: all of the scale")
    evaluator.add_argument("--output", required=True, help="folder for one parquet per benchmark")
    for verb in (tables, differences, pass_at_k, claims, curves, sweep, schema):
        add(verb)
    return parser


def _torch_scale(experiment: Experiment) -> TorchScale:
    if not isinstance(experiment.scale, TorchScale):
        raise ConfigError(f"{experiment.files[0]}: the scale '{experiment.scale.scale}' trains and evaluates nothing")
    return experiment.scale


def _write_provenance(folder: Path, started: float, config: list[str]) -> None:
    from real.provenance import describe

    folder.joinpath("provenance.json").write_text(json.dumps(describe(started, config=config), indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
