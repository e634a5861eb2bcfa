"""What becomes of a file's rows: nothing is lost, every row is accounted for, each edge stands once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_core.artifacts import Artifact
from ml_core.errors import UserError
from ml_core.families.hgt import graph as stage
from ml_core.families.hgt.canonical import canonicalise
from ml_core.families.hgt.data import load_graph
from ml_core.families.hgt.graph import build_graph
from ml_core.families.hgt.readers.rows import Rows
from ml_core.families.hgt.settings import GraphSettings
from ml_core.running import StageRun
from tests.unit.families.hgt.kg_file import both_ways, built, edge_set, small_table, table

TYPES = ("drug", "disease", "gene/protein", "anatomy")


def test_ids_that_collide_across_types_lose_no_node_and_no_edge(tmp_path: Path) -> None:
    """All nine nodes have one of three ids: keyed by the bare id there would be three nodes."""
    found = built(small_table(), tmp_path)
    assert found.graph.node_count == 9
    assert found.graph.edge_count == 10
    assert found.ledger.total("reverse_duplicate") == 10
    assert not found.ledger.untied()


def test_nodes_are_numbered_type_by_type_and_unique_within_them(tmp_path: Path) -> None:
    graph = built(small_table(), tmp_path).graph
    for name in graph.node_types:
        mine = graph.nodes.iloc[graph.nodes_of(name).start : graph.nodes_of(name).stop]
        assert set(mine["node_type"]) == {name}
        assert mine["node_id"].is_unique
    for number, relation in enumerate(graph.relations):
        edges = graph.edges_of(number)
        assert {graph.node_types[t] for t in graph.node_type[graph.head[edges]]} == {relation.head}
        assert {graph.node_types[t] for t in graph.node_type[graph.tail[edges]]} == {relation.tail}


def test_relations_of_one_name_between_several_types_are_told_apart(tmp_path: Path) -> None:
    gene, drug, disease = ("gene/protein", "1"), ("drug", "1"), ("disease", "1")
    graph = built(table([("linked", drug, gene), ("linked", disease, gene)]), tmp_path).graph
    assert [r.name for r in graph.relations] == ["linked:disease:gene/protein", "linked:drug:gene/protein"]


def test_an_edge_runs_as_most_of_its_rows_do_or_from_the_type_named_first(tmp_path: Path) -> None:
    edges = [("indication", ("disease", "1"), ("drug", "1")), ("indication", ("disease", "2"), ("drug", "1"))]
    assert built(table(edges), tmp_path).graph.relations[0].key == "disease|indication|drug"
    assert built(table(both_ways(edges)), tmp_path).graph.relations[0].key == "drug|indication|disease"


def test_a_directed_relation_keeps_both_directions_and_an_undirected_one_does_not(tmp_path: Path) -> None:
    kg = table(both_ways([("regulates", ("gene/protein", "1"), ("gene/protein", "2"))]))
    assert built(kg, tmp_path).graph.edge_count == 1
    assert built(kg, tmp_path, directed_relations=["regulates"]).graph.edge_count == 2


def test_each_reason_is_counted_in_its_relation(tmp_path: Path) -> None:
    gene, other, drug, tissue = ("gene/protein", "1"), ("gene/protein", "2"), ("drug", "1"), ("anatomy", "1")
    rows = [("ppi", gene, other)] * 3 + [("ppi", other, gene)] * 2 + [("ppi", gene, gene)]
    rows += [("target", drug, gene), ("expressed", tissue, gene)]
    found = built(table(rows), tmp_path, include_node_types=["drug", "gene/protein"])
    counts = {account.relation: (account.rows_in, account.kept, account.dropped) for account in found.ledger.accounts}
    assert counts == {
        "ppi": (6, 1, {"self_loop": 1, "duplicate": 3, "reverse_duplicate": 1}),
        "target": (1, 1, {}),
        "expressed": (1, 0, {"excluded_node_type": 1}),
    }
    tissues = next(row for row in found.node_rows if row["node type"] == "anatomy")
    assert (tissues["nodes in"], tissues["excluded_node_type"]) == (1, 1)


nodes = st.tuples(st.sampled_from(TYPES), st.sampled_from("123"))
edges = st.lists(st.tuples(st.sampled_from(["one", "two"]), nodes, nodes), min_size=1, max_size=40)


def rows_of(kg: list[tuple[str, tuple[str, str], tuple[str, str]]]) -> Rows:
    """As the reader gives them, without a file."""
    number = {node: at for at, node in enumerate(dict.fromkeys(node for _, x, y in kg for node in (x, y)))}
    labels = [(kind, name, name, "") for kind, name in number]
    relations = list(dict.fromkeys(relation for relation, _, _ in kg))
    return Rows(
        relations,
        np.array([relations.index(relation) for relation, _, _ in kg], np.int16),
        np.array([number[x] for _, x, _ in kg], np.int32),
        np.array([number[y] for _, _, y in kg], np.int32),
        pd.DataFrame(labels, columns=["node_type", "node_id", "node_name", "node_source"]),
    )


@given(edges, st.lists(st.sampled_from(TYPES), unique=True))
@settings(max_examples=100, deadline=None)
def test_the_sums_tie_out_and_exactly_the_distinct_edges_stay(kg, wanted: list[str]) -> None:
    there = {node[0] for _, x, y in kg for node in (x, y)}
    types = set(wanted) & there or there
    distinct = {
        (relation, frozenset({x, y})) for relation, x, y in kg if x != y and x[0] in types and y[0] in types
    }  # fmt: skip
    chosen = GraphSettings(include_node_types=sorted(types))
    if not distinct:
        with pytest.raises(UserError, match="no edge is left"):
            canonicalise(rows_of(kg), settings=chosen)
        return
    found = canonicalise(rows_of(kg), settings=chosen)
    assert len(found) == len(distinct)
    assert not found.ledger.untied()
    assert sum(account.rows_in for account in found.ledger.accounts) == len(kg)


@given(edges, st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_rows_in_another_order_or_in_both_directions_give_the_same_graph(kg, random) -> None:
    kg = [(relation, x, y) for relation, x, y in both_ways(kg) if x != y]
    if not kg:
        return
    shuffled = kg.copy()
    random.shuffle(shuffled)
    one, other = (build_graph(rows_of(each), settings=GraphSettings(include_node_types=[])) for each in (kg, shuffled))
    assert edge_set(one) == edge_set(other)
    assert one.graph.relations == other.graph.relations
    np.testing.assert_array_equal(one.graph.head, other.graph.head)
    np.testing.assert_array_equal(one.graph.tail, other.graph.tail)
    assert one.graph.node_ids.tolist() == other.graph.node_ids.tolist()


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"include_node_types": ["drug", "planet"]}, "has no node type 'planet'; it has biological_process, disease"),
        ({"include_relations": ["cures"]}, "has no relation 'cures'; it has bioprocess_protein"),
        (
            {"include_node_types": ["drug", "gene/protein"], "include_relations": ["drug_protein", "indication"]},
            r"nothing is left of 'indication' \(4 rows in, of drug and disease: 4 excluded_node_type\)",
        ),
        (
            {"include_node_types": ["drug", "disease", "pathway"]},
            "no edge joins a node of type 'pathway' to the types that are kept",
        ),
    ],
)
def test_an_empty_type_or_relation_that_was_asked_for_is_named(tmp_path: Path, chosen, said: str) -> None:
    with pytest.raises(UserError, match=said):
        built(small_table(), tmp_path, **chosen)


def test_the_stage_writes_what_it_says(tmp_path: Path) -> None:
    raw, directory = tmp_path / "raw", tmp_path / "graph"
    raw.mkdir()
    directory.mkdir()
    small_table().to_parquet(raw / "kg.parquet", index=False)
    (raw / "source.json").write_text(json.dumps({"format": "primekg", "files": {"kg": "kg.parquet"}}))
    run = StageRun(GraphSettings(), {"raw": Artifact(raw)}, directory, tmp_path / "work", tmp_path / "cache")
    summary = stage.build(run)
    assert {check.name: check.passed for check in summary.checks} == {"accounted": True, "connected": True}
    graph = load_graph(directory)
    assert (graph.node_count, graph.edge_count) == (summary.numbers["graph.nodes"], summary.numbers["graph.edges"])
    assert graph.node_names[graph.nodes_of("drug").start] == "name of 1"
    accounts = json.loads((directory / "accounting.json").read_text())
    assert all(each["rows_in"] == each["kept"] + sum(each["dropped"].values()) for each in accounts)
    assert (directory / "figures" / "relations.png").is_file()
