"""A classical baseline: regression on degree-weighted counts of paths (Himmelstein et al. 2017, eLife 6:e26726).

It has no embeddings. It knows for each pair how many paths of each kind of two or three training edges join its ends,
an edge between popular nodes counting less, and the popularity of both. Where many drugs of like targets treat a
disease, a drug that has these targets scores high.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from ml_core.families.hgt import evaluate
from ml_core.families.hgt.data import SPLITS, EdgeSplits, KnowledgeGraph
from ml_core.families.hgt.judges import Factors

DAMPING = 0.4  # each path counts degree ** -0.4 of the ends of its edges, as in the paper
PENALTIES = (0.01, 0.1, 1.0)  # C of the regression; validation chooses
NEGATIVES = 200_000  # pairs without an edge that it learns from at most


@dataclass(frozen=True)
class PairJudge:
    """Scores of one relation's pairs, each held. **Shapes**: scores [heads, tails] float32."""

    relation: int
    scores: np.ndarray

    def factors(self, relation: int) -> Factors:
        if relation != self.relation:
            raise ValueError(f"scores are of relation {self.relation}, asked for {relation}")
        return Factors(self.scores, np.eye(self.scores.shape[1], dtype=np.float32))

    def content(self, relation: int) -> Factors:
        """Its scores as they are: what degrees count for is in the paths."""
        return self.factors(relation)


class MetaPaths:
    """Features of all pairs of a relation between two types, from training edges alone."""

    def __init__(self, graph: KnowledgeGraph, splits: EdgeSplits, relation: int) -> None:
        self.graph, self.relation = graph, relation
        of = graph.relations[relation]
        self.ends = (of.head, of.tail)
        self.edges = [_matrix(graph, splits, number) for number in range(len(graph.relations))]
        self.damped = [_damped(matrix) for matrix in self.edges]
        self.joined = self.edges[relation].toarray()

    def table(self) -> tuple[np.ndarray, list[str]]:
        """[pairs, features] float32, row by row of the heads, and the features' names.

        A pair's own edge is in none of its features, so that those of training pairs are like those of others.
        """
        found: list[tuple[str, np.ndarray]] = []
        for name, paths in self._paths():
            found.append((name, np.arcsinh(paths / max(float(paths.mean()), 1e-12))))
        found.extend(self._degrees())
        return np.stack([values.ravel() for _, values in found], axis=1).astype(np.float32), [name for name, _ in found]

    def _paths(self) -> Iterator[tuple[str, np.ndarray]]:
        own = self.damped[self.relation].toarray()
        name = self.graph.relations[self.relation].name
        heads, tails = self._around(self.ends[0]), self._around(self.ends[1])
        for label, _, likeness in heads:
            yield f"{label}, {name}", _without_itself(likeness) @ own
        for label, _, likeness in tails:
            yield f"{name}, {label}", own @ _without_itself(likeness)
        for left, at_left, _ in heads:
            for right, at_right, _ in tails:
                if at_left is not None and at_right is not None and at_left[0] == at_right[0]:
                    yield f"{left}, {right}", (at_left[1] @ at_right[1].T).toarray()
        for number, each in enumerate(self.graph.relations):
            if number != self.relation and {each.head, each.tail} == set(self.ends):
                paths = self.damped[number].toarray()
                yield each.name, paths if each.head == self.ends[0] else paths.T

    def _around(self, node_type: str) -> list[tuple[str, tuple[str, sparse.csr_matrix] | None, sparse.csr_matrix]]:
        """Of each other relation of the type: name, (other type, [nodes, others]) or None, likeness [nodes, nodes]."""
        found = []
        for number, each in enumerate(self.graph.relations):
            matrix = self.damped[number]
            if number == self.relation or node_type not in (each.head, each.tail):
                continue
            if each.head == each.tail:
                found.append((each.name, None, matrix))
            else:
                outward = matrix if each.head == node_type else matrix.T.tocsr()
                other = each.tail if each.head == node_type else each.head
                found.append((each.name, (other, outward), outward @ outward.T))
        return found

    def _degrees(self) -> Iterator[tuple[str, np.ndarray]]:
        ones = np.ones_like(self.joined)
        yield "edges of the head", np.log1p(self.joined.sum(axis=1, keepdims=True) - self.joined)
        yield "edges of the tail", np.log1p(self.joined.sum(axis=0, keepdims=True) - self.joined)
        for number, each in enumerate(self.graph.relations):
            for place, node_type in enumerate(self.ends):
                if number == self.relation or node_type not in (each.head, each.tail):
                    continue
                axis = 1 if each.head == node_type else 0
                degree = np.log1p(np.asarray(self.edges[number].sum(axis=axis)).ravel())
                yield f"{each.name} of the {('head', 'tail')[place]}", ones * np.expand_dims(degree, 1 - place)


def regression(graph: KnowledgeGraph, splits: EdgeSplits, relation: int, *, seed: int) -> PairJudge:
    """Fitted on training edges; the penalty is the one with the best filtered MRR on validation edges."""
    asked = evaluate.ask(graph, splits, relation, seed=seed, split="validation")
    fitted = list(_fits(graph, splits, relation, seed=seed))
    return max(fitted, key=lambda judge: evaluate.measure(evaluate.answer(judge, asked))["mrr"])


def feasible(graph: KnowledgeGraph, relation: int, *, most_pairs: int) -> bool:
    """Whether the relation joins two types with so few pairs that features of all of them can be held."""
    of = graph.relations[relation]
    return of.head != of.tail and len(graph.nodes_of(of.head)) * len(graph.nodes_of(of.tail)) <= most_pairs


def _fits(graph: KnowledgeGraph, splits: EdgeSplits, relation: int, *, seed: int) -> Iterator[PairJudge]:
    features, _ = (paths := MetaPaths(graph, splits, relation)).table()
    joined = paths.joined.ravel() > 0
    rng = np.random.default_rng(seed)
    without = rng.permutation(np.flatnonzero(~joined))[:NEGATIVES]
    learnt = np.sort(np.concatenate([np.flatnonzero(joined), without]))
    scaled = StandardScaler().fit(features[learnt]).transform(features)
    for penalty in PENALTIES:
        fitted = LogisticRegression(C=penalty, max_iter=1000).fit(scaled[learnt], joined[learnt])
        scores = fitted.decision_function(scaled).reshape(paths.joined.shape)
        yield PairJudge(relation, scores.astype(np.float32))


def _matrix(graph: KnowledgeGraph, splits: EdgeSplits, relation: int) -> sparse.csr_matrix:
    """Training edges [heads, tails], both ways where the relation is symmetric."""
    of, edges = graph.relations[relation], graph.edges_of(relation)
    training = np.asarray(splits.part[edges]) == SPLITS.index("train")
    head, tail = graph.nodes_of(of.head), graph.nodes_of(of.tail)
    rows = np.asarray(graph.head[edges], np.int64)[training] - head.start
    columns = np.asarray(graph.tail[edges], np.int64)[training] - tail.start
    found = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(head), len(tail)))
    return (found + found.T).tocsr() if of.symmetric else found


def _damped(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """Each edge weighted by (degree of its head * degree of its tail) ** -DAMPING."""
    left, right = (np.maximum(np.asarray(matrix.sum(axis=axis)).ravel(), 1) ** -DAMPING for axis in (1, 0))
    return (sparse.diags(left) @ matrix @ sparse.diags(right)).tocsr()


def _without_itself(likeness: sparse.csr_matrix) -> np.ndarray:
    """[nodes, nodes] dense; nobody is like himself."""
    dense: np.ndarray = likeness.toarray()
    np.fill_diagonal(dense, 0)
    return dense
