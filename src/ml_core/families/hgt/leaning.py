"""How far each relation leans to nodes with many edges: one strength for each side, chosen on the validation edges.

Products of embeddings learn who belongs to whom, and training tells them that every pair without an edge is wrong; the
held-out edges of popular nodes are among these. What popularity is worth is therefore asked of edges that training has
not seen: score + strength * log(1 + training edges of the answer), as the baseline of popularity counts them.
"""

from __future__ import annotations

import numpy as np

from ml_core.families.hgt.data import EdgeSplits, KnowledgeGraph
from ml_core.families.hgt.evaluate import ask
from ml_core.families.hgt.judges import Judge, Leaning, PopularityJudge
from ml_core.metrics.ranking import lifted_ranks

STRENGTHS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
EDGES = 1000  # validation edges of a relation that are asked at most


def fit_leaning(graph: KnowledgeGraph, splits: EdgeSplits, judge: Judge, *, seed: int = 0) -> Leaning:
    """The strengths with the highest mean reciprocal rank of validation edges; 0 where a relation has none.

    Pairs of training and validation do not compete; those of the test are not looked at. Of equally good strengths
    the weaker one. A symmetric relation has one strength.
    """
    popularity = PopularityJudge(graph, splits)
    strengths, popular_ends = np.zeros((len(graph.relations), 2)), []
    lifts = np.array(STRENGTHS, np.float32)[:, None]
    for relation, of in enumerate(graph.relations):
        degrees = popularity.factors(relation)
        popular_ends.append((degrees.head[:, 0], degrees.tail[:, 1]))
        questions = ask(graph, splits, relation, most=EDGES, seed=seed, split="validation", blind_to="test")
        if not len(questions.rows):
            continue
        factors = judge.factors(relation)
        rows, columns, known = questions.rows, questions.columns, questions.known
        of_heads, of_tails = (lifts * popular for popular in popular_ends[-1])
        tails = lifted_ranks(factors.head, factors.tail, lifts=of_tails, rows=rows, columns=columns, known=known)
        backwards = known.T.tocsr()
        heads = lifted_ranks(factors.tail, factors.head, lifts=of_heads, rows=columns, columns=rows, known=backwards)
        found = np.stack([(1 / heads).mean(axis=1), (1 / tails).mean(axis=1)], axis=1)  # [strengths, 2]
        if of.symmetric:
            found[:] = found.mean(axis=1, keepdims=True)
        strengths[relation] = np.array(STRENGTHS)[np.argmax(found, axis=0)]
    return Leaning(strengths.astype(np.float32), popular_ends)
