"""A checkpoint of a random model with a chat template, problems for it, and evaluations of them."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from real.config import PAPER_EVALUATION
from real.evaluation.evaluate import evaluate
from real.tasks.problems import Problem

SETTINGS = PAPER_EVALUATION.model_copy(
    update={"samples": 3, "max_response_tokens": 12, "chunk_problems": 2, "temperature": 1.0}
)
SPECIAL = ("<pad>", "<eos>", "<|turn|>", "<think>", "</think>")
CONTEXT = 5000


def with_settings(**changes):
    return SETTINGS.model_copy(update=changes)


def byte_tokenizer(special: Sequence[str] = SPECIAL, words: Sequence[str] = ()) -> PreTrainedTokenizerFast:
    """A token per byte and five more, ``special`` being special, and one for each of some words.

    There is no padding token; the template opens the thinking.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE({token: i for i, token in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    core.add_special_tokens(list(special))
    core.add_tokens([*SPECIAL[len(special) :], *words])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<eos>")
    tokenizer.chat_template = (
        "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}<|turn|>{% endfor %}"
        "{% if add_generation_prompt %}<think>{% endif %}"
    )
    return tokenizer


def write_checkpoint(
    folder: Path, seed: int, width: int = 16, special: Sequence[str] = SPECIAL, words: Sequence[str] = ()
) -> Path:
    """A random Qwen2 of two heads whose responses end early, and often close their thinking or say one of the words."""
    torch.manual_seed(seed)
    tokenizer = byte_tokenizer(special, words)
    shape = {"hidden_size": width, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = Qwen2Config(
        vocab_size=len(tokenizer), num_key_value_heads=1, max_position_embeddings=CONTEXT, eos_token_id=257, **shape
    )
    model = Qwen2ForCausalLM(config)
    model.generation_config.eos_token_id = [257, 258]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(6.0 if parameter.dim() > 1 else 1.0)
        model.lm_head.weight[257:] *= 4.0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def asking(*texts: str, benchmark: str = "aime") -> list[Problem]:
    return [
        Problem(f"{benchmark}-{i}", benchmark, ({"role": "user", "content": text},), ("7",), "test")
        for i, text in enumerate(texts)
    ]


PROBLEMS = asking("What is 3 + 4?", "Σ of 1?", "x²", "a longer question than the others", r"\frac{7}{1}")


CODE = "c0de" * 4


def run(
    sampler, output: Path, problems=PROBLEMS, settings=SETTINGS, benchmark="aime", code=CODE, **versions
) -> pd.DataFrame:
    evaluate(sampler, {benchmark: problems}, settings, output, output / ".partial", 1, code, **versions)
    return pd.read_parquet(output / f"{benchmark}.parquet")


def files(folder: Path) -> dict[str, bytes]:
    """Content by name, but for the work folder and the provenance, which tells times."""
    paths = [path for path in folder.iterdir() if not path.name.startswith(".") and path.name != "provenance.json"]
    return {path.name: path.read_bytes() for path in paths}


class StopError(Exception):
    """Stands for a kill before a chunk is finished."""


class Counting:
    """A sampler that notes what it samples, and stops before chunk ``stop_at``."""

    def __init__(self, sampler, stop_at: int | None = None):
        self.name, self.identity, self.check = sampler.name, sampler.identity, sampler.check
        self.inner, self.stop_at, self.chunks = sampler, stop_at, []

    def sample(self, problems, samples):
        if len(self.chunks) == self.stop_at:
            raise StopError
        self.chunks.append([problem.problem_id for problem in problems])
        return self.inner.sample(problems, samples)
