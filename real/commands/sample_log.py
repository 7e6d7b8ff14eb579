"""``evaluate --from-log``: scores of samples that are graded already."""

import argparse
from pathlib import Path

from real.commands.arguments import NOT_GIVEN, OF_A_LOG
from real.config import ConfigError


def score_samples(arguments: argparse.Namespace) -> None:
    """Score a log of samples that others drew and graded, print each score, and write all.

    Raises:
        ConfigError: a flag that says nothing about a log, or one of our columns named twice.
        LogError: a log that can't be scored.
    """
    # imported here: pandas and what reads files, which most verbs need not wait for
    from real.evidence.sample_log import WRITTEN, score_line, score_log

    given = [name for name, value in vars(arguments).items() if value not in (None, [], NOT_GIVEN.get(name))]
    if others := sorted(set(given) - OF_A_LOG):
        raise ConfigError(
            f"--from-log scores samples that are drawn and graded already, so {', '.join(others)} can't be given with "
            "it; leave it out"
        )
    columns = dict(arguments.columns)
    if len(columns) < len(arguments.columns):
        raise ConfigError("--columns names one of our columns twice; name each once")
    output = arguments.output or Path("results/evaluations", arguments.from_log.stem)
    for score in score_log(arguments.from_log, columns, output):
        print(score_line(score))
    print(f"written: {output / WRITTEN}")
