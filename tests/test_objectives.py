"""The objectives against the authors' code (golden files), the paper's closed forms, and their invariances.

What takes its names from ``OBJECTIVES`` holds for any objective, one that is added too.
"""

import json
import math

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from real.config.paper_scale import VERL_OBJECTIVES
from real.engines.verl.coverage import OWN_LOSSES, loss_of
from real.exact import of_scores, sequence_weights, surrogate, token_weights
from real.objectives import OBJECTIVES, Objective, group_advantage, make_objective, sequence_score
from tests.support.paths import ROOT

GOLDEN = json.loads((ROOT / "tests" / "data" / "golden_losses.json").read_text())
GOLDEN_NAME = {"real_bce": "bce_f64_targets", "real_product": "real_product_style"}
REAL_FAMILY = ("real", "real_bce", "real_product")
PAPER = ("real", "grpo", "dapo", "gspo", "real_bce", "real_product")
SCORES_ONLY = (*REAL_FAMILY, "gspo")


def random_batch(seed: int, groups: int = 5, size: int = 4, tokens: int = 6, scale: float = 0.3, empty: bool = True):
    """(log_ratio, mask, group, reward) in float64 with mixed labels, unequal lengths and shuffled rows."""
    generator = torch.Generator().manual_seed(seed)
    rows = groups * size
    length = torch.randint(0 if empty else 1, tokens + 1, (rows,), generator=generator)
    mask = (torch.arange(tokens)[None, :] < length[:, None]).long()
    log_ratio = scale * torch.randn(rows, tokens, generator=generator, dtype=torch.float64)
    order = torch.randperm(rows, generator=generator)
    group = (torch.arange(rows) // size * 7 - 3)[order]
    reward = torch.randint(0, 2, (rows,), generator=generator).double()
    return log_ratio, mask, group, reward


@pytest.mark.parametrize("name", PAPER)
@pytest.mark.parametrize("case", GOLDEN["cases"], ids=[case["name"] for case in GOLDEN["cases"]])
def test_loss_and_gradient_equal_the_authors_code(case, name):
    inputs = {key: torch.tensor(value, dtype=torch.float64) for key, value in case["inputs"].items()}
    expected = case["outputs"][GOLDEN_NAME.get(name, name)]
    hyperparameters = {"tau": case["tau"]} if name in REAL_FAMILY else {}
    objective = make_objective(name, **hyperparameters)
    batch = (inputs["mask"], inputs["uid"].long(), inputs["rewards"])
    log_ratio = inputs["log_prob"] - inputs["old_log_prob"]
    torch.testing.assert_close(
        objective(log_ratio, *batch), torch.tensor(expected["loss"], dtype=torch.float64), rtol=1e-10, atol=1e-12
    )
    torch.testing.assert_close(
        token_weights(objective, log_ratio, *batch),
        torch.tensor(expected["grad"], dtype=torch.float64),
        rtol=1e-10,
        atol=1e-12,
    )


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=[case["name"] for case in GOLDEN["cases"]])
def test_advantages_equal_the_authors_code(case):
    inputs = case["inputs"]
    advantage = group_advantage(torch.tensor(inputs["uid"]), torch.tensor(inputs["rewards"], dtype=torch.float64))
    expected = torch.tensor(inputs["advantages"], dtype=torch.float64).abs().amax(dim=1)
    torch.testing.assert_close(advantage.abs(), expected, rtol=1e-10, atol=1e-12)


def test_released_hyperparameters_are_the_defaults():
    assert {name: make_objective(name).hyperparameters for name in PAPER} == {
        "real": {"tau": 0.5, "one_sided": "drop"},
        "grpo": {"clip_low": 0.2, "clip_high": 0.2},
        "dapo": {"clip_low": 0.2, "clip_high": 0.28},
        "gspo": {"clip_low": 3e-4, "clip_high": 4e-4},
        "real_bce": {"tau": 0.5, "one_sided": "drop"},
        "real_product": {"tau": 0.5, "one_sided": "drop"},
    }


scores = st.lists(st.floats(-3, 3), min_size=2, max_size=8)
taus = st.floats(0.1, 2.0)


def one_group(positive: list[float], negative: list[float]):
    """One-column batch of a single group with the given scores."""
    score = torch.tensor([*positive, *negative], dtype=torch.float64)[:, None]
    reward = torch.tensor([1.0] * len(positive) + [0.0] * len(negative), dtype=torch.float64)
    return score, torch.ones_like(score), torch.zeros(len(score), dtype=torch.long), reward


@given(positive=scores, negative=scores, tau=taus)
def test_real_weights_equal_the_papers_closed_form(positive, negative, tau):
    weight = token_weights(make_objective("real", tau=tau), *one_group(positive, negative)).squeeze(1).tolist()
    for k, score in enumerate(positive):
        c_plus = 1 + sum(math.exp(-other / tau) for j, other in enumerate(positive) if j != k)
        assert weight[k] == pytest.approx(-1 / tau / (1 + c_plus * math.exp(score / tau)), rel=1e-9)
    for k, score in enumerate(negative):
        c_minus = 1 + sum(math.exp(other / tau) for j, other in enumerate(negative) if j != k)
        expected = 1 / tau / (1 + c_minus * math.exp(-score / tau))
        assert weight[len(positive) + k] == pytest.approx(expected, rel=1e-9)


@example(positive=[0.0, -2.5], negative=[0.0, 2.5], tau=0.25)  # beyond softplus's default threshold
@given(positive=scores, negative=scores, tau=taus)
def test_ablation_weights_equal_their_closed_forms(positive, negative, tau):
    batch = one_group(positive, negative)
    product = token_weights(make_objective("real_product", tau=tau), *batch).squeeze(1).tolist()
    bce = token_weights(make_objective("real_bce", tau=tau), *batch).squeeze(1).tolist()
    s_plus = sum(math.exp(-score / tau) for score in positive)
    s_minus = sum(math.exp(score / tau) for score in negative)
    shrink = s_plus * s_minus / (1 + s_plus * s_minus) / tau
    rows = len(positive) + len(negative)
    for k, score in enumerate(positive):
        assert product[k] == pytest.approx(-shrink * math.exp(-score / tau) / s_plus, rel=1e-9)
        assert bce[k] == pytest.approx(-1 / (tau * rows) / (1 + math.exp(score / tau)), rel=1e-9)
    for k, score in enumerate(negative, start=len(positive)):
        assert product[k] == pytest.approx(shrink * math.exp(score / tau) / s_minus, rel=1e-9)
        assert bce[k] == pytest.approx(1 / (tau * rows) / (1 + math.exp(-score / tau)), rel=1e-9)


@pytest.mark.parametrize(
    ("name", "advantage_weight"),
    [("grpo", lambda s, a: 0.0 if (a > 0 and s > math.log(1.2)) or (a < 0 and s < math.log(0.8)) else abs(a))],
)
@given(score=st.floats(-2, 2))
def test_grpo_weight_is_advantage_times_ratio_unless_clipped(name, advantage_weight, score):
    batch = one_group([score, score], [score, score])
    advantage = group_advantage(batch[2], batch[3]).tolist()
    weight = sequence_weights(make_objective(name), *batch).tolist()
    for w, a in zip(weight, advantage, strict=True):
        assert w == pytest.approx(advantage_weight(score, a) * math.exp(score), rel=1e-9)


@given(positive=scores, negative=scores, tau=taus)
def test_real_weights_stay_below_one_over_tau(positive, negative, tau):
    weight = sequence_weights(make_objective("real", tau=tau), *one_group(positive, negative))
    assert float(weight.max()) < 1 / tau


@given(low=st.floats(-3, 3), step=st.floats(1e-3, 3), positive=scores, negative=scores)
def test_real_weight_falls_with_a_positives_score_and_rises_with_a_negatives(low, step, positive, negative):
    objective = make_objective("real")

    def weight(first_positive: float, first_negative: float) -> list[float]:
        return sequence_weights(
            objective, *one_group([first_positive, *positive], [first_negative, *negative])
        ).tolist()

    before, after = weight(low, low), weight(low + step, low + step)
    assert after[0] < before[0]
    assert after[1 + len(positive)] > before[1 + len(positive)]


@pytest.mark.parametrize("name", OBJECTIVES)
@given(seed=st.integers(0, 10_000))
def test_row_order_and_group_labels_do_not_matter(name, seed):
    log_ratio, mask, group, reward = random_batch(seed)
    objective = make_objective(name)
    order = torch.randperm(len(group), generator=torch.Generator().manual_seed(seed))
    shuffled = token_weights(objective, log_ratio[order], mask[order], 1000 - 13 * group[order], reward[order])
    torch.testing.assert_close(
        shuffled, token_weights(objective, log_ratio, mask, group, reward)[order], rtol=1e-12, atol=1e-15
    )


class TinyPolicy(torch.nn.Module):
    """Differentiable stand-in for a policy: token log-probs that depend non-linearly on shared parameters."""

    def __init__(self, rows: int, tokens: int):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.feature = torch.randn(rows, tokens, 5, generator=generator, dtype=torch.float64)
        self.weight = torch.nn.Parameter(torch.randn(5, 7, generator=generator, dtype=torch.float64))
        self.token = torch.randint(0, 7, (rows, tokens, 1), generator=generator)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        logits = torch.tanh(self.feature[rows] @ self.weight)
        return logits.log_softmax(-1).gather(-1, self.token[rows]).squeeze(-1)


def splits(rows: int, seed: int) -> list[list[torch.Tensor]]:
    """Single rows, a random cut of shuffled rows, and the whole batch."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(rows, generator=generator)
    cuts = sorted(torch.randint(1, rows, (3,), generator=generator).tolist())
    return [list(torch.arange(rows).split(1)), list(order.tensor_split(cuts)), [torch.arange(rows)]]


@pytest.mark.parametrize("name", OBJECTIVES)
@given(seed=st.integers(0, 10_000))
def test_any_micro_batch_split_gives_the_whole_batch_gradient(name, seed):
    noise, mask, group, reward = random_batch(seed)
    policy = TinyPolicy(*mask.shape)
    every_row = torch.arange(len(group))
    old_log_prob = policy(every_row).detach() - noise
    objective = make_objective(name)

    policy.zero_grad()
    objective(policy(every_row) - old_log_prob, mask, group, reward).backward()
    direct = policy.weight.grad.clone()

    weights = token_weights(objective, policy(every_row) - old_log_prob, mask, group, reward)
    for split in splits(len(group), seed):
        policy.zero_grad()
        for rows in split:
            surrogate(policy(rows), weights[rows]).backward()
        torch.testing.assert_close(policy.weight.grad, direct, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", REAL_FAMILY)
def test_the_objective_applied_per_micro_batch_would_be_another_loss(name):
    """Why real.exact exists: groups cut apart and averaged give a different gradient, by tens of per cent."""
    log_ratio, mask, group, reward = random_batch(3, groups=4, size=8, empty=False)
    group = torch.arange(4).repeat_interleave(8)
    objective = make_objective(name)
    exact = token_weights(objective, log_ratio, mask, group, reward)
    parts = [
        token_weights(objective, *(x[i : i + 4] for x in (log_ratio, mask, group, reward))) for i in range(0, 32, 4)
    ]
    naive = torch.cat(parts) / 8
    assert float((naive - exact).norm() / exact.norm()) > 0.1


@pytest.mark.parametrize("name", SCORES_ONLY)
@pytest.mark.parametrize("seed", range(5))
def test_one_column_of_scores_gives_the_token_gradient_times_length(name, seed):
    log_ratio, mask, group, reward = random_batch(seed)
    objective = make_objective(name)
    length = mask.sum(dim=1)
    score = sequence_score(log_ratio * mask, mask)[:, None]
    column = token_weights(objective, score, (length > 0)[:, None], group, reward)
    expected = mask * column / length.clamp(min=1)[:, None]
    torch.testing.assert_close(
        token_weights(objective, log_ratio, mask, group, reward), expected, rtol=1e-12, atol=1e-15
    )


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("poison", [float("nan"), float("-inf"), float("inf")])
def test_masked_positions_are_never_read(name, poison):
    log_ratio, mask, group, reward = random_batch(1)
    objective = make_objective(name)
    poisoned = log_ratio.masked_fill(mask == 0, poison)
    clean = token_weights(objective, log_ratio.masked_fill(mask == 0, 0.0), mask, group, reward)
    weights = token_weights(objective, poisoned, mask, group, reward)
    assert torch.equal(weights, clean)
    leaf = poisoned.clone().requires_grad_()
    value = surrogate(leaf, weights)
    value.backward()
    assert math.isfinite(value.item())
    assert torch.equal(leaf.grad, weights)


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("extreme", [1e4, -1e4])
def test_extreme_log_ratios_stay_finite(name, dtype, extreme):
    mask = torch.ones(8, 3)
    log_ratio = torch.zeros(8, 3, dtype=dtype)
    log_ratio[::3] = extreme
    group = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
    reward = torch.tensor([1, 0, 1, 0, 0, 0, 1, 1])
    objective = make_objective(name)
    assert torch.isfinite(objective(log_ratio, mask, group, reward))
    assert torch.isfinite(token_weights(objective, log_ratio, mask, group, reward)).all()


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_dropped_one_sided_groups_give_no_gradient(name, label):
    log_ratio, mask, group, _ = random_batch(2)
    reward = torch.full((len(group),), label, dtype=torch.float64)
    objective = make_objective(name)
    assert objective(log_ratio, mask, group, reward).item() == 0
    assert not token_weights(objective, log_ratio, mask, group, reward).any()


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("one_sided", ["drop", "train"])
@given(seed=st.integers(0, 10_000))
def test_rows_that_are_not_live_have_no_weight(name, one_sided, seed):
    objective = make_objective(name, **({"one_sided": one_sided} if name in REAL_FAMILY else {}))
    log_ratio, mask, group, reward = random_batch(seed, groups=6, size=3)
    live = objective.live_rows(group, reward)
    assert not token_weights(objective, log_ratio, mask, group, reward)[~live].any()


def test_live_rows_are_those_of_two_sided_groups_and_correct_singles():
    group, reward = torch.tensor([0, 0, 1, 1, 2, 3]), torch.tensor([1.0, 0.0, 1.0, 1.0, 1.0, 0.0])
    assert make_objective("grpo").live_rows(group, reward).tolist() == [True, True, False, False, True, False]
    assert make_objective("real").live_rows(group, reward).tolist() == [True, True, False, False, False, False]
    assert make_objective("real", one_sided="train").live_rows(group, reward).all()


def test_trained_one_sided_groups_follow_equation_8():
    score, mask, group, reward = one_group([0.3, -0.2], [])
    expected = math.log(1 + math.exp(-0.3 / 0.5) + math.exp(0.2 / 0.5))
    assert make_objective("real", one_sided="train")(score, mask, group, reward).item() == pytest.approx(expected)
    bce = (math.log(1 + math.exp(-0.6)) + math.log(1 + math.exp(0.4))) / 2
    assert make_objective("real_bce", one_sided="train")(score, mask, group, reward).item() == pytest.approx(bce)
    assert make_objective("real_product", one_sided="train")(score, mask, group, reward).item() == 0


@pytest.mark.parametrize("name", ["real", "real_product"])
def test_one_sided_groups_count_in_the_normaliser(name):
    score, mask, group, reward = one_group([0.3, -0.2], [0.1])
    alone = make_objective(name)(score, mask, group, reward)
    padded = torch.cat([score, torch.zeros(3, 1)]), torch.ones(6, 1)
    group, reward = torch.tensor([4, 4, 4, 9, 9, 9]), torch.cat([reward, torch.ones(3)])
    torch.testing.assert_close(make_objective(name)(*padded, group, reward), alone / 2)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_empty_responses_get_no_gradient_and_count_in_the_normaliser(name):
    log_ratio, mask, group, reward = random_batch(4, empty=False)
    mask[3] = 0
    weights = token_weights(make_objective(name), log_ratio, mask, group, reward)
    assert not weights[3].any()
    if name in ("grpo", "gspo"):
        kept = torch.arange(len(group)) != 3
        advantage = group_advantage(group, reward)
        row = next(i for i in range(len(group)) if kept[i] and advantage[i] != 0 and weights[i].any())
        ratio = log_ratio[row] if name == "grpo" else sequence_score(log_ratio * mask, mask)[row]
        expected = -advantage[row] * torch.exp(ratio) / mask[row].sum() / len(group) * mask[row]
        unclipped = weights[row] != 0
        torch.testing.assert_close(weights[row][unclipped], expected[unclipped])


def test_a_group_of_one_has_its_reward_as_advantage():
    advantage = group_advantage(torch.tensor([5, 6, 6]), torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64))
    assert advantage[0].item() == 1.0
    assert advantage[2].item() == pytest.approx(0.5 / (math.sqrt(0.5) + 1e-6), rel=1e-12)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_float32_agrees_with_float64(name):
    batch = random_batch(6)
    double = token_weights(make_objective(name), *batch)
    single = token_weights(make_objective(name), batch[0].float(), *batch[1:])
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("argument", "change"),
    [
        ("reward", {"reward": torch.tensor([0.5, 1.0])}),
        ("reward", {"reward": torch.tensor([-1.0, 1.0])}),
        ("reward", {"reward": torch.ones(3)}),
        ("mask", {"mask": torch.ones(2, 4)}),
        ("mask", {"mask": torch.full((2, 3), 0.5)}),
        ("group", {"group": torch.zeros(2)}),
        ("group", {"group": torch.zeros(3, dtype=torch.long)}),
        ("log_ratio", {"log_ratio": torch.zeros(2)}),
        ("log_ratio", {"log_ratio": torch.zeros(2, 3, dtype=torch.long)}),
        ("log_ratio", {"log_ratio": torch.zeros(0, 3)}),
    ],
)
def test_wrong_tensors_raise_an_error_that_names_the_argument(argument, change):
    batch = {
        "log_ratio": torch.zeros(2, 3),
        "mask": torch.ones(2, 3),
        "group": torch.zeros(2, dtype=torch.long),
        "reward": torch.tensor([0.0, 1.0]),
    }
    with pytest.raises(ValueError, match=rf"^{argument}: "):
        make_objective("real")(**{**batch, **change})


def test_verl_gets_the_objectives_of_scores_and_those_it_has_itself():
    def per_token(log_ratio, mask, group, reward):  # REINFORCE summed over tokens: the length counts
        return -(group_advantage(group, reward)[:, None] * log_ratio * mask).sum() / len(reward)

    summed = Objective("summed", {}, "rows", per_token)
    assert [name for name in PAPER if of_scores(make_objective(name))] == ["real", "gspo", "real_bce", "real_product"]
    assert not of_scores(summed)
    assert set(OWN_LOSSES) == set(VERL_OBJECTIVES)
    assert {name: loss_of(name)[0] for name in ("real", "dapo", "gspo", "another")} == {
        "real": "real_surrogate",
        "dapo": "vanilla",
        "gspo": "gspo",
        "another": "real_surrogate",
    }


def test_surrogate_refuses_weights_of_another_shape():
    with pytest.raises(ValueError, match=r"^weights: "):
        surrogate(torch.zeros(2, 3), torch.zeros(2, 4))


def test_normalisers_count_groups_rows_and_two_sided_rows():
    group, reward = torch.tensor([0, 0, 1, 1]), torch.tensor([1.0, 0.0, 1.0, 1.0])
    counts = {name: make_objective(name).normaliser(group, reward) for name in PAPER}
    assert counts == {"real": 2, "grpo": 4, "dapo": 4, "gspo": 4, "real_bce": 2, "real_product": 2}
    assert make_objective("real_bce", one_sided="train").normaliser(group, reward) == 4
