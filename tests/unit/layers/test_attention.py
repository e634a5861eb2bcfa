"""Attention by blocks equals the plain formula: values, gradients, padding, odd sizes, mixed precision, dropout."""

import pytest
import torch
from torch import Tensor

from ml_core.layers import blocks
from ml_core.layers.attention import attention, plain_attention

LOOSE = {torch.float64: 1e-10, torch.float32: 1e-5, torch.bfloat16: 4e-2}
SIZES = [(5, 7, 6, 3), (3, 33, 16, 2), (1, 1, 4, 1), (1, 9, 4, 1)]


def made(batch: int, places: int, dim: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(batch, places, 3 * dim, dtype=dtype).requires_grad_(), torch.randn(
        batch, places, dim, dtype=dtype
    )


def padded(batch: int, places: int) -> Tensor:
    return torch.arange(places) < torch.linspace(places, 0, batch).round()[:, None]  # the last has no place at all


@pytest.mark.parametrize("dtype", LOOSE)
@pytest.mark.parametrize("padding", [False, True])
@pytest.mark.parametrize(
    ("batch", "places", "dim", "heads"), [(5, 7, 6, 3), (3, 33, 16, 2), (1, 1, 4, 1), (1, 9, 4, 1)]
)
def test_values_and_gradients_are_those_of_the_formula(
    batch: int, places: int, dim: int, heads: int, padding: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 2 * heads * places * places * dtype.itemsize)  # an odd last block
    x, weights = made(batch, places, dim, dtype)
    before = x.detach().clone()
    there = padded(batch, places) if padding else None
    ours, plain = attention(x, there, heads=heads), plain_attention(x, there, heads=heads, dropout=0.0)
    assert ours.dtype == dtype
    torch.testing.assert_close(ours, plain, atol=LOOSE[dtype], rtol=LOOSE[dtype])
    (one,), (two,) = (torch.autograd.grad((each * weights).sum(), x) for each in (ours, plain))
    torch.testing.assert_close(one, two, atol=LOOSE[dtype], rtol=LOOSE[dtype])
    assert torch.equal(x, before)


def test_without_gradients_the_values_are_the_same() -> None:
    x, _ = made(4, 11, 8, torch.float32)
    with torch.no_grad():
        assert torch.equal(attention(x, heads=2), attention(x.detach(), heads=2))
    assert torch.equal(attention(x, heads=2).detach(), attention(x.detach(), heads=2))


def test_dropout_takes_its_share_of_the_weights_and_gradients_follow_the_same_mask() -> None:
    places, p = 64, 0.3
    x = torch.zeros(2, places, 3 * places, dtype=torch.float64)  # alike logits; values are the identity,
    x[..., 2 * places :] = torch.eye(places, dtype=torch.float64)  # so that the output is the weights themselves
    x.requires_grad_()
    weights = attention(x, heads=1, dropout=p)
    kept = weights != 0
    assert float(kept.double().mean()) == pytest.approx(1 - p, abs=0.02)
    assert torch.allclose(weights[kept] * places, torch.tensor(1 / (1 - p), dtype=torch.float64), rtol=1e-4)
    upstream = torch.randn_like(weights)
    (gradient,) = torch.autograd.grad((weights * upstream).sum(), x)
    value = gradient[..., 2 * places :]
    assert torch.allclose(value, weights.transpose(1, 2) @ upstream)


def test_gradients_with_dropout_are_those_of_the_function_with_the_same_mask() -> None:
    x, _ = made(2, 5, 6, torch.float64)

    def again(x: Tensor) -> Tensor:
        torch.manual_seed(1)
        return attention(x, heads=2, dropout=0.4)

    assert torch.autograd.gradcheck(again, x)


def test_blocks_draw_the_masks_that_one_large_block_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    x, _ = made(6, 8, 8, torch.float32)
    torch.manual_seed(2)
    whole = attention(x, heads=2, dropout=0.5)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1)
    torch.manual_seed(2)
    torch.testing.assert_close(attention(x, heads=2, dropout=0.5), whole)
