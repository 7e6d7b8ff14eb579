"""What samplers of chat models share: prompts by the chat template, their check, and the text of sampled tokens."""

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase
from transformers.models.auto import AutoTokenizer

from real.config import ConfigError, Evaluation
from real.models.checkpoints import Checkpoint, CheckpointError, first_line, loading
from real.tasks.problems import Problem


class ChatSampler:
    """Base of the samplers of :mod:`real.models.protocol`, which add ``identity`` and ``sample``.

    Attributes:
        name: of the checkpoint, as it was asked for.
        settings: of sampling.
        tokenizer: of the checkpoint, with a chat template.
        config: of the model, as transformers reads it.
        ends: token ids that end a response.
        pad: token id that fills rows up.
    """

    name: str
    settings: Evaluation
    tokenizer: PreTrainedTokenizerBase
    config: Any
    ends: list[int]
    pad: int

    def check(self, problems: Sequence[Problem]) -> None:
        """Refuse a prompt that the tokenizer or the context can't hold; none is ever cut.

        Raises:
            ConfigError: prompt and response limit exceed the model's context.
            CheckpointError: the tokenizer yields ids that the model has no embedding for.
        """
        config = self.config.get_text_config()
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

    def _prompt(self, problem: Problem) -> list[int]:
        messages = [dict(message) for message in problem.prompt]
        try:
            text = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        except Exception as error:  # a template is code of the checkpoint's, in Jinja's sandbox: it may fail in any way
            raise CheckpointError(
                f"{self.name}: its chat template failed on {problem.problem_id} ({first_line(error)}); correct "
                "chat_template.jinja in a copy of the checkpoint"
            ) from None
        # the template has written the special tokens already
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def _text(self, ids: Sequence[int]) -> str:
        hidden = {*self.ends, self.pad}
        kept = [token for token in ids if token not in hidden]
        return str(self.tokenizer.decode(kept, skip_special_tokens=False, clean_up_tokenization_spaces=False))


def load_tokenizer(checkpoint: Checkpoint, trust_remote_code: bool = False) -> PreTrainedTokenizerBase:
    """The checkpoint's tokenizer.

    Args:
        trust_remote_code: whether Python code that it brings along may be run.

    Raises:
        CheckpointError: it can't be loaded, or has no chat template.
    """
    with loading(checkpoint.name):
        tokenizer = AutoTokenizer.from_pretrained(
            checkpoint.name, revision=checkpoint.revision or "main", trust_remote_code=trust_remote_code
        )
    if tokenizer.chat_template is None:
        raise CheckpointError(
            f"{checkpoint.name}: its tokenizer has no chat template, so no prompt can be written; add the template of "
            "the model family as chat_template.jinja to a copy of the checkpoint"
        )
    return tokenizer
