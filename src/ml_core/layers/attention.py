"""Attention of all heads between one product and the next, a few sequences at a time.

Logits, softmax, dropout and the products of a block stay in the cache. In half precision the softmax is kept for the
backward pass; in fp32 it is computed again, which is no dearer than writing and reading it, and saves its memory.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ml_core.layers.blocks import blocks, in_pieces
from ml_core.layers.masks import Masks, mask_, masked

HIDDEN_LOGIT = -1e4  # of what must not be attended to: finite, so that fp16 and rows without any place stay finite


def attention(query_key_value: Tensor, there: Tensor | None = None, *, heads: int, dropout: float = 0.0) -> Tensor:
    """softmax(query key' / sqrt(dim / heads)) value for each head.

    query_key_value [b, t, 3 dim], queries first, heads within each; there bool [b, t], the places that may be attended
    to (None: all); dropout of the softmax -> [b, t, dim].
    """
    if not in_pieces(query_key_value):
        return plain_attention(query_key_value, there, heads=heads, dropout=dropout)
    for_backward = torch.is_grad_enabled() and query_key_value.requires_grad
    mixed: Tensor = _Attention.apply(  # type: ignore[no-untyped-call]
        query_key_value, there, heads, dropout, for_backward
    )
    return mixed


def plain_attention(query_key_value: Tensor, there: Tensor | None, *, heads: int, dropout: float) -> Tensor:
    """The formula, whole tensors at a time."""
    batch, places, dim = query_key_value.shape[0], query_key_value.shape[1], query_key_value.shape[2] // 3
    query, key, value = _by_head(query_key_value, heads)
    with torch.autocast(query.device.type, enabled=False):  # softmax would be taken back to fp32
        logits = torch.bmm(query * (heads / dim) ** 0.5, key.transpose(1, 2))  # [b * heads, t, t]
        if there is not None:
            by_head = logits.view(batch, heads, places, places)
            logits = by_head.masked_fill(~there[:, None, None], HIDDEN_LOGIT).view_as(logits)
        mixed = torch.bmm(F.dropout(torch.softmax(logits, dim=-1), dropout), value)
    return mixed.view(batch, heads, places, -1).transpose(1, 2).reshape(batch, places, dim)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query_key_value: Tensor, there: Tensor | None, heads: int, dropout: float, for_backward: bool
    ) -> Tensor:
        batch, places, width = query_key_value.shape
        masks = Masks(dropout) if dropout else None
        ctx.heads, ctx.dropout_scale = heads, masks.scale if masks else 1.0
        keep_weights = for_backward and query_key_value.element_size() < 4
        all_weights = query_key_value.new_empty(batch * heads if keep_weights else 0, places, places)
        kept = torch.empty(batch * heads if for_backward and masks else 0, places, places, dtype=torch.bool)
        out = query_key_value.new_empty(batch, places, width // 3)
        with torch.autocast("cpu", enabled=False):
            for some in _blocks(query_key_value, heads):
                query, key, value = _by_head(query_key_value[some], heads)
                rows = slice(some.start * heads, some.stop * heads)
                logits = _logits(query, key, None if there is None else there[some])
                weights = torch.softmax(logits, dim=-1, out=all_weights[rows] if keep_weights else logits)
                if masks:
                    keep = kept[rows] if for_backward else torch.empty(logits.shape, dtype=torch.bool)
                    weights = masked(weights, masks.draw_(keep))
                _put(out[some], _scaled(weights, value, ctx.dropout_scale), heads)
        ctx.save_for_backward(query_key_value, there, all_weights, kept)
        return out

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        query_key_value, there, all_weights, kept = ctx.saved_tensors
        heads, scale = ctx.heads, (3 * ctx.heads / query_key_value.shape[2]) ** 0.5
        found = torch.empty_like(query_key_value)
        with torch.autocast("cpu", enabled=False):
            for some in _blocks(query_key_value, heads):
                query, key, value = _by_head(query_key_value[some], heads)
                rows, of_mixed = slice(some.start * heads, some.stop * heads), _of_place(gradient[some], heads)
                if len(all_weights):
                    weights = all_weights[rows]
                else:
                    logits = _logits(query, key, None if there is None else there[some])
                    weights = torch.softmax(logits, dim=-1, out=logits)
                dropped = masked(weights, kept[rows]) if len(kept) else weights
                of_value = _scaled(dropped.transpose(1, 2), of_mixed, ctx.dropout_scale)
                of_weights = _scaled(of_mixed, value.transpose(1, 2), ctx.dropout_scale)
                if len(kept):
                    mask_(of_weights, kept[rows])
                of_logits = torch.ops.aten._softmax_backward_data(of_weights, weights, -1, weights.dtype)
                if there is not None:
                    by_head = of_logits.view(-1, heads, *of_logits.shape[1:])
                    by_head.mul_(there[some, None, None].to(of_logits.dtype))
                of_query, of_key = _scaled(of_logits, key, scale), _scaled(of_logits.transpose(1, 2), query, scale)
                for part, of_part in zip(found[some].chunk(3, dim=2), (of_query, of_key, of_value), strict=True):
                    _put(part, of_part, heads)
        return found, None, None, None, None


def _blocks(query_key_value: Tensor, heads: int) -> Any:
    places = query_key_value.shape[1]
    return blocks(len(query_key_value), row_bytes=heads * places * places * query_key_value.element_size())


def _logits(query: Tensor, key: Tensor, there: Tensor | None) -> Tensor:
    """query and key [b * heads, t, dim / heads], there bool [b, t] or None -> [b * heads, t, t]."""
    logits = _scaled(query, key.transpose(1, 2), query.shape[-1] ** -0.5)
    if there is not None:
        most = torch.where(there, torch.inf, HIDDEN_LOGIT).to(logits.dtype)[:, None, None]  # [b, 1, 1, t]
        by_head = logits.view(len(there), -1, *logits.shape[1:])
        torch.minimum(by_head, most, out=by_head)
    return logits


def _scaled(a: Tensor, b: Tensor, scale: float) -> Tensor:
    """scale a b, in one go."""
    if scale == 1:
        return torch.bmm(a, b)
    return torch.baddbmm(a.new_empty(1, 1, 1), a, b, beta=0, alpha=scale)


def _by_head(query_key_value: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """[b, t, 3 dim] -> three of [b * heads, t, dim / heads]."""
    batch, places, width = query_key_value.shape
    parts = query_key_value.reshape(batch, places, 3, heads, width // (3 * heads)).permute(2, 0, 3, 1, 4)
    query, key, value = parts.reshape(3, batch * heads, places, -1).unbind(0)
    return query, key, value


def _of_place(x: Tensor, heads: int) -> Tensor:
    """[b, t, dim] -> [b * heads, t, dim / heads]."""
    return x.unflatten(2, (heads, -1)).transpose(1, 2).flatten(0, 1)


def _put(into: Tensor, x: Tensor, heads: int) -> None:
    """x [b * heads, t, dim / heads], written to `into` [b, t, dim]."""
    into.unflatten(2, (heads, -1)).transpose(1, 2).copy_(x.unflatten(0, (-1, heads)))
