"""GATv2 attention (Brody, Alon & Yahav 2022) in the two layouts that the graph has.

A transcript has a fixed number of neighbours and candidates: a dense matrix of indices, padded with -1. A nucleus has
as many transcripts as it has: an edge list. Both compute what PyG's `GATv2Conv` computes; tests hold them against it.

Rows are gathered by `F.embedding`: the gradient of plain indexing adds up in the order in which threads come by, so
that two runs with one seed would differ.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ml_core.families.segger.attend import SLOPE, attend, by_head


class GATv2(nn.Module):
    """Weights of one relation, `channels` = heads x channels per head; `edge_channels` 0 means no edge features."""

    def __init__(self, source: int, target: int, *, channels: int, heads: int, edge_channels: int = 0) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"{channels} channels cannot be shared out to {heads} heads")
        self.heads, self.width = heads, channels // heads
        self.source = nn.Linear(source, channels)
        self.target = nn.Linear(target, channels)
        self.edge = nn.Linear(edge_channels, channels, bias=False) if edge_channels else None
        self.attention = nn.Parameter(torch.empty(heads, self.width))
        nn.init.xavier_uniform_(self.attention)

    def heads_of(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, self.width))  # [..., heads, width]

    def logits(self, mixed: Tensor) -> Tensor:
        """[..., channels] -> [..., heads]."""
        return F.leaky_relu(mixed, SLOPE) @ by_head(self.attention)


class NeighbourAttention(GATv2):
    """From sources to targets that each have at most k of them."""

    def forward(self, source: Tensor, target: Tensor, neighbours: Tensor, edge: Tensor | None = None) -> Tensor:
        """Mean of the neighbours' projections, weighted by attention; 0 where a target has none.

        **Shapes**: source [s, in]; target [t, in]; neighbours [t, k] int64 into the sources, -1 padded; edge
        [t, k, edge_channels]; out [t, channels].
        """
        edge_weight = None if self.edge is None else self.edge.weight
        return attend(self.source(source), self.target(target), neighbours, self.attention, edge, edge_weight)


class EdgeAttention(GATv2):
    """From sources to targets over an edge list."""

    def forward(self, source: Tensor, target: Tensor, edges: Tensor) -> Tensor:
        """As above.

        **Shapes**: edges [2, e] int64, row 0 into the sources, row 1 into the targets; out [t, channels].
        """
        at, to = edges
        if not len(at):
            return target.new_zeros(len(target), self.heads * self.width)
        gathered = self.source(F.embedding(at, source))  # [e, channels]; a source has one target at most
        mixed = gathered + F.embedding(to, self.target(target))
        logit = self.logits(mixed).float()  # [e, heads]
        slot = to[:, None].expand_as(logit)
        top = logit.new_full((len(target), self.heads), -1e30).scatter_reduce(0, slot, logit.detach(), "amax")
        weight = (logit - F.embedding(to, top)).exp()
        total = torch.zeros_like(top).index_add(0, to, weight)
        share = (weight / F.embedding(to, total)).to(gathered.dtype)  # [e, heads]
        out = gathered.new_zeros(len(target), self.heads * self.width)
        return out.index_add(0, to, (share[..., None] * self.heads_of(gathered)).flatten(1))
