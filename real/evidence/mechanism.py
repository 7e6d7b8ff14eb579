"""Whether the mechanisms that the paper describes act: every run of a grid, and what the runs say of each hypothesis.

A grid (paper_configs/variants/stale_rollouts.yaml) crosses rules of weighting responses with learning rates and
staleness. A hypothesis, written down before the runs, names the rule that the paper predicts to score higher. Rates are
chosen on validation problems, differences are those of test problems.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from real.config import ConfigError, Experiment, Hypothesis, TorchTraining
from real.evidence.layout import write_tables
from real.evidence.results import Rates, problem_rates, run_metrics
from real.hyperparameters import COUNTERFACTUAL
from real.records.consistent import EVALUATIONS, origin_notes
from real.statistics.intervals import paired_difference, verdict
from real.system.files import write_csv

OVERLAY = "paper_configs/variants/stale_rollouts.yaml"
# learning rates of a comparison: one for both rules, or for each its own best
SAME, BEST = "same", "best of each"
# words of real.statistics.intervals.verdict about the region above the smallest difference of interest
WORDS = {"reproduced": "supported", "contradicted": "contradicted", "unresolved": "unresolved"}
# digits of a mean of validation scores that are no rounding: equal scores must not be told apart by those
DIGITS = 9


def mechanism(experiment: Experiment) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every run of the grid, and what the runs say of each hypothesis.

    Returns:
        runs: a row each, with the columns method (its crossed name), rule (the method that was crossed), label,
            objective, positives, negatives (the rules of a counterfactual objective, else both the objective's name),
            learning_rate, staleness (outer steps), seed, base_seed (of the base model it started from), validation and
            test (pass@1 after the last step; test: mean over benchmarks).
        comparisons: a row per hypothesis and learning rate that both rules ran at, and one at each one's best where
            both ran at the same two or more, with the columns hypothesis, statement, better, worse (rules), staleness,
            rates (:data:`SAME` or :data:`BEST`), learning_rate (NaN at the best ones), better_rate, worse_rate, value,
            low, high (test pass@1 of better minus worse, paired by problem and seed), covers, seeds, problems,
            smallest_difference, verdict.

    Raises:
        ConfigError: no grid, no hypotheses, or none whose two rules ran at one staleness.
        FileNotFoundError, OriginError, DamagedError, ResultsError: as :mod:`real.evidence.results`.
    """
    _hypotheses(experiment)
    rates = problem_rates(experiment, list(experiment.methods))
    of_runs = _runs(experiment, rates)
    return of_runs, _comparisons(experiment, of_runs, rates)


def write_mechanism(experiment: Experiment, results: Path) -> None:
    """Write ``mechanism.{csv,html,json,md,tex}``, a section per staleness, and ``mechanism_runs.csv``.

    Raises:
        as :func:`mechanism`.
    """
    of_runs, rows = mechanism(experiment)
    labels = dict(zip(of_runs["rule"], of_runs["label"], strict=True))
    write_tables(
        results,
        "mechanism",
        f"The paper's mechanisms at {experiment.scale.scale} scale",
        rows,
        {f"Staleness {staleness}": _printed(part, labels) for staleness, part in rows.groupby("staleness")},
        _note(experiment, of_runs, rows),
        *origin_notes(experiment, EVALUATIONS),
    )
    write_csv(results / "tables/mechanism_runs.csv", of_runs)


def _hypotheses(experiment: Experiment) -> Mapping[str, Hypothesis]:
    """What the grid's runs are to judge; a scale with hypotheses has a grid that tries them."""
    if not experiment.scale.hypotheses:
        raise ConfigError(
            f"{', '.join(experiment.files)}: mechanisms need the sections `grid` and `mechanism`, which an overlay "
            f"gives; name one after the scale, for example paper_configs/laptop.yaml {OVERLAY}"
        )
    return experiment.scale.hypotheses


def _runs(experiment: Experiment, rates: Rates) -> pd.DataFrame:
    scale = experiment.trained
    assert scale.own_base is not None  # the torch engine, which alone has hypotheses, trains it
    metrics = run_metrics(experiment, list(experiment.methods))
    rows: list[dict[str, Any]] = []
    for method, settings in experiment.methods.items():
        training = experiment.training[method]
        assert isinstance(training, TorchTraining)
        weights = settings.hyperparameters if settings.objective == COUNTERFACTUAL else {}
        test_S = np.mean([part.mean(axis=1) for part in rates[method].values()], axis=0)
        for seed, test in zip(scale.seeds, test_S, strict=True):
            rows.append(
                {
                    "method": method,
                    "rule": experiment.parents[method],
                    "label": experiment.rule_labels[method],
                    "objective": settings.objective,
                    "positives": weights.get("positives", settings.objective),
                    "negatives": weights.get("negatives", settings.objective),
                    "learning_rate": training.learning_rate,
                    "staleness": training.staleness,
                    "seed": seed,
                    "base_seed": scale.own_base.seed_of(seed),
                    "validation": metrics[method, seed]["val_pass_at_1"].iloc[-1],
                    "test": test,
                }
            )
    return pd.DataFrame(rows)


def _comparisons(experiment: Experiment, of_runs: pd.DataFrame, rates: Rates) -> pd.DataFrame:
    hypotheses = _hypotheses(experiment)
    keys = ["staleness", "rule", "learning_rate", "method"]
    validation = of_runs.groupby(keys)["validation"].mean().round(DIGITS).reset_index("method")
    rows = []
    for name, hypothesis in hypotheses.items():
        for staleness in sorted(of_runs["staleness"].unique()):
            cells = {place[1:]: cell for place, cell in validation.iterrows() if place[0] == staleness}
            for of_rates, better_rate, worse_rate in _pairs(cells, hypothesis):
                better = cells[hypothesis.better, better_rate]["method"]
                worse = cells[hypothesis.worse, worse_rate]["method"]
                judged = _judged(rates[better], rates[worse], hypothesis.smallest_difference)
                rows.append(
                    {
                        "hypothesis": name,
                        **hypothesis.model_dump(include={"statement", "better", "worse"}),
                        "staleness": staleness,
                        "rates": of_rates,
                        "learning_rate": better_rate if of_rates == SAME else np.nan,
                        "better_rate": better_rate,
                        "worse_rate": worse_rate,
                        **judged,
                    }
                )
    if not rows:
        raise ConfigError(
            f"{', '.join(experiment.files)}: the two rules of no hypothesis were run at one staleness; give both in "
            "one item of `grid`"
        )
    return pd.DataFrame(rows)


def _pairs(cells: Mapping[tuple[str, float], pd.Series], hypothesis: Hypothesis) -> list[tuple[str, float, float]]:
    """What to compare at one staleness: (which rates, better's, worse's); none where one of the rules did not run.

    Each rule's best is compared where both had the same rates to choose from.

    Args:
        cells: by rule and learning rate in ascending order, with the mean ``validation`` over seeds.
    """
    better, worse = (
        {rate: cell["validation"] for (rule, rate), cell in cells.items() if rule == side}
        for side in (hypothesis.better, hypothesis.worse)
    )
    if not better or not worse:
        return []
    same = [(SAME, rate, rate) for rate in better if rate in worse]
    if set(better) != set(worse) or len(better) == 1:
        return same
    # of equal scores max takes the first, the lower rate's
    return [*same, (BEST, max(better, key=better.__getitem__), max(worse, key=worse.__getitem__))]


def _judged(
    better: dict[str, NDArray[np.float64]], worse: dict[str, NDArray[np.float64]], smallest_difference: float
) -> dict[str, Any]:
    """The difference of test rates, (S, P) by benchmark, and its verdict."""
    better_SP = list(better.values())
    interval = paired_difference(better_SP, list(worse.values()))
    return {
        "value": interval.value,
        "low": interval.low,
        "high": interval.high,
        "covers": interval.covers,
        "seeds": len(better_SP[0]),
        "problems": sum(part.shape[1] for part in better_SP),
        "smallest_difference": smallest_difference,
        "verdict": WORDS[verdict(interval, above=smallest_difference)],
    }


def _printed(rows: pd.DataFrame, labels: Mapping[str, str]) -> pd.DataFrame:
    """The table that a reader sees of one staleness."""
    return pd.DataFrame(
        {
            "what is asked": rows["statement"],
            "comparison": [f"{labels[row.better]} against {labels[row.worse]}" for row in rows.itertuples()],
            "paper predicts": [f"more than {smallest:+.3f}" for smallest in rows["smallest_difference"]],
            "learning rate": [
                f"{row.better_rate:.1e}"
                if row.rates == SAME
                else f"{BEST}: {row.better_rate:.1e} against {row.worse_rate:.1e}"
                for row in rows.itertuples()
            ],
            "difference": [f"{value:+.3f}" for value in rows["value"]],
            "95 % interval": [f"[{row.low:+.3f}, {row.high:+.3f}]" for row in rows.itertuples()],
            "verdict": rows["verdict"],
        }
    )


def _note(experiment: Experiment, of_runs: pd.DataFrame, rows: pd.DataFrame) -> str:
    scale = experiment.trained
    evaluation, seeds = scale.evaluation, scale.seeds
    bases = list(dict.fromkeys(of_runs["base_seed"]))
    started = f"{len(bases)} base model{'s' if len(bases) > 1 else ''} (of seed {', '.join(map(str, bases))})"
    return (
        f"{scale.evidence}; step {scale.training.steps}. Difference: pass@1 on test problems of the rule named first "
        f"minus the second's, paired by problem and by seed; {evaluation.samples} samples of each of "
        f"{rows['problems'].iloc[0]} problems, temperature {evaluation.temperature}, top-p {evaluation.top_p}; seeds "
        f"{', '.join(map(str, seeds))}, which start from {started}. Staleness: outer steps by which the policy that "
        f"samples is behind the one that learns. Intervals cover {rows['covers'].iloc[0]}, not further base "
        "models. Learning rates were chosen on validation problems alone, by the mean pass@1 over seeds (of equal ones "
        "the lower). Supported: the interval lies wholly above what the paper is taken to predict; contradicted: "
        "wholly below it; else unresolved. Each interval stands alone: among many, one in twenty misses."
    )
