"""How a prompt becomes tokens: by the checkpoint's own chat template, as everywhere else in this package.

verl 0.9.1 infers from the model type ``qwen2`` that the tokenizer is Qwen's, and refuses one without ``<|im_end|>``.
The paper's models have Qwen's shape and another tokenizer, and so have the laptop's.
"""

from typing import Any

from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop


class ChatTemplateAgentLoop(SingleTurnAgentLoop):
    """verl's single-turn loop with the builder that it has for unknown model types: the chat template, nothing else."""

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **{**options, "hf_model_type": None})
