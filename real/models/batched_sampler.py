"""Batched sampling from any Hugging Face causal language model; finished rows leave the batch.

Prompts are run once and their cached keys and values are repeated for the G rollouts. Each (row, position) owns one
uniform number, drawn by the caller, and the token is read off the inverse cumulative distribution: what a row samples
does not depend on when other rows finish.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from real.models.lean import LeanModel, Model
from real.models.lean_decoder import LeanDecoder

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# compacting the cache costs about one decoding step, so it waits until this share of the active rows has finished
COMPACT_SHARE = 0.2


@dataclass
class Rollouts:
    """N = P·G sampled responses, rollouts of one prompt side by side; T is the longest of them.

    Attributes:
        response: (N, T) token ids, up to and including the first end token, then padding.
        mask: (N, T) 1 on response tokens.
        log_prob: (N, T) log-probability of each token under softmax(logits / temperature), 0 where masked.
        entropy: (N, T) entropy in nats of that distribution, 0 where masked.
        truncated: (N,) the limit was reached without an end token.
    """

    response: Tensor
    mask: Tensor
    log_prob: Tensor
    entropy: Tensor
    truncated: Tensor


@torch.no_grad()
def sample(
    model: Model,
    prompts: Sequence[Sequence[int]],
    uniform: Tensor,
    temperature: float,
    top_p: float,
    ends: Sequence[int] | None = None,
) -> Rollouts:
    """Sample the same number of responses, G, to each prompt.

    Args:
        prompts: P token lists.
        uniform: (P·G, response limit) numbers in [0, 1); a row's numbers decide its response.
        top_p: nucleus to draw from; log-probs and entropy are those of the full distribution.
        ends: token ids that end a response (default: the model's own).
    """
    device, pad = model.device, pad_token(model)
    end = torch.tensor(end_tokens(model) if ends is None else ends, dtype=torch.long, device=device)
    count, max_tokens = uniform.shape
    uniform = uniform.to(device)
    found = _nothing_sampled(count, max_tokens, pad, device)
    decoder = decoder_of(model, prompts, count // len(prompts))
    # of the rows in the batch, those that no end token has ended, by place; the one thing that is asked of the device
    # per token
    rows = live = torch.arange(count, device=device)
    for t in range(max_tokens):
        log_p = (decoder.logits.float() / temperature).log_softmax(dim=-1)
        probability = log_p.exp()
        token = _draw(probability, uniform[rows, t], top_p)
        running, drawn = rows[live], token[live]
        found.response[running, t] = drawn
        found.mask[running, t] = 1
        found.log_prob[running, t] = log_p[live, drawn]
        found.entropy[running, t] = -(probability * log_p).sum(dim=1)[live]
        goes_on = ~torch.isin(drawn, end)
        found.truncated[running] = goes_on
        live = live[goes_on]
        if len(live) == 0 or t == max_tokens - 1:
            break
        if len(live) <= (1 - COMPACT_SHARE) * len(rows):
            decoder.keep(live)
            rows, token = rows[live], token[live]
            live = torch.arange(len(rows), device=device)
        decoder.step(token)
    per_token = (found.response, found.mask, found.log_prob, found.entropy)
    response, mask, log_prob, entropy = (values[:, : t + 1] for values in per_token)
    return Rollouts(response, mask, log_prob, entropy, found.truncated)


def end_tokens(model: Model) -> list[int]:
    """Ids that end a response: those of the generation config, else of the model's; several in many chat models."""
    for config in (model.generation_config, model.config):
        ids = getattr(config, "eos_token_id", None)
        if ids is not None:
            return [ids] if isinstance(ids, int) else list(ids)
    return []


def pad_token(model: Model) -> int:
    """Id that fills rows up; where the model names none, an end token, or 0: masks tell it from a real one."""
    pad = getattr(model.config, "pad_token_id", None)
    return pad if pad is not None else next(iter(end_tokens(model)), 0)


def _nothing_sampled(count: int, max_tokens: int, pad: int, device: torch.device) -> Rollouts:
    """Room for ``count`` responses up to the limit."""
    response = torch.full((count, max_tokens), pad, device=device)
    log_prob, entropy = torch.zeros(2, count, max_tokens, device=device)
    truncated = torch.ones(count, dtype=torch.bool, device=device)
    return Rollouts(response, torch.zeros_like(response), log_prob, entropy, truncated)


class Decoder(Protocol):
    """N = P·G rows that are decoded together; ``logits`` (n, V) are those of each row's next token."""

    logits: Tensor

    def keep(self, rows: Tensor) -> None:
        """Let all other rows go."""

    def step(self, token: Tensor) -> None:
        """Take one more (n,) token per row."""


def decoder_of(model: Model, prompts: Sequence[Sequence[int]], rollouts: int) -> Decoder:
    """A decoder of as many rows per prompt, with the prompts run."""
    if isinstance(model, LeanModel):
        return LeanDecoder(model, prompts, rollouts)
    return LibraryDecoder(model, prompts, rollouts)


class LibraryDecoder:
    """Decoding by transformers, for any architecture that it has."""

    def __init__(self, model: "PreTrainedModel", prompts: Sequence[Sequence[int]], rollouts: int) -> None:
        from transformers import DynamicCache

        self.model = model
        rows = [torch.tensor(prompt, device=model.device) for prompt in prompts]
        padded = pad_sequence(rows, batch_first=True, padding_value=pad_token(model), padding_side="left")
        self.seen = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True, padding_side="left")
        self.cache = DynamicCache(config=model.config)
        logits = self._forward(padded)
        self.cache.batch_repeat_interleave(rollouts)
        self.logits, self.seen = (part.repeat_interleave(rollouts, dim=0) for part in (logits, self.seen))

    def keep(self, rows: Tensor) -> None:
        """See :class:`Decoder`."""
        self.cache.batch_select_indices(rows)
        self.seen = self.seen[rows]

    def step(self, token: Tensor) -> None:
        """See there."""
        self.seen = torch.nn.functional.pad(self.seen, (0, 1), value=1)
        self.logits = self._forward(token[:, None])

    def _forward(self, tokens: Tensor) -> Tensor:
        """Logits of the last position after ``tokens`` (n, s) join the cache; ``seen`` marks real positions."""
        position = (self.seen.cumsum(dim=1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
        # the whole model, not its parts: some architectures scale or cap the logits after the head
        return self.model(
            input_ids=tokens,
            attention_mask=self.seen,
            position_ids=position,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]


def _draw(probability: Tensor, uniform: Tensor, top_p: float) -> Tensor:
    """Inverse-CDF draw: (n, V) probabilities and (n,) uniform numbers in [0, 1) to (n,) token ids."""
    if top_p < 1.0:
        ordered, index = probability.sort(dim=1, descending=True, stable=True)
        # keep the smallest set whose mass reaches top_p: a token stays if the mass before it is below top_p
        ordered = ordered * (ordered.cumsum(dim=1) - ordered < top_p)
        probability = torch.zeros_like(probability).scatter(1, index, ordered)
    cumulative = probability.cumsum(dim=1)
    target = (uniform * cumulative[:, -1])[:, None]
    return (cumulative <= target).sum(dim=1).clamp(max=probability.shape[1] - 1)
