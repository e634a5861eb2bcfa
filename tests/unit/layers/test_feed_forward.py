"""The feed-forward network by pieces equals linear, GELU, dropout, linear."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ml_core.layers import blocks
from ml_core.layers.feed_forward import feed_forward


def made(n: int, inner: int, dtype: torch.dtype = torch.float32) -> tuple[nn.Linear, nn.Linear, Tensor]:
    torch.manual_seed(0)
    return nn.Linear(n, inner, dtype=dtype), nn.Linear(inner, n, dtype=dtype), torch.randn(3, 7, n, dtype=dtype)


def gradients(y: Tensor, *sources: Tensor) -> tuple[Tensor, ...]:
    torch.manual_seed(1)
    return torch.autograd.grad((y * torch.randn(y.shape)).sum(), sources)


@pytest.mark.parametrize("block_bytes", [1, 4 * 12 * 5, 1 << 20])
@pytest.mark.parametrize(("mixed", "loose"), [(False, 1e-5), (True, 3e-2)])
def test_values_and_gradients_are_those_of_the_layers(
    block_bytes: int, mixed: bool, loose: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", block_bytes)
    widen, narrow, x = made(6, 12)
    x.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
        ours, plain = feed_forward(x, widen, narrow), narrow(F.gelu(widen(x)))
    assert ours.dtype == plain.dtype
    torch.testing.assert_close(ours, plain, atol=loose, rtol=loose)
    sources = (x, *widen.parameters(), *narrow.parameters())
    for one, two in zip(gradients(ours, *sources), gradients(plain, *sources), strict=True):
        torch.testing.assert_close(one, two, atol=3 * loose, rtol=loose)


def test_frozen_weights_get_no_gradient_and_the_rest_do() -> None:
    widen, narrow, x = made(6, 12)
    widen.requires_grad_(False)
    feed_forward(x, widen, narrow).sum().backward()
    assert widen.weight.grad is None
    assert narrow.weight.grad is not None


def test_gradients_with_dropout_are_those_of_the_function_with_the_same_mask() -> None:
    widen, narrow, x = made(4, 9, torch.float64)
    x.requires_grad_()

    def again(*_: Tensor) -> Tensor:
        torch.manual_seed(1)
        return feed_forward(x, widen, narrow, dropout=0.4)

    assert torch.autograd.gradcheck(again, (x, *widen.parameters(), *narrow.parameters()))


def test_dropout_takes_its_share_of_the_inner_values_and_scales_the_rest() -> None:
    size, p = 200, 0.3
    widen, narrow = nn.Linear(size, size), nn.Linear(size, size)
    with torch.no_grad():
        for layer in (widen, narrow):
            layer.weight.copy_(torch.eye(size))
            layer.bias.zero_()
    x = torch.full((size, size), 2.0)
    y = feed_forward(x, widen, narrow, dropout=p)
    kept = y != 0
    assert float(kept.double().mean()) == pytest.approx(1 - p, abs=0.02)
    assert torch.allclose(y[kept], F.gelu(torch.tensor(2.0)) / (1 - p), rtol=1e-4)
