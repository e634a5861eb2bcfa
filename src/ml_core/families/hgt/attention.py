"""Multi-head attention over a sparse graph: forward and backward written out, without an edge-wide copy of anything.

Gathering a vector for each edge costs 15 times the memory traffic of this. On a CPU the products of queries and keys at
the edges come from the sampled product of a CSR matrix, and every weighted sum from `embedding_bag`, whose kernel reads
rows at memory speed; both run once per head on contiguous [nodes, depth] matrices. Elsewhere (CUDA, MPS) plain gathers
and scatters compute the same.
"""

from __future__ import annotations

import functools
import itertools
import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Structure:
    """e edges from s sources to t targets, sorted by target, and the same edges sorted by source.

    **Shapes**, all int32: start [t + 1] into the edges by target; source [e], target [e] of those; start_back [s + 1]
    into the edges by source; target_back [e] of those; edge_back [e], the position of each among the edges by target.
    """

    start: Tensor
    source: Tensor
    target: Tensor
    start_back: Tensor
    target_back: Tensor
    edge_back: Tensor

    @property
    def edge_count(self) -> int:
        return self.source.numel()


def structure_of(source: np.ndarray, target: np.ndarray, *, sources: int, targets: int) -> Structure:
    """Sort edges (integer arrays [e]) both ways. Order among edges of one target: by source, so that it is unique."""
    order = np.lexsort((source, target))
    source, target = source[order], target[order]
    back = np.argsort(source, kind="stable")
    arrays = (
        starts(target, targets),
        source,
        target,
        starts(source, sources),
        target[back],
        back,
    )
    return Structure(*(torch.from_numpy(np.ascontiguousarray(each, dtype=np.int32)) for each in arrays))


def starts(keys: np.ndarray, groups: int) -> np.ndarray:
    """Where each group begins in sorted keys, int64 [groups + 1]."""
    out = np.zeros(groups + 1, dtype=np.int64)
    np.cumsum(np.bincount(keys, minlength=groups), out=out[1:])
    return out


def attend(query: Tensor, key: Tensor, value: Tensor, structure: Structure) -> Tensor:
    """For each target and head: the mean of its sources' values, weighted by softmax(query . key / sqrt(depth)).

    A target without edges gets 0.

    **Shapes**: query [heads, t, depth]; key and value [heads, s, depth]; out [heads, t, depth], in float32.
    """
    query = query.float() * (1 / math.sqrt(query.size(-1)))
    key, value = key.float(), value.float()
    if query.device.type == "cpu":
        out: Tensor = _Attention.apply(query, key, value, structure)  # type: ignore[no-untyped-call]
        return out
    return attend_by_scatter(query, key, value, structure)


def attend_by_scatter(query: Tensor, key: Tensor, value: Tensor, structure: Structure) -> Tensor:
    """As `attend`, of a query that is scaled already, by gathers and scatters, for other devices than a CPU."""
    source, target = structure.source.long(), structure.target.long()
    logit = (query[:, target] * key[:, source]).sum(-1)  # [heads, e]
    slot = target.expand_as(logit)
    top = logit.new_full(query.shape[:2], -math.inf).scatter_reduce(1, slot, logit.detach(), "amax")
    weight = (logit - top.gather(1, slot)).exp()
    total = torch.zeros_like(top).scatter_add(1, slot, weight)
    share = weight / total.gather(1, slot)
    return torch.zeros_like(query).index_add(1, target, share[..., None] * value[:, source])


class _Attention(torch.autograd.Function):
    """The saved values are the inputs, the output and one weight per edge and head."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, structure: Structure) -> Tensor:
        query, key, value = query.contiguous(), key.contiguous(), value.contiguous()
        out, share = torch.empty_like(query), query.new_empty(len(query), structure.edge_count)
        for head in range(len(query)):
            logit = _products(query[head], key[head], structure)
            share[head] = _softmax(logit, structure)
            out[head] = _sums(value[head], structure.source, structure.start, share[head])
        ctx.save_for_backward(query, key, value, out, share)
        ctx.structure = structure
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, out, share = ctx.saved_tensors
        structure: Structure = ctx.structure
        gradient = gradients[0].contiguous()
        of_query, of_key, of_value = torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)
        back, start = structure.target_back, structure.start_back
        for head in range(len(query)):
            by_share = _products(gradient[head], value[head], structure)
            mean = (gradient[head] * out[head]).sum(1)  # [t]: what the softmax takes off
            by_logit = by_share.sub_(mean.index_select(0, structure.target)).mul_(share[head])
            of_query[head] = _sums(key[head], structure.source, structure.start, by_logit)
            of_key[head] = _sums(query[head], back, start, by_logit.index_select(0, structure.edge_back))
            of_value[head] = _sums(gradient[head], back, start, share[head].index_select(0, structure.edge_back))
        return of_query, of_key, of_value, None


def _products(left: Tensor, right: Tensor, structure: Structure) -> Tensor:
    """left[target] . right[source] at each edge, [e]."""
    _accept_csr()
    if not structure.edge_count:
        return left.new_zeros(0)
    pattern = torch.sparse_csr_tensor(
        structure.start, structure.source, left.new_zeros(structure.edge_count), (len(left), len(right))
    )
    product: Tensor = torch.sparse.sampled_addmm(pattern, left, right.t(), beta=0.0).values()
    return product


def _softmax(logit: Tensor, structure: Structure) -> Tensor:
    start, target = structure.start.long(), structure.target
    top = torch.segment_reduce(logit, "max", offsets=start, initial=-1e30)
    weight = logit.sub_(top.index_select(0, target)).exp_()
    total = torch.segment_reduce(weight, "sum", offsets=start, initial=0.0)
    return weight.div_(total.index_select(0, target))


def _sums(rows: Tensor, index: Tensor, start: Tensor, weight: Tensor) -> Tensor:
    """Weighted sums of rows over segments of index, [segments, depth]."""
    if not len(index):
        return rows.new_zeros(len(start) - 1, rows.size(1))
    return F.embedding_bag(index, rows, start, mode="sum", per_sample_weights=weight, include_last_offset=True)


class ProjectByRelation(torch.autograd.Function):
    """Rows of x, each relation's gathered and multiplied by its own matrices: x[node[i]] @ matrix[relation of i].

    **Shapes**: x [n, heads * depth]; node [m] int64, the rows of relation r standing at offsets[r]:offsets[r + 1] and
    different from one another; matrices [relations, heads, depth, depth]; out [heads, m, depth].
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, matrices: Tensor, node: Tensor, offsets: list[int]) -> Tensor:
        heads, depth = matrices.shape[1:3]
        out = x.new_empty(heads, len(node), depth)
        for relation, (first, last) in enumerate(itertools.pairwise(offsets)):
            if last > first:
                rows = _by_head(x.index_select(0, node[first:last]), heads)
                out[:, first:last] = torch.bmm(rows, matrices[relation])
        ctx.save_for_backward(x, matrices, node)
        ctx.offsets = offsets
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, matrices, node = ctx.saved_tensors
        heads = matrices.size(1)
        of_x, of_matrices = torch.zeros_like(x), torch.zeros_like(matrices)
        for relation, (first, last) in enumerate(zip(ctx.offsets, ctx.offsets[1:], strict=False)):
            if last > first:
                at, gradient = node[first:last], gradients[0][:, first:last]
                rows = _by_head(x.index_select(0, at), heads)
                of_matrices[relation] = torch.bmm(rows.transpose(1, 2), gradient)
                moved = torch.bmm(gradient, matrices[relation].transpose(1, 2))
                of_x.index_add_(0, at, moved.transpose(0, 1).reshape(len(at), -1))
        return of_x, of_matrices, None, None


def project_by_relation(x: Tensor, matrices: Tensor, node: Tensor, offsets: list[int]) -> Tensor:
    """See `ProjectByRelation`."""
    out: Tensor = ProjectByRelation.apply(x, matrices, node, offsets)  # type: ignore[no-untyped-call]
    return out


def _by_head(rows: Tensor, heads: int) -> Tensor:
    """[m, heads * depth] -> [heads, m, depth]."""
    return rows.view(len(rows), heads, -1).transpose(0, 1)


@functools.cache
def _accept_csr() -> None:
    """PyTorch warns once in a process that CSR tensors are in beta: hear it here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.sparse_csr_tensor(torch.tensor([0, 0]), torch.tensor([], dtype=torch.int64), torch.tensor([]), (1, 1))
