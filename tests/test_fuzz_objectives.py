"""Objectives under any shape and any value: finite or refused by name, and the invariances that training rests on."""

import math
from dataclasses import dataclass

import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor

from real.exact import sequence_weights, surrogate, token_weights
from real.objectives import OBJECTIVES, Objective, make_objective
from tests.support.fuzzing import fuzz

REAL_FAMILY = ("real", "real_bce", "real_product")
NEVER_READ = (math.nan, math.inf, -math.inf, 1e30)
EXTREMES = (1e30, -1e30, 5e-324, 1e-40, -0.0, 88.0, -104.0, 40.0, 0.0)


@dataclass(frozen=True)
class Batch:
    """A mini-batch of N rows and T tokens; where the mask is 0 stands what must never be read."""

    log_ratio: Tensor
    mask: Tensor
    group: Tensor
    reward: Tensor

    def rows(self, index: Tensor) -> "Batch":
        return Batch(self.log_ratio[index], self.mask[index], self.group[index], self.reward[index])

    def __iter__(self):
        return iter((self.log_ratio, self.mask, self.group, self.reward))


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Up to 64 rows of up to 40 tokens, in ragged groups of 1 to 64 rows in any order, some of them one-sided."""
    sizes = draw(st.one_of(st.lists(st.integers(1, 16), min_size=1, max_size=4), st.integers(1, 64).map(lambda n: [n])))
    rows, tokens = sum(sizes), draw(st.integers(1, 40))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    scale = draw(st.sampled_from([0.0, 1e-30, 1e-3, 1.0, 30.0, 1e6, 1e30]))
    log_ratio = torch.randn(rows, tokens, generator=generator, dtype=torch.float64) * scale
    for value in draw(st.lists(st.sampled_from(EXTREMES), max_size=4)):
        log_ratio[draw(st.integers(0, rows - 1)), draw(st.integers(0, tokens - 1))] = value
    density = draw(st.sampled_from([0.0, 0.3, 1.0]))
    mask = (torch.rand(rows, tokens, generator=generator) < density).to(draw(st.sampled_from([torch.long, dtype])))
    log_ratio = log_ratio.to(dtype).masked_fill(mask == 0, draw(st.sampled_from(NEVER_READ)))
    ids = draw(st.lists(st.integers(-(2**62), 2**62), min_size=len(sizes), max_size=len(sizes), unique=True))
    group = torch.tensor([name for name, size in zip(ids, sizes, strict=True) for _ in range(size)])
    share = draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    reward = (torch.rand(rows, generator=generator) < share).to(draw(st.sampled_from([torch.long, dtype])))
    return Batch(log_ratio, mask, group, reward).rows(torch.randperm(rows, generator=generator))


@st.composite
def objectives(draw: st.DrawFn, names: tuple[str, ...] = OBJECTIVES) -> Objective:
    """Any objective with any hyper-parameters in their range."""
    name = draw(st.sampled_from(names))
    if name in REAL_FAMILY:
        return make_objective(name, tau=draw(st.floats(0.01, 100)), one_sided=draw(st.sampled_from(["drop", "train"])))
    return make_objective(name, clip_low=draw(st.floats(0, 1)), clip_high=draw(st.floats(0, 10)))


def largest(weights: Tensor) -> float:
    return float(weights.abs().max())


def tolerance(weights: Tensor) -> float:
    """What sums in another order may differ by."""
    return (1e-4 if weights.dtype == torch.float32 else 1e-10) * max(largest(weights), 1e-30)


@fuzz(objective=objectives(), batch=batches())
def test_loss_and_gradient_are_finite_and_masked_positions_are_never_read(objective, batch):
    assert bool(torch.isfinite(objective(*batch)))
    weights = token_weights(objective, *batch)
    assert bool(torch.isfinite(weights).all())
    assert bool((weights[batch.mask == 0] == 0).all())
    other = Batch(batch.log_ratio.masked_fill(batch.mask == 0, 7.0), batch.mask, batch.group, batch.reward)
    assert torch.equal(token_weights(objective, *other), weights)
    assert torch.equal(objective(*other), objective(*batch))


@fuzz(objective=objectives(), batch=batches(), seed=st.integers(0, 2**32 - 1))
def test_the_order_of_rows_does_not_matter(objective, batch, seed):
    order = torch.randperm(len(batch.group), generator=torch.Generator().manual_seed(seed))
    weights = token_weights(objective, *batch)
    shuffled = token_weights(objective, *batch.rows(order))
    assert largest(shuffled - weights[order]) <= tolerance(weights)


@fuzz(objective=objectives(), batch=batches(), data=st.data())
def test_any_split_of_the_surrogate_gives_the_whole_gradient(objective, batch, data):
    """Through real.exact: parts of any sizes, groups cut apart, NaN where nothing is read."""
    weights = token_weights(objective, *batch)
    leaf = batch.log_ratio.clone().requires_grad_()
    rows = len(batch.group)
    cuts = sorted(data.draw(st.lists(st.integers(0, rows), max_size=5)))
    for start, end in zip([0, *cuts], [*cuts, rows], strict=True):
        surrogate(leaf[start:end], weights[start:end]).backward()
    assert torch.equal(leaf.grad, weights)


@fuzz(objective=objectives(REAL_FAMILY), batch=batches())
def test_no_weight_exceeds_one_over_tau(objective, batch):
    """|Σ_t dL/dlog_prob_t| times the normaliser: the paper's bound, up to rounding."""
    bound = 1 / float(objective.hyperparameters["tau"])
    assert largest(sequence_weights(objective, *batch)) <= bound * (1 + 1e-5)


@fuzz(name=st.sampled_from(REAL_FAMILY), batch=batches())
def test_one_sided_groups_that_are_dropped_have_no_gradient_at_all(name, batch):
    weights = token_weights(make_objective(name), *batch)
    for group in batch.group.unique():
        rows = batch.group == group
        if len(batch.reward[rows].unique()) == 1:
            assert bool((weights[rows] == 0).all())


@fuzz(objective=objectives(), batch=batches(), wrong=st.data())
def test_what_is_no_mini_batch_is_refused_by_the_name_of_the_argument(objective, batch, wrong):
    rows, tokens = batch.log_ratio.shape
    name, tensors = wrong.draw(
        st.sampled_from(
            [
                ("log_ratio", (batch.log_ratio.long(), batch.mask, batch.group, batch.reward)),
                ("log_ratio", (batch.log_ratio[:0], batch.mask[:0], batch.group[:0], batch.reward[:0])),
                ("mask", (batch.log_ratio, torch.ones(rows, tokens + 1), batch.group, batch.reward)),
                ("mask", (batch.log_ratio, batch.mask * 0.5 + 0.25, batch.group, batch.reward)),
                ("group", (batch.log_ratio, batch.mask, batch.group.double(), batch.reward)),
                ("reward", (batch.log_ratio, batch.mask, batch.group, batch.reward[:-1])),
                ("reward", (batch.log_ratio, batch.mask, batch.group, batch.reward * math.nan)),
            ]
        )
    )
    with pytest.raises(ValueError, match=f"^{name}: "):
        objective(*tensors)
