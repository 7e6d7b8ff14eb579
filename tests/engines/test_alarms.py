"""Alarms: what starts them, what ends them, and that a resumed run has the same ones."""

import math

import pytest

from real.engines.alarms import CALM_STEPS, Alarms


def line(step: int, entropy: float | None = 0.4, solve_all: int = 20, solve_none: int = 30, **more):
    return {"step": step, "entropy": entropy, "solve_all": solve_all, "solve_none": solve_none, "prompts": 128, **more}


def entropies(*values: float) -> list[list[str]]:
    alarms = Alarms()
    return [alarms.see(line(step, value)) for step, value in enumerate(values, 1)]


def test_a_quiet_run_raises_nothing():
    alarms = Alarms()
    for step, entropy in enumerate([0.24, 0.19, 0.07, 0.45], 1):
        assert alarms.see(line(step, entropy, truncated_fraction=0.49, mismatch=5e-4)) == []


def test_entropy_collapse_is_relative_to_the_first_measured_step():
    said = entropies(0.24, 0.061, 0.059)
    assert said[1] == []
    assert said[2] == ["alarm, step 3: entropy has collapsed to 0.059 nats, 0.25 of step 1's 0.24"]


def test_entropy_explosion_starts_above_twice_the_first():
    said = entropies(0.24, 0.48, 0.49)
    assert said[1] == []
    assert said[2] == ["alarm, step 3: entropy has exploded to 0.49 nats, 2.04 of step 1's 0.24"]


def test_the_validation_of_the_base_model_is_not_judged_and_no_first_step():
    alarms = Alarms()
    nothing = {"step": 0, "entropy": None, "solve_all": None, "solve_none": None, "prompts": None}
    assert alarms.see(nothing) == []
    assert alarms.see(line(1, 1.0)) == []
    assert "0.20 of step 1's 1" in alarms.see(line(2, 0.2))[0]


@pytest.mark.parametrize("entropy", [math.nan, math.inf])
def test_an_entropy_that_is_no_number_is_an_alarm_at_once(entropy):
    assert f"alarm, step 1: entropy is {entropy}" in entropies(entropy)[0]
    assert f"alarm, step 2: entropy is {entropy}" in entropies(0.3, entropy)[1]


def test_an_alarm_speaks_once_when_it_starts_and_once_when_it_is_over():
    calm = [0.2] * CALM_STEPS
    said = entropies(0.4, 0.05, 0.04, 0.03, *calm, 0.2)
    spoken = {step: sentences for step, sentences in enumerate(said, 1) if sentences}
    assert list(spoken) == [2, 4 + CALM_STEPS]
    assert spoken[4 + CALM_STEPS] == [f"alarm over, step {4 + CALM_STEPS}: entropy is 0.2 nats, 0.50 of step 1's 0.4"]


def test_a_value_that_hovers_at_its_threshold_does_not_fill_the_log():
    said = entropies(0.4, *[0.09, 0.11] * 50)
    assert sum(map(len, said)) == 1


def test_truncation_and_mismatch_name_their_values():
    alarms = Alarms()
    assert alarms.see(line(7, truncated_fraction=0.5, mismatch=6.1e-4)) == [
        "alarm, step 7: 50.0% of the responses end at the limit (training.max_response_tokens)",
        "alarm, step 7: the sampler's and the trainer's log-probs differ by a KL divergence of 0.00061, above 0.0005",
    ]


def test_a_mismatch_that_is_no_number_is_an_alarm():
    assert "divergence of nan" in Alarms().see(line(1, mismatch=math.nan))[0]


def test_a_step_without_a_two_sided_group_is_an_alarm():
    alarms = Alarms()
    assert alarms.see(line(1, solve_all=98, solve_none=29)) == []
    assert alarms.see(line(2, solve_all=98, solve_none=30)) == [
        "alarm, step 2: all 128 groups are one-sided (98 all correct, 30 all wrong): nothing is learnt"
    ]


def test_a_resumed_run_says_what_an_uninterrupted_one_says():
    entropy = [0.4, 0.3, 0.05, 0.04, *[0.3] * 8, 0.9]
    lines = [line(step, value, mismatch=1e-3 if step > 3 else 0.0) for step, value in enumerate(entropy, 1)]
    whole = Alarms()
    said = [whole.see(one) for one in lines]
    assert sum(map(len, said)) == 4
    for cut in range(len(lines)):
        resumed = Alarms(lines[:cut])
        assert [resumed.see(one) for one in lines[cut:]] == said[cut:]


def test_what_was_not_stored_is_raised_again_after_a_resume():
    resumed = Alarms([line(1), line(2)])
    assert len(resumed.see(line(3, truncated_fraction=0.8))) == 1
