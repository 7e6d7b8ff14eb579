"""Which checkpoints the lean forward (real/models/lean.py) can run: those whose config.json it understands whole.

Every key that changes what the model computes must have a value that the lean forward computes. A key that is unknown
here may change it too, so one of those means the library's path.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ARCHITECTURES = {"qwen2": "Qwen2ForCausalLM", "llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM"}
# of the checkpoint, its training and other programs; none changes the forward
_INDIFFERENT = {
    "_name_or_path", "architectures", "model_type", "transformers_version", "torch_dtype", "dtype", "use_cache",
    "initializer_range", "bos_token_id", "eos_token_id", "pad_token_id", "max_window_layers",
    "max_position_embeddings", "is_llama_config", "transformers.js_config",
}  # fmt: skip
_SIZES = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
# keys that change the forward, with the values under which the lean one is right
_FIXED: Mapping[str, tuple[Any, ...]] = {
    "hidden_act": ("silu",),
    "attention_dropout": (0.0, 0),
    "attention_bias": (False,),
    "mlp_bias": (False,),
    "rope_scaling": (None,),
    "sliding_window": (None,),
    "use_sliding_window": (False,),
    "use_mrope": (False,),
    "pretraining_tp": (1,),
    "rope_interleaved": (False,),
}


@dataclass(frozen=True)
class Shape:
    """Sizes of a decoder: ``head_width`` is of one head, ``bias`` whether queries, keys and values have one."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    key_heads: int
    head_width: int
    feed_forward: int
    epsilon: float
    theta: float
    tied: bool
    bias: bool


def read_shape(config: Mapping[str, Any]) -> Shape | None:
    """The shape of a config.json; None: the lean forward may compute something else than it asks for."""
    kind = config.get("model_type")
    if kind not in ARCHITECTURES or config.get("architectures") != [ARCHITECTURES[kind]]:
        return None
    rest = {key: value for key, value in config.items() if key not in _INDIFFERENT}
    if kind == "mistral" and "sliding_window" not in rest:  # the library's own value is 4096
        return None
    if kind == "qwen2" and not rest.get("use_sliding_window"):
        rest.pop("sliding_window", None)  # the width of windows that it doesn't use
    if any(rest.pop(key) not in allowed for key, allowed in _FIXED.items() if key in rest):
        return None
    theta = _theta(rest)
    if theta is None or set(rest.pop("layer_types", [])) - {"full_attention"}:
        return None
    try:
        vocabulary, width, layers, heads, feed_forward = (int(rest.pop(key)) for key in _SIZES)
        key_heads = int(rest.pop("num_key_value_heads", heads))
        head_width = int(rest.pop("head_dim", None) or width // heads)
        epsilon = float(rest.pop("rms_norm_eps", 1e-6))
        tied = bool(rest.pop("tie_word_embeddings", False))
    except (KeyError, TypeError, ValueError):
        return None
    sound = heads % key_heads == 0 and head_width % 2 == 0 and (head_width * heads == width or "head_dim" in config)
    if rest or not sound:
        return None
    return Shape(
        vocabulary, width, layers, heads, key_heads, head_width, feed_forward, epsilon, theta, tied, kind == "qwen2"
    )


def _theta(rest: dict[str, Any]) -> float | None:
    """The base of the rotary frequencies, by either of the two spellings; both leave ``rest``."""
    parameters = rest.pop("rope_parameters", None)
    plain = rest.pop("rope_theta", None)
    if parameters is None:
        return float(plain) if plain is not None else 10_000.0
    if not isinstance(parameters, Mapping) or set(parameters) - {"rope_theta", "rope_type"}:
        return None
    if parameters.get("rope_type", "default") != "default" or plain not in (None, parameters.get("rope_theta")):
        return None
    return float(parameters.get("rope_theta", 10_000.0))
