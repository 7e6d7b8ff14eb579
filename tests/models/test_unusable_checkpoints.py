"""A checkpoint, a prompt or a device that an evaluation can't use is named in one sentence."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from real.config import ConfigError
from real.models.checkpoints import CheckpointError
from real.models.torch_sampler import TorchSampler
from tests.support.random_checkpoint import CONTEXT, PROBLEMS, SETTINGS, asking, run


def test_an_unreachable_hub_is_one_sentence(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match=r"nobody/nothing: no such folder, and the Hugging Face hub gave nothing"):
        TorchSampler("nobody/nothing", SETTINGS, "cpu")


def copied(checkpoint: Path, folder: Path) -> Path:
    folder.mkdir()
    for path in checkpoint.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda folder: (folder / "config.json").unlink(), "holds no Hugging Face checkpoint"),
        (lambda folder: (folder / "model.safetensors").unlink(), "holds no weights as *.safetensors; pickled"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"cut"), "could not be loaded as a causal"),
        (lambda folder: (folder / "config.json").write_text("{}"), "could not be loaded as a causal language model"),
        (lambda folder: (folder / "chat_template.jinja").unlink(), "its tokenizer has no chat template"),
        (
            lambda folder: save_file(
                {k: v for k, v in load_file(folder / "model.safetensors").items() if k != "lm_head.weight"},
                folder / "model.safetensors",
                {"format": "pt"},
            ),
            "holds no weights for 1 of the model's parameters, lm_head.weight among them",
        ),
    ],
    ids=["no config", "no weights", "damaged weights", "no model", "no chat template", "weights missing"],
)
def test_an_unusable_checkpoint_is_one_sentence(checkpoint, tmp_path, spoil, sentence):
    folder = copied(checkpoint, tmp_path / "model")
    spoil(folder)
    with pytest.raises(CheckpointError) as error:
        TorchSampler(str(folder), SETTINGS, "cpu")
    assert str(error.value).startswith(f"{folder}: ")
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_a_prompt_that_does_not_fit_stops_before_any_sampling(sampler, tmp_path):
    long = asking("x" * (CONTEXT - 12 - len("user: ") - 2), "x" * (CONTEXT - 12 - len("user: ") - 1))
    sampler.check(long[:1])
    sentence = rf"aime-1 has {CONTEXT - 11} tokens .* limit is 12, .* context of {CONTEXT}; .* to at most 11"
    with pytest.raises(ConfigError, match=sentence):
        run(sampler, tmp_path / "out", long)
    assert not (tmp_path / "out").exists()


def test_a_prompt_longer_than_the_context_asks_for_no_negative_limit(sampler):
    with pytest.raises(ConfigError, match=rf"context of {CONTEXT}; take a model with a longer context, or leave"):
        sampler.check(asking("x" * CONTEXT))


@pytest.mark.parametrize("template", ["", "{# nothing #}", "{% for message in [] %}{{ message }}{% endfor %}"])
def test_a_chat_template_that_writes_nothing_is_one_sentence(checkpoint, tmp_path, template):
    folder = copied(checkpoint, tmp_path / "model")
    (folder / "chat_template.jinja").write_text(template)
    with pytest.raises(CheckpointError) as error:
        TorchSampler(str(folder), SETTINGS, "cpu").check(PROBLEMS)
    assert "no chat template" in str(error.value) or "its chat template writes nothing for aime-0" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_chat_template_without_a_generation_prompt_is_warned_of_once(sampler, checkpoint, tmp_path, capsys):
    folder = copied(checkpoint, tmp_path / "model")
    (folder / "chat_template.jinja").write_text("{% for message in messages %}{{ message['content'] }}{% endfor %}")
    bare = TorchSampler(str(folder), SETTINGS, "cpu")
    for asked in (bare, bare, sampler):
        asked.check(PROBLEMS)
    printed = "".join(capsys.readouterr())
    assert printed.count("warning") == 1
    assert f"{folder}: warning: its chat template writes no generation prompt" in printed


def test_a_tokenizer_of_another_model_is_named(sampler, monkeypatch):
    monkeypatch.setattr(sampler.model.config, "vocab_size", 259)
    with pytest.raises(CheckpointError, match="token 259, but its model has 259 embeddings"):
        sampler.check(PROBLEMS)


def test_a_chunk_too_large_for_the_device_says_which_key_to_lower(sampler, monkeypatch):
    def out_of_memory(*_):
        raise torch.OutOfMemoryError

    monkeypatch.setattr("real.models.torch_sampler.sample", out_of_memory)
    with pytest.raises(ConfigError, match="chunk_problems is 2: 6 responses of up to 12 tokens"):
        sampler.sample(PROBLEMS[:2], 3)
