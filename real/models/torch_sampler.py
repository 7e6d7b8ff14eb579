"""Sampling of problems from a Hugging Face checkpoint in torch: chat template in, text out."""

from collections.abc import Sequence
from pathlib import Path

import torch

from real.config import ConfigError, Evaluation
from real.models.batched_sampler import sample
from real.models.chat import Response, Sampler, sample_seed
from real.models.checkpoints import load_model
from real.models.device import move, prepare_torch
from real.models.forwards import Verdict, open_model
from real.models.lean import LeanModel, Model
from real.tasks.problems import Problem


class TorchSampler(Sampler):
    """A sampler of one checkpoint on one device."""

    def __init__(
        self,
        name: str,
        settings: Evaluation,
        device: str,
        trust_remote_code: bool = False,
        known: Verdict | None = None,
        lean: bool = True,
    ) -> None:
        """Load the checkpoint; see :class:`Sampler`.

        Args:
            known: which forward a folder is run by; see :func:`open_model`.
            lean: False: by transformers' forward, whatever is known.

        Raises:
            ConfigError: the device is missing.
        """
        place = prepare_torch(device)
        self._known, self._lean = known, lean
        super().__init__(name, settings, device, trust_remote_code)
        self.model = move(self.model, place).eval()

    @property
    def library(self) -> str:
        """``lean``, which is this repository's own forward, or ``transformers``."""
        return "lean" if isinstance(self.model, LeanModel) else "transformers"

    def _open(self, dtype: torch.dtype | None) -> Model:
        if self._lean and self.revision is None:
            return open_model(Path(self.name), self._known, dtype, self.trust_remote_code)
        # the files of a hub id are the library's to find
        return load_model(self.name, self.revision, dtype, self.trust_remote_code)

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
