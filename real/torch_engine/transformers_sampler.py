"""Sampling of problems from any Hugging Face checkpoint by transformers: chat template in, text out."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.models.auto import AutoModelForCausalLM, AutoTokenizer

from real.checkpoints import Checkpoint, CheckpointError, find_checkpoint, first_line
from real.config import ConfigError, Evaluation
from real.problems import Problem
from real.provenance import code_digest, versions
from real.sampling import Response, sample_seed
from real.torch_engine.policy import move, prepare_torch
from real.torch_engine.sampler import end_tokens, pad_token, sample


class TransformersSampler:
    """A :class:`real.sampling.Sampler` of one checkpoint on one device."""

    def __init__(self, name: str, settings: Evaluation, device: str):
        """Load the checkpoint ``name``, a folder or a hub id.

        Raises:
            CheckpointError: it can't be found or loaded, or its tokenizer has no chat template.
            ConfigError: the device is missing.
        """
        self.name, self.settings, self.device = name, settings, prepare_torch(device)
        checkpoint = find_checkpoint(name)
        self.model, self.tokenizer = _load(checkpoint, self.device)
        self.ends = sorted({*end_tokens(self.model), self.tokenizer.eos_token_id} - {None})
        self.identity: dict[str, Any] = {
            "checkpoint": checkpoint.content,
            "library": "transformers",
            "device": device,
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "packages": versions("torch", "transformers"),
            "code": code_digest(__name__),
        }

    def check(self, problems: Sequence[Problem]) -> None:
        """Refuse a prompt that the tokenizer or the context can't hold; none is ever cut.

        Raises:
            ConfigError: prompt and response limit exceed the model's context.
            CheckpointError: the tokenizer yields ids that the model has no embedding for.
        """
        config = self.model.config.get_text_config()
        context, vocabulary = getattr(config, "max_position_embeddings", None), config.vocab_size
        limit = self.settings.max_response_tokens
        for problem in problems:
            ids = self._prompt(problem)
            if max(ids) >= vocabulary:
                raise CheckpointError(
                    f"{self.name}: its tokenizer writes {problem.problem_id} with token {max(ids)}, but its model has "
                    f"{vocabulary} embeddings; give the checkpoint the tokenizer it was trained with"
                )
            if context is not None and len(ids) + limit > context:
                raise ConfigError(
                    f"{self.name}: the prompt of {problem.problem_id} has {len(ids)} tokens and the response limit is "
                    f"{limit}, together more than the model's context of {context}; set evaluation.max_response_tokens "
                    f"(--max-response-tokens) to at most {context - len(ids)}"
                )

    def sample(self, problems: Sequence[Problem], samples: int) -> list[Response]:
        """``samples`` responses to each problem, side by side; see :class:`real.sampling.Sampler`.

        Raises:
            ConfigError: the device's memory can't hold problems · samples rows.
        """
        settings = self.settings
        seeds = [sample_seed(settings.seed, problem.problem_id, k) for problem in problems for k in range(samples)]
        generators = (torch.Generator().manual_seed(seed) for seed in seeds)
        uniform = torch.stack([torch.rand(settings.max_response_tokens, generator=g) for g in generators])
        prompts = [self._prompt(problem) for problem in problems]
        try:
            rollouts = sample(self.model, prompts, uniform, settings.temperature, settings.top_p, self.ends)
        except torch.OutOfMemoryError:
            raise ConfigError(
                f"evaluation.chunk_problems is {settings.chunk_problems}: {len(seeds)} responses of up to "
                f"{settings.max_response_tokens} tokens at once don't fit the device's memory; set it "
                "(--chunk-problems) to a smaller number"
            ) from None
        lengths, truncated = rollouts.mask.sum(dim=1).tolist(), rollouts.truncated.tolist()
        texts = [self._text(ids[:length]) for ids, length in zip(rollouts.response.tolist(), lengths, strict=True)]
        return [Response(*row) for row in zip(texts, lengths, truncated, strict=True)]

    def _prompt(self, problem: Problem) -> list[int]:
        messages = [dict(message) for message in problem.prompt]
        text = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        # the template has written the special tokens already
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def _text(self, ids: list[int]) -> str:
        hidden = {*self.ends, pad_token(self.model)}
        kept = [token for token in ids if token not in hidden]
        return str(self.tokenizer.decode(kept, skip_special_tokens=False, clean_up_tokenization_spaces=False))


def _load(checkpoint: Checkpoint, device: torch.device) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Model (evaluation mode) and tokenizer; float32 on a CPU, the stored precision on a GPU."""
    where: dict[str, Any] = {"revision": checkpoint.revision or "main"}
    options = {"dtype": torch.float32 if device.type == "cpu" else "auto", "output_loading_info": True}
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(checkpoint.name, **where, **options)
        tokenizer = AutoTokenizer.from_pretrained(checkpoint.name, **where)
    except Exception as error:  # transformers, safetensors and tokenizers each have their own
        raise CheckpointError(
            f"{checkpoint.name}: could not be loaded as a causal language model with its tokenizer "
            f"({first_line(error)}); check that the checkpoint is complete"
        ) from None
    model, info = loaded
    if info["missing_keys"]:
        # transformers would fill them with random numbers and go on
        raise CheckpointError(
            f"{checkpoint.name}: holds no weights for {len(info['missing_keys'])} of the model's parameters, "
            f"{min(info['missing_keys'])} among them; check that the checkpoint is complete"
        )
    if tokenizer.chat_template is None:
        raise CheckpointError(
            f"{checkpoint.name}: its tokenizer has no chat template, so no prompt can be written; add the template of "
            "the model family as chat_template.jinja to a copy of the checkpoint"
        )
    return move(model, device).eval(), tokenizer
