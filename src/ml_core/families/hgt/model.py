"""The network: unit-variance node embeddings, HGT layers with norm and residual, and a relational decoder."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ml_core.families.hgt.conv import HGTConv, TypedLinear
from ml_core.families.hgt.messages import MessageGraph


class Layer(nn.Module):
    """norm(x + dropout(gate * (heard - x))), as in the paper: the residual is HGTConv's own gate."""

    def __init__(self, types: int, relations: int, *, channels: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.conv = HGTConv(types, relations, channels=channels, heads=heads)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor, graph: MessageGraph) -> Tensor:
        new: Tensor = self.norm(x + self.dropout(self.conv(x, graph) - x))
        return new


class NodeFeatures(nn.Module):
    """A vector per node, N(0, 1), learned or kept as drawn; and features of the user's, projected and added."""

    def __init__(self, nodes: int, channels: int, *, learned: bool, features: Tensor | None) -> None:
        """features: [n, k] float32, rows of zeros where a node has none."""
        super().__init__()
        self.vector = nn.Embedding(nodes, channels)
        self.vector.weight.requires_grad_(learned)
        self.features: Tensor | None
        self.register_buffer("features", features)
        self.project = None if features is None else nn.Linear(features.size(1), channels, bias=False)

    def forward(self, node: Tensor | None) -> Tensor:
        """Of these nodes (int64), or of all: [., channels]."""
        x = self.vector.weight if node is None else F.embedding(node, self.vector.weight)
        if self.project is None or self.features is None:
            return x
        more: Tensor = self.project(self.features if node is None else self.features.index_select(0, node))
        return x + more


class HGT(nn.Module):
    """Embeddings of all nodes of a message graph, and the vectors that weigh them for each relation.

    The score of (head, relation, tail) is sum(z_head * decoder[relation] * z_tail) * scale. What a node is by itself
    reaches the output beside what it hears, so that layers can only add to factorisation.
    """

    def __init__(
        self,
        *,
        type_offsets: list[int],
        relations: int,
        directed_relations: int,
        embedding_dim: int,
        hidden_dim: int,
        num_layers: int,
        num_heads: int,
        dropout: float,
        decoder: str = "distmult",
        node_features: str = "learned",
        features: Tensor | None = None,
    ) -> None:
        super().__init__()
        types = len(type_offsets) - 1
        self.hidden_dim = hidden_dim
        self.scale = 1 / math.sqrt(hidden_dim)  # products of two normed embeddings then have variance 1
        self.embedding = NodeFeatures(
            type_offsets[-1], embedding_dim, learned=node_features == "learned", features=features
        )
        self.input = TypedLinear(types, embedding_dim, hidden_dim)
        self.input_norm = nn.LayerNorm(hidden_dim)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            Layer(types, directed_relations, channels=hidden_dim, heads=num_heads, dropout=dropout)
            for _ in range(num_layers)
        )
        weights = torch.ones(relations, hidden_dim)
        self.decoder = nn.Parameter(weights, requires_grad=decoder == "distmult")

    def forward(self, graph: MessageGraph) -> Tensor:
        """[n, hidden_dim] of the graph's nodes."""
        start = self.start(graph.node, graph.type_offsets)
        x = self.dropout(start)
        for layer in self.layers:
            x = layer(x, graph)
        return self.finish(x, start)

    def start(self, node: Tensor | None, type_offsets: list[int]) -> Tensor:
        """States before the first layer, [n, hidden_dim]."""
        x: Tensor = self.input_norm(self.input(self.embedding(node), type_offsets))
        return x

    def finish(self, x: Tensor, start: Tensor) -> Tensor:
        """Embeddings from the last layer's states and the first's."""
        return x + start
