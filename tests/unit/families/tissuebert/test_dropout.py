"""Dropout: the right share at the right scale, the same mask again from the same generator state."""

import pytest
import torch

from ml_core.families.tissuebert.dropout import Dropout

SIZE = 400_000


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("p", [0.05, 0.1, 0.7])
def test_the_share_that_is_dropped_is_p_and_the_rest_is_scaled(p: float, inplace: bool, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    y = Dropout(p, inplace=inplace)(torch.ones(SIZE, dtype=dtype))
    assert float((y == 0).double().mean()) == pytest.approx(p, abs=5 * (p * (1 - p) / SIZE) ** 0.5)
    assert torch.allclose(y[y != 0].double(), torch.tensor(1 / (1 - p)).double(), rtol=1e-2)


def test_gradients_pass_where_values_passed_and_nowhere_else() -> None:
    x = torch.randn(50, 70, requires_grad=True)
    y = Dropout(0.3)(x)
    y.sum().backward()
    assert x.grad is not None
    assert torch.allclose(x.grad, y.detach() / x.detach())


def test_a_layout_that_is_not_contiguous_is_masked_alike() -> None:
    x = torch.randn(7, 11)
    torch.manual_seed(3)
    straight = Dropout(0.5)(x)
    torch.manual_seed(3)
    turned = Dropout(0.5)(x.t().contiguous().t())
    assert torch.equal(straight, turned)


def test_the_same_generator_state_gives_the_same_mask_and_each_call_another() -> None:
    drop, x = Dropout(0.5), torch.ones(1000)
    state = torch.get_rng_state()
    first, second = drop(x), drop(x)
    torch.set_rng_state(state)
    assert torch.equal(drop(x), first)
    assert not torch.equal(first, second)


def test_nothing_is_dropped_outside_of_training() -> None:
    x = torch.randn(5)
    assert Dropout(0.9).eval()(x) is x
    assert Dropout(0.0)(x) is x
