"""The lean forward equals the library's, for every architecture that it takes, and takes no other."""

import json
import random
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers.models.llama import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.mistral import MistralConfig, MistralForCausalLM
from transformers.models.mistral.modeling_mistral import MistralRMSNorm
from transformers.models.qwen2 import Qwen2Config, Qwen2ForCausalLM
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm

from real.engines.torch.policy import build_policy, save_checkpoint, token_log_probs
from real.models.batched_sampler import sample
from real.models.checkpoints import load_model
from real.models.lean import LeanModel
from real.models.packing import plan
from real.models.shapes import read_shape
from real.tasks.arithmetic import TrainingPrompts, encode
from tests.support.scales import shipped

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


def rows(seed: int, groups: int, rollouts: int, longest: int):
    """Prompts of one to five tokens, with responses of none to ``longest``."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda high, *shape: torch.randint(0, high, shape, generator=generator)  # noqa: E731
    distinct = [draw(31, 1 + int(draw(5, 1))).tolist() for _ in range(groups)]
    if rollouts == 1:  # none occurs twice
        distinct = [list(prompt) for prompt in {tuple(prompt): None for prompt in distinct}]
    prompts = [prompt for prompt in distinct for _ in range(rollouts)]
    length = draw(longest + 1, len(prompts))
    mask = (torch.arange(longest)[None] < length[:, None]).long()
    return prompts, draw(31, len(prompts), longest), mask, torch.randn(mask.shape, generator=generator).double()


def require_equal(model, lean, batch, rtol: float, atol: float, of_gradients: float) -> None:
    """Log-probs of a weighted batch, each within the tolerances, and gradients relative to their norm."""
    prompts, response, mask, weight = batch
    found = {}
    for one in (model, lean):
        one.zero_grad()
        found[one] = token_log_probs(one, prompts, response, mask, 0.7)
        (found[one] * weight).sum().backward()
    torch.testing.assert_close(found[lean], found[model], rtol=rtol, atol=atol)
    gradients = dict(lean.named_parameters())
    for name, parameter in model.named_parameters():
        difference = (parameter.grad - gradients[name].grad).norm()
        assert difference <= of_gradients * max(parameter.grad.norm(), 1e-6), name


@pytest.mark.usefixtures("exact_norms")
@pytest.mark.parametrize("seed", range(5))
def test_log_probs_and_gradients_are_the_librarys_in_float64(both, seed):
    """Over empty responses, one-token prompts, groups of one and prompts that occur twice."""
    model, lean = (one.double() for one in both)
    require_equal(
        model, lean, rows(seed, *[(3, 5, 9), (1, 1, 1), (7, 1, 4), (2, 20, 12), (40, 1, 5)][seed]), 1e-10, 1e-12, 1e-10
    )


SHAPES = st.tuples(
    st.integers(1, 3), st.sampled_from([(1, 1), (2, 1), (4, 2), (6, 3), (3, 3)]), st.sampled_from([2, 8, 10])
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SHAPES, st.booleans(), st.integers(0, 2**20), st.integers(1, 4), st.integers(1, 18), st.integers(1, 9))
def test_models_of_any_shape_are_the_librarys_in_float64(exact_norms, shape, tied, seed, groups, rollouts, longest):
    layers, (heads, key_heads), head_width = shape
    sizes = {
        "hidden_size": heads * head_width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": key_heads,
        "intermediate_size": 5 * layers + heads,
    }
    torch.manual_seed(seed)
    config = Qwen2Config(**{**SIZES, **sizes}, tie_word_embeddings=tied, architectures=["Qwen2ForCausalLM"])
    model = Qwen2ForCausalLM(config).double().eval()
    written = json.loads(config.to_json_string())
    lean = LeanModel(read_shape(written), written).double()
    lean.load_state_dict(model.state_dict())
    require_equal(model, lean, rows(seed, groups, rollouts, longest), 1e-10, 1e-12, 1e-10)


@pytest.fixture(scope="module")
def laptop(tmp_path_factory):
    """The laptop's policy by both forwards, with weights about as large as trained ones, and a mini-batch of it."""
    scale = shipped("laptop").scale
    lean = build_policy(scale.policy, 64, seed=0)
    with torch.no_grad():
        for parameter in lean.parameters():
            parameter.mul_(4.0 if parameter.dim() > 1 else 1.0)
    folder = tmp_path_factory.mktemp("laptop") / "model"
    save_checkpoint(lean, folder)
    texts = TrainingPrompts(scale.task.training_families, 0, 8, 4).draw(8, random.Random(0))
    prompts = [encode(text) for text in texts]
    uniform = torch.rand(64, 40, generator=torch.Generator().manual_seed(0))
    rollouts = sample(lean, prompts, uniform, 0.6, 1.0)
    weight = torch.randn(rollouts.mask.shape, generator=torch.Generator().manual_seed(1)) / 64
    batch = [prompt for prompt in prompts for _ in range(8)], rollouts.response, rollouts.mask, weight
    return load_model(folder, dtype=torch.float32).eval(), lean, batch


def test_at_the_laptops_shape_float32_differs_from_the_library_by_rounding(laptop):
    require_equal(*laptop, rtol=0, atol=5e-5, of_gradients=1e-5)


def test_the_same_batch_gives_the_same_bytes(laptop):
    _, lean, (prompts, response, mask, weight) = laptop
    found = []
    for _ in range(3):
        lean.zero_grad()
        log_prob = token_log_probs(lean, prompts, response, mask, 0.6)
        (log_prob * weight).sum().backward()
        found.append([log_prob.detach(), *(parameter.grad.clone() for parameter in lean.parameters())])
    for again in found[1:]:
        assert all(map(torch.equal, again, found[0]))


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
    distinct = len(set(map(tuple, prompts)))
    assert (packed.parts[0].rows == distinct and packed.parts[0].prompt is None) or distinct == len(prompts)


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
        {"sliding_window": 131072, "use_sliding_window": False, "max_window_layers": 21, "use_mrope": False},
        {"rope_theta": 1e6, "torch_dtype": "bfloat16", "transformers_version": "4.44.0"},
        {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "attention_bias": False, "mlp_bias": False},
        {"model_type": "mistral", "architectures": ["MistralForCausalLM"], "sliding_window": None, "head_dim": 8},
    ],
    ids=["Qwen2.5", "older spelling", "Llama", "Mistral"],
)
def test_configurations_as_the_families_have_them_are_understood(change):
    """Of Qwen2.5, of SmolLM2 and of Mistral 7B v0.3, as far as keys go."""
    assert read_shape({**CONFIG, **change}) is not None


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
