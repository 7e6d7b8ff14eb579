"""One step on the real stack of what no other launch has: REAL on two ranks, full DAPO, GSPO."""

import pytest
from launches import lines, overlay, train

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("method", "ranks"), [("real", 2), ("dapo_full", 1), ("gspo", 1)])
def test_a_method_makes_a_step(project, method, ranks):
    """DAPO with dynamic sampling and shaped rewards."""
    steps = {"steps": 1, "validation_every": 1, "gradient_sample_steps": [1]}
    changes = {"training": steps, "cluster": {"gpus_per_node": ranks}}
    config, results = overlay(project, f"step_of_{method}", changes)
    project.run(*train(config, method))
    line = lines(results / "runs" / method / "seed0")[-1]
    assert (line["step"], line["prompts"]) == (1, 8)
    assert line["grad_norm"] > 0
    assert line["reward_mean"] * 64 == int(line["reward_mean"] * 64), "0/1 correctness, whatever is trained on"
    if method == "dapo_full":
        assert line["solve_all"] == line["solve_none"] == 0, "one-sided groups were replaced"
