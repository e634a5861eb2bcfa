"""A feed-forward network with GELU and dropout by runs of rows and, between its products, in pieces."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ml_core.layers.blocks import blocks, in_pieces
from ml_core.layers.masks import Masks, mask_
from ml_core.layers.products import computing_type, product, runs, weight_gradient


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
    """Run by run of rows, both products and what is between them.

    What is between is kept for the backward pass in half precision, and computed again in fp32, as the softmax is.
    Dropout's scale is taken into the second weights, where it costs nothing.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, widen: Tensor, widen_bias: Tensor, narrow: Tensor, narrow_bias: Tensor, dropout: float
    ) -> Tensor:
        dtype = computing_type(x)
        masks = Masks(dropout) if dropout else None
        ctx.scale, ctx.types = masks.scale if masks else 1.0, (x.dtype, widen.dtype)
        rows, widen_cast = x.to(dtype).reshape(-1, x.shape[-1]), widen.to(dtype)
        narrow_cast = (narrow * ctx.scale if masks else narrow).to(dtype)
        y = rows.new_empty(len(rows), len(narrow))
        keep = torch.empty(len(rows) if masks else 0, len(widen), dtype=torch.bool)
        wides: list[Tensor] = []
        inners: list[Tensor] = []  # in half precision; in fp32 they are computed again
        for run in runs(len(rows), widen_cast):
            wide = product(rows[run], widen_cast, widen_bias.to(dtype))
            inner = torch.empty_like(wide)
            for some in _blocks(wide):
                torch.ops.aten.gelu.out(wide[some], out=inner[some])
                if masks:
                    mask_(inner[some], masks.draw_(keep[run][some]))
            product(inner, narrow_cast, narrow_bias.to(dtype), out=y[run])
            wides.append(wide)
            if wide.element_size() < 4:
                inners.append(inner)
        ctx.runs = len(wides)
        ctx.save_for_backward(rows, keep, widen_cast, narrow_cast, *wides, *inners)
        return y.view(*x.shape[:-1], len(narrow))

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, keep, widen, narrow, *wides = ctx.saved_tensors
        wides, inners = wides[: ctx.runs], wides[ctx.runs :]
        of_y = gradient.reshape(-1, len(narrow))
        needed, (type_of_x, type_of_weights) = ctx.needs_input_grad, ctx.types
        of_x = torch.empty_like(x) if needed[0] else None
        of_widen, of_narrow = _Sum(), _Sum()
        of_widen_bias = torch.zeros(len(widen), dtype=type_of_weights)
        for number, (run, wide) in enumerate(zip(runs(len(x), widen), wides, strict=True)):
            of_wide = product(of_y[run], narrow.t())
            inner = inners[number] if inners else torch.empty_like(wide)
            for some in _blocks(wide):
                if not inners:
                    torch.ops.aten.gelu.out(wide[some], out=inner[some])
                if len(keep):
                    mask_(of_wide[some], keep[run][some])
                if len(keep) and not inners:
                    mask_(inner[some], keep[run][some])
                torch.ops.aten.gelu_backward.grad_input(of_wide[some], wide[some], grad_input=of_wide[some])
                of_widen_bias += of_wide[some].sum(0)
            if needed[1]:
                of_widen.add(weight_gradient(of_wide, x[run]))
            if needed[3]:
                of_narrow.add(weight_gradient(of_y[run], inner))
            if of_x is not None:
                product(of_wide, widen.t(), out=of_x[run])
        return (
            None if of_x is None else of_x.to(type_of_x).view(*gradient.shape[:-1], x.shape[1]),
            of_widen.total(type_of_weights),
            of_widen_bias,
            of_narrow.total(type_of_weights, scale=ctx.scale),
            of_y.sum(0).to(type_of_weights),
            None,
        )


class _Sum:
    """Of the runs' parts of a gradient, if there are any."""

    def __init__(self) -> None:
        self._sum: Tensor | None = None

    def add(self, part: Tensor) -> None:
        self._sum = part if self._sum is None else self._sum.add_(part)

    def total(self, dtype: torch.dtype, *, scale: float = 1.0) -> Tensor | None:
        if self._sum is None:
            return None
        total = self._sum.to(dtype, memory_format=torch.contiguous_format)
        return total if scale == 1 else total.mul_(scale)


def _blocks(wide: Tensor) -> Any:
    return blocks(len(wide), row_bytes=wide.shape[1] * wide.element_size())
