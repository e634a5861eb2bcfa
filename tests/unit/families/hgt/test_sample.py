"""A sample of a graph is connected, has each type in its share, and an edge of every relation."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ml_core.errors import UserError
from ml_core.families.hgt.data import KnowledgeGraph
from ml_core.families.hgt.graph import components
from ml_core.families.hgt.sample import sample_nodes
from tests.unit.families.hgt.tiny import tiny_graph

ALL = ("drug", "disease", "gene/protein", "anatomy", "pathway", "exposure", "biological_process")


def sampled(graph: KnowledgeGraph, limit: int, seed: int = 0) -> np.ndarray:
    ends = {"head": graph.head, "tail": graph.tail, "group": graph.relation_of}
    return sample_nodes(graph.node_type, **ends, limit=limit, seed=seed)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("limit", [60, 150, 400])
def test_it_has_so_many_nodes_is_connected_and_keeps_every_relation(limit: int, seed: int) -> None:
    graph = tiny_graph(1500, types=ALL)
    chosen = sampled(graph, limit, seed)
    assert chosen.sum() == limit
    kept = chosen[graph.head] & chosen[graph.tail]
    assert set(graph.relation_of[kept]) == set(range(len(graph.relations)))
    within = dataclasses.replace(graph, head=graph.head[kept], tail=graph.tail[kept])
    assert components(within)[0] == limit


def test_types_keep_their_shares() -> None:
    graph = tiny_graph(1500, types=ALL)
    chosen = sampled(graph, 400)
    shares = np.bincount(graph.node_type[chosen]) / 400
    np.testing.assert_allclose(shares, np.bincount(graph.node_type) / graph.node_count, atol=0.02)


def test_a_limit_above_the_graph_keeps_all_of_it() -> None:
    graph = tiny_graph()
    assert sampled(graph, graph.node_count + 1).all()


def test_a_limit_that_cannot_hold_every_relation_says_what_could() -> None:
    graph = tiny_graph(1500, types=ALL)
    with pytest.raises(UserError, match=r"graph.limit_nodes: 3 nodes cannot hold .* take at least \d+"):
        sampled(graph, 3)


def test_a_relation_outside_the_greatest_component_is_kept_all_the_same() -> None:
    head, tail, group = np.array([0, 1, 2, 3, 5]), np.array([1, 2, 3, 4, 6]), np.array([0, 0, 0, 0, 1])
    chosen = sample_nodes(np.zeros(7, int), head=head, tail=tail, group=group, limit=5, seed=0)
    assert chosen[[5, 6]].all()
    assert chosen.sum() == 5
