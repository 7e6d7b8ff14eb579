"""Matrix products by OpenBLAS in the place of torch's."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from real.models.products import give_back_mkl, product, take_openblas


@pytest.fixture(autouse=True)
def _openblas():
    take_openblas()
    yield
    take_openblas()


@pytest.mark.parametrize("layout", [lambda x: x, lambda x: x.transpose(-1, -2).contiguous().transpose(-1, -2)])
@pytest.mark.parametrize("shape", [(5, 7, 3), (1, 16, 30), (4, 1, 4), (0, 3, 2), (3, 0, 2)])
@pytest.mark.parametrize("batch", [(), (6,)])
def test_products_are_those_of_float64(shape, batch, layout):
    rows, inner, columns = shape
    draw = torch.Generator().manual_seed(1)
    a, b = (
        torch.randn(*batch, *size, generator=draw, dtype=torch.float64) for size in ((rows, inner), (inner, columns))
    )
    x = torch.randn(*batch, rows, columns, generator=draw, dtype=torch.float64)
    exact = (a[..., :, :, None] * b[..., None, :, :]).sum(dim=-2)
    single = [layout(part.float()) for part in (x, a, b)]
    plain, added = (torch.bmm, torch.baddbmm) if batch else (torch.mm, torch.addmm)
    torch.testing.assert_close(plain(*single[1:]).double(), exact, rtol=0, atol=1e-5)
    torch.testing.assert_close(added(*single, beta=0.5, alpha=2).double(), 0.5 * x + 2 * exact, rtol=0, atol=1e-5)


def test_gradients_are_right():
    parts = [torch.randn(*size, dtype=torch.float64, requires_grad=True) for size in ((4, 5), (3, 5), (3,))]
    assert torch.autograd.gradcheck(functional.linear, parts)


def test_a_product_in_bfloat16_is_rounded_once():
    a, b = torch.randn(4, 64).bfloat16(), torch.randn(64, 4).bfloat16()
    assert torch.equal(torch.mm(a, b), product(a.float(), b.float()).bfloat16())


def test_whole_numbers_are_exact():
    big = torch.tensor([[2**53 + 1]])
    assert torch.equal(torch.mm(big, torch.tensor([[1]])), big)


def test_nothing_of_what_is_added_counts_with_beta_0():
    missing = torch.full((2, 2), float("nan"))
    assert torch.equal(torch.addmm(missing, torch.ones(2, 3), torch.ones(3, 2), beta=0), torch.full((2, 2), 3.0))


def test_products_are_numpys_until_they_are_given_back(monkeypatch):
    asked = []
    monkeypatch.setattr(np, "matmul", lambda *_, **__: asked.append(1))
    torch.mm(torch.ones(2, 2), torch.ones(2, 2))
    assert asked
    give_back_mkl()
    del asked[:]
    assert torch.equal(torch.mm(torch.ones(2, 2), torch.ones(2, 2)), torch.full((2, 2), 2.0))
    assert not asked
