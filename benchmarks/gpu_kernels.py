"""What the head, attention and the temperature cost and round at the paper's geometry, by the kernels that are at hand.

- *Head*: log-probs of packed tokens over the vocabulary, from hidden states. ``loop``: verl's fallback where flash-attn
  is missing, one log_softmax a token (``logprobs_from_logits_v2`` of verl/utils/torch_functional.py). ``chunks``: a
  cross-entropy of 1,024 tokens at a time. ``fused, torch`` and ``fused, triton``: verl's linear cross-entropies, which
  never hold the logits.
- *Attention*: packed sequences. ``mask``: the dense block-diagonal mask that transformers builds for sdpa.
  ``per sequence``: a causal call for each. ``flex``: flex_attention's block mask. ``varlen``: torch's own kernel for
  packed sequences.
- *Temperature*: bf16 logits divided by the temperature in bf16, as verl's FSDP engine does without a fused head,
  against float32, as vLLM does: the Kullback-Leibler divergence that rounding alone makes. Logits are random ones whose
  distribution is about as peaked as a language model's; real ones can differ.
"""

import inspect
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.turns import clock_of

Row = dict[str, Any]
TEMPERATURE = 0.6


def measured(run: Callable[[], object], device: str, turns: int = 5) -> tuple[float, float | None]:
    """Median seconds of a call after a first one, and the peak of its memory in GiB."""
    clock = clock_of(device)
    run()
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    seconds = []
    for _ in range(turns):
        begin = clock()
        run()
        seconds.append(clock() - begin)
    return median(seconds), torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else None


def tried(row: Row, measure: Callable[[], Row]) -> Row:
    """The row with what ``measure`` found, or with why there is nothing: one kernel must not stop the next."""
    try:
        return row | measure()
    except Exception as error:  # out of memory, a kernel that this card or build lacks
        return row | {"failed": f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:120]}"}


# --- head


def loop_head(hidden: Tensor, weight: Tensor, label: Tensor) -> Tensor:
    """(T,) log-probs by one log_softmax a token, as verl's fallback."""
    logits = (hidden @ weight.T) / TEMPERATURE
    rows = [functional.log_softmax(row, -1).gather(-1, at[None])[0] for row, at in zip(logits, label, strict=True)]
    return torch.stack(rows)


def chunked_head(hidden: Tensor, weight: Tensor, label: Tensor) -> Tensor:
    """The same from float32 logits of 1,024 tokens at a time."""
    parts = zip(hidden.split(1024), label.split(1024), strict=True)
    return torch.cat(
        [-functional.cross_entropy((part @ weight.T).float() / TEMPERATURE, at, reduction="none") for part, at in parts]
    )


def fused_torch_head(hidden: Tensor, weight: Tensor, label: Tensor) -> Tensor:
    """The same by verl's chunked linear cross-entropy in torch."""
    from verl.utils.experimental.torch_functional import FusedLinearForPPO

    return FusedLinearForPPO()(hidden[None], weight, label[None], TEMPERATURE)[0][0]


def fused_triton_head(hidden: Tensor, weight: Tensor, label: Tensor) -> Tensor:
    """The same by verl's Triton kernel."""
    from verl.utils.kernel.linear_cross_entropy import linear_cross_entropy

    return linear_cross_entropy(hidden, weight, label, TEMPERATURE, "none")[0]


def head(device: str, tokens: int, width: int, words: int) -> Iterator[Row]:
    """Rows of the heads: time and memory with and without gradients, and their error against float64."""
    sides = {
        "loop": loop_head,
        "chunks": chunked_head,
        "fused, torch": fused_torch_head,
        **({"fused, triton": fused_triton_head} if device == "cuda" else {}),
    }
    hidden = torch.randn(tokens, width, device=device).bfloat16().requires_grad_()
    weight = (4 * width**-0.5 * torch.randn(words, width, device=device)).bfloat16().requires_grad_()
    label = torch.randint(words, (tokens,), device=device)
    with torch.no_grad():
        few = slice(min(tokens, 256))
        logits = hidden[few].double() @ weight.double().T / TEMPERATURE
        exact = logits.log_softmax(-1).gather(-1, label[few, None])[:, 0]
    del logits
    for name, side in sides.items():

        def measure(side: Callable[[Tensor, Tensor, Tensor], Tensor] = side) -> Row:
            with torch.no_grad():
                found = side(hidden[few], weight, label[few])
                passing, passing_peak = measured(lambda: side(hidden, weight, label), device)
            # of ones that stand in memory, which verl's kernel asks for
            update, peak = measured(
                lambda: torch.autograd.grad(out := side(hidden, weight, label), (hidden, weight), torch.ones_like(out)),
                device,
            )
            return {
                "no gradient, us a token": 1e6 * passing / tokens,
                "with gradient, us a token": 1e6 * update / tokens,
                "peak GiB, no gradient": passing_peak,
                "peak GiB, with gradient": peak,
                "largest error": float((found.double() - exact).abs().max()),
            }

        yield tried({"what": "head", "side": name, "tokens": tokens, "words": words}, measure)


# --- attention


def attention(device: str, lengths: list[int], heads: int, width: int) -> Iterator[Row]:
    """Rows of one layer's attention over packed sequences: time, memory, and its difference from per-sequence calls."""
    tokens, dtype = sum(lengths), torch.bfloat16 if device == "cuda" else torch.float32
    q, k, v = (torch.randn(1, heads, tokens, width, device=device, dtype=dtype, requires_grad=True) for _ in range(3))
    length = torch.tensor(lengths, device=device)
    sequence = torch.repeat_interleave(torch.arange(len(lengths), device=device), length)

    def masked() -> Tensor:
        place = torch.arange(tokens, device=device)
        mask = (sequence[:, None] == sequence[None]) & (place[:, None] >= place[None])
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask[None, None])

    def apart() -> Tensor:
        parts = zip(*(x.split(lengths, 2) for x in (q, k, v)), strict=True)
        return torch.cat([functional.scaled_dot_product_attention(*part, is_causal=True) for part in parts], 2)

    sides = {"per sequence": apart, "mask": masked}
    if device == "cuda":
        sides |= {"flex": _flex(q, k, v, sequence), "varlen": _varlen(q, k, v, length)}
    expected, upstream = apart().detach(), torch.randn(1, heads, tokens, width, device=device, dtype=dtype)
    for name, side in sides.items():

        def measure(side: Callable[[], Tensor] = side) -> Row:
            with torch.no_grad():
                error = float((side() - expected).abs().max())
                forward, _ = measured(side, device)
            both, peak = measured(lambda: torch.autograd.grad(side(), (q, k, v), upstream), device)
            return {
                "forward, ms": 1e3 * forward,
                "forward and backward, ms": 1e3 * both,
                "peak GiB": peak,
                "difference": error,
            }

        yield tried({"what": "attention", "side": name, "tokens": tokens, "sequences": len(lengths)}, measure)


def _flex(q: Tensor, k: Tensor, v: Tensor, sequence: Tensor) -> Callable[[], Tensor]:
    """flex_attention with a block mask, which transformers makes once a forward pass; here it is in every call."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    compiled, make_mask = torch.compile(flex_attention), torch.compile(create_block_mask)
    tokens = len(sequence)

    def rule(batch: Tensor, head: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return (sequence[i] == sequence[j]) & (i >= j)

    return lambda: compiled(
        q, k, v, block_mask=make_mask(rule, None, None, tokens, tokens, device=str(sequence.device))
    )


def _varlen(q: Tensor, k: Tensor, v: Tensor, length: Tensor) -> Callable[[], Tensor]:
    """torch's attention over packed sequences, which has flash attention inside."""

    from torch.nn.attention.varlen import varlen_attn

    # its name changed between torch 2.10 and 2.13
    windowed = "window_size" in inspect.signature(varlen_attn).parameters
    causal: dict[str, Any] = {"window_size": (-1, 0)} if windowed else {"is_causal": True}

    def side() -> Tensor:
        ends = functional.pad(length.cumsum(0), (1, 0)).int()
        longest = int(length.max())
        packed = (x[0].transpose(0, 1) for x in (q, k, v))
        found = varlen_attn(*packed, ends, ends, longest, longest, **causal)
        return found.transpose(0, 1)[None]

    return side


# --- temperature


def rounding_divergence(logits: Tensor, temperature: float) -> float:
    """Mean over tokens of the KL between softmax(logits / T) in float32 and of the quotient rounded to bf16.

    Args:
        logits: (T, V) in bf16.
    """
    sampler = (logits.float() / temperature).log_softmax(-1)
    rounded = (logits / torch.tensor(temperature, device=logits.device).bfloat16()).float().log_softmax(-1)
    return float((sampler.double().exp() * (sampler.double() - rounded.double())).sum(-1).mean())


def temperature(device: str, tokens: int, words: int) -> Iterator[Row]:
    """Rows of the divergence at the paper's temperature and at 1."""
    generator = torch.Generator(device).manual_seed(0)
    logits = 2.5 * torch.randn(tokens, words, device=device, generator=generator)
    # a few words share most of the mass, as in text
    logits[:, :4] += torch.tensor([18.0, 15.0, 12.0, 9.0], device=device) * torch.rand(
        tokens, 1, device=device, generator=generator
    )
    logits = logits.bfloat16()
    for value in (TEMPERATURE, 1.0):
        divergence = rounding_divergence(logits, value)
        yield {"what": "temperature", "side": f"T = {value}", "tokens": tokens, "words": words, "KL": divergence}


def kernels(device: str) -> Iterator[Row]:
    """All rows of this part: the 1.5B model's sizes on a GPU, tiny ones on a CPU."""
    torch.manual_seed(0)
    if device == "cuda":
        yield from attention(device, [4608] * 8, heads=12, width=128)
        yield from temperature(device, 2048, 151_936)
        yield from head(device, 8192, 1536, 151_936)
    else:
        yield from attention(device, [64, 32, 96], heads=2, width=16)
        yield from temperature(device, 64, 500)
        yield from head(device, 64, 32, 500)
