"""Small random knowledge graphs for tests."""

import numpy as np
import pandas as pd

from ml_core.families.hgt.data import EdgeSplits, KnowledgeGraph, Relation

RELATIONS = [
    Relation("indication", "drug", "disease"),
    Relation("similar", "drug", "drug", symmetric=True),
    Relation("regulates", "gene/protein", "gene/protein"),
    Relation("associated", "disease", "gene/protein"),
    Relation("targets", "drug", "gene/protein"),
]


def random_graph(
    *, seed: int = 0, nodes: dict[str, int] | None = None, edges: int = 60, relations: list[Relation] = RELATIONS
) -> KnowledgeGraph:
    """`edges` distinct pairs, or fewer where they collide, of each relation."""
    rng = np.random.default_rng(seed)
    nodes = nodes or {"disease": 12, "drug": 15, "gene/protein": 30, "pathway": 3}
    offsets = np.concatenate([[0], np.cumsum(list(nodes.values()))])
    first = dict(zip(nodes, offsets[:-1], strict=True))
    heads, tails, at = [], [], [0]
    for relation in relations:
        head = first[relation.head] + rng.integers(nodes[relation.head], size=edges)
        tail = first[relation.tail] + rng.integers(nodes[relation.tail], size=edges)
        if relation.symmetric:
            head, tail = np.minimum(head, tail), np.maximum(head, tail)
        pairs = np.unique(np.stack([head, tail]), axis=1)
        if relation.head == relation.tail:
            pairs = pairs[:, pairs[0] != pairs[1]]
        heads.append(pairs[0])
        tails.append(pairs[1])
        at.append(at[-1] + pairs.shape[1])
    labels = pd.DataFrame(
        {
            "node_type": np.repeat(list(nodes), list(nodes.values())),
            "node_id": [str(number) for count in nodes.values() for number in range(count)],
            "node_name": [f"{kind} {number}" for kind, count in nodes.items() for number in range(count)],
            "node_source": "test",
        }
    )
    return KnowledgeGraph(
        list(nodes),
        offsets.astype(np.int64),
        list(relations),
        np.array(at, np.int64),
        np.concatenate(heads).astype(np.int32),
        np.concatenate(tails).astype(np.int32),
        labels,
    )


def random_splits(graph: KnowledgeGraph, *, seed: int = 0) -> EdgeSplits:
    """80, 10 and 10 % of all edges."""
    part = np.random.default_rng(seed).choice(3, p=[0.8, 0.1, 0.1], size=graph.edge_count).astype(np.int8)
    return EdgeSplits(part, np.zeros(0, np.int32), np.zeros(0, np.int8))
