"""The optimizer's steps are those of torch.optim's class, to the byte, also when they go on from a saved state."""

import copy

import torch

from real.engines.torch.adamw import AdamW

BETAS, DECAY, RATES = (0.9, 0.98), 0.01, (0.0, 3e-3, 1e-3, 1e-3)


def some_parameters() -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((5, 3), (7,), (2, 2, 2))
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def set_gradients(parameters, step: int) -> None:
    generator = torch.Generator().manual_seed(100 + step)
    for parameter in parameters:
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def test_its_steps_are_those_of_torch_to_the_byte_also_from_a_saved_state():
    ours, theirs = some_parameters(), some_parameters()
    optimizer = AdamW(ours, BETAS, DECAY)
    expected = torch.optim.AdamW(theirs, lr=0.0, betas=BETAS, weight_decay=DECAY, fused=True)
    for step, rate in enumerate(RATES):
        if step == 2:
            state = copy.deepcopy(optimizer.state_dict())
            optimizer = AdamW(ours, BETAS, DECAY)
            optimizer.load_state_dict(state)
        set_gradients(ours, step)
        set_gradients(theirs, step)
        optimizer.learning_rate = expected.param_groups[0]["lr"] = rate
        optimizer.step()
        expected.step()
        for mine, other in zip(ours, theirs, strict=True):
            assert torch.equal(mine, other), step


def test_momentum_goes_on_where_a_gradient_is_zero():
    parameters = some_parameters()
    optimizer = AdamW(parameters, BETAS, 0.0)
    optimizer.learning_rate = 0.1
    set_gradients(parameters, 0)
    optimizer.step()
    before = [parameter.detach().clone() for parameter in parameters]
    optimizer.zero_grad()
    assert not any(parameter.grad.any() for parameter in parameters)
    optimizer.step()
    assert all((parameter != old).all() for parameter, old in zip(parameters, before, strict=True))
