"""A sum with a part that passes dropout: values, scale, the gradients of both, types."""

import pytest
import torch

from ml_core.layers import blocks
from ml_core.layers.residual import add_dropped


def test_without_dropout_it_is_the_sum() -> None:
    x, part = torch.randn(3, 4), torch.randn(3, 4)
    assert torch.equal(add_dropped(x, part), x + part)


@pytest.mark.parametrize("block_bytes", [1, 1 << 20])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_kept_is_scaled_and_gradients_pass_where_values_did(
    block_bytes: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", block_bytes)
    p = 0.3
    x, part = torch.zeros(50, 3, 40, requires_grad=True), torch.ones(50, 3, 40, dtype=dtype, requires_grad=True)
    y = add_dropped(x, part, dropout=p)
    assert y.dtype == torch.float32
    kept = y != 0
    assert float(kept.double().mean()) == pytest.approx(1 - p, abs=0.03)
    assert torch.allclose(y[kept], torch.tensor(1 / (1 - p)), rtol=1e-4)
    of_x, of_part = torch.autograd.grad(y.sum(), (x, part))
    assert torch.equal(of_x, torch.ones_like(x))
    assert of_part.dtype == dtype
    assert torch.allclose(of_part.float(), y.detach(), rtol=1e-2)
    assert torch.equal(of_part != 0, kept)
