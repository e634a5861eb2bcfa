"""How much of a score is what nodes have heard: a factor for each relation, chosen on the validation edges.

The layers join in late, at low learning rates, and train on few targets of each relation, so that their part of the
decoder does not reach the size that serves edges which training has not seen.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from ml_core.families.hgt.data import EdgeSplits
from ml_core.families.hgt.evaluate import ask
from ml_core.families.hgt.judges import EmbeddingJudge
from ml_core.metrics.ranking import ranks_by_ways

FACTORS = (1.0, 0.5, 2.0, 4.0)  # of equally good ones the first
EDGES = 1000  # validation edges of a relation that are asked at most


def balanced(judge: EmbeddingJudge, splits: EdgeSplits, *, own_dim: int, seed: int = 0) -> EmbeddingJudge:
    """The judge with its decoder [r, f] from channel `own_dim` on times the factor of the highest mean reciprocal rank.

    Pairs of training and validation do not compete; those of the test are not looked at. A relation without validation
    edges keeps its weights, as do embeddings that are heard alone.
    """
    decoder = np.array(judge.decoder, np.float32)
    for relation in range(len(decoder)) if own_dim else ():
        questions = ask(judge.graph, splits, relation, most=EDGES, seed=seed, split="validation", blind_to="test")
        if not len(questions.rows):
            continue
        rows, columns, known = questions.rows, questions.columns, questions.known
        ways = [functools.partial(_heard_times, factor) for factor in FACTORS]
        factors = judge.factors(relation)
        heard = slice(own_dim, judge.decoder.shape[1])
        heads, tails = (_apart(side, heard) for side in (factors.head, factors.tail))
        ranks = ranks_by_ways(list(zip(heads, tails, strict=True)), ways, rows=rows, columns=columns, known=known)
        back = list(zip(tails, heads, strict=True))
        ranks_back = ranks_by_ways(back, ways, rows=columns, columns=rows, known=known.T.tocsr())
        found = (1 / ranks).mean(axis=1) + (1 / ranks_back).mean(axis=1)
        decoder[relation, own_dim:] *= FACTORS[int(np.argmax(found))]
    return dataclasses.replace(judge, decoder=decoder)


def _apart(side: np.ndarray, heard: slice) -> tuple[np.ndarray, np.ndarray]:
    """All other columns of [n, f], and those of what nodes have heard."""
    return np.delete(side, heard, axis=1), np.ascontiguousarray(side[:, heard])


def _heard_times(factor: float, others: np.ndarray, heard: np.ndarray) -> np.ndarray:
    scores: np.ndarray = heard * np.float32(factor)
    scores += others
    return scores
