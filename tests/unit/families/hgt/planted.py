"""A small graph in memory whose links follow hidden classes, and embeddings that know, half know or ignore them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml_core.families.hgt.data import EdgeSplits, KnowledgeGraph, Relation

CLASSES = 6
SIZES = {"drug": 60, "disease": 40, "gene/protein": 150}
RELATIONS = (
    Relation("indication", "drug", "disease"),
    Relation("drug_protein", "drug", "gene/protein"),
    Relation("disease_protein", "disease", "gene/protein"),
    Relation("protein_protein", "gene/protein", "gene/protein", symmetric=True),
)
SHARES = (0.22, 0.12, 0.15, 0.08)  # of same-class pairs that are linked; of others a twentieth of it


@dataclass(frozen=True)
class Planted:
    graph: KnowledgeGraph
    splits: EdgeSplits
    classes: np.ndarray  # [n]

    def embeddings(self, *, known: float, width: int = 24, seed: int = 0) -> np.ndarray:
        """Unit-variance rows [n, width] that are their class's for `known` and their own for the rest."""
        rng = np.random.default_rng(seed)
        of_class = rng.normal(size=(CLASSES, width))[self.classes]
        own = rng.normal(size=of_class.shape)
        return (np.sqrt(known) * of_class + np.sqrt(1 - known) * own).astype(np.float32)

    def decoder(self, *, width: int = 24) -> np.ndarray:
        return np.ones((len(self.graph.relations), width), np.float32)


def planted(*, seed: int = 0) -> Planted:
    rng = np.random.default_rng(seed)
    types = list(SIZES)
    offsets = np.concatenate([[0], np.cumsum(list(SIZES.values()))])
    classes = rng.integers(0, CLASSES, offsets[-1])
    heads, tails, counts = [], [], []
    for relation, share in zip(RELATIONS, SHARES, strict=True):
        of_head, of_tail = (types.index(end) for end in (relation.head, relation.tail))
        rows, columns = np.meshgrid(
            np.arange(offsets[of_head], offsets[of_head + 1]),
            np.arange(offsets[of_tail], offsets[of_tail + 1]),
            indexing="ij",
        )
        linked = rng.random(rows.shape) < np.where(classes[rows] == classes[columns], share, share / 20)
        if relation.symmetric:
            linked &= rows < columns
        heads.append(rows[linked])
        tails.append(columns[linked])
        counts.append(int(linked.sum()))
    labels = pd.DataFrame(
        {
            "node_type": np.repeat(types, list(SIZES.values())),
            "node_id": [f"{name[:2].upper()}:{i}" for name, size in SIZES.items() for i in range(size)],
            "node_name": [f"{name} {chr(97 + i % 26)}{i}" for name, size in SIZES.items() for i in range(size)],
            "node_source": "planted",
        }
    )
    graph = KnowledgeGraph(
        node_types=types,
        type_offsets=offsets,
        relations=list(RELATIONS),
        relation_offsets=np.concatenate([[0], np.cumsum(counts)]),
        head=np.concatenate(heads).astype(np.int32),
        tail=np.concatenate(tails).astype(np.int32),
        labels=labels,
    )
    part = rng.choice(3, graph.edge_count, p=[0.7, 0.1, 0.2]).astype(np.int8)
    return Planted(graph, EdgeSplits(part, np.zeros(0, np.int32), np.zeros(0, np.int8)), classes)
