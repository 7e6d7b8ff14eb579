r"""Qwen2, Llama, Mistral and SmolLM2 in plain torch: RMSNorm, rotary positions, grouped-query attention and SwiGLU.

The same model that transformers builds, with the same names of parameters, written for two uses: the log-probs of
sampled responses (here) and decoding (lean_decoder.py). A prompt is computed once for all its rollouts, which attend to
its keys and values; autograd carries their gradients through it. Tokens stand packed, one after the other, wherever a
token's place doesn't matter, so that only attention sees padding.

What was left out, and why: dropout, sliding windows and scaled rotary positions (real/models/shapes.py sends
checkpoints with them to the library), a cache in training (nothing is decoded there), a hand-written backward pass
(a tenth faster, a hundred lines more).

Axes: P distinct prompts of S tokens at most, padded on the left; N rows of T response tokens at most; M packed tokens;
H query heads in K groups, each group with one key head; D numbers a head.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias, Union, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from real.models.shapes import Shape

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# rows of similar length attend together: fewer cost calls, more cost padding
BUCKET_ROWS = 16


class Attention(nn.Module):
    """Projections of one layer's attention."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        queries, keys = shape.heads * shape.head_width, shape.key_heads * shape.head_width
        self.q_proj = nn.Linear(shape.width, queries, bias=shape.bias)
        self.k_proj = nn.Linear(shape.width, keys, bias=shape.bias)
        self.v_proj = nn.Linear(shape.width, keys, bias=shape.bias)
        self.o_proj = nn.Linear(queries, shape.width, bias=False)

    def fused(self, norm: "Norm") -> tuple[Tensor, Tensor | None]:
        """Weight and bias of all three inner projections in one, with the norm's weight in it."""
        parts = (self.q_proj, self.k_proj, self.v_proj)
        bias = None if self.q_proj.bias is None else torch.cat([part.bias for part in parts])
        return torch.cat([part.weight for part in parts]) * norm.weight, bias


class Mlp(nn.Module):
    """SwiGLU."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.width, shape.feed_forward, bias=False)
        self.up_proj = nn.Linear(shape.width, shape.feed_forward, bias=False)
        self.down_proj = nn.Linear(shape.feed_forward, shape.width, bias=False)

    def fused(self, norm: "Norm") -> Tensor:
        """Weight of both inner projections in one, with the norm's weight in it."""
        return torch.cat([self.gate_proj.weight, self.up_proj.weight]) * norm.weight


class Norm(nn.Module):
    """The weight of an RMSNorm; :func:`unit_norm` is the rest of it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))


class Layer(nn.Module):
    """One block."""

    self_attn: Attention
    mlp: Mlp
    input_layernorm: Norm
    post_attention_layernorm: Norm

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.self_attn, self.mlp = Attention(shape), Mlp(shape)
        self.input_layernorm, self.post_attention_layernorm = Norm(shape.width), Norm(shape.width)


class Body(nn.Module):
    """All but the head."""

    embed_tokens: nn.Embedding
    norm: Norm

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = Norm(shape.width)


class LeanModel(nn.Module):
    """A decoder of a given shape, with transformers' names of parameters.

    Args:
        config, generation_config: of its files, whose entries are attributes as they are in transformers.

    Attributes:
        model, lm_head: as transformers calls them; a tied head is the embedding.
    """

    def __init__(
        self, shape: Shape, config: Mapping[str, Any] | None = None, generation_config: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.shape = shape
        self.config, self.generation_config = (SimpleNamespace(**one or {}) for one in (config, generation_config))
        self.model: Body = Body(shape)
        # as in the library: reading the padding token has no gradient
        self.model.embed_tokens.padding_idx = getattr(self.config, "pad_token_id", None)
        self.lm_head: nn.Linear = nn.Linear(shape.width, shape.vocabulary, bias=False)
        self.tie()

    def tie(self) -> None:
        """Make the head the embedding, where the model has no other."""
        if self.shape.tied:
            self.lm_head.weight = self.model.embed_tokens.weight

    @property
    def layers(self) -> list[Layer]:
        """The blocks."""
        return cast(list[Layer], list(self.model.layers))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.lm_head.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights."""
        return self.lm_head.weight.dtype


# what samples and learns: this module's, or the library's
Model: TypeAlias = Union[LeanModel, "PreTrainedModel"]


def frequencies(shape: Shape, device: torch.device) -> Tensor:
    """(D/2,) radians by which the pairs of numbers in queries and keys turn from one position to the next."""
    powers = torch.arange(0, shape.head_width, 2, device=device).float() / shape.head_width
    return 1.0 / shape.theta**powers


def rotation(position: Tensor, frequency: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and sines, (..., D/2) each, that turn queries and keys at the given positions."""
    # in float32 as in the library, whatever the weights are in
    angle = position[..., None].float() * frequency
    return angle.cos().to(dtype), angle.sin().to(dtype)


def unit_norm(x: Tensor, epsilon: float) -> Tensor:
    """RMSNorm without its weight; in float32 at least, as in the library."""
    exact = x.to(torch.promote_types(x.dtype, torch.float32))
    return (exact * torch.rsqrt((exact * exact).mean(dim=-1, keepdim=True) + epsilon)).to(x.dtype)


def rotated(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """(M, heads, D) queries or keys, turned by the angles of their positions."""
    left, right = x.chunk(2, dim=-1)
    cosine, sine = cosine[:, None], sine[:, None]
    return torch.cat([left * cosine - right * sine, right * cosine + left * sine], dim=-1)


@dataclass(frozen=True)
class Bucket:
    """Rows of similar length: their packed tokens are ``start``, row after row, ``width`` each.

    Attributes:
        prompt: (rows,) whose prompt each row attends to.
        bias: (rows, width, S + width) 0 where a token sees another, else -inf.
    """

    start: int
    width: int
    prompt: Tensor
    bias: Tensor


@dataclass(frozen=True)
class Plan:
    """How a batch is packed: the prompts, then the buckets.

    Attributes:
        token, position: (M,).
        prompts: P, S.
        prompt_bias: (P, S, S), as of :class:`Bucket`.
        buckets: those whose responses have more than one token; the last token of a response predicts nothing.
        source: packed token that predicts each response token, row by row; target: that token; row, column: where it
            stands in the response.
    """

    token: Tensor
    position: Tensor
    prompts: tuple[int, int]
    prompt_bias: Tensor
    buckets: list[Bucket]
    source: Tensor
    target: Tensor
    row: Tensor
    column: Tensor


def plan(prompts: Sequence[Sequence[int]], response: Tensor, length: Tensor, dtype: torch.dtype) -> Plan:
    """Pack N rows, whose equal prompts are one; ``length`` (N,) counts response tokens."""
    distinct = list(dict.fromkeys(map(tuple, prompts)))
    index = {prompt: at for at, prompt in enumerate(distinct)}
    of_row = [index[tuple(prompt)] for prompt in prompts]
    longest = max(map(len, distinct))
    token = [number for prompt in distinct for number in (*[0] * (longest - len(prompt)), *prompt)]
    position = [max(0, at - longest + len(prompt)) for prompt in distinct for at in range(longest)]
    rows, lengths = response.tolist(), length.tolist()
    order = sorted(range(len(rows)), key=lengths.__getitem__)
    buckets, source = [], {}
    for begin in range(0, len(order), BUCKET_ROWS):
        chosen = order[begin : begin + BUCKET_ROWS]
        width = max(0, max(lengths[row] for row in chosen) - 1)
        start = len(token)
        for row in chosen:
            used = max(0, lengths[row] - 1)
            token += [*rows[row][:used], *[0] * (width - used)]
            position += range(len(prompts[row]), len(prompts[row]) + width)
            first = start + chosen.index(row) * width
            source[row] = [of_row[row] * longest + longest - 1, *range(first, first + used)]
        if width:
            prompt = torch.tensor([of_row[row] for row in chosen])
            bias = causal_bias([len(prompts[row]) for row in chosen], longest, width, dtype)
            buckets.append(Bucket(start, width, prompt, bias))
    counted = [(row, at) for row in range(len(rows)) for at in range(lengths[row])]
    device = response.device
    return Plan(
        torch.tensor(token, device=device),
        torch.tensor(position, device=device),
        (len(distinct), longest),
        causal_bias(list(map(len, distinct)), 0, longest, dtype, padded=True).to(device),
        [Bucket(one.start, one.width, one.prompt.to(device), one.bias.to(device)) for one in buckets],
        torch.tensor([source[row][at] for row, at in counted], dtype=torch.long, device=device),
        torch.tensor([rows[row][at] for row, at in counted], dtype=torch.long, device=device),
        torch.tensor([row for row, _ in counted], dtype=torch.long, device=device),
        torch.tensor([at for _, at in counted], dtype=torch.long, device=device),
    )


def causal_bias(lengths: Sequence[int], before: int, width: int, dtype: torch.dtype, padded: bool = False) -> Tensor:
    """(rows, width, before + width) causal bias; the first ``before`` places, or the rows' own, are padded prompts.

    A place before a prompt's beginning sees itself, so that no softmax is over nothing.
    """
    causal = torch.full((width, width), float("-inf"), dtype=dtype).triu(1)
    bias = functional.pad(causal, (before, 0)).repeat(len(lengths), 1, 1)
    for row, length in enumerate(lengths):
        empty = (width if padded else before) - length
        bias[row, :, :empty] = float("-inf")
        if padded:
            bias[row].diagonal()[:empty] = 0
    return bias


def log_probs(model: LeanModel, packed: Plan, temperature: float) -> Tensor:
    """(Σ lengths,) log-probability of each response token under softmax(logits / temperature), row by row."""
    shape, (prompts, longest) = model.shape, packed.prompts
    x = model.model.embed_tokens(packed.token)
    cosine, sine = rotation(packed.position, frequencies(shape, model.device), model.dtype)
    count = prompts * longest
    for layer in model.layers:
        query, key, value = projected(layer, x, cosine, sine, shape)
        keys, values = (rows_of(part[:count], prompts) for part in (key, value))
        attended = [attention(rows_of(query[:count], prompts), keys, values, packed.prompt_bias)]
        for bucket in packed.buckets:
            size = len(bucket.prompt)
            here = slice(bucket.start, bucket.start + size * bucket.width)
            own_key, own_value = (rows_of(part[here], size) for part in (key, value))
            both_keys = torch.cat([keys.index_select(0, bucket.prompt), own_key], dim=2)
            both_values = torch.cat([values.index_select(0, bucket.prompt), own_value], dim=2)
            attended.append(attention(rows_of(query[here], size), both_keys, both_values, bucket.bias))
        x = joined(layer, x, torch.cat(attended), shape)
    last = unit_norm(x.index_select(0, packed.source), shape.epsilon) * model.model.norm.weight
    logits = functional.linear(last, model.lm_head.weight) / temperature
    return logits.log_softmax(dim=-1).gather(1, packed.target[:, None]).squeeze(1)


def joined(layer: Layer, x: Tensor, attended: Tensor, shape: Shape) -> Tensor:
    """(M, width) tokens after a layer, from those before it and (M, H · D) what attention found."""
    x = torch.addmm(x, attended, layer.self_attn.o_proj.weight.t())
    inner = functional.linear(unit_norm(x, shape.epsilon), layer.mlp.fused(layer.post_attention_layernorm))
    gate, up = inner.chunk(2, dim=-1)
    return torch.addmm(x, functional.silu(gate) * up, layer.mlp.down_proj.weight.t())


def projected(layer: Layer, x: Tensor, cosine: Tensor, sine: Tensor, shape: Shape) -> tuple[Tensor, Tensor, Tensor]:
    """(M, H, D) queries and (M, K, D) keys, both turned, and (M, K, D) values."""
    weight, bias = layer.self_attn.fused(layer.input_layernorm)
    parts = functional.linear(unit_norm(x, shape.epsilon), weight, bias).view(len(x), -1, shape.head_width)
    turned = rotated(parts[:, : shape.heads + shape.key_heads], cosine, sine)
    return turned[:, : shape.heads], turned[:, shape.heads :], parts[:, shape.heads + shape.key_heads :]


def rows_of(packed: Tensor, rows: int) -> Tensor:
    """(rows · width, heads, D) packed tokens as (rows, heads, width, D)."""
    return packed.view(rows, -1, *packed.shape[1:]).transpose(1, 2)


def attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """(rows · t, H · D) from (rows, H, t, D) queries over (rows, K, s, D) keys and values, biased by (rows, t, s)."""
    rows, heads, width, size = query.shape
    groups = key.shape[1]
    grouped = query.reshape(rows * groups, -1, size)
    scores = torch.bmm(grouped, key.reshape(rows * groups, -1, size).transpose(1, 2)) * size**-0.5
    scores = scores.view(rows, heads, width, -1) + bias[:, None]
    weights = scores.softmax(dim=-1).view(rows * groups, -1, scores.shape[-1])
    found = torch.bmm(weights, value.reshape(rows * groups, -1, size))
    return found.view(rows, heads, width, size).transpose(1, 2).reshape(rows * width, heads * size)
