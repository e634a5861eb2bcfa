"""How far each relation leans to nodes with many edges: one strength for each side, chosen on the validation edges.

Products of embeddings learn who belongs to whom, and training tells them that every pair without an edge is wrong; the
held-out edges of popular nodes are among these. What popularity is worth is therefore asked of edges that training has
not seen: score + strength * log(1 + training edges of the answer), as the baseline of popularity counts them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml_core.families.hgt.data import EdgeSplits, KnowledgeGraph
from ml_core.families.hgt.evaluate import Questions, ask
from ml_core.families.hgt.judges import Judge, Leaning, PopularityJudge
from ml_core.metrics.ranking import filtered_ranks

STRENGTHS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
EDGES = 2000  # validation edges of a relation that are asked at most


@dataclass(frozen=True)
class Side:
    """One side's scores: asking @ answering.T + strength * popular. **Shapes**: [a, f], [b, f], [b]."""

    asking: np.ndarray
    answering: np.ndarray
    popular: np.ndarray

    def reciprocal(self, questions: Questions, *, strength: float, tails: bool) -> np.ndarray:
        """1 / filtered rank of each asked edge, [m]."""
        rows, columns, known = questions.rows, questions.columns, questions.known
        if not tails:
            rows, columns, known = columns, rows, known.T.tocsr()
        one = np.ones((len(self.asking), 1), np.float32)
        queries = np.concatenate([self.asking, one], axis=1)
        lifted = (strength * self.popular[:, None]).astype(np.float32)
        candidates = np.concatenate([self.answering, lifted], axis=1)
        return 1 / filtered_ranks(queries, candidates, rows=rows, columns=columns, known=known)


def fit_leaning(graph: KnowledgeGraph, splits: EdgeSplits, judge: Judge, *, seed: int = 0) -> Leaning:
    """The strengths with the highest mean reciprocal rank of validation edges; 0 where a relation has none.

    Pairs of training and validation do not compete; those of the test are not looked at. Of equally good strengths
    the weaker one. A symmetric relation has one strength.
    """
    popularity = PopularityJudge(graph, splits)
    strengths, popular = np.zeros((len(graph.relations), 2)), []
    for relation, of in enumerate(graph.relations):
        degrees = popularity.factors(relation)
        popular.append((degrees.head[:, 0], degrees.tail[:, 1]))
        questions = ask(graph, splits, relation, most=EDGES, seed=seed, split="validation", blind_to="test")
        if not len(questions.rows):
            continue
        factors = judge.factors(relation)
        tails = Side(factors.head, factors.tail, degrees.tail[:, 1])
        heads = Side(factors.tail, factors.head, degrees.head[:, 0])
        found = np.array(
            [
                [
                    heads.reciprocal(questions, strength=strength, tails=False).mean(),
                    tails.reciprocal(questions, strength=strength, tails=True).mean(),
                ]
                for strength in STRENGTHS
            ]
        )
        if of.symmetric:
            found[:] = found.mean(axis=1, keepdims=True)
        strengths[relation] = np.array(STRENGTHS)[np.argmax(found, axis=0)]
    return Leaning(strengths.astype(np.float32), popular)
