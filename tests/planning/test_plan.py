"""The planner: arithmetic on known facts, agreement with the claims, and figures of runs in place of estimates."""

import json
import math
from pathlib import Path

import pandas as pd
import pytest

from real.commands.command_line import main
from real.config import ConfigError
from real.config.paper_scale import Model
from real.evidence.claims.schema import load_claims
from real.planning.costs import (
    Amount,
    evaluation_batches,
    exact_pass_share,
    facts_of,
    lengths_of,
    load_costs,
    mean_tokens,
    sampling_seconds,
    step_seconds,
)
from real.planning.kernels import slow
from real.planning.plan import plan
from real.planning.text import plan_text, three_digits
from tests.support.made_up import with_training
from tests.support.paths import ROOT
from tests.support.scales import shipped
from tests.support.weights import write_weights


def scale(name: str, *overlays: str):
    return shipped(name, *(f"variants/{overlay}" for overlay in overlays))


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture
def costs():
    return load_costs()


@pytest.fixture
def facts(costs):
    return costs.models["DeepSeek-R1-Distill-Qwen-1.5B"]


def rows(experiment, results: Path) -> dict:
    return {row.name: row for row in plan(experiment, results=results).rows}


def test_a_step_of_the_facts_geometry_costs_what_the_facts_say(facts, costs):
    training = scale("1.5b").scale.training
    assert step_seconds(training, 8, facts, costs) == Amount(pytest.approx(252), pytest.approx(394))


def test_a_step_scales_with_rollouts_gpus_and_expected_tokens(facts, costs):
    training = scale("1.5b").scale.training
    half = training.model_copy(update={"prompts": 64})
    assert step_seconds(half, 8, facts, costs).high == pytest.approx(197)
    assert step_seconds(half, 4, facts, costs).high == pytest.approx(394)
    short = step_seconds(training.model_copy(update={"max_response_tokens": 4096}), 8, facts, costs)
    # mean 3500 of 8192 -> 2574 of 4096 (ratio 0.736), mean 5500 -> 3302 (ratio 0.600)
    assert short == Amount(pytest.approx(252 * 0.600, rel=0.02), pytest.approx(394 * 0.736, rel=0.02))


def test_no_step_is_shorter_than_its_longest_response(facts, costs):
    training = scale("1.5b").scale.training
    assert step_seconds(training, 512, facts, costs) == Amount(8192 / 100, 8192 / 80)


def test_mean_tokens_are_the_source_at_its_limit_and_solve_the_exponential_elsewhere(costs):
    assert mean_tokens(8192, costs.response_tokens) == Amount(pytest.approx(3500), pytest.approx(5500))
    short = mean_tokens(4096, costs.response_tokens)
    # doubling the limit of an exponential: E[min(X, 2L)] = E[min(X, L)] (1 + P(X > L))
    scale_low = -4096 / math.log(3500 / short.low - 1)
    assert short.low == pytest.approx(scale_low * (1 - math.exp(-4096 / scale_low)))
    assert short.low < short.high < 4096


def test_dynamic_sampling_multiplies_the_rollouts(facts, costs):
    training = scale("1.5b").scale.training.model_copy(update={"dynamic_sampling": True})
    assert step_seconds(training, 8, facts, costs) == Amount(pytest.approx(1.3 * 252), pytest.approx(2 * 394))


def test_an_evaluation_waits_for_the_longest_response_of_every_batch(facts, costs):
    assert evaluation_batches([30, 30, 500, 83, 272, 675], scale("1.5b").scale.evaluation) == 1 + 1 + 8 + 2 + 5 + 11
    seconds = sampling_seconds(25440, 8192, 28, 8, facts, costs)
    assert seconds.low == pytest.approx(28 * 8192 / 100)
    assert seconds.high == pytest.approx(1200 * 394 / 252 + 28 * 8192 / 80)
    assert sampling_seconds(25440, 8192, 1, 8, facts, costs).low == pytest.approx(1200)


@pytest.mark.parametrize("name", ["1.5b", "7b", "single_gpu", "gsm8k"])
def test_the_claims_cost_what_the_planner_says(name, tmp_path):
    low, high = load_claims().scales[name].gpu_hours_per_run
    hours = rows(scale(name), tmp_path)["train real, seed 0"].device_hours
    assert (low, high) == (float(f"{hours.low:.3g}"), float(f"{hours.high:.3g}"))


def test_the_scales_of_one_gpu_state_what_the_planner_says(tmp_path):
    ladder = (ROOT / "README.md").read_text()
    for name, digits in (("single_gpu", 0), ("gsm8k", 1)):
        seconds = plan(scale(name), results=tmp_path).total.seconds
        low, high = (f"{end / 3600:.{digits}f}" for end in (seconds.low, seconds.high))
        assert f"{low} to {high} hours" in (ROOT / "paper_configs" / f"{name}.yaml").read_text()
        assert f"| {low} to {high} h, estimated |" in ladder


def test_the_length_of_responses_is_the_models_own_where_it_is_known(tmp_path, costs):
    facts = costs.models["Qwen2.5-0.5B-Instruct"]
    training = scale("gsm8k").scale.training
    # at the facts' own limit: 512 responses take 20 s, or twice what 256 take
    assert step_seconds(training, 1, facts, costs) == Amount(pytest.approx(20), pytest.approx(2 * 44.9))
    tokens = rows(scale("gsm8k"), tmp_path)["train real, seed 0"].tokens
    assert tokens == Amount(pytest.approx(100 * 512 * 267), pytest.approx(100 * 512 * 317))
    assert lengths_of(costs.models["DeepSeek-R1-Distill-Qwen-7B"], costs) is costs.response_tokens
    assert facts.response_tokens.source in plan_text(plan(scale("gsm8k"), results=tmp_path))
    assert costs.response_tokens.source not in plan_text(plan(scale("gsm8k"), results=tmp_path))


def test_disk_counts_one_state_more_than_is_kept_and_the_merged_model(tmp_path):
    planned = plan(scale("1.5b"), results=tmp_path)
    run = {row.name: row for row in planned.rows}["train real, seed 0"]
    parameters = 1777088000
    assert run.kept == Amount(2 * parameters, 4 * parameters)
    assert run.peak == Amount((2 * 12 + 2) * parameters, (3 * 12 + 4) * parameters)
    # what stays of everything, and the states of one run
    kept = sum(row.kept.high for row in planned.rows)
    assert planned.total.peak.high == pytest.approx(kept + 36 * parameters)
    assert planned.bytes_needed == pytest.approx(kept + 36 * parameters)


def test_a_local_folder_is_recognised_by_its_parameters(tmp_path, costs, facts):
    write_weights(tmp_path / "model.safetensors", "BF16", facts.parameters + 38_000)
    assert facts_of(Model(name=str(tmp_path), revision=None), costs) is facts
    # as many bytes, half as many parameters
    write_weights(tmp_path / "model.safetensors", "F32", facts.parameters // 2)
    assert facts_of(Model(name=str(tmp_path), revision=None), costs) is None
    assert facts_of(Model(name="other/name", revision="0" * 40), costs) is None


def test_the_laptops_runs_scale_with_their_rollouts(tmp_path):
    experiment = scale("laptop")
    assert rows(experiment, tmp_path)["train gspo, seed 2"].seconds == Amount(20, 50)
    assert rows(with_training(experiment, steps=140), tmp_path)["train gspo, seed 2"].seconds == Amount(40, 100)


def write_lines(path: Path, lines: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def metrics(steps: int, length: float) -> list[dict]:
    first = {"step": 0, "response_length_mean": None, "prompts": None}
    return [first, *({"step": step, "response_length_mean": length, "prompts": 16} for step in range(1, steps + 1))]


def test_a_finished_run_replaces_its_estimate_and_needs_no_more_disk(tmp_path):
    before = plan(scale("single_gpu"), results=tmp_path)
    folder = tmp_path / "runs" / "real" / "seed0"
    write_lines(folder / "metrics.jsonl", metrics(200, 2000.0))
    write_lines(
        folder / "timings.jsonl", [{"step": s, "sample_seconds": 60.0, "update_seconds": 30} for s in range(1, 201)]
    )
    (folder / "model").mkdir()
    for name in ("gradient_samples.parquet", "config.yaml"):
        (folder / name).touch()
    assert plan(scale("single_gpu"), results=tmp_path).rows == before.rows, "its record comes last"
    # the last process of a resumed run, shorter than all its steps
    (folder / "provenance.json").write_text(json.dumps({"wall_seconds": 900.0}))
    (folder / "model" / "model.safetensors").write_bytes(bytes(1000))
    after = plan(scale("single_gpu"), results=tmp_path)
    row = {row.name: row for row in after.rows}["train real, seed 0"]
    assert row.seconds == Amount(18000, 18000, "measured")
    assert row.tokens == Amount(200 * 2000 * 128, 200 * 2000 * 128, "measured")
    assert row.device_hours == Amount(5, 5, "measured")
    assert row.kept.high == pytest.approx(1000, abs=30_000)
    assert after.bytes_needed == pytest.approx(before.bytes_needed - 4 * 1777088000)
    assert "5 ✓" in plan_text(after)


def test_a_run_in_progress_is_extrapolated_from_its_own_steps(tmp_path):
    folder = tmp_path / "work" / "real" / "seed0"
    write_lines(folder / "metrics.jsonl", metrics(20, 1500.0))
    timings = [{"step": step, "step_seconds": 50.0 + step, "sample_seconds": 40.0} for step in range(1, 21)]
    write_lines(folder / "timings.jsonl", timings)
    # a line that is still being written
    with (folder / "timings.jsonl").open("a") as file:
        file.write('{"step": 21, "st')
    (folder / "state").write_bytes(bytes(5_000_000))
    row = rows(scale("single_gpu"), tmp_path)["train real, seed 0"]
    done = 20 * 50 + 210
    assert row.steps_done == 20
    left = pytest.approx(done + 180 * 52.9), pytest.approx(done + 180 * 68.1)
    assert row.seconds == Amount(*left, "extrapolated")
    assert row.tokens == Amount(pytest.approx(200 * 1500 * 128), pytest.approx(200 * 1500 * 128), "extrapolated")
    assert row.peak.kind == "estimated"
    # what it holds already needs no room
    fresh = plan(scale("single_gpu"), results=tmp_path / "fresh").bytes_needed
    assert plan(scale("single_gpu"), results=tmp_path).bytes_needed == pytest.approx(fresh - 5_000_000, abs=20_000)
    assert "20 of 200" in plan_text(plan(scale("single_gpu"), results=tmp_path))


def test_a_finished_evaluation_counts_its_tokens_and_its_processs_seconds(tmp_path):
    folder = tmp_path / "evaluations" / "real" / "seed0"
    folder.mkdir(parents=True)
    for benchmark in scale("single_gpu").scale.evaluation.benchmarks:
        pd.DataFrame({"tokens": [100, 20]}).to_parquet(folder / f"{benchmark}.parquet")
    (folder / "evaluation.json").touch()
    (folder / "provenance.json").write_text(json.dumps({"wall_seconds": 1800.0}))
    row = rows(scale("single_gpu"), tmp_path)["evaluate real, seed 0"]
    assert (row.seconds, row.tokens) == (Amount(1800, 1800, "measured"), Amount(720, 720, "measured"))
    assert rows(scale("single_gpu"), tmp_path)["evaluate grpo, seed 0"].seconds.kind == "estimated"


def test_money_is_shown_at_the_rate_given_and_nowhere_else(tmp_path):
    planned = plan(scale("1.5b"), results=tmp_path)
    hours = planned.device_hours
    priced = plan_text(planned, rate=3.0)
    assert "cost: at 3 per GPU-hour" in priced
    assert f"{three_digits(3 * hours.low)}–{three_digits(3 * hours.high)}" in priced
    free = plan_text(planned)
    assert "| cost" not in free
    assert "name a price per GPU-hour with --rate" in free


def test_every_estimate_names_its_source_and_dynamic_sampling_only_where_it_is_on(tmp_path, costs):
    said = plan_text(plan(scale("1.5b"), results=tmp_path))
    facts = costs.models["DeepSeek-R1-Distill-Qwen-1.5B"]
    for part in (
        *facts.steps,
        facts.evaluation,
        facts.one_response,
        costs.response_tokens,
        costs.state_bytes,
        costs.model_bytes,
    ):
        assert part.source in said
    assert costs.dynamic_sampling.source not in said
    assert costs.dynamic_sampling.source in plan_text(plan(scale("1.5b", "full_dapo"), results=tmp_path))


def test_what_nobody_measured_is_said_to_be_unknown(tmp_path):
    said = plan_text(plan(scale("verl_smoke"), results=tmp_path))
    assert "the time of 4 jobs is unknown" in said
    assert "Estimated from" not in said


@pytest.mark.parametrize(
    ("value", "printed"), [(0, "0"), (0.00556, "0.00556"), (12.34, "12.3"), (796.6, "797"), (1242.4, "1,240")]
)
def test_numbers_have_three_digits_and_no_exponent(value, printed):
    assert three_digits(value) == printed


def test_the_command_takes_a_scale_by_name_and_overlays_after_it(capsys):
    assert main(["plan", "--scale", "1.5b", "--config", "paper_configs/variants/tau_sweep.yaml"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("1.5b+tau_sweep: ")
    assert "train real_tau0.25, seed 0" in printed
    assert main(["plan"]) == 1
    assert "no config file given" in capsys.readouterr().err


def test_a_scale_that_trains_nothing_has_no_plan():
    with pytest.raises(ConfigError, match="trains nothing"):
        plan(scale("published"))


def test_the_exact_pass_is_a_forward_pass_of_every_mini_batch_but_the_first(costs):
    training = scale("1.5b").scale.training
    low, high = costs.update_share.low, costs.update_share.high
    expected = [pytest.approx(end * 3 / 4 / 4) for end in (low, high)]
    assert exact_pass_share(training, True, costs) == Amount(*expected)
    assert exact_pass_share(training, False, costs) == Amount(*(pytest.approx(end * 3 / 4 / 3) for end in (low, high)))
    one_update = training.model_copy(update={"mini_batch_prompts": training.prompts})
    assert exact_pass_share(one_update, True, costs) == Amount(0, 0)


def test_the_exact_passs_share_is_said_to_be_missing_from_the_estimates(tmp_path):
    said = plan_text(plan(scale("1.5b"), results=tmp_path)).splitlines()[-1]
    assert said.startswith("Not counted: ")
    assert "without gradients, 0.9 to 6.0 % of a step" in said
    assert said in (ROOT / "docs" / "planning.md").read_text(), "stale: paste what `python -m real plan` prints"


@pytest.mark.parametrize("name", ["1.5b", "7b", "single_gpu", "gsm8k", "verl_smoke"])
def test_the_docs_show_what_the_command_prints(name, tmp_path):
    table = plan_text(plan(scale(name), results=tmp_path)).split("\n\nEstimated from")[0]
    assert table in (ROOT / "docs" / "planning.md").read_text(), "stale: paste what `python -m real plan` prints"


def with_cluster(experiment, **keys):
    """Its scale with other keys of the cluster, unchecked."""
    return experiment.scale.model_copy(update={"cluster": experiment.scale.cluster.model_copy(update=keys)})


def test_slow_kernels_cost_what_they_were_measured_to_take_by_token_and_pack(facts, costs):
    """A layer takes 34.7 ms longer forward and 105 ms in both passes, a token 32.6 and 133.2 µs."""
    experiment = scale("1.5b")
    training = experiment.scale.training
    asked = with_cluster(experiment, attention="sdpa", head="logits")
    found = slow(training, asked, facts, costs)
    tokens = 1024 * 3500 / 8
    assert found.pack == 36864
    assert found.mask.low == pytest.approx(tokens / 36864 * 28 * (2 * 0.0347 + 0.105), rel=1e-3)
    assert found.loop.low == pytest.approx(tokens * (32.6e-6 + 133.2e-6), rel=1e-3)
    assert found.of(asked.cluster) == found.mask + found.loop
    auto = slow(training, experiment.scale, facts, costs)
    assert (auto.pack, auto.of(experiment.scale.cluster)) == (9216, Amount(0, 0))
    assert auto.mask.low == pytest.approx(found.mask.low / 4)
    once = slow(training, with_cluster(experiment, attention="sdpa", gradient_checkpointing=False), facts, costs)
    assert once.mask.low == pytest.approx(tokens / 36864 * 28 * (0.0347 + 0.105), rel=1e-3)


def test_a_plan_counts_the_kernels_that_the_configuration_asks_for_and_names_them():
    experiment = scale("1.5b")
    name = "train real, seed 0"
    fast = {row.name: row for row in plan(experiment).rows}[name]
    asked = experiment.model_copy(update={"scale": with_cluster(experiment, head="logits")})
    slower = plan(asked)
    found = {row.name: row for row in slower.rows}[name]
    added = slow(experiment.scale.training, asked.scale, slower.known.model, slower.known.costs).loop
    assert found.seconds.low - fast.seconds.low == pytest.approx(1400 * added.low)
    said = plan_text(slower)
    assert "attention: the first that runs of flash_attention_2, flex_attention, sdpa; head: logits." in said
    assert "(flash-attn, and its log-probs of logits)" in said, "which kernels the runs had that costs are taken from"
