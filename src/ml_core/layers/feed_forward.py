"""A feed-forward network with GELU and dropout, whose wide inner values pass GELU and dropout in pieces."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ml_core.layers.blocks import blocks, in_pieces
from ml_core.layers.masks import Masks, mask_
from ml_core.layers.products import computing_type, product, weight_gradient


def feed_forward(x: Tensor, widen: nn.Linear, narrow: nn.Linear, *, dropout: float = 0.0) -> Tensor:
    """narrow(dropout(gelu(widen(x)))), [..., n] -> [..., m]."""
    if not in_pieces(x):
        y: Tensor = narrow(F.dropout(F.gelu(widen(x)), dropout))
        return y
    y = _FeedForward.apply(  # type: ignore[no-untyped-call]
        x, widen.weight, widen.bias, narrow.weight, narrow.bias, dropout
    )
    return y


class _FeedForward(torch.autograd.Function):
    """Dropout's scale is taken into the second weights, where it costs nothing."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, widen: Tensor, widen_bias: Tensor, narrow: Tensor, narrow_bias: Tensor, dropout: float
    ) -> Tensor:
        dtype = computing_type(x)
        masks = Masks(dropout) if dropout else None
        ctx.scale, ctx.types = masks.scale if masks else 1.0, (x.dtype, widen.dtype)
        rows, widen_cast = x.to(dtype).reshape(-1, x.shape[-1]), widen.to(dtype)
        narrow_cast = (narrow * ctx.scale if masks else narrow).to(dtype)
        wide = product(rows, widen_cast, widen_bias.to(dtype))
        inner = torch.empty_like(wide)
        keep = torch.empty(wide.shape if masks else 0, dtype=torch.bool)
        for some in _blocks(wide):
            torch.ops.aten.gelu.out(wide[some], out=inner[some])
            if masks:
                mask_(inner[some], masks.draw_(keep[some]))
        ctx.save_for_backward(rows, wide, inner, keep, widen_cast, narrow_cast)
        return product(inner, narrow_cast, narrow_bias.to(dtype)).view(*x.shape[:-1], -1)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, wide, inner, keep, widen, narrow = ctx.saved_tensors
        type_of_x, type_of_weights = ctx.types
        needed = ctx.needs_input_grad
        of_y = gradient.reshape(-1, len(narrow))
        of_narrow = of_narrow_bias = of_x = of_widen = of_widen_bias = None
        if needed[3]:
            of_narrow = weight_gradient(of_y, inner).to(type_of_weights, memory_format=torch.contiguous_format)
            of_narrow = of_narrow.mul_(ctx.scale)
        if needed[4]:
            of_narrow_bias = of_y.sum(0).to(type_of_weights)
        of_wide = product(of_y, narrow.t())
        sums = torch.zeros(wide.shape[1], dtype=torch.float32 if wide.element_size() < 4 else wide.dtype)
        for some in _blocks(wide):
            piece = mask_(of_wide[some], keep[some]) if len(keep) else of_wide[some]
            torch.ops.aten.gelu_backward.grad_input(piece, wide[some], grad_input=piece)
            sums += piece.sum(0)
        if needed[1]:
            of_widen = weight_gradient(of_wide, x).to(type_of_weights, memory_format=torch.contiguous_format)
        if needed[2]:
            of_widen_bias = sums.to(type_of_weights)
        if needed[0]:
            of_x = product(of_wide, widen.t()).to(type_of_x).view(*gradient.shape[:-1], -1)
        return of_x, of_widen, of_widen_bias, of_narrow, of_narrow_bias, None


def _blocks(wide: Tensor) -> Any:
    return blocks(len(wide), row_bytes=wide.shape[1] * wide.element_size())
