"""Sampling of problems from any Hugging Face checkpoint by transformers: chat template in, text out."""

from collections.abc import Sequence

import torch

from real.config import ConfigError, Evaluation
from real.models.batched_sampler import sample
from real.models.chat import Response, Sampler, sample_seed
from real.models.device import move, prepare_torch
from real.tasks.problems import Problem


class TransformersSampler(Sampler):
    """A sampler of one checkpoint on one device."""

    library = "transformers"

    def __init__(self, name: str, settings: Evaluation, device: str, trust_remote_code: bool = False):
        """Load the checkpoint; see :class:`Sampler`.

        Raises:
            ConfigError: the device is missing.
        """
        place = prepare_torch(device)
        super().__init__(name, settings, device, trust_remote_code)
        self.model = move(self.model, place).eval()

    def sample(self, problems: Sequence[Problem], samples: int) -> list[Response]:
        """``samples`` responses to each problem, side by side; see :class:`Sampler`.

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
