"""A sum of the residual stream with a part that passes dropout, in pieces."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ml_core.layers.blocks import blocks, in_pieces
from ml_core.layers.masks import Masks, masked


def add_dropped(x: Tensor, part: Tensor, *, dropout: float = 0.0) -> Tensor:
    """x + dropout(part), both [..., n]; of the wider type of the two."""
    if dropout == 0 or not in_pieces(x):
        return x + F.dropout(part, dropout)
    y: Tensor = _AddDropped.apply(x, part, dropout)  # type: ignore[no-untyped-call]
    return y


class _AddDropped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, part: Tensor, dropout: float) -> Tensor:
        masks = Masks(dropout)
        ctx.scale, ctx.types = masks.scale, (x.dtype, part.dtype)
        flat, part = x.reshape(-1, x.shape[-1]), part.reshape(-1, x.shape[-1])
        y = torch.empty(flat.shape, dtype=torch.promote_types(x.dtype, part.dtype))
        keep = torch.empty(flat.shape, dtype=torch.bool)
        for some in _blocks(y):
            piece = masked(part[some], masks.draw_(keep[some])).to(y.dtype)
            torch.add(flat[some], piece, alpha=masks.scale, out=y[some])
        ctx.save_for_backward(keep)
        return y.view_as(x)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        (keep,) = ctx.saved_tensors
        type_of_x, type_of_part = ctx.types
        flat = gradient.reshape(keep.shape)
        of_part = torch.empty(keep.shape, dtype=type_of_part)
        for some in _blocks(flat):
            of_part[some] = masked((flat[some] * ctx.scale).to(type_of_part), keep[some])
        return gradient.to(type_of_x), of_part.view_as(gradient), None


def _blocks(x: Tensor) -> Any:
    return blocks(len(x), row_bytes=x.shape[1] * x.element_size())
