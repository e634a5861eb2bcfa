"""Who scores pairs: embeddings with a decoder, or the popularity of both ends. All are asked in the same form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ml_core.families.hgt.data import SPLITS, EdgeSplits, KnowledgeGraph
from ml_core.families.hgt.links import AS_HEAD, AS_TAIL, PRODUCT


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


@dataclass(frozen=True)
class EmbeddingJudge:
    """score = sum(z_head * w_relation * z_tail) * scale: DistMult, or a dot product where w is 1.

    **Shapes**: embeddings [n, f], decoder [r, f].
    """

    graph: KnowledgeGraph
    embeddings: np.ndarray
    decoder: np.ndarray
    scale: float = 1.0

    def factors(self, relation: int) -> Factors:
        of = self.graph.relations[relation]
        head, tail = (np.asarray(self.embeddings[_slice(self.graph, node_type)], np.float32) for node_type in (of.head, of.tail))
        decoder = (self.decoder[relation] * self.scale).astype(np.float32)
        as_head = decoder[AS_TAIL if of.symmetric else AS_HEAD]
        one = np.ones((len(tail), 1), np.float32)
        heads = np.concatenate([head * decoder[PRODUCT] + decoder[AS_TAIL], (head @ as_head)[:, None]], axis=1)
        return Factors(heads, np.concatenate([tail, one], axis=1))


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


def _slice(graph: KnowledgeGraph, node_type: str) -> slice:
    nodes = graph.nodes_of(node_type)
    return slice(nodes.start, nodes.stop)
