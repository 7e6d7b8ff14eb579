"""One token after another for many rows by the lean forward (lean.py), with a cache of keys and values.

Weights are joined once per call, with queries scaled, and each projection of queries and keys stands there a second
time, turned by a quarter, so that rotary positions cost two operations a layer. The cache grows by blocks, and rows
that are finished leave it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from real.models.lean import (
    Layer,
    LeanModel,
    attention,
    frequencies,
    joined,
    per_head,
    projected,
    rotation,
    rows_of,
    unit_norm,
)
from real.models.packing import causal_bias

# positions that the cache grows by at least; a long one grows by a share, so that copies stay in proportion to it
BLOCK = 8
SHARE = 1 / 8


class LeanDecoder:
    """N = P·G rows, rollouts of one prompt side by side, that are decoded together.

    Attributes:
        logits: (n, V) of each row's next token.
    """

    def __init__(self, model: LeanModel, prompts: Sequence[Sequence[int]], rollouts: int) -> None:
        self.model, self.shape = model, model.shape
        self.layers = [_Weights(layer, model) for layer in model.layers]
        self.frequency = frequencies(model.shape, model.device)
        self.head = (model.lm_head.weight * model.model.norm.weight).t().contiguous()
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=model.device)
        self.used = int(lengths.max())
        self.room = self.used + BLOCK
        self.turns = self._tables()
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []
        x = self._prefill(prompts, lengths, rollouts)
        self.position = lengths.repeat_interleave(rollouts)
        # of the padding before short prompts, which nothing sees
        hidden = torch.arange(self.used, device=model.device) < self.used - self.position[:, None]
        self.bias = torch.zeros(hidden.shape, dtype=model.dtype, device=model.device).masked_fill(hidden, float("-inf"))
        self.padded = bool(hidden.any())
        self.logits = self._logits(x).repeat_interleave(rollouts, dim=0)

    def _prefill(self, prompts: Sequence[Sequence[int]], lengths: Tensor, rollouts: int) -> Tensor:
        """(P, width) hidden states of the prompts' last tokens; their keys and values fill the cache, once per row."""
        model, shape, count = self.model, self.shape, len(prompts)
        rows = [torch.tensor(prompt, device=model.device) for prompt in prompts]
        token = pad_sequence(rows, batch_first=True, padding_side="left")
        empty = self.used - lengths
        position = (torch.arange(self.used, device=model.device) - empty[:, None]).clamp(min=0)
        bias = per_head(causal_bias(empty, 0, self.used, model.dtype), shape)
        turn = rotation(position.reshape(-1), self.frequency, model.dtype)
        x = model.embedded(token.reshape(-1))
        for layer in model.layers:
            query, key, value = (rows_of(part, count) for part in projected(layer, x, turn, shape))
            x = joined(layer, x, attention(query, key, value, bias), shape)
            keys, values = (part.repeat_interleave(rollouts, dim=0) for part in (key.transpose(2, 3), value))
            self.keys.append(with_room(keys, -1, self.used, self.room))
            self.values.append(with_room(values, -2, self.used, self.room))
        return x.view(count, self.used, -1)[:, -1]

    def keep(self, rows: Tensor) -> None:
        """Let all other rows go."""
        self.position, self.bias = self.position[rows], self.bias[rows]
        self.keys = [keys[rows] for keys in self.keys]
        self.values = [values[rows] for values in self.values]

    def step(self, token: Tensor) -> None:
        """Take one more (n,) token per row; ``logits`` are those after it."""
        shape, rows = self.shape, len(token)
        size, groups = shape.head_width, rows * shape.key_heads
        self._grow()
        heads = shape.heads + shape.key_heads
        cosine, sine = (table[self.position] for table in self.turns)
        bias = per_head(self.bias[:, None], shape) if self.padded else None
        kept = heads * size
        x = self.model.embedded(token)
        for weights, keys, values in zip(self.layers, self.keys, self.values, strict=True):
            parts = weights.inner(unit_norm(x, shape.epsilon))
            turned = torch.addcmul(parts[:, :kept] * cosine, parts[:, -kept:], sine).view(rows, heads, size)
            keys[..., self.used - 1] = turned[:, shape.heads :]
            values[:, :, self.used - 1] = parts[:, kept:-kept].view(rows, -1, size)
            query = turned[:, : shape.heads].reshape(groups, -1, size)
            seen = keys.view(groups, size, self.room)[..., : self.used]
            scores = torch.bmm(query, seen) if bias is None else torch.baddbmm(bias, query, seen)
            found = torch.bmm(scores.softmax(dim=-1), values.view(groups, self.room, size)[:, : self.used])
            x = weights.joined(x, found.view(rows, -1), shape.epsilon)
        self.position = self.position + 1
        self.logits = self._logits(x)

    def _grow(self) -> None:
        """Make place for one more token."""
        self.used += 1
        if self.padded:
            self.bias = functional.pad(self.bias, (0, 1))
        if self.used > self.room:
            used, self.room = self.room, self.room + max(BLOCK, int(SHARE * self.room))
            self.keys = [with_room(keys, -1, used, self.room) for keys in self.keys]
            self.values = [with_room(values, -2, used, self.room) for values in self.values]
            self.turns = self._tables()

    def _tables(self) -> tuple[Tensor, Tensor]:
        """(room, (H + K) · D) cosines and sines of all positions that there is room for, for each number they turn."""
        place = torch.arange(self.room, device=self.model.device)
        turn = rotation(place, self.frequency, self.model.dtype).repeat_interleave(2, dim=1)
        wide = turn.repeat(1, self.shape.heads + self.shape.key_heads)
        return wide.real.to(self.model.dtype).contiguous(), wide.imag.to(self.model.dtype).contiguous()

    def _logits(self, x: Tensor) -> Tensor:
        return torch.mm(unit_norm(x, self.shape.epsilon), self.head)


class _Weights:
    """The weights of one layer, joined for decoding."""

    def __init__(self, layer: Layer, model: LeanModel) -> None:
        shape = model.shape
        weight, bias = layer.self_attn.fused(layer.input_layernorm, shape.head_width)
        scale = torch.ones(len(weight), dtype=model.dtype, device=model.device)
        scale[: shape.heads * shape.head_width] = shape.head_width**-0.5
        rows = weight * scale[:, None]
        turning = (shape.heads + shape.key_heads) * shape.head_width
        self.weight = torch.cat([rows, _quarter_turned(rows[:turning])]).t().contiguous()
        self.bias = None
        if bias is not None:
            entries = bias * scale
            self.bias = torch.cat([entries, _quarter_turned(entries[:turning])])
        self.outer = layer.self_attn.o_proj.weight.t().contiguous()
        self.gate_up = layer.mlp.fused(layer.post_attention_layernorm).t().contiguous()
        self.down = layer.mlp.down_proj.weight.t().contiguous()

    def inner(self, x: Tensor) -> Tensor:
        """Queries, keys and values side by side, then queries and keys turned by a quarter."""
        return torch.mm(x, self.weight) if self.bias is None else torch.addmm(self.bias, x, self.weight)

    def joined(self, x: Tensor, found: Tensor, epsilon: float) -> Tensor:
        """The tokens after the layer, from those before it and what attention found."""
        x = torch.addmm(x, found, self.outer)
        gate, up = torch.mm(unit_norm(x, epsilon), self.gate_up).chunk(2, dim=-1)
        return torch.addmm(x, functional.silu(gate) * up, self.down)


def _quarter_turned(rows: Tensor) -> Tensor:
    """(heads · D, ...) rows that give what rotary positions multiply by the sine: of each pair (-second, first)."""
    pairs = rows.view(-1, 2, *rows.shape[1:])
    return torch.stack([-pairs[:, 1], pairs[:, 0]], dim=1).view(rows.shape)


def with_room(part: Tensor, dim: int, used: int, room: int) -> Tensor:
    """A copy of the first ``used`` places along a dimension, with room for more after them."""
    shape = list(part.shape)
    shape[dim] = room
    copy = part.new_empty(shape)
    copy.narrow(dim, 0, used).copy_(part.narrow(dim, 0, used))
    return copy
