"""The network: a vector of each node, HGT layers with norm and residual on top, and a decoder that weighs both."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ml_core.families.hgt.conv import HGTConv, TypedLinear
from ml_core.families.hgt.messages import MessageGraph

START = 0.3  # standard deviation of the vectors at the start
HEARD_AT_START = 0.5  # weight of what is heard in every relation, beside 1 for the vectors


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
    """A vector per node, learned or kept as drawn; and features of the user's, projected and added."""

    def __init__(self, nodes: int, channels: int, *, learned: bool, features: Tensor | None) -> None:
        """features: [n, k] float32, rows of zeros where a node has none."""
        super().__init__()
        self.vector = nn.Embedding(nodes, channels)
        nn.init.normal_(self.vector.weight, std=START)
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

    An embedding has two parts: what the node is by itself, and what it has heard. The score of (head, relation, tail)
    is sum(z_head * decoder[relation] * z_tail) * scale, and so the sum of a factorisation and of what the layers know.

    The layers begin as plain means of neighbours: values pass through identities, so that two nodes with the same
    neighbours are alike from the start, and what is learnt is which neighbours count. With random matrices between any
    two relations they would first have to learn that (docs/log.md: indication .12 against .36).
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
        vector_dropout: float = 0.0,
        decoder: str = "distmult",
        node_features: str = "learned",
        features: Tensor | None = None,
        by_vectors: Sequence[bool] | None = None,
    ) -> None:
        """by_vectors [relations]: whether vectors alone score the relation at the start, or only what layers hear."""
        super().__init__()
        types = len(type_offsets) - 1
        self.hidden_dim = hidden_dim
        self.own_dim = embedding_dim if node_features == "learned" else 0  # a vector that says nothing is no embedding
        self.scale = 1 / math.sqrt(hidden_dim)  # products of two normed embeddings then have variance 1
        self.embedding = NodeFeatures(
            type_offsets[-1], embedding_dim, learned=node_features == "learned", features=features
        )
        self.input = TypedLinear(types, embedding_dim, hidden_dim)
        self.input.start_alike()
        self.input_norm = nn.LayerNorm(hidden_dim)
        self.vector_dropout = nn.Dropout(vector_dropout)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            Layer(types, directed_relations, channels=hidden_dim, heads=num_heads, dropout=dropout)
            for _ in range(num_layers)
        )
        weights = torch.ones(relations, self.own_dim + hidden_dim)
        if decoder == "distmult":
            weights[:, self.own_dim :] = HEARD_AT_START
            if by_vectors is not None:
                weights[:, : self.own_dim] *= torch.tensor(by_vectors, dtype=torch.float32)[:, None]
        self.decoder = nn.Parameter(weights, requires_grad=decoder == "distmult")

    @property
    def width(self) -> int:
        """Channels of an embedding."""
        return self.own_dim + self.hidden_dim

    def forward(self, graph: MessageGraph | None) -> Tensor:
        """[n, width] of the graph's nodes; without a graph the first part alone, [all nodes, own_dim]."""
        own = self.embedding(None if graph is None else graph.node)
        if graph is None:
            return self.vector_dropout(own)  # type: ignore[no-any-return]
        x = self.dropout(self.start(own, graph.type_offsets))
        for layer in self.layers:
            x = layer(x, graph)
        return self.finish(self.vector_dropout(own), x)

    def start(self, own: Tensor, type_offsets: list[int]) -> Tensor:
        """States before the first layer, [n, hidden_dim], of what nodes are by themselves."""
        x: Tensor = self.input_norm(self.input(own, type_offsets))
        return x

    def finish(self, own: Tensor, heard: Tensor) -> Tensor:
        """Embeddings [n, width] from what nodes are by themselves and the last layer's states."""
        return torch.cat([own, heard], dim=1) if self.own_dim else heard
