"""A prompt reaches vLLM as the checkpoint's chat template writes it, where verl's own loop refuses the tokenizer."""

import asyncio

import hydra
import pytest
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf
from runs import composed, run_of
from verl.experimental.agent_loop.agent_loop import DictConfigWrap, ToolListWrap
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.utils.tokenizer import hf_tokenizer

from real.tasks.arithmetic import THINK, TOKEN_ID, encode, write_tokenizer

CHATS = [
    [{"role": "user", "content": "2*4-7+3*9?"}],
    [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"}, {"role": "user", "content": "3-4?"}],
]
# as of a model that thinks first: the generation prompt opens the chain of thought
THINKS_FIRST = (
    "{% for message in messages %}{{ message['content'] }}{% endfor %}{% if add_generation_prompt %}<think>{% endif %}"
)
VERLS_OWN = {"_target_": "verl.experimental.agent_loop.single_turn_agent_loop.SingleTurnAgentLoop"}


@pytest.fixture(scope="module")
def config() -> DictConfig:
    return composed(run_of("verl_smoke"))


@pytest.fixture
def tokenizer(tmp_path):
    """The laptop's, as verl loads it from a checkpoint."""
    write_tokenizer(tmp_path)
    return hf_tokenizer(str(tmp_path))


def ours(config: DictConfig) -> DictConfig:
    """The loop that a run names, found as verl's rollout workers find it."""
    agent = config.actor_rollout_ref.rollout.agent
    (found,) = [loop for loop in OmegaConf.load(agent.agent_loop_config_path) if loop.name == agent.default_agent_loop]
    return found


def prompt_ids(loop: DictConfig | dict, config: DictConfig, tokenizer, messages: list[dict]) -> list[int]:
    """Token ids of a prompt by an agent loop, built as verl builds it for a checkpoint of type qwen2."""

    async def run() -> list[int]:
        built = hydra.utils.instantiate(
            config=loop,
            trainer_config=DictConfigWrap(config),
            server_manager=None,
            tokenizer=tokenizer,
            processor=None,
            hf_model_type="qwen2",
            dataset_cls=RLHFDataset,
            data_config=DictConfigWrap(config.data),
            tools=ToolListWrap([]),
        )
        return await built.ct_build_initial_tokens(messages)

    return asyncio.run(run())


@pytest.mark.parametrize("messages", CHATS, ids=["one turn", "three turns"])
@pytest.mark.parametrize("template", [None, THINKS_FIRST], ids=["its own template", "with a generation prompt"])
def test_a_prompt_has_the_ids_of_the_chat_template(config, tokenizer, messages, template):
    if template is not None:
        tokenizer.chat_template = template
    text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    found = prompt_ids(ours(config), config, tokenizer, messages)
    assert found == tokenizer(text, add_special_tokens=False)["input_ids"]
    written = encode("".join(message["content"] for message in messages))
    assert found == (written if template is None else [*written, TOKEN_ID[THINK]])


def test_verls_own_loop_takes_every_qwen2_for_qwens_tokenizer(config, tokenizer):
    """Why ours exists: verl's asks every model of that type for a token of Qwen's own chat format."""
    with pytest.raises(InstantiationException, match=r"ValueError.*does not define required token '<\|im_end\|>'"):
        prompt_ids(VERLS_OWN, config, tokenizer, CHATS[0])
