"""The claims table: verdicts by construction, what is judged where, and the paper's own numbers."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from real.commands.command_line import main
from real.commands.exhibits import exhibits
from real.config import ConfigError
from real.evidence.claims.judge import judge, write_claims
from real.evidence.claims.measures import MEASURES, window_mean
from real.evidence.claims.schema import load_claims
from real.evidence.printed import read_benchmarks
from real.evidence.results import ResultsError
from real.objectives import make_objective
from real.statistics.intervals import paired_difference
from real.weights import largest_weight
from tests.support.made_up import record_all, with_steps, write_correct, write_metrics
from tests.support.paths import ROOT
from tests.support.scales import shipped
from tests.support.workplaces import link_rooms

CLAIMS = ROOT / "paper_configs" / "claims.yaml"
REPORTED = ROOT / "paper_configs" / "reported"
RATE = {"base": 0.1, "real": 0.6, "grpo": 0.6, "dapo": 0.4, "gspo": 0.8, "real_bce": 0.6, "real_product": 0.6}
STEPS = 100


@pytest.fixture(scope="module")
def content():
    return load_claims(CLAIMS)


@pytest.fixture
def published(monkeypatch):
    monkeypatch.chdir(ROOT)
    return shipped("published")


def curves(method: str, rng: np.random.Generator) -> dict[str, list]:
    """Made-up metrics: GRPO's entropy and validation fall, DAPO's entropy stays, REAL's reward leads."""
    step = np.arange(STEPS + 1)
    entropy = 0.3 * np.exp(-5 * step / STEPS) if method == "grpo" else np.full(len(step), 0.3)
    validation = 0.4 - 0.2 * step / STEPS if method == "grpo" else 0.2 + 0.2 * step / STEPS
    reward = np.full(len(step), 0.7 if method == "real" else 0.5)
    frame = pd.DataFrame({"step": step, "entropy": entropy, "val_pass_at_1": validation, "reward_mean": reward})
    frame[["entropy", "reward_mean"]] *= rng.normal(1, 0.01)
    frame["solve_all"] = np.abs(10.0 + rng.normal(0, 5, len(step)))
    return frame.to_dict("list")


@pytest.fixture
def trained(smoke, tmp_path, monkeypatch):
    """An experiment of the given scale name with made-up results, in a folder of its own."""

    def make(scale_name: str, seeds: list[int]):
        scale = smoke.scale.model_copy(update={"scale": scale_name, "seeds": seeds})
        experiment = with_steps(smoke.model_copy(update={"name": scale_name, "scale": scale}), STEPS)
        monkeypatch.chdir(tmp_path)
        link_rooms(tmp_path)
        rng = np.random.default_rng(0)
        difficulty = rng.uniform(-0.1, 0.1, 60)
        for method in ("base", *scale.methods):
            for seed in [None] if method == "base" else seeds:
                place = Path(method) if seed is None else Path(method) / f"seed{seed}"
                evaluations, runs = (Path(experiment.results) / kind / place for kind in ("evaluations", "runs"))
                rates = (RATE[method] + difficulty)[:, None]
                write_correct(evaluations, {name: rng.random((60, 8)) < rates for name in scale.evaluation.benchmarks})
                if seed is not None:
                    write_metrics(runs, curves(method, rng))
        still = curves("gspo", rng) | {"val_pass_at_1": [0.2] * (STEPS + 1)}
        write_metrics(Path(experiment.results) / "runs" / "untrained" / f"seed{seeds[0]}", still)
        record_all(experiment)
        return experiment

    return make


def by_id(rows):
    return {row.id: row for row in rows}


def test_verdicts_follow_from_the_data_of_the_claims_own_scale(trained, content):
    rows = by_id(judge(trained("1.5b", [0, 1, 2]), content))
    expected = {
        "real_over_dapo_1_5b": "reproduced",
        "real_over_grpo_1_5b": "unresolved",
        "real_over_gspo_1_5b": "can't confirm",
        "real_consistent_1_5b": "can't confirm",
        "real_over_base_1_5b": "reproduced",
        "bce_over_dapo_1_5b": "reproduced",
        "real_entropy_stable": "reproduced",
        "grpo_entropy_collapses": "reproduced",
        "dapo_entropy_explodes": "contradicted",
        "grpo_validation_decays": "reproduced",
        "dapo_validation_decays": "contradicted",
        "real_validation_rises": "reproduced",
        "real_reward_over_gspo": "reproduced",
        "real_over_dapo_7b": "not run",
        "real_over_gspo_aime24_1_5b": "not run",
        "real_weights_bounded": "holds",
    }
    assert {name: rows[name].verdict for name in expected} == expected
    assert rows["real_over_dapo_1_5b"].interval.covers == "problems and seeds"
    assert rows["real_over_gspo_aime24_1_5b"].reason == "aime is no benchmark of this scale"
    assert not [name for name in rows if "@" in name], "a claim's own scale needs no analogue"
    counted = {name for name, row in rows.items() if row.counted}
    assert {"real_over_dapo_1_5b", "real_over_grpo_1_5b", "dapo_entropy_explodes"} < counted
    assert counted.isdisjoint({"real_over_gspo_1_5b", "real_consistent_1_5b", "real_weights_bounded"})
    assert rows["real_over_gspo_1_5b"].reason.startswith("this plan can't confirm it (power 0.0")
    assert rows["real_over_gspo_1_5b"].interval.high < 0, "what was measured is shown all the same"


def test_the_interval_is_the_paired_difference_of_the_files(trained, content):
    experiment = trained("1.5b", [0, 1, 2])
    row = by_id(judge(experiment, content))["real_over_dapo_1_5b"]
    rates = {
        method: [
            np.stack(
                [
                    pd.read_parquet(f"{experiment.results}/evaluations/{method}/seed{seed}/{benchmark}.parquet")
                    .groupby("problem_id", sort=False)["correct"]
                    .mean()
                    for seed in (0, 1, 2)
                ]
            )
            for benchmark in experiment.scale.evaluation.benchmarks
        ]
        for method in ("real", "dapo")
    }
    expected = paired_difference(rates["real"], rates["dapo"])
    assert (row.interval.value, row.interval.low) == pytest.approx((expected.value, expected.low))


@pytest.mark.parametrize("scale", ["laptop", "single_gpu"])
def test_other_scales_judge_no_claim_of_the_paper_but_fill_their_own_rows(trained, content, scale):
    rows = by_id(judge(trained(scale, [0, 1]), content))
    for name, row in rows.items():
        if row.kind == "claim":
            assert (row.verdict, row.interval) == ("not run", None), name
    analogues = [row for row in rows.values() if "@" in row.id]
    assert {row.kind for row in analogues} == {"analogue"}
    assert len(analogues) == sum(claim.analogue is not None for claim in content.claims.values())
    assert rows[f"real_over_dapo_1_5b@{scale}"].interval.low > 0
    assert rows[f"real_over_dapo_1_5b@{scale}"].source == f"analogue at {scale} scale"


def test_an_analogue_that_others_or_an_untrained_policy_pass_cannot_discriminate(trained, content):
    rows = by_id(judge(trained("laptop", [0, 1]), content))
    over_dapo = rows["real_over_dapo_1_5b@laptop"]
    assert (over_dapo.verdict, over_dapo.counted) == ("can't discriminate", False)
    assert over_dapo.controls.untrained is False, "the base model scores less than DAPO"
    assert over_dapo.controls.others == ["grpo", "gspo", "real_bce", "real_product"]
    over_base = rows["real_over_base_1_5b@laptop"]
    assert (over_base.controls.untrained, over_base.controls.tried) == (False, 5)
    stable = rows["real_entropy_stable@laptop"].controls
    assert stable.untrained is True, "entropy that nothing changes is stable"
    assert stable.others == ["dapo", "gspo", "real_bce", "real_product"], "GRPO's collapses"
    collapse = rows["grpo_entropy_collapses@laptop"]
    assert (collapse.verdict, collapse.counted) == ("reproduced", True), "no other method and no untrained one does"
    assert (collapse.controls.untrained, collapse.controls.others, collapse.controls.control) == (False, [], None)


def test_an_effect_that_is_missing_is_contradicted_only_where_its_control_is_seen(trained, content):
    """DAPO's entropy stays: with a control that explodes it is contradicted, with one that doesn't it isn't."""
    experiment = trained("laptop", [0, 1])
    claim = content.claims["dapo_entropy_explodes"]

    def judged(control, region=claim.region):
        analogue = claim.analogue.model_copy(update={"control": control})
        changed = claim.model_copy(update={"analogue": analogue, "region": region})
        return by_id(judge(experiment, content.model_copy(update={"claims": {"x": changed}})))["x@laptop"]

    assert (judged(None).verdict, judged(None).controls.control) == ("no control yet", None)
    assert judged({"method": "real"}).verdict == "no control yet", "seen nowhere"
    below = claim.region.model_copy(update={"above": None, "below": 0.25})
    seen = judged({"method": "grpo"}, below)
    assert seen.controls.control is True
    assert (seen.verdict, seen.controls.others) == ("can't discriminate", ["grpo"]), (
        "the control stands in its place too"
    )
    assert not judged({"method": "gone"}).controls.control


def test_what_only_an_analogue_can_judge_names_the_overlays_that_do(trained, published, content, monkeypatch):
    rows = by_id(judge(trained("laptop", [0, 1]), content))
    monkeypatch.chdir(ROOT)
    commands = {row.id: row.command for row in judge(published, content)}
    for name in ("misassignment_in_positives", "misassignment_at_twice_the_rate"):
        row = rows[name]
        assert (row.kind, row.verdict) == ("analogue", "not run")
        assert row.reason.endswith("e-4_k8 is no method of this scale")
        assert commands[name] == (
            "snakemake mechanism claims --cores all --configfile paper_configs/laptop.yaml "
            "paper_configs/variants/stale_rollouts.yaml paper_configs/variants/stale_rollouts_full.yaml"
        )


def test_what_awaits_an_experiment_stands_with_region_power_and_control_and_is_not_run(published, content):
    rows = {row.id: row for row in judge(published, content) if row.kind == "analogue" and not row.id.startswith("mis")}
    assert len(rows) == 4
    for name, row in rows.items():
        claim = content.claims[name]
        assert (row.verdict, row.reason, row.counted) == ("not run", claim.awaits, False)
        assert row.region != (None, None)
        assert row.plan.control == claim.planned.control
        assert row.plan.seeds == claim.planned.seeds
        assert (row.plan.chance or 0) > 0.5 or (row.plan.tolerated or 0) > 0, name
        assert "does not have yet" in row.command


def test_one_seed_gives_no_verdict_on_a_method_but_tells_what_its_run_showed(trained, content):
    rows = by_id(judge(trained("1.5b", [4]), content))
    expected = {
        "grpo_entropy_collapses": ("seen in one run", "nothing: one seed"),
        "dapo_entropy_explodes": ("not seen in one run", "nothing: one seed"),
        "real_over_dapo_1_5b": ("seen in one run", "problems only"),
        "real_over_grpo_1_5b": ("unresolved", "problems only"),
    }
    assert {name: (rows[name].verdict, rows[name].interval.covers) for name in expected} == expected
    judged = [row for row in rows.values() if row.interval and row.kind != "mathematics"]
    assert {"reproduced", "contradicted"}.isdisjoint(row.verdict for row in judged)
    assert {row.size for row in judged} == {""}
    assert rows["real_over_dapo_7b"].cost.endswith("a verdict on the method needs 2 seeds or more")


def test_no_shipped_plan_of_one_seed_promises_a_verdict_and_the_others_state_their_power(published, content):
    rows = by_id(judge(published, content))
    assert {rows[name].plan.chance for name in rows if name.endswith("_7b")} == {None}
    primary = {name: row.plan for name, row in rows.items() if row.primary and name.endswith("1_5b")}
    assert set(primary) == {"real_over_dapo_1_5b", "real_over_grpo_1_5b"}
    for name, plan in primary.items():
        assert plan.chance >= 0.8, name
        assert plan.needed == plan.seeds == 3, name
        assert plan.confidence == 0.975, "a family of two"
    weak = {name for name, row in rows.items() if row.plan and row.plan.too_low}
    assert {"real_over_gspo_1_5b", "real_consistent_1_5b", "real_over_bce_1_5b"} <= weak
    assert rows["grpo_entropy_collapses"].plan.tolerated > 1.3, "a factor by which runs may deviate"
    assert rows["real_consistent_1_5b"].plan.others.keys() == {"+1 points everywhere", "+3 points everywhere"}


def test_methods_that_a_scale_leaves_out_are_not_run(trained, content):
    experiment = trained("1.5b", [0, 1])
    methods = {name: experiment.methods[name] for name in ("real", "gspo")}
    rows = by_id(judge(experiment.model_copy(update={"methods": methods}), content))
    assert rows["real_over_dapo_1_5b"].reason == "dapo is no method of this scale"
    assert rows["real_over_gspo_1_5b"].interval.high < 0


def test_other_problems_in_one_file_are_refused(trained, content):
    experiment = trained("1.5b", [0, 1])
    path = Path(experiment.results) / "evaluations" / "dapo" / "seed1" / "mix4.parquet"
    frame = pd.read_parquet(path)
    frame.assign(problem_id=frame["problem_id"] + "x").to_parquet(path)
    with pytest.raises(ResultsError, match="other problems"):
        judge(experiment, content)


def test_json_and_page_hold_every_row_and_no_infinity(trained, monkeypatch):
    experiment = trained("laptop", [0])
    monkeypatch.setattr("real.evidence.claims.judge.load_claims", lambda: load_claims(CLAIMS))
    monkeypatch.setattr("real.evidence.claims.judge.read_third_party", lambda: [])
    rows = write_claims(experiment, Path("written"))
    stored = json.loads(
        Path("written/claims.json").read_text(encoding="utf-8"), parse_constant=lambda name: pytest.fail(name)
    )
    assert [row["id"] for row in stored["rows"]] == [row.id for row in rows]
    assert stored["seeds"] == [0]
    page = Path("written/claims.html").read_text(encoding="utf-8")
    assert page.count("<tr class=") == len(rows) + len({row.backbone for row in rows})
    for row in rows:
        assert row.verdict.replace("'", "&#39;") in page
    assert "src=" not in page
    assert "http" not in page
    assert experiment.scale.evidence in page
    assert not list(Path("written").glob("*.partial"))


def test_at_published_scale_mathematics_is_checked_and_nothing_else_is_run(published, content):
    rows = judge(published, content)
    assert {row.verdict for row in rows if row.kind == "claim"} == {"not run"}
    assert {row.verdict for row in rows if row.kind == "mathematics"} == {"holds"}
    assert {row.verdict for row in rows if row.kind == "analogue"} == {"not run"}
    words = {row.id: row.resolution.word for row in rows if row.resolution}
    assert words["real_over_gspo_1_5b"] == "not resolvable"
    assert words["real_over_gspo_7b"] == "suggestive"
    assert words["real_over_dapo_1_5b"] == words["bce_over_dapo_1_5b"] == "resolved"
    printed = {row.id: row.printed for row in rows if row.printed}
    assert printed["real_consistent_1_5b"] == ("not as printed", "unresolved"), "Minerva"
    assert printed["real_consistent_7b"] == ("not as printed", "unresolved"), "equal on Minerva"
    assert printed["real_over_dapo_1_5b"] == ("as printed", "reproduced")
    assert printed["real_over_gspo_1_5b"] == ("as printed", "unresolved")
    assert printed["grpo_entropy_collapses"] == ("as printed", ""), "a curve prints no sampling error"
    assert printed.keys() == {row.id for row in rows if row.kind == "claim"}
    assert {row.size for row in rows} == {""}, "nothing of ours is compared"


def test_published_values_are_those_of_the_printed_tables(published, content):
    """Within rounding; the authors round averages from unrounded cells."""
    for row in judge(published, content):
        if row.resolution:
            assert row.published == pytest.approx(row.resolution.difference, abs=0.0015), row.id


def test_published_values_of_curves_follow_from_the_digitised_figure(content):
    figure = pd.read_csv(REPORTED / "training_dynamics.csv", comment="#")

    def read(method: str, metric: str) -> pd.DataFrame:
        rows = figure[(figure["method"] == method) & (figure["metric"] == metric)]
        return rows.set_index("step")[["value"]]

    for name, claim in content.claims.items():
        if not (claim.measure or "").startswith("curve") or name == "dapo_entropy_explodes":
            continue
        given = claim.parameters
        main_curve = read(given["method"], given["metric"])
        if claim.measure == "curve_difference":
            value = window_mean(main_curve, given["window"]) - window_mean(
                read(given["baseline"], given["metric"]), given["window"]
            )
        else:
            start, end = (window_mean(main_curve, given[window]) for window in ("start", "end"))
            value = end / start if claim.measure == "curve_ratio" else end - start
        tolerance = 0.0006 if claim.unit != "prompts" else 0.01
        assert claim.published == pytest.approx(value[0], abs=tolerance), name


def test_weights_reach_their_bound_and_clipped_objectives_have_none():
    assert largest_weight(make_objective("real", tau=0.3), group_size=4) == pytest.approx(1.0, abs=1e-4)
    assert largest_weight(make_objective("real", tau=0.3), group_size=4) < 1.0
    with pytest.raises(ValueError, match="no tau"):
        largest_weight(make_objective("grpo"))


def test_a_weight_beyond_its_bound_would_be_found(published, content, monkeypatch):
    """The bound is checked by the objective's own gradient: twice the loss contradicts the claim."""
    honest = make_objective("real")
    doubled = replace(honest, loss=lambda *batch, **given: 2 * honest.loss(*batch, **given))
    monkeypatch.setattr("real.counterfactual.make_any_objective", lambda *_, **__: doubled)
    interval = MEASURES["weight_supremum"].function(published, method="real")
    assert interval.value == pytest.approx(2.0, abs=1e-3)


def test_every_claim_names_an_exhibit_that_exists(content):
    assert {claim.rule for claim in content.claims.values()} <= {exhibit.name for exhibit in exhibits()}


@pytest.mark.parametrize(
    ("line", "replacement", "sentence"),
    [
        ("methods,gspo,GSPO,paper,8k,mean,0.519", "methods,gspo,GSPO,paper,8k,mean,0.529", "1.5B, gspo: the printed"),
        ("GSPO,paper,8k,aime,0.377", "GSPO,paper,8k,aime24,0.377", "unknown benchmark 'aime24'"),
        ("GSPO,paper,8k,aime,0.377", "GSPO,papers,8k,aime,0.377", "unknown provenance 'papers'"),
        ("backbone,group", "backbone,groups", "expected the columns"),
    ],
)
def test_a_mistyped_printed_number_is_found(tmp_path, line, replacement, sentence):
    path = tmp_path / "benchmarks.csv"
    text = (REPORTED / "benchmarks.csv").read_text()
    assert line in text
    path.write_text(text.replace(line, replacement, 1))
    with pytest.raises(ConfigError, match=re.escape(sentence)) as caught:
        read_benchmarks([str(path)])
    assert str(path) in str(caught.value)


def test_a_row_given_twice_is_found():
    with pytest.raises(ConfigError, match="is given twice"):
        read_benchmarks([str(REPORTED / "disco.csv"), str(REPORTED / "disco.csv")])


def test_the_verb_prints_one_line_per_row(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("real.config.runs.Experiment.results", str(tmp_path))
    assert main(["claims", "--config", "paper_configs/published.yaml"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(load_claims(CLAIMS).claims)
    assert any(line.split() == ["holds", "real_weights_bounded"] for line in lines)
    assert (tmp_path / "claims.html").exists()


def test_how_to_run_it_names_a_missing_scale_file_instead_of_a_command_that_cannot_work(published, content):
    for row in judge(published, content):
        files = re.findall(r"paper_configs/[^ ,]+", row.command)
        assert files
        assert row.command.startswith("snakemake") == all(Path(file).exists() for file in files)
