"""One layer of the heterogeneous graph transformer (Hu et al. 2020, https://arxiv.org/abs/2003.01332)."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ml_core.families.hgt.attention import attend, project_by_relation
from ml_core.families.hgt.messages import MessageGraph


class TypedLinear(nn.Module):
    """A linear map for each node type, [n, channels] -> [n, out]; nodes of a type stand together."""

    def __init__(self, types: int, channels: int, out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(types, out, channels))
        self.bias = nn.Parameter(torch.zeros(types, out))
        bound = 1 / math.sqrt(channels)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    @torch.no_grad()
    def start_alike(self) -> None:
        """Begin with one orthogonal map for all types, the identity where in and out are as wide: likeness stays."""
        types, out, channels = self.weight.shape
        alike = torch.eye(channels) if out == channels else nn.init.orthogonal_(torch.empty(out, channels))
        self.weight.copy_(alike.expand(types, out, channels))
        self.bias.zero_()

    def forward(self, x: Tensor, type_offsets: list[int]) -> Tensor:
        parts = torch.split(x, [last - first for first, last in itertools.pairwise(type_offsets)])
        return torch.cat([F.linear(part, w, b) for part, w, b in zip(parts, self.weight, self.bias, strict=True)])


class HGTConv(nn.Module):
    """Typed attention over all relations at once; what PyG's HGTConv computes with the same weights (a test says so).

    Values begin as identities: a node first hears the attention's mean of its neighbours as they are.
    Unlike there every node has an output: one without messages is mapped by its own skip path and the bias. Keys and
    values are computed once for each (relation, source) that sends, not for each edge.
    """

    def __init__(self, types: int, relations: int, *, channels: int, heads: int) -> None:
        """relations: directed ones, as `messages.directed_relations` numbers them."""
        super().__init__()
        if channels % heads:
            raise ValueError(f"{channels} channels cannot be shared out to {heads} heads")
        self.heads, depth = heads, channels // heads
        self.query = TypedLinear(types, channels, channels)
        self.key = TypedLinear(types, channels, channels)
        self.value = TypedLinear(types, channels, channels)
        self.out = TypedLinear(types, channels, channels)
        self.key_by_relation = nn.Parameter(torch.empty(relations, heads, depth, depth))
        self.value_by_relation = nn.Parameter(torch.empty(relations, heads, depth, depth))
        self.prior = nn.Parameter(torch.ones(relations, heads))  # mu of the paper: how much a relation counts
        self.skip = nn.Parameter(torch.ones(types))
        bound = math.sqrt(6 / (depth + depth))
        nn.init.uniform_(self.key_by_relation, -bound, bound)
        self.value.start_alike()
        self.out.start_alike()
        with torch.no_grad():
            self.value_by_relation.copy_(torch.eye(depth).expand_as(self.value_by_relation))

    def forward(self, x: Tensor, graph: MessageGraph) -> Tensor:
        """[n, channels] -> [n, channels]."""
        query = self.query(x, graph.type_offsets).unflatten(1, (self.heads, -1)).transpose(0, 1)
        key, value = self.rows(self.key(x, graph.type_offsets), self.value(x, graph.type_offsets), graph)
        heard = attend(query, key, value, graph.structure)  # [heads, n, depth]
        return self.mix(x, heard.transpose(0, 1).flatten(1), graph.type_offsets)

    def rows(self, key: Tensor, value: Tensor, graph: MessageGraph) -> tuple[Tensor, Tensor]:
        """Keys and values [heads, m, depth] of the rows that send."""
        matrices = self.key_by_relation * self.prior[..., None, None]
        return (
            project_by_relation(key, matrices, graph.row_node, graph.row_offsets),
            project_by_relation(value, self.value_by_relation, graph.row_node, graph.row_offsets),
        )

    def mix(self, x: Tensor, heard: Tensor, type_offsets: list[int]) -> Tensor:
        """What a node was, and what it has heard [n, channels], in the learned share of its type."""
        new = self.out(F.gelu(heard), type_offsets)
        sizes = torch.tensor(type_offsets, device=x.device).diff()
        gate = torch.sigmoid(self.skip).repeat_interleave(sizes, output_size=len(x))[:, None]
        return torch.lerp(x, new, gate)
