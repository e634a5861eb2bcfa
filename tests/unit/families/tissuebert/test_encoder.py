"""The encoder equals PyTorch's with the same weights, forward and backward."""

import pytest
import torch
from torch import Tensor

from ml_core.families.tissuebert.encoder import Encoder
from ml_core.families.tissuebert.parity import as_stock

BATCH, PLACES, DIM = 3, 150, 64


def made(*, norm_first: bool, dropout: float = 0.0) -> Encoder:
    torch.manual_seed(0)
    return Encoder(DIM, layers=3, heads=4, feed_dim=128, dropout=dropout, norm_first=norm_first)


def padded() -> tuple[Tensor, Tensor]:
    there = torch.arange(PLACES) < torch.tensor([[150], [148], [17]])
    return torch.randn(BATCH, PLACES, DIM), there


@pytest.mark.parametrize("norm_first", [False, True])
def test_outputs_and_gradients_equal_those_of_pytorchs_encoder(norm_first: bool) -> None:
    ours = made(norm_first=norm_first)
    stock = as_stock(ours, dropout=0.0)
    x, there = padded()
    one, two = x.clone().requires_grad_(), x.clone().requires_grad_()
    mine, theirs = ours(one, there)[there], stock(two, src_key_padding_mask=~there)[there]
    assert torch.allclose(mine, theirs, atol=1e-5)
    weights = torch.randn_like(mine)
    (mine * weights).sum().backward()
    (theirs * weights).sum().backward()
    assert one.grad is not None
    assert two.grad is not None
    assert torch.allclose(one.grad, two.grad, atol=1e-4)
    ours_grad = ours.layers[0].query_key_value.weight.grad
    theirs_grad = stock.layers[0].self_attn.in_proj_weight.grad
    assert torch.allclose(ours_grad, theirs_grad, atol=1e-3, rtol=1e-4)


def test_what_stands_in_padded_places_changes_nothing() -> None:
    encoder = made(norm_first=False)
    x, there = padded()
    changed = torch.where(there[..., None], x, 100 * torch.randn_like(x))
    assert torch.allclose(encoder(x, there)[there], encoder(changed, there)[there], atol=1e-5)


def test_a_row_without_any_place_stays_finite_in_bf16_too() -> None:
    encoder = made(norm_first=False)
    x, there = padded()
    there[1] = False
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert encoder(x, there).isfinite().all()


def test_dropout_is_of_the_same_size_as_in_pytorchs_encoder() -> None:
    ours = made(norm_first=False, dropout=0.3)
    stock = as_stock(ours, dropout=0.3)
    x = torch.randn(2, 40, DIM)

    def spread(module: torch.nn.Module) -> float:
        drawn = torch.stack([module(x) for _ in range(60)])
        return float(drawn.std(0).mean())

    with torch.no_grad():
        assert spread(ours) == pytest.approx(spread(stock), rel=0.03)
