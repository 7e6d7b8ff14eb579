"""Tables from known evaluation files, and the paper's numbers through the same code."""

from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from real.engines.run_files import METRICS
from real.evidence import results
from real.evidence.benchmarks import benchmark_scores, write_benchmarks
from real.evidence.claims.judge import write_claims
from real.evidence.differences import differences, write_differences
from real.evidence.layout import html_page, read_page, write_page
from real.evidence.learning_rate_sweep import learning_rate_scores, write_learning_rate_sweep
from real.evidence.pass_at_k import pass_at_k_scores, write_pass_at_k
from real.evidence.printed import benchmarks
from real.evidence.results import ResultsError
from real.evidence.training_curves import training_curves, write_training_curves
from real.records import consistent
from real.records.consistent import OriginError
from real.records.provenance import RECORD
from real.statistics.intervals import paired_difference, pass_at_1, pass_at_k
from real.system import files
from real.system.files import read_json, write_json
from tests.support.made_up import record_all, with_steps, write_correct, write_metrics
from tests.support.paths import ROOT
from tests.support.scales import shipped

PAPER_AVERAGES = {  # Tables 1 and 2 of the paper
    ("1.5B", "GRPO"): 0.431,
    ("1.5B", "DAPO"): 0.459,
    ("1.5B", "GSPO"): 0.519,
    ("1.5B", "REAL"): 0.526,
    ("7B", "GSPO"): 0.615,
    ("7B", "REAL"): 0.632,
}


@pytest.fixture
def in_root(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture
def finished(smoke, tmp_path, monkeypatch):
    """The smoke scale with made-up evaluation and metrics files in a folder of its own."""
    for room in ("paper_configs", "datasets"):
        (tmp_path / room).symlink_to(ROOT / room)
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rates = {}
    for method in ("base", *smoke.methods):
        for seed in [None] if method == "base" else smoke.scale.seeds:
            folder = Path("results/smoke/evaluations") / method / ("" if seed is None else f"seed{seed}")
            correct = {name: rng.random((8, 4)) < 0.6 for name in smoke.scale.evaluation.benchmarks}
            write_correct(folder, correct)
            rates |= {(method, seed, name): rows.mean(axis=1) for name, rows in correct.items()}
    for method, seed in smoke.runs:
        folder = Path("results/smoke/runs") / method / f"seed{seed}"
        columns = {key: [0.0, 1.0, 2.0] for key in METRICS} | {"clipped_fraction": [0.0, 0.5, 1.0]}
        write_metrics(folder, {**columns, "val_pass_at_1": [0.1, None, 0.3 + 0.1 * seed]})
    experiment = with_steps(smoke, 2)
    record_all(experiment)
    return experiment, rates


def test_scores_are_means_of_the_samples_with_their_interval(finished):
    experiment, rates = finished
    scores = benchmark_scores(experiment).set_index(["method", "benchmark"])
    stacked = np.stack([rates["real", seed, "mix5"] for seed in experiment.scale.seeds])
    expected = pass_at_1([stacked])
    row = scores.loc[("real", "mix5")]
    assert row["value"] == pytest.approx(stacked.mean())
    assert (row["low"], row["high"]) == (pytest.approx(expected.low), pytest.approx(expected.high))
    assert (row["seeds"], row["problems"], row["samples"], row["covers"]) == (2, 8, 4, "problems and seeds")
    assert scores.loc[("base", "mix5"), "covers"] == "problems only"
    cells = [scores.loc[("real", name), "value"] for name in experiment.scale.evaluation.benchmarks]
    assert scores.loc[("real", "mean"), "value"] == pytest.approx(np.mean(cells))


def test_benchmark_tables_agree_in_all_four_formats(finished, tmp_path):
    experiment, _ = finished
    write_benchmarks(experiment, tmp_path)
    wide = pd.read_csv(tmp_path / "tables" / "benchmarks.csv").set_index("method")
    assert list(wide.index) == ["base", *experiment.methods]
    row = benchmark_scores(experiment).set_index(["method", "benchmark"]).loc[("gspo", "mul3")]
    assert (row["low"], row["high"]) == (wide.loc["gspo", "mul3_low"], wide.loc["gspo", "mul3_high"])
    cell = f"{wide.loc['gspo', 'mul3']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
    for kind in ("html", "md", "tex"):
        text = (tmp_path / "tables" / f"benchmarks.{kind}").read_text()
        assert cell in text, kind
        assert experiment.scale.evidence in text, kind
        assert "4 samples per problem" in text, kind
        assert "seeds 0, 1. Intervals cover problems and seeds" in text, kind


def test_differences_are_paired_and_printed_with_their_sign(finished, tmp_path):
    experiment, rates = finished
    scores = differences(experiment).set_index(["method", "benchmark"])
    assert list(dict.fromkeys(scores.index.get_level_values("method"))) == ["base", *list(experiment.methods)[1:]]
    real, gspo = (np.stack([rates[name, seed, "mix5"] for seed in (0, 1)]) for name in ("real", "gspo"))
    expected = paired_difference([real], [gspo])
    row = scores.loc[("gspo", "mix5")]
    assert (row["value"], row["low"], row["high"]) == pytest.approx((expected.value, expected.low, expected.high))
    write_differences(experiment, tmp_path)
    cell = f"{row['value']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
    for kind in ("html", "md", "tex"):
        text = (tmp_path / "tables" / f"differences.{kind}").read_text()
        assert cell in text, kind
        assert "REAL − GSPO" in text, kind
    stored = pd.read_csv(tmp_path / "tables" / "differences.csv").set_index(["method", "benchmark"])
    assert stored.loc[("gspo", "mix5"), "low"] == pytest.approx(row["low"])


def test_pass_at_k_is_unbiased_per_problem_and_starts_at_pass_at_1(finished, tmp_path):
    experiment, rates = finished
    scores = pass_at_k_scores(experiment).set_index(["method", "k"])
    benchmarks = experiment.scale.evaluation.benchmarks
    for k in (1, 2, 4):
        cells = [pass_at_k(np.rint(4 * rates["dapo", seed, name]), 4, k) for name in benchmarks for seed in (0, 1)]
        assert scores.loc[("dapo", k), "value"] == pytest.approx(np.mean(cells))
    first = benchmark_scores(experiment).set_index(["method", "benchmark"]).loc[("dapo", "mean"), "value"]
    assert scores.loc[("dapo", 1), "value"] == pytest.approx(first)
    write_pass_at_k(experiment, tmp_path)
    assert "pass@4" in (tmp_path / "tables" / "pass_at_k.md").read_text()


def test_a_missing_evaluation_says_what_to_run(finished):
    experiment, _ = finished
    Path("results/smoke/evaluations/dapo/seed1/mul3.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"dapo/seed1/mul3.parquet: no such file; run snakemake"):
        benchmark_scores(experiment)


def test_methods_evaluated_on_other_problems_stand_in_no_table(finished, tmp_path):
    experiment, _ = finished
    path = Path("results/smoke/evaluations/dapo/seed0/mul3.parquet")
    frame = pd.read_parquet(path)
    frame.assign(problem_id=frame["problem_id"] + "x").to_parquet(path)
    sentence = rf"^{path}: holds other problems than .*/base/mul3.parquet; delete the older of the two and run"
    for write in (write_benchmarks, write_pass_at_k):
        with pytest.raises(ResultsError, match=sentence):
            write(experiment, tmp_path)
    with pytest.raises(ResultsError, match=r"^results/.*: holds other problems than .*/mul3.parquet; delete"):
        write_differences(experiment, tmp_path)


@pytest.fixture
def opened(monkeypatch):
    """How often each provenance.json and each file of an evaluation is read."""
    count = Counter()

    def counted(read, path, **options):
        count[path] += 1
        return read(path, **options)

    monkeypatch.setattr(consistent, "read_record", partial(counted, consistent.read_record))
    monkeypatch.setattr(results, "read_table", partial(counted, results.read_table))
    return count


@pytest.mark.parametrize(
    "write", [write_benchmarks, write_differences, write_pass_at_k, write_training_curves, write_learning_rate_sweep]
)
def test_a_table_reads_every_file_once_however_many_runs_there_are(finished, tmp_path, opened, write):
    """A provenance.json thrice: whether all belong together, and the notes on code and custody; parsed it is once."""
    write(finished[0], tmp_path)
    assert {count for path, count in opened.items() if path.suffix == ".parquet"} <= {1}
    assert {count for path, count in opened.items() if path.name == RECORD} <= {1, 3}
    assert opened


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # curves that begin at 0 have no ratio
def test_claims_read_every_file_once_however_many_of_them_ask(finished, tmp_path, opened, monkeypatch):
    monkeypatch.setattr(files, "SETTLED_NS", -1)  # as if the files had been there for a second
    rows = write_claims(finished[0], tmp_path)
    assert sum(row.verdict != "not run" and row.kind == "analogue" for row in rows) > 5
    assert {count for path, count in opened.items() if path.suffix == ".parquet"} == {1}


def test_what_changed_since_the_last_call_is_noticed(finished):
    experiment, _ = finished
    training_curves(experiment)
    path = Path("results/smoke/runs/dapo/seed1") / RECORD
    write_json(path, read_json(path) | {"config_digest": "0" * 16})
    with pytest.raises(OriginError, match="runs/dapo/seed1 was made by another configuration"):
        training_curves(experiment)


def test_a_page_is_read_again_from_its_data(tmp_path):
    table = pd.DataFrame({"method": ["REAL", 'a "b" <c>'], "of": [3, 40]})
    write_page(tmp_path / "table", "Title & more", {"first": table, "second": table[:1]}, "note", "another")
    title, sections, notes = read_page(tmp_path / "table.json")
    assert html_page(title, sections, *notes) == (tmp_path / "table.html").read_text()
    pd.testing.assert_frame_equal(sections["first"], table)


def test_curves_hold_every_measured_value_once(finished):
    experiment, _ = finished
    curves = training_curves(experiment)
    assert len(curves) == 6 * 2 * (3 * 3 + 2)
    picked = curves[(curves["metric"] == "val_pass_at_1") & (curves["method"] == "dapo") & (curves["seed"] == 1)]
    assert picked[["step", "value"]].to_numpy().tolist() == [[0.0, 0.1], [2.0, 0.4]]


def test_learning_rate_table_reads_the_last_validation_of_every_seed(finished, tmp_path):
    experiment, _ = finished
    scores = learning_rate_scores(experiment).set_index("method")
    assert scores.loc["real", "val_pass_at_1"] == pytest.approx(0.35)
    assert scores.loc["real", "values"] == "0.3000 0.4000"
    assert scores.loc["real", "learning_rate"] == experiment.scale.training.learning_rate
    write_learning_rate_sweep(experiment, tmp_path)
    assert "0.3000 / 0.4000" in (tmp_path / "tables" / "learning_rate_sweep.md").read_text()


def test_published_tables_print_the_papers_averages(in_root, tmp_path):
    experiment = shipped("published")
    write_benchmarks(experiment, tmp_path)
    wide = pd.read_csv(tmp_path / "tables" / "benchmarks.csv")
    for (backbone, label), average in PAPER_AVERAGES.items():
        own = ~wide["provenance"].str.startswith("disco")
        row = wide[wide["backbone"].str.endswith(backbone) & (wide["label"] == label) & own].iloc[0]
        assert row["mean"] == average
        cells = row[list(benchmarks())].astype(float)
        assert cells.mean() == pytest.approx(average, abs=0.001)
    assert not [column for column in wide if column.endswith(("_low", "_high"))], "the paper prints no interval"
    text = (tmp_path / "tables" / "benchmarks.md").read_text()
    assert "TRPA*" in text
    assert "not measured here" in text
    assert "AIME24" in text
    assert "OlympiadBench" in text


def test_published_tables_carry_discos_rows_with_their_provenance(in_root, tmp_path):
    experiment = shipped("published")
    write_benchmarks(experiment, tmp_path)
    wide = pd.read_csv(tmp_path / "tables" / "benchmarks.csv").set_index(["backbone", "method"])
    small, large = "DeepSeek-R1-Distill-Qwen-1.5B", "DeepSeek-R1-Distill-Qwen-7B"
    assert wide.loc[(small, "disco_log_l"), ["provenance", "mean"]].tolist() == ["disco", 0.533]
    assert wide.loc[(small, "disco_dsr_32k"), ["provenance", "response_limit"]].tolist() == ["disco_cited", "32k"]
    assert wide.loc[(large, "disco_l_ratio"), "aime"] == 0.583
    assert wide["provenance"].value_counts().to_dict() == {"disco": 18, "cited": 8, "paper": 6, "disco_cited": 5}
    # the paper cites these rows from DisCO, cell by cell
    for backbone, ours, theirs in ((small, "trpa", "disco_trpa"), (large, "dapo", "disco_dapo")):
        assert wide.loc[(backbone, ours), list(benchmarks())].equals(wide.loc[(backbone, theirs), list(benchmarks())])
    text = (tmp_path / "tables" / "benchmarks.md").read_text()
    assert "DisCO (log-L)†" in text
    assert "DSR-1.5B-Preview (32k)‡" in text
    assert "GRPO at 1.5B 0.431 here, 0.457 there; DAPO at 1.5B 0.459 here, 0.473 there" in text


def test_published_curves_are_the_digitised_points(in_root):
    curves = training_curves(shipped("published"))
    assert curves["seed"].isna().all()
    assert set(curves["metric"]) == {"entropy", "val_pass_at_1", "reward_mean", "solve_all"}
    dapo = curves[(curves["metric"] == "entropy") & (curves["method"] == "dapo")]
    assert dapo["step"].max() == 160
    assert curves["step"].max() == 1400
