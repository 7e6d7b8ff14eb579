"""The policy: a Qwen2 by the lean forward, its log-probabilities, and checkpoints in Hugging Face format."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from real.config import Policy
from real.engines.finite import require_finite
from real.models.device import move
from real.models.forwards import Verdict, open_model
from real.models.lean import LeanModel, Model, log_probs
from real.models.lean_checkpoints import write_lean
from real.models.packing import plan
from real.models.shapes import read_shape
from real.system.files import writing
from real.tasks.arithmetic import EOS, PAD, TOKEN_ID, VOCABULARY, write_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# rows that share no prompt gain nothing from being run together; so many stay in a core's cache
ROWS_IN_CACHE = 32
# of a model by transformers: rows of similar length run through it together; fewer cost overhead, more cost padding
BUCKET_ROWS = 16
# of the first weights, transformers' own for this architecture
INITIAL_DEVIATION = 0.02


def build_policy(shape: Policy, max_tokens: int, seed: int) -> LeanModel:
    """A freshly initialised policy over the arithmetic vocabulary, with the weights that transformers gives this seed.

    Args:
        max_tokens: longest prompt plus response.
        seed: of the initialisation.
    """
    ends = {"eos_token_id": TOKEN_ID[EOS], "pad_token_id": TOKEN_ID[PAD]}
    config: dict[str, Any] = {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "vocab_size": len(VOCABULARY),
        "hidden_size": shape.hidden_size,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.attention_heads,
        "num_key_value_heads": shape.attention_heads,
        "intermediate_size": shape.feed_forward_size,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
        "max_position_embeddings": max_tokens,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        **ends,
    }
    read = read_shape(config)
    assert read is not None
    model = LeanModel(read, config, ends)
    draw_first_weights(model, torch.Generator().manual_seed(seed))
    model.model.embed_tokens.weight.detach()[TOKEN_ID[PAD]] = 0.0
    return model


@torch.no_grad()
def draw_first_weights(model: LeanModel, generator: torch.Generator) -> None:
    """Fill a model with a tied head by the numbers that transformers draws from the same stream.

    There torch initialises every module first, as it is built, and transformers then draws its own numbers over that.
    """
    weights = dict(model.model.named_parameters())
    for name, weight in weights.items():
        if name == "embed_tokens.weight":
            weight.normal_(generator=generator)
        elif "norm" not in name:
            weight.uniform_(generator=generator)
    for name, weight in weights.items():
        if weight.dim() > 1:
            weight.normal_(0.0, INITIAL_DEVIATION, generator=generator)
        else:
            weight.fill_(0.0 if name.endswith("bias") else 1.0)


def token_log_probs(
    model: Model, prompts: Sequence[Sequence[int]], response: Tensor, mask: Tensor, temperature: float
) -> Tensor:
    """Log-probability of every response token under softmax(logits / temperature).

    The lean forward computes a prompt once for all its rows. Rows of similar length run together, so that little of the
    work is padding; the result doesn't depend on which, beyond rounding.

    Args:
        prompts: N token lists.
        response: (N, T) token ids, padded on the right.
        mask: (N, T), 1 on response tokens.

    Returns:
        (N, T), with graph when gradients are enabled; 0 where ``mask`` is 0.
    """
    if not isinstance(model, LeanModel):
        return _library_log_probs(model, prompts, response, mask, temperature)
    length = mask.sum(dim=1).long()
    share = len(set(map(tuple, prompts))) < len(prompts)
    parts = []
    for rows in length.argsort(stable=True).split(len(prompts) if share else ROWS_IN_CACHE):
        chosen = [prompts[row] for row in rows.tolist()]
        packed = plan(chosen, response[rows], length[rows], model.dtype)
        parts.append((rows[packed.row], packed.column, log_probs(model, packed, temperature)))
    row, column, found = (torch.cat(part) for part in zip(*parts, strict=True))
    return found.new_zeros(response.shape).index_put((row, column), found)


def _library_log_probs(
    model: "PreTrainedModel", prompts: Sequence[Sequence[int]], response: Tensor, mask: Tensor, temperature: float
) -> Tensor:
    """See there; each row is run with its own prompt. Padding follows it, where causal attention never sees it."""
    prompt_length = torch.tensor([len(prompt) for prompt in prompts], device=response.device)
    response_length = mask.sum(dim=1)
    order = (prompt_length + response_length).argsort(stable=True)
    parts = [
        _bucket_log_probs(
            model, [prompts[i] for i in rows.tolist()], response[rows], response_length[rows], temperature
        )
        for rows in order.split(BUCKET_ROWS)
    ]
    width = response.shape[1]
    padded = torch.cat([torch.nn.functional.pad(part, (0, width - part.shape[1])) for part in parts])
    return padded[order.argsort()] * mask


def _bucket_log_probs(
    model: "PreTrainedModel", prompts: list[Sequence[int]], response: Tensor, length: Tensor, temperature: float
) -> Tensor:
    """(rows, longest response of the bucket) log-probs; positions past a row's length hold unused values."""
    width = max(int(length.max()), 1)
    start = torch.tensor([len(prompt) for prompt in prompts], device=response.device)
    padded = pad_sequence([torch.tensor(prompt) for prompt in prompts], batch_first=True)
    sequence = torch.nn.functional.pad(padded, (0, width)).to(response.device)
    response_at = start[:, None] + torch.arange(width, device=response.device)[None, :]
    sequence.scatter_(1, response_at, response[:, :width])
    hidden = model.model(input_ids=sequence, use_cache=False).last_hidden_state
    # the head runs on response positions only; the token at position t is predicted at t − 1
    rows = torch.arange(len(prompts), device=response.device)[:, None]
    logits = model.lm_head(hidden[rows, response_at - 1]) / temperature
    return logits.log_softmax(dim=-1).gather(-1, response[:, :width, None]).squeeze(-1)


def require_sound(
    model: Model, prompts: Sequence[Sequence[int]], response: Tensor, mask: Tensor, temperature: float
) -> None:
    """Raise FloatingPointError for a model whose parameters, or log-probs of the first rows, are not finite.

    Without it a model that an update has broken would show only at the next rollouts, and be saved before. Args as for
    :func:`token_log_probs`.
    """
    for name, parameter in model.named_parameters():
        require_finite(f"updated parameter {name}", parameter.detach())
    rows = slice(BUCKET_ROWS)
    with torch.no_grad():
        log_prob = token_log_probs(model, prompts[rows], response[rows], mask[rows], temperature)
    require_finite("updated policy's log-prob", log_prob)


def save_checkpoint(model: Model, folder: Path) -> None:
    """Write model and tokenizer as a Hugging Face checkpoint, replacing ``folder`` only once complete.

    Raises:
        WriteError: the disk is full or refuses; ``folder`` is as it was.
    """
    unfinished = folder.with_name(folder.name + ".partial")
    shutil.rmtree(unfinished, ignore_errors=True)
    with writing(folder, unfinished):
        write_tokenizer(unfinished)
        if isinstance(model, LeanModel):
            write_lean(model, unfinished)
        else:
            model.save_pretrained(unfinished)
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)


def load_checkpoint(folder: str | Path, device: torch.device, known: Verdict | None = None) -> Model:
    """The model of a checkpoint folder in float32 and evaluation mode; the task has a tokenizer of its own.

    Args:
        known: which forward it is run by; None: that is found out now, with transformers.

    Raises:
        CheckpointError: there is none, or it is damaged, incomplete, or more than data (code, pickles).
    """
    return move(open_model(Path(folder), known, torch.float32), device).eval()
