"""Held-out edges as questions, asked of every judge alike, and the figures that come of the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ml_core.families.hgt.data import SPLITS, EdgeSplits, KnowledgeGraph
from ml_core.families.hgt.judges import Factors, Judge
from ml_core.metrics.bootstrap import draw_weights, interval, weighted_means
from ml_core.metrics.ranking import filtered_ranks, reciprocal_and_hits
from ml_core.metrics.separation import Negatives, auroc_contributions, corrupt, separate

THERAPY = ("indication", "treats", "ctd", "compound_treats_disease", "drug_treats_disease")
GENES = ("gene/protein", "gene", "protein")
METRICS = ("mrr", "hits1", "hits3", "hits10", "auroc", "auprc", "matched_auroc", "matched_auprc")


@dataclass(frozen=True)
class Questions:
    """Held-out edges of one relation with their negatives.

    **Shapes**, m asked edges: rows, columns [m], numbers within the head's and the tail's type. known [heads, tails]:
    the relation's pairs of all splits, which are neither competitors nor negatives; in a relation within one type also
    each node with itself. in_split: how many edges the split has; m is less where they were sampled.
    """

    relation: int
    rows: np.ndarray
    columns: np.ndarray
    known: sparse.csr_matrix
    uniform: Negatives
    matched: Negatives
    in_split: int


@dataclass(frozen=True)
class Answers:
    """One judge's ranks and scores. **Shapes**: ranks [m, 2] (the tail's and the head's); uniform, matched [m, k].

    positive is told apart from uniform; like_positive, by content alone, from matched: among nodes of like degree what
    degrees add is the same on average, and hides what is asked.
    """

    ranks: np.ndarray
    positive: np.ndarray
    uniform: np.ndarray
    like_positive: np.ndarray
    matched: np.ndarray


def main_relation(graph: KnowledgeGraph, asked: str = "auto") -> int:
    """The relation asked for; "auto": drug-disease therapy by its name, else the largest disease-gene, else largest."""
    if asked != "auto":
        return graph.relation_index(asked)
    sizes = np.diff(graph.relation_offsets)
    base = [relation.name.split(":")[0].lower() for relation in graph.relations]
    for name in THERAPY:
        named = [i for i, found in enumerate(base) if found == name]
        if named:
            return max(named, key=lambda i: sizes[i])
    with_genes = [
        i
        for i, relation in enumerate(graph.relations)
        if "disease" in (ends := {relation.head, relation.tail}) and ends & set(GENES)
    ]
    return max(with_genes or range(len(graph.relations)), key=lambda i: sizes[i])


def known_pairs(graph: KnowledgeGraph, relation: int, *, left_out: np.ndarray | None = None) -> sparse.csr_matrix:
    """[heads, tails] bool: pairs of every split, both directions where symmetric, and itself within one type.

    left_out [edges of the graph] bool: those that nobody shall know of.
    """
    of, own = graph.relations[relation], graph.edges_of(relation)
    edges = np.arange(own.start, own.stop)
    edges = edges if left_out is None else edges[~left_out[edges]]
    head, tail = graph.nodes_of(of.head), graph.nodes_of(of.tail)
    rows = np.asarray(graph.head[edges], np.int64) - head.start
    columns = np.asarray(graph.tail[edges], np.int64) - tail.start
    if of.symmetric:
        rows, columns = np.concatenate([rows, columns]), np.concatenate([columns, rows])
    if of.head == of.tail:
        rows, columns = (np.concatenate([each, np.arange(len(head))]) for each in (rows, columns))
    pairs = sparse.csr_matrix((np.ones(len(rows), bool), (rows, columns)), shape=(len(head), len(tail)))
    pairs.sum_duplicates()
    return pairs


def ask(
    graph: KnowledgeGraph,
    splits: EdgeSplits,
    relation: int,
    *,
    most: int = 0,
    negatives_per_edge: int = 10,
    seed: int = 0,
    split: str = "test",
    blind_to: str | None = None,
) -> Questions:
    """The relation's edges in `split`, at most `most` (0: all) drawn at random, with uniform and matched negatives.

    blind_to: a split whose edges are not known of, neither as true pairs nor as what does not compete.
    """
    rng = np.random.default_rng([seed, relation])
    of, edges = graph.relations[relation], graph.edges_of(relation)
    held_out = np.flatnonzero(np.asarray(splits.part[edges]) == SPLITS.index(split)) + edges.start
    chosen = held_out
    if most and len(held_out) > most:
        chosen = np.sort(rng.choice(held_out, most, replace=False))
    rows = np.asarray(graph.head[chosen], np.int64) - graph.nodes_of(of.head).start
    columns = np.asarray(graph.tail[chosen], np.int64) - graph.nodes_of(of.tail).start
    left_out = None if blind_to is None else np.asarray(splits.part) == SPLITS.index(blind_to)
    known = known_pairs(graph, relation, left_out=left_out)
    uniform, matched = (
        corrupt(rows, columns, known=known, per_pair=negatives_per_edge, matched=by_degree, rng=rng)
        for by_degree in (False, True)
    )
    return Questions(relation, rows, columns, known, uniform, matched, len(held_out))


def answer(judge: Judge, questions: Questions) -> Answers:
    """Ranks of both sides and scores of true pairs and negatives."""
    factors, content = judge.factors(questions.relation), judge.content(questions.relation)
    rows, columns = questions.rows, questions.columns
    tails = filtered_ranks(factors.head, factors.tail, rows=rows, columns=columns, known=questions.known)
    backwards = questions.known.T.tocsr()
    heads = filtered_ranks(factors.tail, factors.head, rows=columns, columns=rows, known=backwards)
    return Answers(
        np.stack([tails, heads], axis=1).reshape(-1, 2),
        factors.of_pairs(rows, columns),
        _scores(factors, questions.uniform),
        content.of_pairs(rows, columns),
        _scores(content, questions.matched),
    )


def contributions(answers: Answers) -> dict[str, np.ndarray]:
    """What each asked edge adds to the figures that are means over edges, [m] each; AUPRC is none of them."""
    return {
        **reciprocal_and_hits(answers.ranks),
        "auroc": auroc_contributions(answers.positive, answers.uniform),
        "matched_auroc": auroc_contributions(answers.like_positive, answers.matched),
    }


def measure(answers: Answers) -> dict[str, float]:
    """All of `METRICS`; NaN without edges."""
    found = {name: _mean(values) for name, values in contributions(answers).items()}
    both = ("auprc", answers.positive, answers.uniform), ("matched_auprc", answers.like_positive, answers.matched)
    for name, positive, negative in both:
        found[name] = float(separate(positive, negative).auprc[0])
    return {name: found[name] for name in METRICS}


def intervals(answers: Answers, *, draws: int, seed: int) -> dict[str, tuple[float, float]]:
    """95 % intervals over the asked edges, of all that `contributions` has."""
    weights = draw_weights(len(answers.positive), draws=draws, seed=seed)
    return {name: interval(weighted_means(values, weights)) for name, values in contributions(answers).items()}


def intervals_over_relations(answers: Sequence[Answers], *, draws: int, seed: int) -> dict[str, tuple[float, float]]:
    """95 % intervals of the mean over relations, edges resampled within each, of all that `contributions` has."""
    drawn: dict[str, list[np.ndarray]] = {}
    for number, each in enumerate(answers):
        weights = draw_weights(len(each.positive), draws=draws, seed=seed + number)
        for name, values in contributions(each).items():
            drawn.setdefault(name, []).append(weighted_means(values, weights))
    return {name: interval(np.mean(means, axis=0)) for name, means in drawn.items()}


@dataclass(frozen=True)
class Gain:
    """Ours less theirs in one metric, with its 95 % interval over the same resamplings of the same edges."""

    value: float
    low: float
    high: float

    @property
    def word(self) -> str:
        """won or lost where the interval excludes 0; else even."""
        if self.low > 0:
            return "won"
        return "lost" if self.high < 0 else "even"


def gains(ours: Answers, theirs: Answers, *, draws: int, seed: int) -> dict[str, Gain]:
    """Paired differences of all that `contributions` has."""
    weights = draw_weights(len(ours.positive), draws=draws, seed=seed)
    mine, other = contributions(ours), contributions(theirs)
    return {
        name: Gain(_mean(mine[name] - other[name]), *interval(weighted_means(mine[name] - other[name], weights)))
        for name in mine
    }


def gain_over_relations(pairs: list[tuple[Answers, Answers]], *, draws: int, seed: int, metric: str = "mrr") -> Gain:
    """The mean over relations of ours less theirs, edges resampled within each relation."""
    values, resampled = [], []
    for number, (ours, theirs) in enumerate(pairs):
        difference = contributions(ours)[metric] - contributions(theirs)[metric]
        if len(difference):
            weights = draw_weights(len(difference), draws=draws, seed=seed + number)
            values.append(_mean(difference))
            resampled.append(weighted_means(difference, weights))
    if not values:
        return Gain(float("nan"), float("nan"), float("nan"))
    return Gain(float(np.mean(values)), *interval(np.mean(resampled, axis=0)))


def _scores(factors: Factors, negatives: Negatives) -> np.ndarray:
    return factors.of_pairs(negatives.rows, negatives.columns)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
