"""Sampling of problems from any Hugging Face checkpoint by transformers: chat template in, text out."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.models.auto import AutoModelForCausalLM

from real.config import ConfigError, Evaluation
from real.models.batched_sampler import end_tokens, pad_token, sample
from real.models.chat import ChatSampler, load_tokenizer
from real.models.checkpoints import Checkpoint, find_checkpoint, loading, refuse_missing_weights
from real.models.device import move, prepare_torch
from real.models.protocol import Response, sample_seed
from real.system.code import versions
from real.tasks.problems import Problem


class TransformersSampler(ChatSampler):
    """A :class:`real.models.protocol.Sampler` of one checkpoint on one device."""

    def __init__(self, name: str, settings: Evaluation, device: str, trust_remote_code: bool = False):
        """Load the checkpoint ``name``, a folder or a hub id.

        Args:
            trust_remote_code: whether Python code that it brings along may be run.

        Raises:
            CheckpointError: it can't be found or loaded, is more than data, or its tokenizer has no chat template.
            ConfigError: the device is missing.
        """
        self.name, self.settings, self.device = name, settings, prepare_torch(device)
        checkpoint = find_checkpoint(name, trust_remote_code)
        self.model = _load(checkpoint, self.device, trust_remote_code)
        self.tokenizer = load_tokenizer(checkpoint, trust_remote_code)
        self.config, self.pad = self.model.config, pad_token(self.model)
        self.ends = sorted({*end_tokens(self.model), self.tokenizer.eos_token_id} - {None})
        self.identity: dict[str, Any] = {
            "checkpoint": checkpoint.content,
            "library": "transformers",
            "device": device,
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "packages": versions("torch", "transformers"),
        }

    def sample(self, problems: Sequence[Problem], samples: int) -> list[Response]:
        """``samples`` responses to each problem, side by side; see :class:`real.models.protocol.Sampler`.

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


def _load(checkpoint: Checkpoint, device: torch.device, trust_remote_code: bool) -> PreTrainedModel:
    """The model in evaluation mode; float32 on a CPU, the stored precision on a GPU."""
    with loading(checkpoint.name):
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            checkpoint.name,
            revision=checkpoint.revision or "main",
            dtype=torch.float32 if device.type == "cpu" else "auto",
            use_safetensors=True,
            trust_remote_code=trust_remote_code,
            output_loading_info=True,
        )
    model, info = loaded
    refuse_missing_weights(checkpoint.name, info)
    return move(model, device).eval()
