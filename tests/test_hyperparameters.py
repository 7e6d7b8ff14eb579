"""What objectives take: mistakes are named, and what is known without torch agrees with the objectives themselves."""

import math

import pytest

from real.config import Method
from real.config.loading import trained_by_verl
from real.config.paper_scale import VERL_OBJECTIVES
from real.exact import of_scores
from real.hyperparameters import COUNTERFACTUAL, RELEASED, complete
from real.objectives import make_objective


@pytest.mark.parametrize(
    ("name", "hyperparameters", "argument"),
    [
        ("ppo", {}, "name"),
        ("grpo", {"tau": 0.5}, "tau"),
        ("grpo", {"one_sided": "train"}, "one_sided"),
        ("real", {"clip_low": 0.2}, "clip_low"),
        ("real", {"tau": 0.0}, "tau"),
        ("real", {"tau": float("nan")}, "tau"),
        ("real", {"tau": "0.5"}, "tau"),
        ("real", {"one_sided": "keep"}, "one_sided"),
        ("dapo", {"clip_low": 1.5}, "clip_low"),
        ("gspo", {"clip_high": -1.0}, "clip_high"),
    ],
)
def test_wrong_hyperparameters_raise_an_error_that_names_them(name, hyperparameters, argument):
    with pytest.raises(ValueError, match=rf"^{argument}: "):
        make_objective(name, **hyperparameters)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [(math.inf, "inf is out of range; expected a finite number"), ("much", "expected a number, got 'much'")],
)
def test_a_hyper_parameter_of_an_added_objective_is_any_finite_number(value, sentence):
    assert complete("mine", {"beta": 0.1}, {"beta": -3}) == {"beta": -3}
    with pytest.raises(ValueError, match=f"^beta: {sentence}"):
        complete("mine", {"beta": 0.1}, {"beta": value})


@pytest.mark.parametrize("name", [name for name in RELEASED if name != COUNTERFACTUAL])
def test_what_a_configuration_knows_of_an_objective_without_trying_it_is_so(name):
    assert make_objective(name).hyperparameters == RELEASED[name]
    row = Method(label="-", objective=name, hyperparameters=RELEASED[name], kl_coefficient=0.0, source="-")
    assert trained_by_verl(row) == (name in VERL_OBJECTIVES or of_scores(make_objective(name)))
