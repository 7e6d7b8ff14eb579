"""How far the trainer may lie from the sampler: against what rounding does to recorded logits of a pretrained model."""

import math

import numpy as np
import pytest
import torch
from runs import changed, run_of

from real.engines.alarms import MISMATCH, Alarms
from real.engines.verl.mismatch import kl_divergence, rounding_kl, threshold
from tests.support.paths import ROOT

# float32 logits of a language model's answers, before rounding (tests/support/record_logits.py)
LOGITS = torch.from_numpy(np.load(ROOT / "tests" / "data" / "logits.npz")["logits"])


def measured(temperature: float, head: str) -> torch.Tensor:
    """(tokens,) KL divergence of the trainer's distribution from the sampler's, whose weights are the same."""
    rounded = LOGITS.bfloat16()
    sampler = (rounded.float() / temperature).double().log_softmax(-1)
    # as verl divides: bfloat16 by a bfloat16 temperature
    divided = (rounded / torch.tensor(temperature, dtype=torch.bfloat16)).double()
    trainer = {"logits": divided, "fused": LOGITS.double() / temperature}[head].log_softmax(-1)
    return (sampler.exp() * (sampler - trainer)).sum(-1)


@pytest.mark.parametrize("head", ["fused", "logits"])
@pytest.mark.parametrize("temperature", [0.6, 0.7, 0.8, 1.0, 1.2])
def test_what_rounding_makes_is_what_recorded_logits_show(temperature, head):
    """With logits, both sides round the same numbers, so that the constant is a bound for them."""
    found, claimed = float(measured(temperature, head).mean()), rounding_kl(temperature, head)
    lowest = 0.9 if head == "fused" else 0.7
    assert lowest * claimed <= found <= 1.05 * claimed


def test_dividing_by_a_power_of_two_rounds_nothing():
    assert float(measured(0.5, "logits").abs().max()) < 1e-12
    assert rounding_kl(0.5, "logits") == rounding_kl(1.0, "logits") == 0.0 < rounding_kl(1.0, "fused")


@pytest.mark.parametrize("head", ["fused", "logits"])
@pytest.mark.parametrize("temperature", [0.6, 1.0])
def test_rounding_alone_raises_no_alarm_and_a_wrong_temperature_does(temperature, head):
    """Means over as few tokens as eight: a step has hundreds of thousands."""
    above = threshold(temperature, run_of("1.5b").cluster, head)
    few = measured(temperature, head).reshape(-1, 8).mean(dim=0)
    assert float(few.max()) < above
    alarms = Alarms((), above)
    line = {"step": 1, "mismatch": float(few.mean())}
    assert alarms.see(line) == []

    right, wrong = ((LOGITS / value).double().log_softmax(-1) for value in (temperature, temperature * 0.9))
    error = float((right.exp() * (right - wrong)).sum(-1).mean())
    said = f"differ by a KL divergence of {error:.2g}, above {above:.2g}"
    assert alarms.see({"step": 2, "mismatch": error}) == [
        f"alarm, step 2: the sampler's and the trainer's log-probs {said}"
    ]


def test_the_threshold_is_never_below_that_of_others_nightly_runs_and_float32_has_no_rounding():
    run = run_of("1.5b")
    in_float32 = changed(run, cluster={"precision": "float32"})
    assert threshold(1.0, run.cluster, "logits") == MISMATCH
    assert threshold(0.6, run.cluster, "fused") == pytest.approx(3 * 3.5e-4 / 0.6)
    assert threshold(0.6, in_float32.cluster, "fused") == MISMATCH


def test_the_divergence_of_the_trainer_from_the_sampler_has_its_closed_form():
    """Masked tokens aren't read; for tokens of the sampler the mean estimates KL(sampler || trainer)."""
    trainer, sampler = torch.tensor([-1.0, -2.0, -9.0]), torch.tensor([-1.5, -1.0, -1.0])
    mask = torch.tensor([1.0, 1.0, 0.0])
    expected = ((math.exp(0.5) - 0.5 - 1) + (math.exp(-1.0) + 1.0 - 1)) / 2
    assert kl_divergence(trainer, sampler, mask) == pytest.approx(expected, rel=1e-12)
    assert kl_divergence(sampler, sampler, mask) == 0.0

    generator = torch.Generator().manual_seed(0)
    p, q = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.6, 0.3, 0.1])
    drawn = torch.multinomial(p, 200_000, replacement=True, generator=generator)
    closed = float((p * (p / q).log()).sum())
    assert kl_divergence(q.log()[drawn], p.log()[drawn], torch.ones(len(drawn))) == pytest.approx(closed, rel=0.02)
