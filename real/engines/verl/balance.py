"""Which rows go to which optimizer mini-batch and rank: groups whole in a mini-batch, tokens balanced over ranks.

verl balances tokens over the whole batch and thereby spreads groups over mini-batches, where REAL's objectives would
become another loss. Which rank holds a row doesn't matter to them.
"""

import random
from collections.abc import Iterable, Sequence

import torch
from verl.utils.seqlen_balancing import calculate_workload, get_seqlen_balanced_partitions


def mini_batches(prompts: Iterable[int], size: int, seed: str) -> list[list[int]]:
    """The numbers of a step's prompts, shuffled and cut into mini-batches of ``size``.

    Rollouts arrive shortest first, so that mini-batches in the order of arrival would differ in length.
    """
    shuffled = sorted(prompts)
    random.Random(seed).shuffle(shuffled)
    return [shuffled[start : start + size] for start in range(0, len(shuffled), size)]


def order_rows(group: Sequence[int], tokens: Sequence[int], batches: Sequence[Sequence[int]], ranks: int) -> list[int]:
    """Row numbers in the order in which verl cuts them: a block per rank, in it a block per mini-batch.

    Args:
        group: (N,) number of each row's prompt; tokens: (N,) prompt and response tokens.
        batches: prompts of each mini-batch; every mini-batch must hold a multiple of ``ranks`` rows.

    Returns:
        (N,) a permutation of the rows.
    """
    blocks: list[list[int]] = [[] for _ in range(ranks)]
    for prompts in batches:
        members = set(prompts)
        rows = [row for row, name in enumerate(group) if name in members]
        workload = calculate_workload(torch.tensor([tokens[row] for row in rows]))
        parts = get_seqlen_balanced_partitions(workload, k_partitions=ranks, equal_size=True)
        for block, part in zip(blocks, parts, strict=True):
            block += [rows[at] for at in part]
    return [row for block in blocks for row in block]
