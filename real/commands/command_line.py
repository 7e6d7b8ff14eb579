"""The command line: ``python -m real VERB``. Each verb is a thin call; the rules of the workflow call these."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from real.commands import start
from real.commands.arguments import (
    EPILOG,
    Parser,
    add_attempt,
    add_config,
    add_evaluation_arguments,
    add_export_arguments,
    add_log,
    add_plan_arguments,
    add_redraw_arguments,
    add_run_arguments,
    add_verify_arguments,
    overview,
    whole,
)
from real.commands.log import log_to
from real.commands.sample_log import score_samples
from real.commands.streams import READER_GONE, flush_streams, prepare_streams, reader_gone
from real.config import PAPER_EVALUATION, ConfigError, Evaluation, Experiment, changed, json_schema, load, resolve
from real.planning.plan import plan as make_plan
from real.planning.preflight import require
from real.planning.status import status_report
from real.planning.text import plan_text
from real.records.custody import in_custody
from real.records.made_from import Origin
from real.records.manifest import write_manifest
from real.records.provenance import DRAWN
from real.records.recorded import expected_report
from real.records.recorded import record as write_record
from real.records.scale_file import require_own_results
from real.records.verify import verify_report
from real.system.code import EVIDENCE
from real.system.errors import ExpectedError, memory_sentence, system_sentence
from real.system.interrupts import Stopped, interruptible
from real.tasks import datasets
from real.tasks.sources import find_source, mirror_folder

PROG = "python -m real"
SCHEMA_FILE = Path("workflow/schemas/config.schema.json")


def base(arguments: argparse.Namespace) -> None:
    """train the base model, or link the one that the scale names"""
    experiment = _experiment(arguments)
    own = experiment.trained.own_base
    seeds = own.seeds if own else []
    if arguments.seed is not None and arguments.seed not in seeds:
        known = ", ".join(map(str, seeds)) or "none, because it is a published checkpoint"
        raise ConfigError(f"--seed is {arguments.seed}, but seeds of the base model are {known}; leave it out")
    start.make_base(experiment, arguments.seed, arguments.attempt)


def train(arguments: argparse.Namespace) -> None:
    """train one method with one seed"""
    experiment = _experiment(arguments)
    resolve(experiment, arguments.method, arguments.seed)  # refuses what can't be
    if arguments.seed not in (seeds := experiment.trained.seeds):
        print(
            f"real: seed {arguments.seed} is none of the scale's ({', '.join(map(str, seeds))}), so no table will show "
            "this run; add it to `seeds` for that",
            file=sys.stderr,
        )
    start.train_run(experiment, arguments.method, arguments.seed, arguments.gpus, arguments.attempt)


def evaluate(arguments: argparse.Namespace) -> None:
    """sample and grade any checkpoint, or score a log of samples"""
    if arguments.from_log is not None:
        score_samples(arguments)
        return
    if arguments.model is None:
        raise ConfigError("evaluate: nothing to evaluate; give --model DIR_OR_HUB, or --from-log FILE")
    if arguments.columns:
        raise ConfigError("--columns is about a log's columns; give --from-log FILE with it, or leave it out")
    experiment = _experiment(arguments) if arguments.config else None
    given = {key: getattr(arguments, key) for key in Evaluation.model_fields if getattr(arguments, key) is not None}
    start.evaluate_checkpoint(
        arguments.model,
        changed(experiment.trained.evaluation if experiment else PAPER_EVALUATION, given, "command line"),
        experiment,
        arguments.output or Path("results/evaluations", Path(arguments.model).name),
        arguments.work,
        arguments.processes,
        arguments.sampler,
        arguments.device,
        arguments.gpus,
        experiment.scale.accept_code if experiment else arguments.accept_code,
        arguments.attempt,
    )


def make(arguments: argparse.Namespace) -> None:
    """write one table, figure or page of a scale from finished runs"""
    # imported here, as below: it brings what draws, which most verbs need not wait for
    from real.commands.exhibits import make as make_exhibit

    experiment = _experiment(arguments)
    require_own_results(experiment)
    make_exhibit(arguments.name, experiment)


def download(arguments: argparse.Namespace) -> None:
    """fetch and verify one dataset"""
    from real.tasks.fetching import fetch

    fetch(find_source(arguments.dataset), mirror=mirror_folder())


def prepare(arguments: argparse.Namespace) -> None:
    """convert a fetched dataset to the schema of problems"""
    datasets.prepare(find_source(arguments.dataset))


def contamination(arguments: argparse.Namespace) -> None:
    """report what the benchmarks share with a training set"""
    from real.evidence.contamination import compared_sets, write_report

    folder, name = Path("results/datasets"), f"contamination_{arguments.train}"
    origin = Origin({"train": arguments.train}, (write_report.__module__,), EVIDENCE)
    writes = [(folder / name).with_suffix(suffix) for suffix in (".csv", ".html", ".json")]
    data = compared_sets(arguments.train)
    with in_custody(folder / DRAWN / f"{name}.json", folder, origin, (), (), writes, data):
        write_report(arguments.train, folder)


def plan(arguments: argparse.Namespace) -> None:
    """say what a scale costs or, with --check, what is missing here"""
    # imported here: it takes its time, and most verbs judge nothing
    from real.evidence.claims.plan_text import confirms_text

    experiment = _experiment(arguments)
    if arguments.check:
        require(experiment, arguments.gpus)
        print("ready")
    else:
        print(plan_text(make_plan(experiment), arguments.rate))
        if text := confirms_text(experiment):
            print(text)


def manifest(arguments: argparse.Namespace) -> None:
    """list every result of a finished scale with its hash"""
    from real.commands.exhibits import all_jobs

    experiment = _experiment(arguments)
    require_own_results(experiment)
    for name in write_manifest(experiment, all_jobs(experiment)):
        print(f"not there: {name}")


def status(arguments: argparse.Namespace) -> None:
    """say what is done, runs, was interrupted or waits, and time left"""
    print(status_report(_experiment(arguments)))


def verify(arguments: argparse.Namespace) -> int:
    """say which results are missing, damaged, altered or stale"""
    if arguments.export:
        from real.records.crate import verify_export_report

        if arguments.scale or arguments.config:
            raise ConfigError("--export checks a folder by itself, without a scale; leave --scale and --config out")
        text, well = verify_export_report(arguments.export)
    else:
        from real.commands.exhibits import all_jobs

        experiment = _experiment(arguments)
        text, well = verify_report(experiment, all_jobs(experiment))
        if arguments.expected:
            compared, same = expected_report(experiment)
            text, well = f"{text}\n{compared}", well and same
    print(text)
    return 0 if well else 1


def record(arguments: argparse.Namespace) -> None:
    """keep in git what a finished scale measured, without weights"""
    from real.commands.exhibits import all_jobs
    from real.commands.redraw import exhibits_read

    experiment = _experiment(arguments)
    print(f"recorded in {write_record(experiment, all_jobs(experiment), exhibits_read(experiment))}")


def redraw(arguments: argparse.Namespace) -> int:
    """draw a recorded scale's tables and figures without training"""
    from real.commands.redraw import redraw as draw

    other = draw(arguments.name, arguments.output, arguments.write)
    where = arguments.output / arguments.name
    print("\n".join([f"differs     {name}" for name in other] or [f"{where}: the bytes that were recorded"]))
    return 0


def export(arguments: argparse.Namespace) -> None:
    """write a finished scale as an RO-Crate, to publish it"""
    from real.commands.exhibits import all_jobs
    from real.records.crate import export as export_scale

    experiment = _experiment(arguments)
    print(export_scale(experiment, all_jobs(experiment), arguments.folder, arguments.weights))


def schema(arguments: argparse.Namespace) -> None:
    """regenerate the JSON schema of the config"""
    SCHEMA_FILE.write_text(json.dumps(json_schema(), indent=2) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Parse and run; expected failures end in one sentence and exit code 1, an interruption in one and 130.

    Where nobody reads what is printed any more, the command ends in silence by :data:`READER_GONE`.
    """
    prepare_streams()
    try:
        code = _code_of(arguments)
        flush_streams()
    except BrokenPipeError:  # of a sentence, or of what was left to print; those of a verb have become a sentence
        reader_gone()
        return READER_GONE
    return code


def _code_of(arguments: list[str] | None) -> int:
    with interruptible() as interrupted:
        try:
            parsed = _parser().parse_args(arguments)
            if parsed.log:
                log_to(parsed.log, keeps_attempts=parsed.verb in (base, train, evaluate))
            return parsed.verb(parsed) or 0
        except (ExpectedError, OSError) as error:
            if isinstance(error, BrokenPipeError) and reader_gone():
                return READER_GONE
            print(f"real: {system_sentence(error) if isinstance(error, OSError) else error}", file=sys.stderr)
            return 1
        except Stopped as stopped:
            print(f"real: {stopped}", file=sys.stderr)
            return 130
        except BaseException as error:
            if not (interrupted() or isinstance(error, KeyboardInterrupt)):
                if (refused := memory_sentence(error)) is None:
                    raise
                print(f"real: {refused}", file=sys.stderr)
                return 1
            print("real: interrupted; run the same command again to go on from the last saved step", file=sys.stderr)
            return 130


def _experiment(arguments: argparse.Namespace) -> Experiment:
    """What --scale and --config name, with the code that --accept-code adds to what its files accept."""
    scale = getattr(arguments, "scale", None)
    experiment = load([*([f"paper_configs/{scale}.yaml"] if scale else []), *(arguments.config or [])])
    accepted = list(dict.fromkeys([*experiment.scale.accept_code, *arguments.accept_code]))
    return experiment.model_copy(update={"scale": experiment.scale.model_copy(update={"accept_code": accepted})})


# by title, in the order of use: each verb with an example
GROUPS: dict[str, dict[Callable[[argparse.Namespace], int | None], str]] = {
    "before a run": {
        plan: "--scale laptop",
        download: "aime",
        prepare: "aime",
        contamination: "dapo_math_17k",
    },
    "runs, as the rules of the workflow start them": {
        base: "--config paper_configs/laptop.yaml",
        train: "--config paper_configs/laptop.yaml --method real --seed 0",
        evaluate: "--config paper_configs/laptop.yaml --model results/laptop/base/model --output results/mine",
    },
    "meanwhile, and afterwards": {
        status: "--scale laptop",
        verify: "--scale laptop",
        export: "published_laptop --scale laptop",
    },
    "tables, figures, claims and report, from finished runs": {
        make: "benchmarks --config paper_configs/laptop.yaml",
        manifest: "--config paper_configs/laptop.yaml",
        record: "--scale laptop",
        redraw: "laptop",
    },
    "for whoever changes the package": {schema: ""},
}
# verbs of earlier versions, each the exhibit that it made; kept for one release, and in no help text
ALIASES = {
    "tables": "benchmarks",
    "differences": "differences",
    "pass_at_k": "pass_at_k",
    "curves": "training_curves",
    "claims": "claims",
    "sweep": "learning_rate_sweep",
    "mechanism": "mechanism",
    "report": "report",
}


def _parser() -> argparse.ArgumentParser:
    lines = {title: {verb.__name__: str(verb.__doc__) for verb in verbs} for title, verbs in GROUPS.items()}
    parser = Parser(prog=PROG, usage=f"{PROG} VERB ...", description=overview(lines), epilog=EPILOG)
    verbs = parser.add_subparsers(required=True, metavar="VERB", prog=PROG, help=argparse.SUPPRESS)
    added = {}
    for group in GROUPS.values():
        for verb, example in group.items():
            name = verb.__name__
            text = f"example:\n  {PROG} {name} {example}".rstrip()
            added[verb] = one = verbs.add_parser(name, description=verb.__doc__, epilog=text)
            one.set_defaults(verb=verb)
            add_log(one)
            if verb not in (download, prepare, contamination, redraw, schema):
                short = verb in (plan, status, verify, record, export)
                add_config(one, short=short, required=verb is not evaluate)
    added[base].add_argument("--seed", type=whole(0), help="of base.further_seeds (default: base.seed)")
    for verb in (base, train, evaluate):
        add_attempt(added[verb])
    add_run_arguments(added[train])
    add_evaluation_arguments(added[evaluate])
    add_plan_arguments(added[plan])
    add_verify_arguments(added[verify])
    add_redraw_arguments(added[redraw])
    add_export_arguments(added[export])
    added[make].add_argument("name", help="of the exhibit, which is the name of its rule and of its files")
    for old, name in ALIASES.items():
        one = verbs.add_parser(old, description=f"the same as `{PROG} make {name}`")
        one.set_defaults(verb=make, name=name)
        add_log(one)
        add_config(one, short=False, required=True)
    for verb in (download, prepare):
        added[verb].add_argument("dataset", help="a name of datasets/sources.yaml")
    added[contamination].add_argument("train", help="a training set of datasets/sources.yaml")
    return parser
