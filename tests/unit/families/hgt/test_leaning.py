"""How far scores lean to nodes with many edges: as far as validation asks for, whatever the test says."""

import dataclasses

import numpy as np

from ml_core.families.hgt import evaluate
from ml_core.families.hgt.data import KnowledgeGraph, Relation
from ml_core.families.hgt.judges import EmbeddingJudge
from ml_core.families.hgt.leaning import STRENGTHS, fit_leaning
from tests.unit.families.hgt.planted import planted

small = planted()


def with_popular_nodes() -> KnowledgeGraph:
    """The planted graph with other tails: a few of each type have most edges."""
    graph, rng = small.graph, np.random.default_rng(2)
    tail = np.array(graph.tail)
    for relation, of in enumerate(graph.relations):
        nodes = np.arange(len(graph.nodes_of(of.tail)))
        chance = 1 / (1 + nodes)
        edges = graph.edges_of(relation)
        drawn = rng.choice(nodes, edges.stop - edges.start, p=chance / chance.sum())
        tail[edges] = drawn + graph.nodes_of(of.tail).start
    return dataclasses.replace(graph, tail=tail)


def noise(graph: KnowledgeGraph) -> EmbeddingJudge:
    """It knows nothing of pairs."""
    z = np.random.default_rng(0).normal(size=(graph.node_count, 24)) * 0.3
    return EmbeddingJudge(graph, z.astype(np.float32), small.decoder())


def test_no_strength_has_a_higher_mean_reciprocal_rank_of_validation_edges() -> None:
    judge = EmbeddingJudge(small.graph, small.embeddings(known=0.3), small.decoder())
    leaning = fit_leaning(small.graph, small.splits, judge)
    for relation, of in enumerate(small.graph.relations):
        questions = evaluate.ask(small.graph, small.splits, relation, split="validation", blind_to="test")
        reached = []
        for strength in STRENGTHS:
            both = leaning.strength.copy()
            both[relation] = strength
            fixed = dataclasses.replace(judge, leaning=dataclasses.replace(leaning, strength=both))
            reached.append((1 / evaluate.answer(fixed, questions).ranks).mean(0))
        chosen = evaluate.answer(dataclasses.replace(judge, leaning=leaning), questions)
        best = np.mean(reached, axis=1).max() if of.symmetric else np.max(reached, axis=0).mean()
        assert np.isclose((1 / chosen.ranks).mean(), best)


def test_noise_leans_where_some_nodes_are_popular_and_is_better_for_it() -> None:
    graph = with_popular_nodes()
    judge = noise(graph)
    leaning = fit_leaning(graph, small.splits, judge)
    assert (leaning.strength[:, 1] > 0).all()
    leant = dataclasses.replace(judge, leaning=leaning)
    for relation in range(len(graph.relations)):
        questions = evaluate.ask(graph, small.splits, relation)
        before, after = (evaluate.answer(each, questions).ranks for each in (judge, leant))
        assert (1 / after[:, 0]).mean() > (1 / before[:, 0]).mean()


def test_embeddings_that_know_the_pairs_hardly_lean() -> None:
    knows = EmbeddingJudge(small.graph, small.embeddings(known=1.0) * 30, small.decoder())
    assert (fit_leaning(small.graph, small.splits, knows).strength <= 1).all()


def test_the_test_edges_are_not_looked_at() -> None:
    """Turning them into edges that nobody has changes nothing."""
    graph, part = small.graph, small.splits.part
    judge = EmbeddingJudge(graph, small.embeddings(known=0.3), small.decoder())
    rng = np.random.default_rng(1)
    head, tail = np.array(graph.head), np.array(graph.tail)
    for relation, of in enumerate(graph.relations):
        edges = graph.edges_of(relation)
        mine = np.flatnonzero(part[edges] == 2) + edges.start
        head[mine] = rng.choice(list(graph.nodes_of(of.head)), len(mine))
        tail[mine] = rng.choice(list(graph.nodes_of(of.tail)), len(mine))
    other = dataclasses.replace(graph, head=head, tail=tail)
    ours, theirs = (fit_leaning(each, small.splits, dataclasses.replace(judge, graph=each)) for each in (graph, other))
    np.testing.assert_array_equal(ours.strength, theirs.strength)
    for mine, others in zip(ours.popular, theirs.popular, strict=True):
        for one, another in zip(mine, others, strict=True):
            np.testing.assert_array_equal(one, another)


def test_a_relation_without_validation_edges_does_not_lean() -> None:
    part = np.where(small.splits.part == 1, 0, small.splits.part)
    splits = dataclasses.replace(small.splits, part=part)
    judge = noise(small.graph)
    assert not fit_leaning(small.graph, splits, judge).strength.any()


def test_a_symmetric_relation_leans_alike_on_both_sides() -> None:
    judge = noise(small.graph)
    relations = [
        Relation(each.name, each.head, each.tail, symmetric=each.head == each.tail) for each in small.graph.relations
    ]
    graph = dataclasses.replace(small.graph, relations=relations)
    found = fit_leaning(graph, small.splits, dataclasses.replace(judge, graph=graph)).strength
    alike = [number for number, each in enumerate(relations) if each.symmetric]
    assert alike
    assert (found[alike, 0] == found[alike, 1]).all()


def test_nodes_of_like_degree_are_told_apart_by_content_alone() -> None:
    judge = EmbeddingJudge(small.graph, small.embeddings(known=0.3), small.decoder())
    leaning = fit_leaning(small.graph, small.splits, judge)
    leaning.strength[:] = 3
    questions = evaluate.ask(small.graph, small.splits, 0)
    bare, leant = (evaluate.answer(each, questions) for each in (judge, dataclasses.replace(judge, leaning=leaning)))
    np.testing.assert_array_equal(bare.like_positive, leant.like_positive)
    np.testing.assert_array_equal(bare.matched, leant.matched)
    np.testing.assert_array_equal(bare.positive, bare.like_positive)
    assert not np.allclose(bare.positive, leant.positive)
    assert not np.allclose(bare.uniform, leant.uniform)
    assert (bare.ranks != leant.ranks).any()
