"""Dropout that is quick on a CPU, where masks of `torch.nn.Dropout` take a fifth of a step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ml_core.layers.masks import Masks, mask_


class Dropout(nn.Module):
    """`torch.nn.Dropout`, with the masks of `ml_core.layers.masks` on a CPU; the chance is exact to 1 / 65,536."""

    def __init__(self, p: float, *, inplace: bool = False) -> None:
        super().__init__()
        self.p, self.inplace = p, inplace

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.p, inplace=self.inplace)
        dropped: Tensor = _Masked.apply(x, self.p, self.inplace)  # type: ignore[no-untyped-call]
        return dropped

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class _Masked(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float, inplace: bool) -> Tensor:
        masks = Masks(p)
        keep = masks.draw_(torch.empty(x.shape, dtype=torch.bool))
        ctx.scale = masks.scale
        ctx.save_for_backward(keep)
        if not inplace:
            return mask_(x * ctx.scale, keep)
        ctx.mark_dirty(x)
        return mask_(x.mul_(ctx.scale), keep)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (keep,) = ctx.saved_tensors
        return mask_(gradients[0] * ctx.scale, keep), None, None
