"""What users do with the embeddings: a gradient-boosted classifier of drug-disease pairs, trained on training edges.

Its negatives are contraindications where the graph has them, else pairs whose nodes are as popular as the positives'.
Neither the embeddings nor the classifier have seen the test pairs. The plain decoder is asked the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ml_core.families.hgt.curated import Curated, pairs_in
from ml_core.families.hgt.data import EdgeSplits, KnowledgeGraph
from ml_core.families.hgt.evaluate import known_pairs
from ml_core.families.hgt.judges import EmbeddingJudge
from ml_core.metrics.bootstrap import interval
from ml_core.metrics.separation import corrupt, separate_sets

CONTRAINDICATION = "contraindication"
NEGATIVES_PER_EDGE = 4
Pairs = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Comparison:
    """Classifier and decoder on one set of test pairs; intervals are over the pairs of both kinds."""

    against: str
    positives: int
    negatives: int
    figures: dict[str, dict[str, float]]  # classifier, decoder -> auroc, auroc_low, auroc_high, auprc, ...


def compare(
    judge: EmbeddingJudge,
    splits: EdgeSplits,
    relation: int,
    *,
    curated: Curated | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> list[Comparison]:
    """Train on the training edges; judge on the test edges against each kind of negatives that there is.

    Empty where the relation has no training or no test edges.
    """
    graph = judge.graph
    positive = {split: pairs_in(graph, splits, relation, among=(split,)) for split in ("train", "test")}
    if not all(len(rows) for rows, _ in positive.values()):
        return []
    kind, negative = _negatives(graph, splits, relation, positive=positive, seed=seed)
    against = {kind: negative["test"]}
    if curated is not None and len(curated.rows):
        against["curated non-indications"] = (curated.rows, curated.columns)
    features = _Features(judge, relation)
    from sklearn.ensemble import HistGradientBoostingClassifier

    classifier = HistGradientBoostingClassifier(random_state=seed, early_stopping=False)
    inputs = np.concatenate([features.of(*positive["train"]), features.of(*negative["train"])])
    classifier.fit(inputs, np.arange(len(inputs)) < len(positive["train"][0]))
    scores: dict[str, Callable[[Pairs], np.ndarray]] = {
        "classifier": lambda pairs: classifier.predict_proba(features.of(*pairs))[:, 1],
        "decoder": lambda pairs: judge.factors(relation).of_pairs(*pairs),
    }
    return [
        Comparison(
            name,
            len(positive["test"][0]),
            len(pairs[0]),
            {who: _figures(of(positive["test"]), of(pairs), draws=draws, seed=seed) for who, of in scores.items()},
        )
        for name, pairs in against.items()
        if len(pairs[0])
    ]


class _Features:
    """Both embeddings of a pair side by side, and their product, [m, 3 f]."""

    def __init__(self, judge: EmbeddingJudge, relation: int) -> None:
        of = judge.graph.relations[relation]
        self.head, self.tail = (
            np.asarray(judge.embeddings[nodes.start : nodes.stop], np.float32)
            for nodes in (judge.graph.nodes_of(of.head), judge.graph.nodes_of(of.tail))
        )

    def of(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        head, tail = self.head[rows], self.tail[columns]
        return np.concatenate([head, tail, head * tail], axis=1)


def _negatives(
    graph: KnowledgeGraph, splits: EdgeSplits, relation: int, *, positive: dict[str, Pairs], seed: int
) -> tuple[str, dict[str, Pairs]]:
    """Contraindications between the same types, each split its own; else degree-matched pairs of each split.

    Negatives to train on may be test pairs that nobody knows yet; those to test on are in no split.
    """
    of = graph.relations[relation]
    for number, other in enumerate(graph.relations):
        if other.name.split(":")[0] == CONTRAINDICATION and (other.head, other.tail) == (of.head, of.tail):
            found = {split: pairs_in(graph, splits, number, among=(split,)) for split in ("train", "test")}
            if all(len(rows) for rows, _ in found.values()):
                return "contraindications", found
    everything = known_pairs(graph, relation)
    seen_rows, seen_columns = pairs_in(graph, splits, relation, among=("train", "validation"))
    seen = sparse.csr_matrix((np.ones(len(seen_rows), bool), (seen_rows, seen_columns)), shape=everything.shape)
    matched = {}
    for number, (split, known) in enumerate((("train", seen), ("test", everything))):
        drawn = corrupt(
            *positive[split],
            known=known,
            per_pair=NEGATIVES_PER_EDGE,
            matched=True,
            rng=np.random.default_rng([seed, number]),
        )
        there = drawn.rows >= 0
        matched[split] = (drawn.rows[there], drawn.columns[there])
    return "degree-matched pairs", matched


def _figures(positive: np.ndarray, negative: np.ndarray, *, draws: int, seed: int) -> dict[str, float]:
    exact, drawn = separate_sets(positive, negative), separate_sets(positive, negative, draws=draws, seed=seed)
    figures: dict[str, float] = {}
    for name in ("auroc", "auprc"):
        low, high = interval(getattr(drawn, name))
        figures |= {name: float(getattr(exact, name)[0]), f"{name}_low": low, f"{name}_high": high}
    return figures
