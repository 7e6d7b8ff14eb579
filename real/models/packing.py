"""How prompts and sampled responses are packed for one forward pass (lean.py): tokens one after the other.

A prompt that several rows share stands there once, for all of them; where no two rows share one, each row stands there
whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# rows of similar length attend together: fewer cost calls, more cost padding
BUCKET_ROWS = 16


@dataclass(frozen=True)
class Part:
    """Rows that attend together: their packed tokens begin at ``start``, row after row, ``width`` each.

    Attributes:
        prompt: (rows,) which row of the first part each attends to before its own tokens; None: to none.
        bias: (rows, width, seen) 0 where a token sees another, else -inf; seen: first the prompt's, then its own.
    """

    start: int
    rows: int
    width: int
    prompt: Tensor | None
    bias: Tensor


@dataclass(frozen=True)
class Plan:
    """How a batch is packed into M tokens.

    Attributes:
        token, position: (M,).
        parts: shared prompts, padded on the left, come first; then rows by length, padded on the right. The last token
            of a response is left out, because it predicts nothing.
        source: packed token that predicts each response token, row by row; target: that token; row, column: where it
            stands in the response.
    """

    token: Tensor
    position: Tensor
    parts: list[Part]
    source: Tensor
    target: Tensor
    row: Tensor
    column: Tensor


def plan(prompts: Sequence[Sequence[int]], response: Tensor, length: Tensor, dtype: torch.dtype) -> Plan:
    """Pack N rows.

    Args:
        response: (N, T); length: (N,) tokens of it that count.
        dtype: of the model.
    """
    shared = list(dict.fromkeys(map(tuple, prompts)))
    if len(shared) == len(prompts):
        shared = []
    lengths, device = length.tolist(), response.device
    kept = [row[: max(0, count - 1)] for row, count in zip(response.tolist(), lengths, strict=True)]
    own = kept if shared else [[*prompt, *row] for prompt, row in zip(prompts, kept, strict=True)]
    packed = _Packed(shared, dtype, device)
    order = sorted(range(len(own)), key=lambda row: len(own[row]))
    for begin in range(0, len(order), BUCKET_ROWS):
        packed.add(order[begin : begin + BUCKET_ROWS], prompts, own)
    source: list[int] = []
    for number, count in enumerate(lengths):
        # the prompt's last token predicts the first one
        last = packed.last_of(prompts[number]) if shared else packed.first[number] + len(prompts[number]) - 1
        next_one = packed.first[number] if shared else last + 1
        source += [last, *range(next_one, next_one + count - 1)] if count else []
    row, column = (torch.arange(response.shape[1], device=device) < length[:, None]).nonzero(as_tuple=True)
    return Plan(
        torch.tensor(packed.token, device=device),
        torch.tensor(packed.position, device=device),
        packed.parts,
        torch.tensor(source, dtype=torch.long, device=device),
        response[row, column],
        row,
        column,
    )


class _Packed:
    """Parts that are put together; ``first`` holds where the own tokens of a row begin."""

    def __init__(self, shared: Sequence[tuple[int, ...]], dtype: torch.dtype, device: torch.device) -> None:
        self.dtype, self.device = dtype, device
        self.index = {prompt: at for at, prompt in enumerate(shared)}
        self.longest = max(map(len, shared), default=0)
        self.token: list[int] = []
        self.position: list[int] = []
        self.parts: list[Part] = []
        self.first: dict[int, int] = {}
        for prompt in shared:
            padding = [0] * (self.longest - len(prompt))
            self.token += [*padding, *prompt]
            self.position += [*padding, *range(len(prompt))]
        if shared:
            empty = torch.tensor([self.longest - len(prompt) for prompt in shared], device=device)
            self.parts.append(Part(0, len(shared), self.longest, None, causal_bias(empty, 0, self.longest, dtype)))

    def add(self, rows: Sequence[int], prompts: Sequence[Sequence[int]], own: Sequence[Sequence[int]]) -> None:
        """One more part: the own tokens of some rows, by length."""
        start, width = len(self.token), len(own[rows[-1]])
        for at, row in enumerate(rows):
            self.first[row] = start + at * width
            self.token += [*own[row], *[0] * (width - len(own[row]))]
            begin = len(prompts[row]) if self.index else 0
            self.position += range(begin, begin + width)
        if not width:
            return
        chosen = [tuple(prompts[row]) for row in rows]
        prompt, empty = None, torch.zeros(len(rows), dtype=torch.long, device=self.device)
        if self.index:
            prompt = torch.tensor([self.index[one] for one in chosen], device=self.device)
            empty = torch.tensor([self.longest - len(one) for one in chosen], device=self.device)
        self.parts.append(Part(start, len(rows), width, prompt, causal_bias(empty, self.longest, width, self.dtype)))

    def last_of(self, prompt: Sequence[int]) -> int:
        """Where a shared prompt's last token stands."""
        return (self.index[tuple(prompt)] + 1) * self.longest - 1


def causal_bias(empty: Tensor, before: int, width: int, dtype: torch.dtype) -> Tensor:
    """(rows, width, before + width) bias by which the last ``width`` places of a row see themselves and earlier ones.

    Args:
        empty: (rows,) places at a row's beginning that are padding. One of the last ``width`` ones that is padding
            sees itself, so that no softmax is over nothing.
    """
    place = torch.arange(before + width, device=empty.device)
    own = place[before:, None]
    hidden = (place > own) | ((place < empty[:, None, None]) & (place != own))
    return torch.zeros(hidden.shape, dtype=dtype, device=empty.device).masked_fill(hidden, float("-inf"))
