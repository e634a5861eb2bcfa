"""What other devices than a CPU, and torch.compile, compute: the plain formulas, to the same values."""

import pytest
import torch
from torch import Tensor, nn

from ml_core.layers import attention, feed_forward, products, residual

MODULES = (attention, feed_forward, products, residual)


def whole(x: Tensor, parts: nn.Linear, widen: nn.Linear, narrow: nn.Linear, *, dropout: float) -> Tensor:
    mixed = attention.attention(products.linear(x, parts), heads=2, dropout=dropout)
    x = residual.add_dropped(x, mixed, dropout=dropout)
    return residual.add_dropped(x, feed_forward.feed_forward(x, widen, narrow, dropout=dropout), dropout=dropout)


def made(batch: int) -> tuple[Tensor, nn.Linear, nn.Linear, nn.Linear]:
    torch.manual_seed(0)
    return torch.randn(batch, 5, 8), nn.Linear(8, 24), nn.Linear(8, 32), nn.Linear(32, 8)


def test_the_plain_formulas_give_the_same_values_and_drop_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    made_of = made(400)
    quick = [whole(*made_of, dropout=p).detach() for p in (0.0, 0.4)]
    for module in MODULES:
        monkeypatch.setattr(module, "in_pieces", lambda x: False)
    plain = [whole(*made_of, dropout=p).detach() for p in (0.0, 0.4)]
    torch.testing.assert_close(quick[0], plain[0], atol=1e-5, rtol=1e-5)
    assert float(quick[1].std()) == pytest.approx(float(plain[1].std()), rel=0.05)


def test_torch_compile_takes_the_plain_formulas_in_one_graph() -> None:
    made_of = made(3)
    compiled = torch.compile(whole, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(*made_of, dropout=0.0), whole(*made_of, dropout=0.0), atol=1e-5, rtol=1e-5)
    assert compiled(*made_of, dropout=0.4).isfinite().all()


def test_no_sequences_at_all_give_none() -> None:
    y = whole(*made(0), dropout=0.4)
    assert y.shape == (0, 5, 8)
    y.sum().backward()
