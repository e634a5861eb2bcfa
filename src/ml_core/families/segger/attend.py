"""GATv2 attention to a fixed number of neighbours: forward and backward written out, some targets at a time.

Autograd keeps half a dozen copies of a [targets, neighbours, channels] tensor and passes each through memory. Here a
block of targets stays in the processor's cache from the gather to the sum, and only one weight for each neighbour and
head is kept; the backward pass gathers once more. What the sources get back is summed by `embedding_bag` over the
neighbours sorted by source, in an order that no thread changes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

SLOPE = 0.2  # of the leaky ReLU, as in the paper
BLOCK = 1024  # targets at a time: with 5 neighbours of 64 channels a tensor of 1.3 MB
NEVER = -1e30  # logit of a padded neighbour


def attend(
    source: Tensor,
    target: Tensor,
    neighbours: Tensor,
    attention: Tensor,
    edge: Tensor | None = None,
    edge_weight: Tensor | None = None,
) -> Tensor:
    """Mean of each target's neighbours, weighted by softmax(attention . leaky_relu(source + target + edge)).

    A target without a neighbour gets 0.

    **Shapes**: source [s, channels]; target [t, channels]; neighbours [t, k] int64 into the sources, -1 padded;
    attention [heads, channels / heads]; edge [t, k, features] with edge_weight [channels, features], which gets a
    gradient where `edge` gets none; out [t, channels].
    """
    if not len(source) or not neighbours.numel():
        return source.new_zeros(target.shape)
    if source.device.type != "cpu" or torch.compiler.is_compiling():
        return attend_at_once(source, target, neighbours, attention, edge, edge_weight)
    kind = torch.promote_types(source.dtype, torch.float32)
    weights = None if edge_weight is None else edge_weight.to(kind)
    with torch.autocast("cpu", enabled=False):
        out: Tensor = _Blocks.apply(source.to(kind), target.to(kind), neighbours, attention.to(kind), edge, weights)  # type: ignore[no-untyped-call]
    return out


def attend_at_once(
    source: Tensor,
    target: Tensor,
    neighbours: Tensor,
    attention: Tensor,
    edge: Tensor | None = None,
    edge_weight: Tensor | None = None,
) -> Tensor:
    """As `attend`, all targets at once through autograd: for other devices, and for torch.compile."""
    there = neighbours >= 0
    gathered = F.embedding(neighbours.clamp_min(0), source)  # [t, k, channels]
    mixed = gathered + target[:, None]
    if edge is not None and edge_weight is not None:
        mixed = mixed + F.linear(edge, edge_weight)
    logit = (F.leaky_relu(mixed, SLOPE) @ by_head(attention)).masked_fill(~there[..., None], NEVER)
    exact = torch.promote_types(logit.dtype, torch.float32)
    weight = torch.softmax(logit.to(exact), dim=1).to(logit.dtype) * there[..., None]
    return (weight[..., None] * gathered.unflatten(-1, attention.shape)).sum(1).flatten(1)


def by_head(attention: Tensor) -> Tensor:
    """[heads, width] -> block-diagonal [channels, heads]: a product with it is faster than multiply and sum."""
    return torch.block_diag(*attention[:, :, None])


class _Blocks(torch.autograd.Function):
    """Within a block of n targets everything is [k, n, ...]: what belongs to the targets is added without copies."""

    @staticmethod
    def forward(
        ctx: Any,
        source: Tensor,
        target: Tensor,
        neighbours: Tensor,
        attention: Tensor,
        edge: Tensor | None,
        edge_weight: Tensor | None,
    ) -> Tensor:
        (targets, k), (heads, width) = neighbours.shape, attention.shape
        source, slots = source.contiguous(), slots_of(neighbours)
        scores, spread = by_head(attention), by_head(torch.ones_like(attention)).t().contiguous()
        share, out = source.new_empty(targets * k, heads), torch.empty_like(target)
        room = source.new_empty(2, min(BLOCK, targets) * k, heads * width)
        for first in range(0, targets, BLOCK):
            rows = slice(first, min(first + BLOCK, targets))
            there = slots[rows.start * k : rows.stop * k, None] >= 0
            gathered, mixed = room[:, : len(there)]
            _mix(gathered, mixed, source, target, slots, edge, edge_weight, rows=rows, k=k)
            logit = torch.mm(mixed, scores).masked_fill_(~there, NEVER).view(k, -1, heads)
            mine = share[rows.start * k : rows.stop * k]
            torch.mul(torch.softmax(logit, 0).view(-1, heads), there, out=mine)
            torch.mm(mine, spread, out=mixed)
            weighted, heard = (each.view(k, -1, heads * width) for each in (mixed, gathered))
            torch.mul(weighted[0], heard[0], out=out[rows])
            for place in range(1, k):
                out[rows].addcmul_(weighted[place], heard[place])
        ctx.save_for_backward(source, target, slots, attention, edge, edge_weight, share, out)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        source, target, slots, attention, edge, edge_weight, share, out = ctx.saved_tensors
        gradient, (heads, width) = gradients[0].contiguous(), attention.shape
        targets, k, channels = len(target), len(slots) // max(len(target), 1), heads * width
        scores = by_head(attention).t().contiguous()
        spread = by_head(torch.ones_like(attention)).t().contiguous()
        total = spread.t().contiguous()  # sums the channels of a head
        of_slots, of_target = source.new_empty(len(slots), channels), torch.empty_like(target)
        of_scores = source.new_zeros(channels, heads)
        of_weight = None if edge_weight is None else torch.zeros_like(edge_weight)
        room = source.new_empty(2, min(BLOCK, targets) * k, channels)
        for first in range(0, targets, BLOCK):
            rows = slice(first, min(first + BLOCK, targets))
            mine, of_mine = (each[rows.start * k : rows.stop * k] for each in (share, of_slots))
            gathered, mixed = room[:, : len(mine)]
            given, blocks = gradient[rows], (k, rows.stop - rows.start)
            features = _mix(gathered, mixed, source, target, slots, edge, edge_weight, rows=rows, k=k)
            gathered.view(*blocks, channels).mul_(given)
            of_logit = torch.mm(gathered, total).view(*blocks, heads)
            of_logit.sub_(torch.mm(given * out[rows], total))  # what the softmax takes off
            of_logit = of_logit.view(-1, heads).mul_(mine)
            of_scores.addmm_(mixed.t(), of_logit)
            torch.mm(of_logit, scores, out=gathered)
            torch.ops.aten.leaky_relu_backward(gathered, mixed, SLOPE, True, grad_input=gathered)
            _add_up(gathered.view(*blocks, channels), of_target[rows])
            if of_weight is not None and features is not None:
                of_weight.addmm_(gathered.t(), features)
            torch.mm(mine, spread, out=mixed)
            torch.addcmul(*(each.view(*blocks, -1) for each in (gathered, mixed)), given, out=of_mine.view(*blocks, -1))
        of_attention = of_scores.view(heads, width, heads).diagonal(dim1=0, dim2=2).t()
        return _by_source(of_slots, slots, sources=len(source)), of_target, None, of_attention, None, of_weight


def slots_of(neighbours: Tensor) -> Tensor:
    """The neighbours [t, k], block after block and in each by place among the neighbours, [t * k] int32."""
    if len(neighbours) <= BLOCK:
        return neighbours.t().reshape(-1).int()
    return torch.cat([block.t().reshape(-1) for block in neighbours.split(BLOCK)]).int()


def _mix(
    gathered: Tensor,
    mixed: Tensor,
    source: Tensor,
    target: Tensor,
    slots: Tensor,
    edge: Tensor | None,
    edge_weight: Tensor | None,
    *,
    rows: slice,
    k: int,
) -> Tensor | None:
    """Write the sources of a block, and leaky_relu(source + target + edge), both [k * n, channels].

    Returns the block's edge features [k * n, features].
    """
    features = None
    torch.index_select(source, 0, slots[rows.start * k : rows.stop * k].clamp_min(0), out=gathered)
    shape = (k, -1, mixed.shape[1])
    torch.add(gathered.view(shape), target[rows], out=mixed.view(shape))
    if edge is not None and edge_weight is not None:
        features = edge[rows].transpose(0, 1).reshape(len(mixed), -1).to(source.dtype)
        mixed.addmm_(features, edge_weight.t())
    F.leaky_relu_(mixed, SLOPE)
    return features


def _add_up(values: Tensor, out: Tensor) -> None:
    """out = sum of values [k, n, channels] over k; `torch.sum` takes twice as long."""
    if len(values) == 1:
        out.copy_(values[0])
        return
    torch.add(values[0], values[1], out=out)
    for each in values[2:]:
        out.add_(each)


def _by_source(rows: Tensor, slots: Tensor, *, sources: int) -> Tensor:
    """Sum of the rows [t * k, channels] of each source, [sources, channels]; padded slots count for nothing."""
    order = torch.argsort(slots, stable=True).int()
    ends = torch.bincount(slots + 1, minlength=sources + 1).cumsum(0).int()  # the first are the padded ones
    padded = int(ends[0])
    return F.embedding_bag(order[padded:], rows, ends - padded, mode="sum", include_last_offset=True)
