"""The lean forward equals the library's, for every architecture that it takes, and takes no other."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.models.llama import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.mistral import MistralConfig, MistralForCausalLM
from transformers.models.mistral.modeling_mistral import MistralRMSNorm
from transformers.models.qwen2 import Qwen2Config, Qwen2ForCausalLM
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm

from real.engines.torch.policy import token_log_probs
from real.models.batched_sampler import sample
from real.models.lean import LeanModel, log_probs, plan
from real.models.shapes import read_shape

SIZES = {
    "vocab_size": 31,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "eos_token_id": 1,
    "pad_token_id": 0,
}
KINDS = {
    "Qwen2, tied": (Qwen2ForCausalLM, Qwen2Config, {"num_key_value_heads": 4, "tie_word_embeddings": True}),
    "Qwen2, grouped": (Qwen2ForCausalLM, Qwen2Config, {"num_key_value_heads": 2, "tie_word_embeddings": False}),
    "Llama": (LlamaForCausalLM, LlamaConfig, {"num_key_value_heads": 1, "tie_word_embeddings": False}),
    "SmolLM2": (
        LlamaForCausalLM,
        LlamaConfig,
        {"num_key_value_heads": 2, "tie_word_embeddings": True, "rope_theta": 1e5},
    ),
    "Mistral": (MistralForCausalLM, MistralConfig, {"num_key_value_heads": 2, "sliding_window": None}),
}


@pytest.fixture(scope="module", params=KINDS)
def both(request, tmp_path_factory):
    """A model of the library, and the lean one with its weights and files."""
    kind, config, options = KINDS[request.param]
    torch.manual_seed(0)
    model = kind(config(**SIZES, **options)).eval()
    for name, parameter in model.named_parameters():  # the library starts biases at 0
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.1)
    folder = tmp_path_factory.mktemp("model")
    model.save_pretrained(folder)
    return model, lean_of(model, folder)


def lean_of(model, folder: Path) -> LeanModel:
    config, generation = (json.loads((folder / name).read_text()) for name in ("config.json", "generation_config.json"))
    lean = LeanModel(read_shape(config), config, generation)
    lean.load_state_dict(model.state_dict())
    return lean.eval()


@pytest.fixture
def exact_norms(monkeypatch):
    """The library rounds to float32 within its norms; without that, float64 shows what else differs."""

    def forward(self, hidden):
        return self.weight * (hidden * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))

    for norm in (Qwen2RMSNorm, LlamaRMSNorm, MistralRMSNorm):
        monkeypatch.setattr(norm, "forward", forward)


def scattered(lean: LeanModel, prompts, response, mask, temperature):
    packed = plan(prompts, response, mask.sum(dim=1), lean.dtype)
    found = log_probs(lean, packed, temperature)
    return torch.zeros(response.shape, dtype=lean.dtype).index_put((packed.row, packed.column), found)


def rows(seed: int, groups: int, rollouts: int, longest: int):
    """Prompts of one to five tokens, with responses of none to ``longest``."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda high, *shape: torch.randint(0, high, shape, generator=generator)  # noqa: E731
    distinct = [draw(31, 1 + int(draw(5, 1))).tolist() for _ in range(groups)]
    prompts = [prompt for prompt in distinct for _ in range(rollouts)]
    length = draw(longest + 1, len(prompts))
    mask = (torch.arange(longest)[None] < length[:, None]).long()
    return prompts, draw(31, len(prompts), longest), mask, torch.randn(mask.shape, generator=generator).double()


@pytest.mark.usefixtures("exact_norms")
@pytest.mark.parametrize("seed", range(4))
def test_log_probs_and_gradients_are_the_librarys_in_float64(both, seed):
    """Over empty responses, one-token prompts, groups of one and prompts that occur twice."""
    model, lean = (one.double() for one in both)
    prompts, response, mask, weight = rows(seed, *[(3, 5, 9), (1, 1, 1), (7, 1, 4), (2, 20, 12)][seed])
    for one in (model, lean):
        one.zero_grad()
    expected = token_log_probs(model, prompts, response, mask, 0.7)
    found = scattered(lean, prompts, response, mask, 0.7)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    (expected * weight).sum().backward()
    (found * weight * mask).sum().backward()
    gradients = dict(lean.named_parameters())
    for name, parameter in model.named_parameters():
        difference = (parameter.grad - gradients[name].grad).norm()
        assert difference <= 1e-10 * max(parameter.grad.norm(), 1e-6), name


def test_responses_and_their_log_probs_are_the_librarys(both):
    model, lean = (one.float() for one in both)
    prompts = [[3, 4, 5, 6], [7], [8, 9, 2, 4, 5]]
    uniform = torch.rand(3 * 8, 20, generator=torch.Generator().manual_seed(1))
    expected, found = (sample(one, prompts, uniform, 0.8, 0.95) for one in (model, lean))
    assert torch.equal(found.response, expected.response)
    assert torch.equal(found.mask, expected.mask)
    torch.testing.assert_close(found.log_prob, expected.log_prob, rtol=0, atol=5e-5)
    torch.testing.assert_close(found.entropy, expected.entropy, rtol=0, atol=5e-5)


def test_what_a_row_samples_does_not_depend_on_the_others(both):
    _, lean = both
    lean.float()
    uniform = torch.rand(2 * 4, 20, generator=torch.Generator().manual_seed(2))
    together = sample(lean, [[3, 4, 5, 6], [7]], uniform, 0.8, 1.0)
    alone = sample(lean, [[7]], uniform[4:], 0.8, 1.0)
    width = alone.response.shape[1]
    assert torch.equal(together.response[4:, :width], alone.response)


@settings(max_examples=30)
@given(st.integers(0, 2**20), st.integers(1, 5), st.integers(1, 6), st.integers(1, 12))
def test_a_plan_holds_every_response_token_once(seed, groups, rollouts, longest):
    prompts, response, mask, _ = rows(seed, groups, rollouts, longest)
    packed = plan(prompts, response, mask.sum(dim=1), torch.float32)
    assert torch.equal(torch.stack([packed.row, packed.column], dim=1), mask.nonzero())
    assert torch.equal(packed.target, response[mask == 1])
    assert packed.prompts[0] == len(set(map(tuple, prompts)))


CONFIG = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "rms_norm_eps": 1e-6,
    "hidden_act": "silu",
    **SIZES,
}


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "gelu"},
        {"model_type": "gemma2"},
        {"architectures": ["Qwen2ForSequenceClassification"]},
        {"use_sliding_window": True},
        {"rope_scaling": {"type": "linear", "factor": 2.0}},
        {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5}},
        {"layer_types": ["full_attention", "sliding_attention"]},
        {"attention_dropout": 0.1},
        {"logit_scale": 0.5},
        {"num_key_value_heads": 3},
        {"model_type": "mistral", "architectures": ["MistralForCausalLM"]},
    ],
    ids=str,
)
def test_a_configuration_that_changes_the_forward_is_left_to_the_library(change):
    assert read_shape(CONFIG) is not None
    assert read_shape({**CONFIG, **change}) is None
