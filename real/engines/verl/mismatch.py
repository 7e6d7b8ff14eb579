"""How far the trainer's log-probs may lie from the sampler's before somebody should look.

vLLM samples from logits that are rounded to bfloat16, and divides them by the temperature in float32. The trainer
divides in bfloat16 and rounds again (verl/workers/engine/fsdp/transformer_impl.py:91), or, with the fused head, rounds
nothing. So the two policies differ although their weights are the same, and the more the lower the temperature is.
"""

import math

import torch

from real.config import Cluster
from real.engines.alarms import MISMATCH

ROUNDING_KL = 3.5e-4
"""KL divergence that the rounding of bfloat16 logits makes at temperature 1: the mean over recorded tokens of
SmolLM2-135M-Instruct (tests/data/logits.npz). Between 0.6 and 1.2 it falls as 1 / temperature (measured there too)."""

TIMES_ROUNDING = 3
"""Our choice: a step's mean over its tokens stays below it where rounding is all there is."""


def rounding_kl(temperature: float, head: str) -> float:
    """KL divergence of the trainer's policy from the sampler's where nothing but the rounding of logits differs.

    Args:
        head: ``fused`` rounds no logits; ``logits`` divides bfloat16 by the temperature, exactly for a power of 2.
    """
    exact = head == "logits" and math.frexp(temperature)[0] == 0.5
    return 0.0 if exact else ROUNDING_KL / temperature


def threshold(temperature: float, cluster: Cluster, head: str) -> float:
    """The KL divergence above which the alarm speaks."""
    rounding = rounding_kl(temperature, head) if cluster.precision == "bfloat16" else 0.0
    return max(MISMATCH, TIMES_ROUNDING * rounding)


def kl_divergence(trainer: torch.Tensor, sampler: torch.Tensor, mask: torch.Tensor) -> float:
    """Estimate of the KL divergence of the trainer's policy from the sampler's: the mean over tokens of e^d - d - 1.

    Args:
        trainer, sampler, mask: (tokens,) log-probs that each gives to the sampled tokens, and 1 where one counts.
    """
    d = (trainer.double() - sampler.double()) * mask
    return float((d.exp() - d - 1).sum() / mask.sum())
