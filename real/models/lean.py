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

from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias, Union, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from real.models.packing import Plan
from real.models.shapes import Shape

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Linear(nn.Module):
    """Weight (outputs, inputs) and bias of a projection; nothing is in them yet."""

    def __init__(self, inputs: int, outputs: int, bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None


class Attention(nn.Module):
    """Projections of one layer's attention."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        queries, keys = shape.heads * shape.head_width, shape.key_heads * shape.head_width
        self.q_proj = Linear(shape.width, queries, shape.bias)
        self.k_proj = Linear(shape.width, keys, shape.bias)
        self.v_proj = Linear(shape.width, keys, shape.bias)
        self.o_proj = Linear(queries, shape.width)

    def fused(self, norm: "Norm", head_width: int) -> tuple[Tensor, Tensor | None]:
        """Weight and bias of all three inner projections in one, with the norm's weight in it.

        Numbers of a query and of a key that rotary positions turn together stand side by side; checkpoints have them
        D/2 apart. Products of both are the same.
        """
        parts = (self.q_proj, self.k_proj, self.v_proj)
        (query, key, value), (query_bias, key_bias, value_bias) = zip(*((p.weight, p.bias) for p in parts), strict=True)
        weight = torch.cat([paired(query, head_width), paired(key, head_width), value]) * norm.weight
        if query_bias is None or key_bias is None or value_bias is None:
            return weight, None
        return weight, torch.cat([paired(query_bias, head_width), paired(key_bias, head_width), value_bias])


class Mlp(nn.Module):
    """SwiGLU."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = Linear(shape.width, shape.feed_forward)
        self.up_proj = Linear(shape.width, shape.feed_forward)
        self.down_proj = Linear(shape.feed_forward, shape.width)

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

    embed_tokens: Linear
    norm: Norm

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed_tokens = Linear(shape.width, shape.vocabulary)
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
        self.lm_head = Linear(shape.width, shape.vocabulary)
        self.tie()

    def tie(self) -> None:
        """Make the head the embedding, where the model has no other."""
        if self.shape.tied:
            self.lm_head.weight = self.model.embed_tokens.weight

    def embedded(self, token: Tensor) -> Tensor:
        """(M, width) of (M,) token ids."""
        # as in the library: reading the padding token has no gradient
        padding = getattr(self.config, "pad_token_id", None)
        return functional.embedding(token, self.model.embed_tokens.weight, padding)

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


def rotation(position: Tensor, frequency: Tensor, dtype: torch.dtype) -> Tensor:
    """(M, D/2) complex numbers of absolute value 1 that turn queries and keys at the given positions."""
    # in float32 as in the library, whatever the weights are in
    angle = position[:, None].float() * frequency
    exact = torch.promote_types(dtype, torch.float32)
    return torch.complex(angle.cos().to(exact), angle.sin().to(exact))


def unit_norm(x: Tensor, epsilon: float) -> Tensor:
    """RMSNorm without its weight; in float32 at least, as in the library."""
    exact = x.to(torch.promote_types(x.dtype, torch.float32))
    return (exact * torch.rsqrt((exact * exact).mean(dim=-1, keepdim=True) + epsilon)).to(x.dtype)


def rotated(x: Tensor, turn: Tensor) -> Tensor:
    """(M, heads, D) queries or keys, whose numbers stand in pairs, turned by the angles of their positions."""
    pairs = x.to(turn.real.dtype).reshape(*x.shape[:2], -1, 2)
    return torch.view_as_real(torch.view_as_complex(pairs) * turn[:, None]).view(x.shape).to(x.dtype)


def paired(rows: Tensor, head_width: int) -> Tensor:
    """(heads · D, ...) rows so ordered that what is turned together stands together; checkpoints have it D/2 apart."""
    return rows.view(-1, 2, head_width // 2, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape)


def log_probs(model: LeanModel, packed: Plan, temperature: float) -> Tensor:
    """(Σ lengths,) log-probability of each response token under softmax(logits / temperature), row by row."""
    shape = model.shape
    x = model.embedded(packed.token)
    turn = rotation(packed.position, frequencies(shape, model.device), model.dtype)
    # the same for every layer
    biases = [per_head(part.bias, shape) for part in packed.parts]
    for layer in model.layers:
        query, key, value = projected(layer, x, turn, shape)
        attended = []
        for part, bias in zip(packed.parts, biases, strict=True):
            here = slice(part.start, part.start + part.rows * part.width)
            keys, values = (rows_of(one[here], part.rows) for one in (key, value))
            if part.prompt is None:
                prompt_keys, prompt_values = keys, values
            else:
                keys = torch.cat([prompt_keys.index_select(0, part.prompt), keys], dim=2)
                values = torch.cat([prompt_values.index_select(0, part.prompt), values], dim=2)
            attended.append(attention(rows_of(query[here], part.rows), keys, values, bias))
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


def projected(layer: Layer, x: Tensor, turn: Tensor, shape: Shape) -> tuple[Tensor, Tensor, Tensor]:
    """(M, H, D) queries and (M, K, D) keys, both turned, and (M, K, D) values."""
    weight, bias = layer.self_attn.fused(layer.input_layernorm, shape.head_width)
    parts = functional.linear(unit_norm(x, shape.epsilon), weight, bias).view(len(x), -1, shape.head_width)
    turned = rotated(parts[:, : shape.heads + shape.key_heads], turn)
    return turned[:, : shape.heads], turned[:, shape.heads :], parts[:, shape.heads + shape.key_heads :]


def rows_of(packed: Tensor, rows: int) -> Tensor:
    """(rows · width, heads, D) packed tokens as (rows, heads, width, D)."""
    return packed.view(rows, -1, *packed.shape[1:]).transpose(1, 2)


def per_head(bias: Tensor, shape: Shape) -> Tensor:
    """(rows · K, H / K · t, s) from a bias (rows, t, s), as :func:`attention` takes it."""
    rows, width, seen = bias.shape
    return bias[:, None].expand(rows, shape.heads, width, seen).reshape(rows * shape.key_heads, -1, seen)


def attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """(rows · t, H · D) from (rows, H, t, D) queries over (rows, K, s, D) keys and values, with :func:`per_head`."""
    rows, heads, width, size = query.shape
    groups = key.shape[1]
    grouped, keys, values = (part.reshape(rows * groups, -1, size) for part in (query, key, value))
    weights = torch.baddbmm(bias, grouped, keys.transpose(1, 2), alpha=size**-0.5).softmax(dim=-1)
    return torch.bmm(weights, values).view(rows, heads, width, size).transpose(1, 2).reshape(rows * width, heads * size)
