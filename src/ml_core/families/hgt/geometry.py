"""The geometry of a whole embedding: each type of nodes by itself, and the types against each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml_core.families.hgt.data import KnowledgeGraph
from ml_core.metrics.embedding import Geometry, geometry, mean_cosine, mean_cosine_between


@dataclass(frozen=True)
class Shapes:
    """by_type: one geometry for each node type that has nodes. between: mean cosine of two types, by their names."""

    by_type: dict[str, Geometry]
    between: dict[tuple[str, str], float]
    mean_cosine: float  # over all pairs of nodes


def shapes(graph: KnowledgeGraph, embeddings: np.ndarray) -> Shapes:
    """`embeddings` [n, f] in the graph's order."""
    parts = {}
    for node_type in graph.node_types:
        nodes = graph.nodes_of(node_type)
        if len(nodes):
            parts[node_type] = np.asarray(embeddings[nodes.start : nodes.stop])
    between = {
        (first, second): mean_cosine_between(parts[first], parts[second])
        for place, first in enumerate(parts)
        for second in list(parts)[place + 1 :]
    }
    return Shapes({name: geometry(part) for name, part in parts.items()}, between, mean_cosine(np.asarray(embeddings)))
