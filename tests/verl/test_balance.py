"""Groups whole in a mini-batch, rows and tokens balanced over ranks; nothing lost and nothing left to chance."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from verl.utils.seqlen_balancing import calculate_workload, get_seqlen_balanced_partitions

from real.engines.verl.balance import mini_batches, order_rows
from real.engines.verl.worker import check_groups


@st.composite
def steps(draw):
    """A step's rows in any order: (group, tokens, mini-batches, ranks)."""
    ranks, rollouts = draw(st.integers(1, 4)), draw(st.sampled_from([4, 8, 12]))
    # every mini-batch must be divisible by the ranks, as the configuration demands
    size = draw(st.sampled_from([n for n in range(1, 5) if n * rollouts % ranks == 0] or [ranks]))
    prompts = range(size * draw(st.integers(1, 4)))
    group = draw(st.permutations([prompt for prompt in prompts for _ in range(rollouts)]))
    tokens = draw(st.lists(st.integers(1, 9216), min_size=len(group), max_size=len(group)))
    return group, tokens, mini_batches(prompts, size, draw(st.text(max_size=5))), ranks


def cut_as_verl_does(order: list[int], batches: int, ranks: int) -> list[list[list[int]]]:
    """Rows of [mini-batch][rank]: a contiguous block per rank, and in it one per mini-batch (train_mini_batch)."""
    block = len(order) // ranks
    part = block // batches
    return [
        [order[rank * block + batch * part : rank * block + (batch + 1) * part] for rank in range(ranks)]
        for batch in range(batches)
    ]


@given(steps())
def test_every_row_is_trained_on_once(step):
    group, tokens, batches, ranks = step
    assert sorted(order_rows(group, tokens, batches, ranks)) == list(range(len(group)))


@given(steps())
def test_a_mini_batch_has_exactly_the_rows_of_its_prompts_equally_many_on_each_rank(step):
    group, tokens, batches, ranks = step
    cut = cut_as_verl_does(order_rows(group, tokens, batches, ranks), len(batches), ranks)
    for prompts, parts in zip(batches, cut, strict=True):
        members = [row for row, prompt in enumerate(group) if prompt in prompts]
        assert sorted(row for part in parts for row in part) == members
        assert {len(part) for part in parts} == {len(members) // ranks}


@given(steps())
def test_ranks_are_as_balanced_as_verl_would_make_that_mini_batch(step):
    group, tokens, batches, ranks = step
    cut = cut_as_verl_does(order_rows(group, tokens, batches, ranks), len(batches), ranks)
    for parts in cut:
        rows = sorted(row for part in parts for row in part)
        work = calculate_workload(torch.tensor([tokens[row] for row in rows]))
        best = get_seqlen_balanced_partitions(work, k_partitions=ranks, equal_size=True)
        at = {row: place for place, row in enumerate(rows)}
        found = spread(work, [[at[row] for row in part] for part in parts])
        assert found <= spread(work, best)
        assert found <= int(work.max() - work.min()), "ranks differ by less than two rows do"


def spread(work: torch.Tensor, parts: list[list[int]]) -> int:
    """Work of the busiest rank minus that of the idlest."""
    sums = [int(work[part].sum()) for part in parts]
    return max(sums) - min(sums)


def test_a_long_row_does_not_drag_its_group_to_one_rank():
    """Two groups of four, one of them long: half of the long rows go to each rank."""
    group, tokens = [0, 0, 0, 0, 1, 1, 1, 1], [8000, 8000, 8000, 8000, 100, 100, 100, 100]
    order = order_rows(group, tokens, [[0, 1]], 2)
    assert [sum(tokens[row] for row in order[start : start + 4]) for start in (0, 4)] == [16200, 16200]


@given(st.integers(1, 6), st.integers(1, 6), st.text(max_size=5), st.randoms())
def test_mini_batches_are_a_partition_that_the_seed_alone_decides(size, count, seed, shuffler):
    prompts = list(range(size * count))
    batches = mini_batches(prompts, size, seed)
    assert sorted(prompt for batch in batches for prompt in batch) == prompts
    assert [len(batch) for batch in batches] == [size] * count
    shuffler.shuffle(prompts)
    assert mini_batches(prompts, size, seed) == batches, "not by the order in which rollouts arrive"


def test_another_step_has_other_mini_batches():
    first, second = (mini_batches(range(128), 32, f"mini-batches 0 {step}") for step in (1, 2))
    assert first != second
    assert first != [list(range(start, start + 32)) for start in range(0, 128, 32)]


def test_an_incomplete_group_is_named():
    check_groups([3, 1, 3, 1], 2)
    with pytest.raises(ValueError, match=r"^1 groups of a mini-batch are incomplete \(group 3 has 1 of 2 rollouts\)"):
        check_groups([1, 3, 1], 2)
    with pytest.raises(ValueError, match=r"^2 groups of a mini-batch are incomplete \(group 0 has 3 of 2 rollouts\)"):
        check_groups([5, 0, 0, 0], 2)
