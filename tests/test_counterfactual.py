"""Weights put together from parts: those that equal a known objective, closed forms of the others, and exactness."""

import math
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from real.counterfactual import make_any_objective
from real.exact import sequence_weights, token_weights
from real.hyperparameters import RULES
from real.objectives import OBJECTIVES, make_objective

CLIPS = {"clip_low": 0.2, "clip_high": 0.28}


def batch(seed: int, groups: int = 4, size: int = 6, tokens: int = 7):
    """Log-ratios as far as ±2 from 0, rows of any length (one empty), groups shuffled; some groups are one-sided."""
    random = torch.Generator().manual_seed(seed)
    rows = groups * size
    log_ratio = torch.randn(rows, tokens, generator=random, dtype=torch.float64)
    length = torch.randint(1, tokens + 1, (rows,), generator=random)
    length[0] = 0
    mask = (torch.arange(tokens) < length[:, None]).double()
    order = torch.randperm(rows, generator=random)
    group = torch.arange(groups).repeat_interleave(size)
    reward = torch.rand(rows, generator=random, dtype=torch.float64).round()
    reward[group == 0] = 1.0
    return log_ratio[order], mask[order], group[order], reward[order]


def weights(objective, seed: int = 0):
    return token_weights(objective, *batch(seed))


def counterfactual(positives: str, negatives: str, **hyperparameters):
    return make_any_objective("counterfactual", positives=positives, negatives=negatives, **hyperparameters)


@pytest.mark.parametrize("seed", range(5))
def test_clipped_on_both_labels_is_grpo(seed):
    expected = weights(make_objective("grpo", **CLIPS), seed)
    assert torch.allclose(weights(counterfactual("clipped", "clipped", **CLIPS), seed), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("seed", range(5))
def test_ratio_on_both_labels_is_grpo_without_a_clip(seed):
    expected = weights(make_objective("grpo", clip_low=1.0, clip_high=1e300), seed)
    assert torch.allclose(weights(counterfactual("ratio", "ratio"), seed), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("tau", [0.1, 0.5, 2.0])
def test_real_on_both_labels_is_real(tau):
    expected = weights(make_objective("real", tau=tau))
    assert torch.allclose(weights(counterfactual("real", "real", tau=tau)), expected, rtol=1e-12, atol=1e-300)


def test_frozen_on_both_labels_is_real_before_the_first_update():
    log_ratio, *rest = batch(3)
    expected = token_weights(make_objective("real", tau=0.5), torch.zeros_like(log_ratio), *rest)
    assert torch.allclose(weights(counterfactual("frozen", "frozen"), 3), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("rule", ["constant", "ratio", "capped", "floored", "clipped"])
def test_every_rule_of_the_advantage_is_grpo_before_the_first_update(rule):
    log_ratio, *rest = batch(4)
    zero = torch.zeros_like(log_ratio)
    expected = token_weights(make_objective("grpo"), zero, *rest)
    assert torch.allclose(token_weights(counterfactual(rule, rule), zero, *rest), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("positives", RULES)
@pytest.mark.parametrize("negatives", RULES)
def test_each_label_has_its_own_rule_and_no_other(positives, negatives):
    mixed = weights(counterfactual(positives, negatives))
    correct = batch(0)[3] == 1
    assert torch.equal(mixed[correct], weights(counterfactual(positives, positives))[correct])
    assert torch.equal(mixed[~correct], weights(counterfactual(negatives, negatives))[~correct])


@given(score=st.floats(-3, 3), correct=st.booleans())
def test_the_rules_are_the_functions_that_the_docstring_states(score, correct):
    """One group of two responses of one token, a correct and a wrong one, A = ±1/√2; N = 2 rows."""
    scores = torch.tensor([[score], [0.0]], dtype=torch.float64)
    reward = torch.tensor([1.0, 0.0] if correct else [0.0, 1.0], dtype=torch.float64)
    ratio, advantage = math.exp(score), 0.5 / (math.sqrt(0.5) + 1e-6)
    kept = ratio <= 1.2 if correct else ratio >= 0.8
    sigmoid = 1 / (1 + math.exp(score / 0.5 if correct else -score / 0.5))
    expected = {
        "constant": advantage / 2,
        "ratio": advantage * ratio / 2,
        "clipped": advantage * ratio * kept / 2,
        "capped": advantage * min(ratio, 1.0) / 2,
        "floored": advantage * max(ratio, 1.0) / 2,
        "real": sigmoid / 0.5,
        "frozen": 1 / (0.5 * 2),
    }
    sign = -1 if correct else 1
    assert expected.keys() == set(RULES)
    for rule, value in expected.items():
        found = token_weights(counterfactual(rule, rule), scores, torch.ones(2, 1), torch.zeros(2).long(), reward)
        assert found[0].item() == pytest.approx(sign * value, rel=1e-9), rule


def test_a_response_weighs_its_tokens_mean_times_its_advantage():
    log_ratio, mask, group, reward = batch(5)
    found = sequence_weights(counterfactual("ratio", "ratio"), log_ratio, mask, group, reward)
    mean_ratio = (log_ratio.exp() * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
    advantage = sequence_weights(
        counterfactual("constant", "constant"), log_ratio, torch.ones_like(mask), group, reward
    )
    assert torch.allclose(found, advantage * mean_ratio, rtol=1e-12)


@pytest.mark.parametrize(("positives", "negatives"), [("ratio", "constant"), ("real", "capped"), ("clipped", "frozen")])
def test_the_order_of_rows_changes_nothing(positives, negatives):
    objective, rows = counterfactual(positives, negatives), batch(6)
    order = torch.randperm(len(rows[0]), generator=torch.Generator().manual_seed(1))
    shuffled = token_weights(objective, *(part[order] for part in rows))
    assert torch.allclose(shuffled, token_weights(objective, *rows)[order], rtol=1e-12, atol=0)


@pytest.mark.parametrize("rule", RULES)
def test_what_no_row_reads_may_be_anything_and_one_sided_groups_have_no_gradient(rule):
    log_ratio, mask, group, reward = batch(7)
    objective = counterfactual(rule, rule)
    spoilt = log_ratio.masked_fill(mask == 0, float("nan"))
    found = token_weights(objective, spoilt, mask, group, reward)
    assert torch.equal(found, token_weights(objective, log_ratio, mask, group, reward))
    assert (found[mask == 0] == 0).all()
    assert (found[group == 0] == 0).all()
    assert not objective.live_rows(group, reward)[group == 0].any()
    dead = ~objective.live_rows(group, reward)
    assert (found[dead] == 0).all()


@pytest.mark.parametrize("rule", RULES)
def test_far_off_policy_weights_stay_finite(rule):
    log_ratio, *rest = batch(8)
    assert torch.isfinite(token_weights(counterfactual(rule, rule), 500 * log_ratio, *rest)).all()


@pytest.mark.parametrize(
    ("hyperparameters", "sentence"),
    [
        ({"positives": "const"}, "positives: expected one of 'constant', 'ratio',"),
        ({"beta": 1.0}, "beta: objective 'counterfactual' has no such hyper-parameter; it takes positives,"),
        ({"tau": 0.0}, "tau: 0.0 is out of range; expected > 0"),
        ({"negatives": 1.0}, "negatives: expected one of 'constant',"),
    ],
)
def test_a_mistake_is_named(hyperparameters, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        make_any_objective("counterfactual", **hyperparameters)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_papers_objectives_are_what_they_were(name):
    assert make_any_objective(name) == make_objective(name)
