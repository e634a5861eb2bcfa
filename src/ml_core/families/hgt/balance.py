"""How much of a score is what nodes have heard: a factor for each relation, chosen on the validation edges.

The layers join in late, at low learning rates, and train on few targets of each relation, so that their part of the
decoder does not reach the size that serves edges which training has not seen.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ml_core.families.hgt.data import EdgeSplits
from ml_core.families.hgt.evaluate import ask
from ml_core.families.hgt.judges import EmbeddingJudge
from ml_core.metrics.ranking import filtered_ranks

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
        backwards = known.T.tocsr()
        found = []
        for factor in FACTORS:
            trial = np.array(judge.decoder, np.float32)
            trial[relation, own_dim:] *= factor
            factors = dataclasses.replace(judge, decoder=trial).factors(relation)
            tails = filtered_ranks(factors.head, factors.tail, rows=rows, columns=columns, known=known)
            heads = filtered_ranks(factors.tail, factors.head, rows=columns, columns=rows, known=backwards)
            found.append((1 / tails).mean() + (1 / heads).mean())
        decoder[relation, own_dim:] *= FACTORS[int(np.argmax(found))]
    return dataclasses.replace(judge, decoder=decoder)
