"""Paths and their weights equal an enumeration by hand on random graphs, and names are found as people write them."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_core.errors import UserError
from ml_core.families.hgt.data import KnowledgeGraph, Relation
from ml_core.families.hgt.naming import find_node
from ml_core.families.hgt.paths import Flow, as_text


def random_flow(seed: int, *, nodes: int, edges: int, layers: int) -> tuple[Flow, list[np.ndarray], np.ndarray]:
    """Both directions of random edges with random attention that sums to 1 over what a node hears."""
    rng = np.random.default_rng(seed)
    ends = rng.integers(0, nodes, (edges, 2))
    ends = ends[ends[:, 0] != ends[:, 1]]
    source, target = np.concatenate([ends, ends[:, ::-1]]).T
    relation = np.tile(rng.integers(0, 3, len(ends)), 2)
    attention = []
    for _ in range(layers):
        raw = rng.random(len(source)) + 0.01
        attention.append(raw / np.bincount(target, weights=raw, minlength=nodes)[target])
    dense = []
    for each in attention:
        matrix = np.zeros((nodes, nodes))
        np.add.at(matrix, (target, source), each)
        dense.append(matrix)
    flow = Flow(nodes=nodes, source=source, target=target, relation=relation, attention=attention)
    return flow, dense, np.stack([source, target, relation])


@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(4, 9))
@settings(max_examples=80, deadline=None)
def test_paths_are_those_of_an_enumeration(seed: int, layers: int, nodes: int) -> None:
    flow, heard, _ = random_flow(seed, nodes=nodes, edges=2 * nodes, layers=layers)
    asked, candidate = 0, 1
    expected = {}
    for length in (1, 2, 3):
        for middle in itertools.permutations(set(range(nodes)) - {asked, candidate}, length - 1):
            path = (asked, *middle, candidate)
            weight = 0.0
            for way in (path, path[::-1]):  # messages run from the end of `way` to its start
                product = 1.0
                for step, (hearing, telling) in enumerate(itertools.pairwise(way)):
                    product *= heard[max(layers - 1 - step, 0)][hearing, telling]
                weight += product / 2
            if weight > 0:
                expected[path] = weight
    found = {path.nodes: path.weight for path in flow.paths(asked, candidate, most=10_000)}
    assert found.keys() == expected.keys()
    for path, weight in expected.items():
        assert found[path] == pytest.approx(weight)
    best = flow.paths(asked, candidate, most=2)
    assert [path.weight for path in best] == pytest.approx(sorted(expected.values(), reverse=True)[:2])


def test_each_step_names_a_relation_that_joins_its_nodes() -> None:
    flow, _, edges = random_flow(1, nodes=8, edges=20, layers=2)
    joined = {(int(s), int(t), int(r)) for s, t, r in edges.T}
    for path in flow.paths(0, 1, most=50):
        for (a, b), relation in zip(itertools.pairwise(path.nodes), path.relations, strict=True):
            assert (a, b, relation) in joined


def graph() -> KnowledgeGraph:
    labels = pd.DataFrame(
        {
            "node_type": "disease",
            "node_id": ["D:1", "D:2", "D:3", "D:4"],
            "node_name": ["Type 2 Diabetes", "type 1 diabetes", "asthma", "asthma"],
            "node_source": "s",
        }
    )
    relation = Relation("is_like", "disease", "disease", symmetric=True)
    ends = np.array([0, 1]), np.array([1, 2])
    return KnowledgeGraph(["disease"], np.array([0, 4]), [relation], np.array([0, 2]), *ends, labels=labels)


@pytest.mark.parametrize(("text", "node"), [("D:2", 1), ("type 2 diabetes", 0), ("d:3", 2), (" Type 1 Diabetes ", 1)])
def test_a_node_is_found_by_id_or_name(text: str, node: int) -> None:
    assert find_node(graph(), "disease", text) == node


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("asthma", r"2 nodes have this name \(D:3, D:4\); give the id"),
        ("diabetes", "the closest are type 1 diabetes, Type 2 Diabetes"),
        ("astma", "the closest are asthma"),
        ("zzzz", "no name of the 4 is like it"),
    ],
)
def test_a_name_that_is_not_there_is_told_with_what_is_close(text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        find_node(graph(), "disease", text)


def test_a_path_reads_as_names_and_relations() -> None:
    source, target = np.array([0, 1, 1, 2]), np.array([1, 0, 2, 1])
    flow = Flow(nodes=4, source=source, target=target, relation=np.zeros(4, int), attention=[np.full(4, 0.5)])
    assert as_text(flow.paths(0, 2, most=1)[0], graph()) == "Type 2 Diabetes -is_like- type 1 diabetes -is_like- asthma"
