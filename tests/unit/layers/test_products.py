"""Linear layers by runs and with gradients laid out anew equal those of PyTorch."""

import pytest
import torch
from torch import Tensor, nn

from ml_core.layers import blocks, products
from ml_core.layers.products import linear, weight_gradient


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("mixed", "loose"), [(False, 1e-5), (True, 3e-2)])
@pytest.mark.parametrize(("n", "m"), [(5, 9), (9, 5), (6, 6)])
@pytest.mark.parametrize("block_bytes", [2000, 1 << 20])
def test_values_and_gradients_are_those_of_the_layer(
    n: int, m: int, mixed: bool, loose: float, bias: bool, block_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (blocks, products):
        monkeypatch.setattr(module, "BLOCK_BYTES", block_bytes)
    torch.manual_seed(0)
    layer, x = nn.Linear(n, m, bias=bias), torch.randn(4, 31, n, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
        ours, plain = linear(x, layer), layer(x)
    assert ours.dtype == plain.dtype
    torch.testing.assert_close(ours, plain, atol=loose, rtol=loose)
    upstream, sources = torch.randn(plain.shape), (x, *layer.parameters())
    found, expected = (torch.autograd.grad((y * upstream).sum(), sources) for y in (ours, plain))
    for one, two in zip(found, expected, strict=True):
        assert one.dtype == two.dtype
        torch.testing.assert_close(one, two, atol=10 * loose, rtol=loose)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("n", "m"), [(5, 9), (9, 5), (6, 6)])
def test_a_weights_gradient_has_the_weights_layout_in_either_order(n: int, m: int, dtype: torch.dtype) -> None:
    of_y, x = (torch.randint(-3, 4, (200, width)).to(dtype) for width in (m, n))
    expected: Tensor = of_y.double().t() @ x.double()
    torch.testing.assert_close(weight_gradient(of_y, x).double(), expected, rtol=5e-3, atol=0.5)


def test_frozen_weights_get_no_gradient_and_what_stands_ahead_does() -> None:
    layer, x = nn.Linear(3, 4), torch.randn(2, 3, requires_grad=True)
    layer.requires_grad_(False)
    linear(x, layer).sum().backward()
    assert layer.weight.grad is None
    assert x.grad is not None
