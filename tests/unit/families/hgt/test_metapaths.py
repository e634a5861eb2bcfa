"""The regression on paths: what it counts, and what it must not see."""

import dataclasses

import numpy as np
import pytest

from ml_core.families.hgt import evaluate
from ml_core.families.hgt.judges import PopularityJudge
from ml_core.families.hgt.metapaths import DAMPING, MetaPaths, feasible, regression
from tests.unit.families.hgt.graphs import random_graph, random_splits
from tests.unit.families.hgt.tiny import tiny_graph, tiny_splits


def weighted_paths(graph, edges, drug, disease):
    """Degree-weighted number of paths drug - gene - other drug - disease, counted one by one."""

    def of(name):
        relation = graph.relation_index(name)
        return [(int(graph.head[e]), int(graph.tail[e])) for e in edges if graph.relation_of[e] == relation]

    targets, treats = of("targets"), of("indication")

    def weight(pairs, pair):
        degrees = sum(p[0] == pair[0] for p in pairs), sum(p[1] == pair[1] for p in pairs)
        return (degrees[0] * degrees[1]) ** -DAMPING

    return sum(
        weight(targets, (drug, gene)) * weight(targets, (other, gene)) * weight(treats, (other, disease))
        for d, gene in targets
        if d == drug
        for other, g in targets
        if g == gene and other != drug and (other, disease) in treats
    )


def test_paths_are_counted_as_one_by_one():
    graph = random_graph()
    splits = random_splits(graph)
    relation = graph.relation_index("indication")
    paths = MetaPaths(graph, splits, relation)
    features, names = paths.table()
    drugs, diseases = graph.nodes_of("drug"), graph.nodes_of("disease")
    expected = np.array(
        [[weighted_paths(graph, splits.edges_in("train"), drug, disease) for disease in diseases] for drug in drugs]
    )
    assert expected.any()
    np.testing.assert_allclose(
        features[:, names.index("targets, indication")], np.arcsinh(expected / expected.mean()).ravel(), rtol=1e-4
    )
    assert len(names) == len(set(names)) == features.shape[1]


def test_held_out_edges_change_nothing():
    graph = random_graph()
    splits = random_splits(graph)
    relation = graph.relation_index("indication")
    features, _ = MetaPaths(graph, splits, relation).table()
    kept = splits.part == 0
    tail = graph.tail.copy()
    of_tail = [graph.nodes_of(graph.relations[r].tail) for r in graph.relation_of]
    moved = np.array([nodes.start for nodes in of_tail])
    tail[~kept] = moved[~kept]
    other, _ = MetaPaths(dataclasses.replace(graph, tail=tail), splits, relation).table()
    np.testing.assert_array_equal(features, other)


def test_planted_structure_is_found_beyond_popularity():
    graph, splits = tiny_graph(2000), tiny_splits(2000)
    relation = graph.relation_index("indication")
    asked = evaluate.ask(graph, splits, relation)
    found = evaluate.measure(evaluate.answer(regression(graph, splits, relation, seed=0), asked))
    popular = evaluate.measure(evaluate.answer(PopularityJudge(graph, splits), asked))
    assert found["mrr"] > 1.3 * popular["mrr"]
    assert found["matched_auroc"] > popular["matched_auroc"] + 0.1


@pytest.mark.parametrize(
    ("name", "most", "said"), [("indication", 180, True), ("indication", 179, False), ("similar", 10**9, False)]
)
def test_it_is_left_out_where_pairs_are_too_many_or_of_one_type(name, most, said):
    graph = random_graph()
    assert feasible(graph, graph.relation_index(name), most_pairs=most) is said
