"""What an evaluation asks of a sampler, so that one library can take another's place, and what all samplers share."""

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from tqdm import tqdm

from real.config import ConfigError, Evaluation
from real.models.batched_sampler import end_tokens
from real.models.checkpoints import CheckpointError, find_checkpoint, first_line
from real.models.lean import LeanModel, Model
from real.models.tokenizer import open_tokenizer
from real.system.code import versions
from real.tasks.problems import Problem


@dataclass(frozen=True)
class Response:
    """One sampled answer.

    Attributes:
        text: without padding and end tokens, but with every other special token, such as ``</think>``.
        tokens: sampled tokens, the end token included.
        truncated: the limit was reached without an end token.
    """

    text: str
    tokens: int
    truncated: bool


class Sampler(ABC):
    """A checkpoint with the settings it is sampled by: prompts by its chat template, the text of sampled tokens.

    Attributes:
        packages: versions of what it needs besides torch, the tokenizer's packages and transformers.
        identity: everything besides problem, settings and this repository's code that a response depends on, as JSON
            can hold it: responses of another identity are never mixed in.
        model: in the stored precision; float32 on a CPU.
        longest_prompt: tokens of it, of those that were checked.
        ends: token ids that end a response.
    """

    packages: ClassVar[Mapping[str, str]] = {}

    def __init__(self, name: str, settings: Evaluation, device: str, trust_remote_code: bool = False) -> None:
        """Read the checkpoint ``name``, a folder or a hub id.

        Args:
            trust_remote_code: whether Python code that it brings along may be run.

        Raises:
            CheckpointError: it can't be found or loaded, is more than data, lacks weights, or its tokenizer has no chat
                template.
        """
        self.name, self.settings, self.device, self.trust_remote_code = name, settings, device, trust_remote_code
        self.revision, content = find_checkpoint(name, trust_remote_code)
        self.model = self._open(torch.float32 if device == "cpu" else None)
        self.tokenizer = open_tokenizer(name, self.revision, trust_remote_code)
        if not self.tokenizer.has_template:
            raise CheckpointError(
                f"{name}: its tokenizer has no chat template, so no prompt can be written; add the template of the "
                "model family as chat_template.jinja to a copy of the checkpoint"
            )
        self.longest_prompt = 0
        end = self.tokenizer.end
        self.ends = sorted({*end_tokens(self.model), *([] if end is None else [end])})
        needed = {"torch", *self.tokenizer.packages, *(() if isinstance(self.model, LeanModel) else ("transformers",))}
        self.identity: dict[str, Any] = {
            "checkpoint": content,
            "library": self.library,
            "device": device,
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "packages": {**self.packages, **versions(*sorted(needed))},
        }

    @property
    @abstractmethod
    def library(self) -> str:
        """What samples."""

    @abstractmethod
    def _open(self, dtype: torch.dtype | None) -> Model:
        """The model; None: in the stored precision."""

    @abstractmethod
    def sample(self, problems: Sequence[Problem], samples: int) -> list[Response]:
        """``samples`` responses to each problem, side by side in the problems' order.

        Response k to a problem is drawn by :func:`sample_seed`, so it doesn't depend on the problems beside it but for
        rounding, which may depend on the batch.
        """

    def check(self, problems: Sequence[Problem]) -> None:
        """Refuse a prompt that the tokenizer or the context can't hold; none is ever cut. Warn of an odd chat template.

        Raises:
            ConfigError: prompt and response limit exceed the model's context.
            CheckpointError: the chat template fails or writes nothing, or the tokenizer yields ids that the model has
                no embedding for.
        """
        config: Any = self.model.config
        if not isinstance(self.model, LeanModel):
            config = config.get_text_config()
        context, vocabulary = getattr(config, "max_position_embeddings", None), config.vocab_size
        limit = self.settings.max_response_tokens
        if problems and not self.longest_prompt and self._written(problems[0]) == self._written(problems[0], False):
            tqdm.write(
                f"{self.name}: warning: its chat template writes no generation prompt, so the model isn't told that "
                "the assistant's turn begins; if it needs one, add it to its chat_template.jinja in a copy"
            )
        for problem in problems:
            ids = self._prompt(problem)
            self.longest_prompt = max(self.longest_prompt, len(ids))
            if max(ids) >= vocabulary:
                raise CheckpointError(
                    f"{self.name}: its tokenizer writes {problem.problem_id} with token {max(ids)}, but its model has "
                    f"{vocabulary} embeddings; give the checkpoint the tokenizer it was trained with"
                )
            if context is not None and len(ids) + limit > context:
                room = context - len(ids)
                remedy = (
                    f"set evaluation.max_response_tokens (--max-response-tokens) to at most {room}"
                    if room > 0
                    else "take a model with a longer context, or leave the benchmark out"
                )
                raise ConfigError(
                    f"{self.name}: the prompt of {problem.problem_id} has {len(ids)} tokens and the response limit is "
                    f"{limit}, together more than the model's context of {context}; {remedy}"
                )

    def _prompt(self, problem: Problem) -> list[int]:
        # the template has written the special tokens already
        ids = self.tokenizer.encode(self._written(problem))
        if not ids:
            raise CheckpointError(
                f"{self.name}: its chat template writes nothing for {problem.problem_id}, so there is no prompt; "
                "correct chat_template.jinja in a copy of the checkpoint"
            )
        return ids

    def _written(self, problem: Problem, generation_prompt: bool = True) -> str:
        try:
            return self.tokenizer.write(problem.prompt, generation_prompt)
        except Exception as error:  # a template is code of the checkpoint's, in Jinja's sandbox: it may fail in any way
            raise CheckpointError(
                f"{self.name}: its chat template failed on {problem.problem_id} ({first_line(error)}); correct "
                "chat_template.jinja in a copy of the checkpoint"
            ) from None

    def _text(self, ids: Sequence[int]) -> str:
        """The text of sampled tokens, without the end token that may stand last; none of them is padding."""
        kept = list(ids[:-1] if ids and ids[-1] in self.ends else ids)
        return self.tokenizer.decode(kept)


def sample_seed(seed: int, problem_id: str, sample: int) -> int:
    """Seed (63 bits) of one sample of one problem."""
    return random.Random(f"evaluate {seed} {problem_id} {sample}").getrandbits(63)
