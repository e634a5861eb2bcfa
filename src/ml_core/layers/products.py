"""Products of a linear layer, laid out to be quick in the library beneath; mixed precision casts weights once."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ml_core.layers.blocks import BLOCK_BYTES, blocks, in_pieces

TURNED_ROWS = 96


def linear(x: Tensor, layer: nn.Linear) -> Tensor:
    """layer(x), [..., n] -> [..., m], of autocast's type where that is on."""
    if not in_pieces(x):
        y: Tensor = layer(x)
        return y
    y = _Linear.apply(x, layer.weight, layer.bias)  # type: ignore[no-untyped-call]
    return y


def computing_type(x: Tensor) -> torch.dtype:
    """What a product with x is computed in."""
    if torch.is_autocast_enabled(x.device.type):
        return torch.get_autocast_dtype(x.device.type)
    return x.dtype


def runs(rows: int, weight: Tensor) -> Iterator[slice]:
    """Runs of rows to be multiplied at a time.

    In bf16, and for weights that fill the cache by themselves: all rows. Small ones: as many as keep the result in the
    cache (MKL takes 54 ms for 30,000 x 128 by 128 x 512 at once, 25 ms by runs of 500 rows).
    """
    if weight.dtype == torch.bfloat16 or 2 * weight.numel() * weight.element_size() > BLOCK_BYTES:
        return iter([slice(0, rows)])
    return blocks(rows, row_bytes=max(weight.shape) * weight.element_size())


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, out: Tensor | None = None) -> Tensor:
    """x [rows, n] weight' + bias -> [rows, m], written to `out` where that is given."""
    if x.dtype == torch.bfloat16 and bias is not None and _bias_within():
        # PyTorch lays the bias out beforehand; oneDNN adds it within the product.
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        return y if out is None else out.copy_(y)
    y = x.new_empty(len(x), len(weight)) if out is None else out
    for some in runs(len(x), weight):
        if bias is None:
            torch.mm(x[some], weight.t(), out=y[some])
        else:
            torch.addmm(bias, x[some], weight.t(), out=y[some])
    return y


def weight_gradient(of_y: Tensor, x: Tensor) -> Tensor:
    """of_y' x, of_y [rows, m] and x [rows, n] -> [m, n].

    The narrower of the two comes first: MKL is a third quicker by it. In bf16 it is laid out anew beforehand, for
    oneDNN multiplies a transposed left side at half its speed (saves 5 of 19 ms for widths of 512 and 2,048).
    """
    if of_y.shape[1] == x.shape[1]:
        return of_y.t() @ x
    turned = _turned if of_y.dtype == torch.bfloat16 else Tensor.t
    if x.shape[1] < of_y.shape[1]:
        return (turned(x) @ of_y).t()
    return turned(of_y) @ x


def _turned(x: Tensor) -> Tensor:
    """x' laid out anew, some rows at a time: the whole at once takes half as long again."""
    turned = x.new_empty(x.shape[1], x.shape[0])
    for some in blocks(len(x), row_bytes=BLOCK_BYTES // TURNED_ROWS):
        turned[:, some] = x[some].t()
    return turned


@functools.cache
def _bias_within() -> bool:
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        dtype = computing_type(x)
        rows, cast = x.to(dtype).reshape(-1, x.shape[-1]), weight.to(dtype)
        ctx.save_for_backward(rows, cast)
        ctx.types = x.dtype, weight.dtype
        y = product(rows, cast, None if bias is None else bias.to(dtype))
        return y.view(*x.shape[:-1], len(weight))

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        of_y = gradient.reshape(-1, len(weight))
        of_x = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            of_x = product(of_y, weight.t()).to(ctx.types[0]).view(*gradient.shape[:-1], x.shape[1])
        if ctx.needs_input_grad[1]:
            of_weight = weight_gradient(of_y, x).to(ctx.types[1], memory_format=torch.contiguous_format)
        if ctx.needs_input_grad[2]:
            of_bias = of_y.sum(0).to(ctx.types[1])
        return of_x, of_weight, of_bias
