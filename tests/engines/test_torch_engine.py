"""The engine: log-probs, sampler, exact updates, metrics."""

import json
import math
import random

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from real.config import ConfigError, Phase, resolve
from real.engines.run_files import samples_frame
from real.engines.torch import supervised, train
from real.engines.torch.adamw import AdamW
from real.engines.torch.policy import load_checkpoint, save_checkpoint, token_log_probs
from real.engines.torch.update import Batch, accumulate_gradient, kl_to_reference
from real.models import packing
from real.models.batched_sampler import _draw, sample
from real.models.checkpoints import CheckpointError
from real.models.device import prepare_torch
from real.models.lean_decoder import LeanDecoder
from real.objectives import OBJECTIVES, make_objective
from real.tasks.arithmetic import FAMILIES, TrainingPrompts, encode
from tests.support.paths import ROOT
from tests.support.processes import python

GOLDEN = json.loads((ROOT / "tests" / "data" / "golden_losses.json").read_text())


def some_prompts(count: int) -> list[list[int]]:
    return [encode(text) for text in TrainingPrompts(list(FAMILIES), 0, 8, 4).draw(count, random.Random(0))]


def some_rollouts(model, prompts, rollouts=3, temperature=0.7, top_p=1.0, max_tokens=20, seed=0):
    uniform = torch.rand(len(prompts) * rollouts, max_tokens, generator=torch.Generator().manual_seed(seed))
    return sample(model, prompts, uniform, temperature, top_p)


def some_batch(model, groups=4, rollouts=4) -> Batch:
    """Rollouts with mixed rewards whose old log-probs are off by a known amount."""
    prompts = some_prompts(groups)
    sampled = some_rollouts(model, prompts, rollouts)
    generator = torch.Generator().manual_seed(1)
    drift = 0.3 * torch.randn(sampled.log_prob.shape, generator=generator)
    return Batch(
        [prompt for prompt in prompts for _ in range(rollouts)],
        sampled.response,
        sampled.mask,
        sampled.log_prob - drift * sampled.mask,
        sampled.log_prob + drift * sampled.mask,
        torch.arange(groups).repeat_interleave(rollouts),
        torch.randint(0, 2, (groups * rollouts,), generator=generator).float(),
    )


def test_log_probs_equal_the_librarys_on_unpadded_rows(policy, library_policy):
    prompts = some_prompts(5)
    sampled = some_rollouts(policy, prompts, 1)
    found = token_log_probs(policy, prompts, sampled.response, sampled.mask, 0.7)
    for row, prompt in enumerate(prompts):
        answer = sampled.response[row][sampled.mask[row] == 1].tolist()
        logits = library_policy(input_ids=torch.tensor([prompt + answer])).logits[0] / 0.7
        expected = logits.log_softmax(-1)[range(len(prompt) - 1, len(prompt) + len(answer) - 1), answer]
        torch.testing.assert_close(found[row, : len(answer)], expected, rtol=1e-4, atol=1e-5)
        assert not found[row, len(answer) :].any()


def test_log_probs_do_not_depend_on_the_buckets(policy, monkeypatch):
    prompts = some_prompts(9)
    sampled = some_rollouts(policy, prompts, 1)
    whole = token_log_probs(policy, prompts, sampled.response, sampled.mask, 1.0)
    monkeypatch.setattr(packing, "BUCKET_ROWS", 2)
    torch.testing.assert_close(token_log_probs(policy, prompts, sampled.response, sampled.mask, 1.0), whole)


def test_the_samplers_log_probs_and_entropies_are_the_policys(policy, library_policy):
    prompts = some_prompts(6)
    sampled = some_rollouts(policy, prompts, 4)
    rows = [prompt for prompt in prompts for _ in range(4)]
    expected = token_log_probs(policy, rows, sampled.response, sampled.mask, 0.7)
    torch.testing.assert_close(sampled.log_prob, expected.detach(), rtol=1e-4, atol=1e-4)
    logits = library_policy(input_ids=torch.tensor([prompts[0]])).logits[0, -1] / 0.7
    entropy = torch.distributions.Categorical(logits=logits).entropy()
    torch.testing.assert_close(sampled.entropy[0, 0], entropy, rtol=1e-4, atol=1e-5)


def test_responses_end_at_the_first_eos_or_at_the_limit(policy):
    sampled = some_rollouts(policy, some_prompts(20), 8, temperature=1.5, max_tokens=12)
    eos = policy.config.eos_token_id
    assert 0 < sampled.truncated.sum() < len(sampled.truncated)
    for row in range(len(sampled.response)):
        answer = sampled.response[row][sampled.mask[row] == 1].tolist()
        assert eos not in answer[:-1]
        assert (answer[-1] == eos) != bool(sampled.truncated[row])
        assert not sampled.truncated[row] or len(answer) == 12


def test_cold_sampling_equals_greedy_generate(policy, library_policy):
    prompts = some_prompts(12)
    sampled = some_rollouts(policy, prompts, 1, temperature=1e-4)
    for row, prompt in enumerate(prompts):
        greedy = library_policy.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=20)[0, len(prompt) :]
        assert sampled.response[row][sampled.mask[row] == 1].tolist() == greedy.tolist()


def test_samples_follow_the_policys_distribution(policy, library_policy):
    prompt = some_prompts(1)
    sampled = some_rollouts(policy, prompt, 4000, temperature=1.0, max_tokens=1)
    probability = library_policy(input_ids=torch.tensor(prompt)).logits[0, -1].softmax(-1)
    observed = torch.bincount(sampled.response[:, 0], minlength=len(probability)) / 4000
    error = (probability * (1 - probability) / 4000).sqrt()
    assert ((observed - probability).abs() <= 4.5 * error + 1e-6).all()


def test_a_row_does_not_depend_on_when_others_finish(policy, monkeypatch):
    from real.models import batched_sampler as sampler

    prompts = some_prompts(8)
    compacted = some_rollouts(policy, prompts, 4, temperature=1.2)
    monkeypatch.setattr(sampler, "COMPACT_SHARE", 2.0)  # never compact
    assert torch.equal(compacted.response, some_rollouts(policy, prompts, 4, temperature=1.2).response)


def test_nucleus_keeps_the_smallest_set_that_reaches_top_p():
    probability = torch.tensor([[0.1, 0.5, 0.3, 0.1]]).repeat(4, 1)
    uniform = torch.tensor([0.0, 0.37, 0.38, 0.999])  # 0.3 / 0.8 = 0.375 of the kept mass lies below token 2
    # kept: tokens 1 and 2 (0.5 + 0.3 reaches 0.75); in index order their masses are 0.625 and 0.375
    assert _draw(probability, uniform, 0.75).tolist() == [1, 1, 1, 2]
    assert _draw(probability, uniform, 1.0).tolist() == [0, 1, 1, 3]
    assert _draw(probability, uniform, 0.01).tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("micro_batch_rows", [1, 3, 5, 16])
def test_every_micro_batch_size_gives_the_gradient_of_the_undivided_objective(policy, name, micro_batch_rows):
    model = policy.double()
    batch = some_batch(model)
    objective = make_objective(name)

    model.zero_grad()
    log_prob = token_log_probs(model, batch.prompts, batch.response, batch.mask, 0.7)
    loss = objective(log_prob - batch.old_log_prob, batch.mask, batch.group, batch.reward)
    loss = loss + 0.05 * kl_to_reference(log_prob, batch.reference_log_prob, batch.mask) / batch.mask.sum()
    loss.backward()
    expected = [parameter.grad.clone() for parameter in model.parameters()]

    model.zero_grad()
    accumulate_gradient(model, batch, objective, 0.05, 0.7, micro_batch_rows)
    for parameter, direct in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, direct, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_mini_batch_that_fits_one_micro_batch_runs_every_row_once_and_gives_the_same_gradient(
    policy, name, monkeypatch
):
    """Without a KL term, and with a one-sided group, whose rows need no backward pass but keep their scores."""
    model = policy.double()
    batch = some_batch(model)
    batch.reward = torch.arange(16) % 2.0
    batch.reward[:4] = 1.0
    rows_run = []

    def counted(model, prompts, *rest):
        rows_run.append(len(prompts))
        return token_log_probs(model, prompts, *rest)

    monkeypatch.setattr("real.engines.torch.update.token_log_probs", counted)

    def update(micro_batch_rows):
        rows_run.clear()
        model.zero_grad()
        found = accumulate_gradient(model, batch, make_objective(name), 0.0, 0.7, micro_batch_rows)
        return found, [parameter.grad.clone() for parameter in model.parameters()], sum(rows_run)

    split, expected, rows_with_the_pass = update(4)
    single, direct, rows_without = update(12)
    assert (rows_with_the_pass, rows_without) == (4 + 2 * 12, 4 + 12)
    torch.testing.assert_close(direct, expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(single.log_ratio, split.log_ratio, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(single.weights, split.weights, rtol=1e-9, atol=1e-12)
    assert single.weights[4:].any()
    assert not single.weights[:4].any()


@pytest.mark.parametrize("stale", [False, True])
def test_one_sided_rows_are_not_run_in_the_first_mini_batch_of_the_policy_that_sampled_them(
    policy, smoke, monkeypatch, stale
):
    run = resolve(smoke, "real", 0)
    run = run.model_copy(update={"training": run.training.model_copy(update={"micro_batch_rows": 64})})
    batch = some_batch(policy, groups=8, rollouts=8)
    batch.reward = torch.zeros(64)
    batch.reward[8] = 1.0
    rows_run = []

    def counted(model, prompts, *rest):
        rows_run.append(len(prompts))
        return token_log_probs(model, prompts, *rest)

    monkeypatch.setattr("real.engines.torch.update.token_log_probs", counted)
    optimizer = AdamW(policy.parameters(), (0.9, 0.999), 0.01)
    seen = train.update(policy, optimizer, make_objective("real"), batch, run, step=2, stale=stale)
    log_ratio = [gradient.log_ratio * part.mask for part, gradient in seen]
    first_rows = [8, 8] if stale else [8]
    assert rows_run == [*first_rows, 16, 16, 16]
    assert log_ratio[0][:8].any() == stale
    assert all(ratios.any(dim=1).all() for ratios in (log_ratio[0][8:], *log_ratio[1:]))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_rows_that_are_not_run_change_no_gradient(policy, name):
    """Where the policy is the one that sampled; the log-ratio of a row that is run is rounding."""
    model = policy.double()
    batch = some_batch(model)
    batch.reward = torch.arange(16) % 2.0
    batch.reward[:4] = 1.0
    with torch.no_grad():
        batch.old_log_prob = token_log_probs(model, batch.prompts, batch.response, batch.mask, 0.7)
    found = {}
    for as_sampled in (False, True):
        model.zero_grad()
        gradient = accumulate_gradient(model, batch, make_objective(name), 0.0, 0.7, 16, as_sampled)
        found[as_sampled] = [gradient.log_ratio, gradient.weights, *(p.grad.clone() for p in model.parameters())]
    torch.testing.assert_close(found[True], found[False], rtol=1e-12, atol=1e-14)
    assert not found[True][0][:4].any()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_mini_batch_of_one_sided_groups_makes_no_gradient_but_keeps_its_scores(policy, name):
    batch = some_batch(policy)
    batch.reward = (batch.group % 2).float()
    policy.zero_grad()
    gradient = accumulate_gradient(policy, batch, make_objective(name), 0.0, 0.7, 16)
    assert not any(parameter.grad is not None and parameter.grad.any() for parameter in policy.parameters())
    assert not gradient.weights.any()
    log_prob = token_log_probs(policy, batch.prompts, batch.response, batch.mask, 0.7).detach()
    torch.testing.assert_close(gradient.log_ratio * batch.mask, (log_prob - batch.old_log_prob) * batch.mask)


def test_the_optimizer_steps_even_where_no_group_is_two_sided(policy, smoke):
    run = resolve(smoke, "real", 0)
    batch = some_batch(policy, groups=8, rollouts=8)
    optimizer = AdamW(policy.parameters(), (0.9, 0.999), 0.01)
    train.update(policy, optimizer, make_objective("real"), batch, run, step=2)
    before = [parameter.detach().clone() for parameter in policy.parameters()]
    batch.reward = torch.zeros(64)
    seen = train.update(policy, optimizer, make_objective("real"), batch, run, step=3)
    assert [gradient.norm for _, gradient in seen] == [0.0] * 4
    assert all((now != then).any() for now, then in zip(policy.parameters(), before, strict=True))


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=[case["name"] for case in GOLDEN["cases"]])
def test_kl_term_equals_the_authors_code(case):
    inputs = {key: torch.tensor(value, dtype=torch.float64) for key, value in case["inputs"].items()}
    log_prob = inputs["log_prob"].clone().requires_grad_()
    loss = kl_to_reference(log_prob, inputs["old_log_prob"], inputs["mask"]) / inputs["mask"].sum()
    loss.backward()
    expected = case["kl_penalty_low_var"]
    assert loss.item() == pytest.approx(expected["loss"], rel=1e-10, abs=1e-12)
    torch.testing.assert_close(
        log_prob.grad, torch.tensor(expected["grad"], dtype=torch.float64), rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize("extreme", [1e4, -1e4])
def test_kl_term_is_finite_without_gradient_beyond_its_bound(extreme):
    log_prob = torch.tensor([[extreme, 0.0]], requires_grad=True)
    kl_to_reference(log_prob, torch.zeros(1, 2), torch.ones(1, 2)).backward()
    assert log_prob.grad.tolist() == [[0.0, 0.0]]


def test_learning_rate_starts_at_zero_and_stays_constant_after_warm_up(smoke):
    training = smoke.scale.training.model_copy(update={"learning_rate": 1.0, "warmup_steps": 5})
    rates = [train.learning_rate_at(training, step) for step in range(1, 9)]
    assert rates == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0])


def test_supervised_schedule_warms_up_and_decays():
    phase = Phase(
        steps=101,
        learning_rate=1.0,
        warmup_steps=1,
        final_fraction=0.1,
        easy_fraction=0.0,
        direct=0.0,
        skip=0.0,
        left_to_right=0.0,
        misconception=0.0,
    )
    assert supervised.learning_rate_at(phase, 0) == 1.0
    assert supervised.learning_rate_at(phase, 51) == pytest.approx(0.55)
    assert supervised.learning_rate_at(phase, 100) == pytest.approx(0.1, abs=1e-3)


def test_a_checkpoint_reloads_with_transformers_alone(policy, tmp_path):
    save_checkpoint(policy, tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    ids = tokenizer("1+2*3?", return_tensors="pt")
    decoder = LeanDecoder(policy, ids["input_ids"].tolist(), 1)
    torch.testing.assert_close(decoder.logits, model(**ids).logits[:, -1], rtol=0, atol=1e-5)
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, policy.get_parameter(name)), name
    assert (model.generation_config.eos_token_id, model.generation_config.pad_token_id) == (1, 0)
    assert tokenizer.decode(ids["input_ids"][0]) == "1+2*3?"
    assert tokenizer.apply_chat_template([{"role": "user", "content": "1+2?"}], tokenize=False) == "1+2?"
    assert not list(tmp_path.glob("*.partial"))


def test_a_folder_without_checkpoint_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="holds no Hugging Face checkpoint"):
        load_checkpoint(tmp_path, torch.device("cpu"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch finds a CUDA device here")
def test_a_missing_cuda_device_is_named():
    with pytest.raises(ConfigError, match="device: 'cuda' is configured"):
        prepare_torch("cuda")


def test_metrics_follow_their_definitions(base_folder, smoke):
    """One step by hand: rewards, solve-all, entropy and score statistics from the rollouts themselves."""
    _, folder = base_folder
    run = resolve(smoke, "gspo", 0)
    model = load_checkpoint(folder / "base" / "model", torch.device("cpu"))
    prompts = TrainingPrompts(run.task.training_families, 0, 8, 4)
    batch, rollouts = train.collect(model, None, prompts, run, step=1)
    batch.reward = torch.zeros(64)
    batch.reward[:8], batch.reward[8:11] = 1.0, 1.0
    batch.old_log_prob = batch.old_log_prob - 0.01 * batch.mask
    seen = []
    for start in range(0, 64, 16):
        part = batch.select(torch.arange(start, start + 16))
        model.zero_grad()
        seen.append((part, accumulate_gradient(model, part, make_objective("gspo"), 0.0, 0.6, 64)))
    for _, gradient in seen:
        gradient.norm = 3.0
    line = train.step_metrics(rollouts, batch, seen, run, step=2)
    assert line["reward_mean"] == pytest.approx(11 / 64)
    assert (line["solve_all"], line["solve_none"], line["prompts"]) == (1, 6, 8)
    assert line["score_positive_mean"] == pytest.approx(0.01, rel=1e-3)
    assert line["score_negative_mean"] == pytest.approx(0.01, rel=1e-3)
    assert line["score_abs_max"] == pytest.approx(0.01, rel=1e-2)
    assert line["entropy"] == pytest.approx(float(rollouts.entropy.sum() / rollouts.mask.sum()))
    assert line["learning_rate"] == run.training.learning_rate
    assert line["grad_norm"] == 3.0
    # at s̄ = 0.01 every positive of the one two-sided group is beyond GSPO's upper clip, its negatives are not
    positives = float(batch.mask[8:11].sum())
    assert line["clipped_fraction"] == pytest.approx(positives / float(batch.mask.sum()))


def test_importing_real_pulls_in_no_engine_of_the_gpu_scale():
    code = (
        "import sys, real, real.config, real.exact, real.engines.torch.train, real.evaluation.evaluate\n"
        "import real.evidence.results\n"
        "print([m for m in ('verl', 'vllm', 'ray', 'wandb', 'snakemake') if m in sys.modules])"
    )
    found = python("-c", code)
    assert found.stdout.strip() == "[]", found.stderr


def test_gradient_samples_carry_the_weight_of_the_figure(base_folder, smoke, tmp_path):
    """On-policy (s̄ = 0) and with P positives, REAL's weight is 1 / (τ (1 + P))."""
    _, folder = base_folder
    run = resolve(smoke, "real", 0)
    model = load_checkpoint(folder / "base" / "model", torch.device("cpu"))
    batch, _ = train.collect(model, None, TrainingPrompts(run.task.training_families, 0, 8, 4), run, 1)
    batch.reward = torch.tensor([1.0, 0, 0, 0, 0, 0, 0, 0] * 8)
    part = batch.select(torch.arange(16))
    gradient = accumulate_gradient(model, part, make_objective("real"), 0.0, 0.6, 64)
    samples = samples_frame(**train.gradient_samples(1, "real", make_objective("real"), part, gradient))
    assert samples.loc[samples["reward"] == 1, "weight"].tolist() == pytest.approx([1.0, 1.0], rel=1e-4)
    assert samples.loc[samples["reward"] == 0, "weight"].tolist() == pytest.approx([1 / (0.5 * 8)] * 14, rel=1e-4)
    assert not math.isnan(samples["score"].sum())
