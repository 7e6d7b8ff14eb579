"""The policy's first weights."""

import pytest
import torch
from transformers.models.qwen2 import Qwen2Config, Qwen2ForCausalLM

from real.config import Policy
from real.engines.torch.policy import build_policy
from real.tasks.arithmetic import EOS, PAD, TOKEN_ID, VOCABULARY


@pytest.mark.parametrize("seed", [0, 7])
def test_a_seeds_first_weights_are_those_that_transformers_gives_it(seed):
    shape = Policy(hidden_size=16, layers=2, attention_heads=2, feed_forward_size=24)
    torch.manual_seed(seed)
    expected = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(VOCABULARY),
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            intermediate_size=24,
            max_position_embeddings=60,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=TOKEN_ID[EOS],
            pad_token_id=TOKEN_ID[PAD],
        )
    ).state_dict()
    found = build_policy(shape, 60, seed).state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)
