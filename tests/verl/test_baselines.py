"""One step of each baseline on the real stack: verl, vLLM, Ray."""

import pytest
from launches import lines, overlay, train


@pytest.mark.parametrize("method", ["grpo", "dapo_full", "gspo"])
def test_a_baseline_makes_a_step(project, method):
    """GRPO with its reference model, full DAPO with dynamic sampling and shaped rewards, GSPO; one step each."""
    config, results = overlay(
        project, "one_step", {"training": {"steps": 1, "validation_every": 1, "gradient_sample_steps": [1]}}
    )
    project.run(*train(config, method))
    line = lines(results / "runs" / method / "seed0")[-1]
    assert line["step"] == 1
    assert line["prompts"] == 8
    assert line["grad_norm"] > 0
    assert line["reward_mean"] * 64 == int(line["reward_mean"] * 64), "0/1 correctness, whatever is trained on"
    if method == "dapo_full":
        assert line["solve_all"] == line["solve_none"] == 0, "one-sided groups were replaced"
