"""Evidence: along which paths of the training graph attention leads from one node to another."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ml_core.families.hgt.data import KnowledgeGraph

WIDEST = 100  # neighbours of either end, by attention, that paths of three edges are looked for between


@dataclass(frozen=True)
class Path:
    """nodes: from the one asked about to the candidate; relations: of each step (canonical index); weight: see Flow."""

    nodes: tuple[int, ...]
    relations: tuple[int, ...]
    weight: float


class Flow:
    """How much of what a node hears comes from each neighbour, layer by layer.

    `heard[l][v, u]` is the attention of v on u in layer l, the mean over heads, summed over the relations that join
    them; a row sums to 1. The weight of a path is the product of the attentions along it, the last step in the last
    layer, each earlier step in the layer before, and in the first one where there are no more layers (attention
    rollout: Abnar and Zuidema, 2020). It is the share of what the last node has heard that came from the first along
    this path; a path has the mean of its two directions. It says what the network listened to, not why a pair scores
    high: scores are products of embeddings.
    """

    def __init__(
        self,
        *,
        nodes: int,
        source: np.ndarray,
        target: np.ndarray,
        relation: np.ndarray,
        attention: Sequence[np.ndarray],
    ) -> None:
        """source, target, relation [d]: directed message edges, both directions of each; attention: [d] per layer."""
        key = target.astype(np.int64) * nodes + source
        order = np.argsort(key, kind="stable")
        pairs, first = np.unique(key[order], return_index=True)
        self.heard = [self._matrix(nodes, pairs, np.add.reduceat(each[order], first)) for each in attention]
        self.told = [each.T.tocsr() for each in self.heard]  # told[l][u, v] is heard[l][v, u]
        strongest = np.lexsort((-attention[-1], key))
        self.relation = self._matrix(nodes, pairs, relation[strongest][first].astype(np.float64))
        self.nodes = nodes

    @staticmethod
    def _matrix(nodes: int, pairs: np.ndarray, values: np.ndarray) -> sparse.csr_matrix:
        start = np.searchsorted(pairs, np.arange(nodes + 1, dtype=np.int64) * nodes)
        return sparse.csr_matrix((values, pairs % nodes, start), shape=(nodes, nodes))

    def paths(self, asked: int, candidate: int, *, most: int) -> list[Path]:
        """The `most` weightiest paths of one, two or three edges between two nodes, heaviest first."""
        found = [*self._direct(asked, candidate), *self._over_one(asked, candidate), *self._over_two(asked, candidate)]
        found.sort(key=lambda path: (-path[1], path[0]))
        return [Path(nodes, self._relations(nodes), weight) for nodes, weight in found[:most]]

    def _direct(self, asked: int, candidate: int) -> list[tuple[tuple[int, ...], float]]:
        weight = (self.heard[-1][asked, candidate] + self.heard[-1][candidate, asked]) / 2
        return [((asked, candidate), float(weight))] if weight > 0 else []

    def _over_one(self, asked: int, candidate: int) -> list[tuple[tuple[int, ...], float]]:
        late, early = len(self.heard) - 1, max(len(self.heard) - 2, 0)
        to_asked = _times(_row(self.heard[late], asked), _row(self.told[early], candidate))
        to_candidate = _times(_row(self.heard[late], candidate), _row(self.told[early], asked))
        both = _sum(to_asked, to_candidate)
        return [((asked, middle, candidate), weight / 2) for middle, weight in both.items()]

    def _over_two(self, asked: int, candidate: int) -> list[tuple[tuple[int, ...], float]]:
        late, early = len(self.heard) - 1, max(len(self.heard) - 2, 0)
        first = max(len(self.heard) - 3, 0)
        near = self._widest(asked, without=candidate)
        far = self._widest(candidate, without=asked)
        if not len(near) or not len(far):
            return []
        towards_asked = _dense(self.heard[late], asked, near)[:, None] * _dense(self.told[first], candidate, far)
        towards_candidate = _dense(self.told[first], asked, near)[:, None] * _dense(self.heard[late], candidate, far)
        between = self.heard[early][near][:, far].toarray()  # near hears far
        back = self.heard[early][far][:, near].toarray().T  # far hears near
        weight = (towards_asked * between + towards_candidate * back) / 2
        weight[near[:, None] == far[None, :]] = 0
        rows, columns = np.nonzero(weight)
        return [
            ((asked, int(near[i]), int(far[j]), candidate), float(weight[i, j]))
            for i, j in zip(rows, columns, strict=True)
        ]

    def _widest(self, node: int, *, without: int) -> np.ndarray:
        """Neighbours that this node listens to most."""
        row = self.heard[-1][[node]]
        order = np.argsort(-row.data, kind="stable")[: WIDEST + 1]
        chosen = row.indices[order]
        kept: np.ndarray = chosen[(chosen != without) & (chosen != node)][:WIDEST].astype(np.int64)
        return kept

    def _relations(self, nodes: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(int(self.relation[a, b]) for a, b in itertools.pairwise(nodes))


def as_text(path: Path, graph: KnowledgeGraph, *, names: Mapping[int, str] | None = None) -> str:
    """`hypertension -disease_protein- ACE -drug_protein- Enalapril`; `names` of nodes that the graph does not have."""
    called = [(names or {}).get(node) or str(graph.node_names[node]) for node in path.nodes]
    steps = [
        f"-{graph.relations[number].name}- {name}" for number, name in zip(path.relations, called[1:], strict=True)
    ]
    return " ".join([called[0], *steps])


def _row(matrix: sparse.csr_matrix, row: int) -> dict[int, float]:
    part = slice(matrix.indptr[row], matrix.indptr[row + 1])
    return dict(zip(matrix.indices[part].tolist(), matrix.data[part].tolist(), strict=True))


def _dense(matrix: sparse.csr_matrix, row: int, columns: np.ndarray) -> np.ndarray:
    values: np.ndarray = matrix[[row]][:, columns].toarray()[0]
    return values


def _times(first: dict[int, float], second: dict[int, float]) -> dict[int, float]:
    return {node: weight * second[node] for node, weight in first.items() if node in second}


def _sum(first: dict[int, float], second: dict[int, float]) -> dict[int, float]:
    return {node: first.get(node, 0.0) + second.get(node, 0.0) for node in first.keys() | second.keys()}
