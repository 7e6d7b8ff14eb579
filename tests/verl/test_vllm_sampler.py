"""vLLM as the evaluation's sampler: the same prompts, texts and counts as transformers', and no process left behind."""

import json
import shutil
from contextlib import closing
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from vllm_evaluations import (
    COLD,
    PROBLEMS,
    SETTINGS,
    WARM,
    continued_after_sigterm,
    files,
    own_processes,
    run,
)

from real.config import ConfigError
from real.models.chat import sample_seed
from real.models.checkpoints import CheckpointError, load_model
from real.models.torch_sampler import TorchSampler
from real.models.vllm_sampler import VllmSampler
from real.tasks.arithmetic import VOCABULARY
from real.tasks.problems import Problem


@pytest.fixture
def settings(sampler):
    """Sets the sampler's settings for one test: its engine doesn't depend on them."""

    def change(**changes) -> VllmSampler:
        sampler.settings = SETTINGS.model_copy(update=changes)
        return sampler

    yield change
    sampler.settings = SETTINGS


def test_cold_responses_are_those_of_transformers_token_by_token(settings, checkpoint):
    cold = settings(temperature=COLD, top_p=1.0)
    expected = TorchSampler(str(checkpoint), cold.settings, "cpu").sample(PROBLEMS, 1)
    assert cold.sample(PROBLEMS, 1) == expected
    assert {response.truncated for response in expected} == {True, False}


def test_every_response_ends_at_the_limit_or_an_end_token(sampler):
    responses = sampler.sample(PROBLEMS, 20)
    assert {response.truncated for response in responses} == {True, False}
    for response in responses:
        assert 1 <= response.tokens <= 16
        assert not response.truncated or response.tokens == 16
        assert not any(end in response.text for end in ("<eos>", "?")), "ends are no text; sampled padding is"
    assert any("</think>" in response.text for response in responses)


def test_a_sample_depends_on_its_problem_and_number_alone(sampler):
    every = sampler.sample(PROBLEMS, 3)
    assert sampler.sample(PROBLEMS, 3) == every
    assert sampler.sample(PROBLEMS[3:4], 3) == every[9:12]
    assert sampler.sample(PROBLEMS[::-1], 2)[-2:] == every[:2]
    assert len({response.text for response in every}) > len(PROBLEMS)


def test_seeds_of_63_bits_are_taken_and_differ(settings):
    assert max(sample_seed(seed, problem.problem_id, 0) for seed in (0, 1) for problem in PROBLEMS) >= 2**62
    assert settings(seed=1).sample(PROBLEMS, 1) != settings(seed=0).sample(PROBLEMS, 1)


def test_samples_follow_the_tempered_nucleus(settings, checkpoint):
    count, top_p = 1500, 0.8
    first = settings(max_response_tokens=1, top_p=top_p)
    observed = [response.text for response in first.sample(PROBLEMS[:1], count)]
    model = load_model(checkpoint)
    logits = model(torch.tensor([first._prompt(PROBLEMS[0])])).logits[0, -1].double() / WARM
    ordered, ids = logits.softmax(-1).sort(descending=True)
    size = int((ordered.cumsum(0) < top_p).sum()) + 1
    expected = dict.fromkeys(observed, 0.0)
    for probability, token in zip((ordered[:size] / ordered[:size].sum()).tolist(), ids[:size].tolist(), strict=True):
        text = "" if token in first.ends else VOCABULARY[token]
        expected[text] = expected.get(text, 0.0) + probability
    assert 3 <= size < len(VOCABULARY) - 3
    for text, probability in expected.items():
        error = 4.5 * (probability * (1 - probability) / count) ** 0.5
        assert abs(observed.count(text) / count - probability) <= error, text


class StopError(Exception):
    """Stands for a kill before a chunk is finished."""


def test_an_interrupted_evaluation_goes_on_to_identical_bytes(sampler, tmp_path, monkeypatch):
    run(sampler, tmp_path / "whole")
    chunks = []

    def stop_at_the_second(problems, samples):
        chunks.append(len(problems))
        if len(chunks) == 2:
            raise StopError
        return VllmSampler.sample(sampler, problems, samples)

    monkeypatch.setattr(sampler, "sample", stop_at_the_second)
    with pytest.raises(StopError):
        run(sampler, tmp_path / "resumed")
    run(sampler, tmp_path / "resumed")
    assert chunks == [3, 3, 3, 2]
    assert files(tmp_path / "resumed") == files(tmp_path / "whole")


def test_sigterm_ends_the_engine_and_the_same_command_goes_on(sampler, checkpoint, tmp_path):
    continued_after_sigterm(sampler, checkpoint, tmp_path)


def test_a_checkpoint_without_all_weights_is_refused_in_the_words_of_transformers(checkpoint, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(checkpoint, folder)
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.down_proj.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    sentences = []
    for library in (VllmSampler, TorchSampler):
        with pytest.raises(CheckpointError) as error:
            library(str(folder), SETTINGS, "cpu")
        sentences.append(str(error.value))
    assert sentences[0] == sentences[1]
    assert "no weights for 1 of the model's parameters, model.layers.1.mlp.down_proj.weight among them" in sentences[0]


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def test_a_checkpoint_that_is_more_than_data_is_refused_and_runs_nothing(checkpoint, tmp_path):
    marker, code, pickled = tmp_path / "ran", tmp_path / "code", tmp_path / "pickled"
    shutil.copytree(checkpoint, code)
    content = json.loads((code / "config.json").read_text())
    (code / "config.json").write_text(json.dumps({**content, "auto_map": {"AutoModelForCausalLM": "ours.Model"}}))
    (code / "ours.py").write_text(f"open({str(marker)!r}, 'w')\n")
    with pytest.raises(CheckpointError, match=rf"^{code}/config.json: names Python code \(auto_map\)"):
        VllmSampler(str(code), SETTINGS, "cpu")
    shutil.copytree(checkpoint, pickled)
    (pickled / "model.safetensors").unlink()
    torch.save({"trap": Trap(marker)}, pickled / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=rf"^{pickled}: holds no weights as \*.safetensors; pickled ones"):
        VllmSampler(str(pickled), SETTINGS, "cpu")
    assert not marker.exists()


def test_a_prompt_that_does_not_fit_is_refused_in_the_words_of_transformers(sampler, checkpoint):
    content = "+".join("1" * 23)
    long = [Problem("mix4-long", "mix4", ({"role": "user", "content": content},), ("3",), "test")]
    sentences = []
    for refusing in (sampler, TorchSampler(str(checkpoint), SETTINGS, "cpu")):
        with pytest.raises(ConfigError) as error:
            refusing.check(long)
        sentences.append(str(error.value))
    assert sentences[0] == sentences[1]
    assert "has 45 tokens and the response limit is 16, together more than the model's context of 60" in sentences[0]


def test_what_vllm_cannot_do_is_refused_before_anything_starts(checkpoint, tmp_path):
    before = own_processes()
    for temperature in (0.005, 2.5):
        with pytest.raises(ConfigError, match=rf"temperature is {temperature}, but vLLM samples at 0\.01 to 2\.0"):
            VllmSampler(str(checkpoint), SETTINGS.model_copy(update={"temperature": temperature}), "cpu")
    with pytest.raises(ConfigError, match="'cuda' is asked for, but this vLLM samples on cpu"):
        VllmSampler(str(checkpoint), SETTINGS, "cuda")
    with pytest.raises(CheckpointError, match="holds no Hugging Face checkpoint"):
        VllmSampler(str(tmp_path), SETTINGS, "cpu")
    with closing(VllmSampler(str(checkpoint), SETTINGS, "cpu")) as idle:
        idle.check(PROBLEMS)
    assert own_processes() == before


def test_the_identity_names_what_a_response_depends_on(sampler):
    import vllm

    assert sampler.identity["library"] == "vllm"
    assert sampler.identity["dtype"] == "float32"
    assert sampler.identity["packages"]["vllm"] == vllm.__version__
    assert sampler.identity["checkpoint"].startswith("sha256:")
