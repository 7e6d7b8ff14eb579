"""The paper's claims, judged by a scale's own data."""

from pathlib import Path

from real.config import Experiment
from real.evidence.exhibit import (
    Exhibit,
    evaluations,
    evaluations_shown,
    methods_shown,
    metrics,
    untrained_metrics,
)

CLAIMS_FILE = "paper_configs/claims.yaml"
# the scores that the papers print
PRINTED = ("paper_configs/reported/benchmarks.csv", "paper_configs/reported/disco.csv")
THIRD_PARTY = "paper_configs/reported/third_party.csv"


def make_claims(experiment: Experiment, results: Path) -> None:
    """Judge the claims, and print each row's verdict."""
    # imported here: the models of the measures' parameters take their time, and most read the declaration alone
    from real.evidence.claims.judge import write_claims

    for row in write_claims(experiment, results):
        print(f"{row.verdict:20}{row.id}{f' ({row.reason})' if row.reason else ''}")


EXHIBIT = Exhibit(
    name="claims",
    title="Claims",
    doing="judging the paper's claims by this scale's data",
    outputs=("claims.json", "claims.html"),
    make=make_claims,
    reads=lambda experiment: [*evaluations(experiment), *metrics(experiment), *untrained_metrics(experiment)],
    settings=lambda experiment: [methods_shown(experiment), *evaluations_shown(experiment)],
    printed=lambda _: [CLAIMS_FILE, THIRD_PARTY, *PRINTED],
)
