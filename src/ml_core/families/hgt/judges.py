"""Who scores pairs: embeddings with a decoder, or the popularity of both ends. All are asked in the same form."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ml_core.families.hgt.data import SPLITS, EdgeSplits, KnowledgeGraph


@dataclass(frozen=True)
class Factors:
    """Scores of one relation: head i and tail j score `head[i] @ tail[j]`.

    **Shapes**: head [nodes of the head's type, f], tail [nodes of the tail's type, f], float32.
    """

    head: np.ndarray
    tail: np.ndarray

    def of_pairs(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Scores of pairs [...], NaN where rows is -1."""
        scores = np.einsum("...f,...f->...", self.head[rows], self.tail[columns])
        return np.where(rows >= 0, scores, np.nan)


class Judge(Protocol):
    """Scores every pair of a relation."""

    def factors(self, relation: int) -> Factors: ...

    def content(self, relation: int) -> Factors:
        """Scores without what the number of a node's edges adds: what tells nodes of like degree apart."""
        ...


@dataclass(frozen=True)
class Leaning:
    """What the number of a node's training edges adds to its scores (leaning.py).

    **Shapes**: strength [r, 2], of heads and tails; popular: of each relation ([heads], [tails]), log(1 + edges).
    """

    strength: np.ndarray
    popular: list[tuple[np.ndarray, np.ndarray]]

    def of(self, relation: int) -> tuple[np.ndarray, np.ndarray]:
        """[heads], [tails] float32, to be added."""
        head, tail = (s * p for s, p in zip(self.strength[relation], self.popular[relation], strict=True))
        return head.astype(np.float32), tail.astype(np.float32)


@dataclass(frozen=True)
class EmbeddingJudge:
    """score = sum(z_head * w * z_tail) * scale + leaning of both ends: DistMult, a dot product where w is 1.

    **Shapes**: embeddings [n, f]; decoder [r, f], its rows w.
    """

    graph: KnowledgeGraph
    embeddings: np.ndarray
    decoder: np.ndarray
    scale: float = 1.0
    leaning: Leaning | None = None

    def factors(self, relation: int) -> Factors:
        of = self.graph.relations[relation]
        heads, tails = (self.embeddings[_slice(self.graph, node_type)] for node_type in (of.head, of.tail))
        of_heads, of_tails = (None, None) if self.leaning is None else self.leaning.of(relation)
        return Factors(self.as_heads(relation, heads, of_heads), self.as_tails(tails, of_tails))

    def content(self, relation: int) -> Factors:
        return dataclasses.replace(self, leaning=None).factors(relation)

    def as_heads(self, relation: int, embeddings: np.ndarray, leaning: np.ndarray | None = None) -> np.ndarray:
        """The rows of `Factors.head` of nodes with these embeddings [k, f] and this leaning [k] (None: 0)."""
        own = np.zeros(len(embeddings)) if leaning is None else leaning
        weighted = embeddings * (self.decoder[relation] * self.scale)
        return np.column_stack([weighted, own, np.ones_like(own)]).astype(np.float32)

    def as_tails(self, embeddings: np.ndarray, leaning: np.ndarray | None = None) -> np.ndarray:
        """The rows of `Factors.tail`."""
        own = np.zeros(len(embeddings)) if leaning is None else leaning
        return np.column_stack([embeddings, np.ones_like(own), own]).astype(np.float32)


class PopularityJudge:
    """Who has many training edges, has more: log(1 + degree) of head and tail, in the relation or in all together.

    It knows nothing of who belongs to whom: for one head it ranks all tails by their degree.
    """

    def __init__(self, graph: KnowledgeGraph, splits: EdgeSplits, *, everywhere: bool = False) -> None:
        self.graph, self.splits, self.everywhere = graph, splits, everywhere

    def factors(self, relation: int) -> Factors:
        of = self.graph.relations[relation]
        edges = slice(None) if self.everywhere else self.graph.edges_of(relation)
        training = np.asarray(self.splits.part[edges]) == SPLITS.index("train")
        head, tail = (np.asarray(side[edges])[training] for side in (self.graph.head, self.graph.tail))
        if self.everywhere or of.symmetric:
            head = tail = np.concatenate([head, tail])
        degrees = []
        for nodes, node_type in ((head, of.head), (tail, of.tail)):
            counted = np.bincount(nodes, minlength=self.graph.node_count)[_slice(self.graph, node_type)]
            degrees.append(np.log1p(counted).astype(np.float32))
        one_head, one_tail = np.ones_like(degrees[0]), np.ones_like(degrees[1])
        return Factors(np.stack([degrees[0], one_head], axis=1), np.stack([one_tail, degrees[1]], axis=1))

    def content(self, relation: int) -> Factors:
        """Its scores as they are: it has no others."""
        return self.factors(relation)


def _slice(graph: KnowledgeGraph, node_type: str) -> slice:
    nodes = graph.nodes_of(node_type)
    return slice(nodes.start, nodes.stop)
