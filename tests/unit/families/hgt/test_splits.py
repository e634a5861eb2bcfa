"""Each edge is in one split with its reverse; a held-out disease has no drug edge in training; leaks are found."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ml_core.artifacts import Artifact
from ml_core.errors import UserError
from ml_core.families.hgt import splits as stage
from ml_core.families.hgt.data import SPLITS, EdgeSplits, KnowledgeGraph, Relation, load_splits, save_graph
from ml_core.families.hgt.settings import SplitsSettings
from ml_core.families.hgt.splits import deal, hold_out, joined_in_training, leaks
from ml_core.running import StageRun
from tests.unit.families.hgt.kg_file import both_ways, built, table
from tests.unit.families.hgt.tiny import tiny_graph

NONE = np.empty(0, np.int32)


@given(st.integers(0, 1000), st.sampled_from([(0.8, 0.1, 0.1), (0.6, 0.3, 0.1)]), st.booleans())
@hypothesis_settings(max_examples=20, deadline=None)
def test_no_seed_and_no_shares_let_an_edge_leak(seed: int, shares: tuple[float, float, float], together: bool) -> None:
    graph = tiny_graph()
    chosen = dict(zip(SPLITS, shares, strict=True))
    splits = deal(graph, settings=SplitsSettings(**chosen, seed=seed, same_pair_together=together))
    assert not any(leaks(graph, splits=splits).values())
    assert len(splits.part) == graph.edge_count
    for number in range(len(graph.relations)):
        of = np.bincount(splits.part[graph.edges_of(number)], minlength=3)
        np.testing.assert_allclose(of / of.sum(), shares, atol=0.15 if together else 1 / of.sum() + 1e-9)


def directed_graph(tmp_path: Path) -> KnowledgeGraph:
    genes = [("gene/protein", str(number)) for number in range(40)]
    pairs = [("regulates", a, b) for at, a in enumerate(genes) for b in genes[at + 1 : at + 6]]
    return built(table(both_ways(pairs)), tmp_path, directed_relations=["regulates"]).graph


def test_both_directions_of_a_directed_relation_go_to_one_split(tmp_path: Path) -> None:
    graph = directed_graph(tmp_path)
    assert not graph.relations[0].symmetric
    splits = deal(graph, settings=SplitsSettings())
    part = {(h, t): p for h, t, p in zip(graph.head.tolist(), graph.tail.tolist(), splits.part.tolist(), strict=True)}
    assert all(part[t, h] == p for (h, t), p in part.items())
    assert set(splits.part) == {0, 1, 2}


def test_a_reverse_in_another_split_is_found(tmp_path: Path) -> None:
    graph = directed_graph(tmp_path)
    part = np.zeros(graph.edge_count, np.int8)
    part[0] = 2
    assert leaks(graph, splits=EdgeSplits(part, NONE, NONE))["shared_edges"] == 1


def test_an_edge_that_stands_twice_in_two_splits_is_found() -> None:
    graph = tiny_graph()
    head, tail = graph.head.copy(), graph.tail.copy()
    edges = graph.edges_of(graph.relation_index("indication"))
    head[edges.start], tail[edges.start] = head[edges.start + 1], tail[edges.start + 1]
    part = np.zeros(graph.edge_count, np.int8)
    part[edges.start] = 1
    planted = dataclasses.replace(graph, head=head, tail=tail)
    assert leaks(planted, splits=EdgeSplits(part, NONE, NONE))["shared_edges"] == 1


def test_diseases_held_out_lose_all_their_drug_edges_and_nothing_else() -> None:
    graph = tiny_graph()
    splits = hold_out(graph, settings=SplitsSettings(kind="disease_holdout"))
    assert not any(leaks(graph, splits=splits).values())
    held = np.isin(np.arange(graph.node_count), splits.heldout_nodes)
    drugs = np.isin(np.arange(graph.node_count), graph.nodes_of("drug"))
    diseases = np.isin(np.arange(graph.node_count), graph.nodes_of("disease"))
    assert (held <= diseases).all()
    of_drug_and_disease = drugs[graph.head] & diseases[graph.tail]
    np.testing.assert_array_equal(splits.part > 0, of_drug_and_disease & held[graph.tail])
    for node, part in zip(splits.heldout_nodes, splits.heldout_part, strict=True):
        assert set(splits.part[of_drug_and_disease & (graph.tail == node)]) == {part}
    assert set(splits.heldout_part) == {1, 2}


def test_a_training_edge_of_a_disease_that_was_held_out_is_found() -> None:
    graph = tiny_graph()
    splits = hold_out(graph, settings=SplitsSettings(kind="disease_holdout"))
    part = splits.part.copy()
    part[np.flatnonzero(part)[0]] = 0
    found = leaks(graph, splits=dataclasses.replace(splits, part=part))
    assert found["heldout_in_training"] == 1


def test_small_relations_are_trained_on_only() -> None:
    graph = tiny_graph()
    splits = deal(graph, settings=SplitsSettings(min_edges=200))
    sizes = np.diff(graph.relation_offsets)
    tested = [bool(splits.part[graph.edges_of(number)].any()) for number in range(len(sizes))]
    assert tested == (sizes >= 200).tolist()
    assert not all(tested)


def test_same_pairs_of_other_relations_are_counted_and_can_be_kept_together(tmp_path: Path) -> None:
    pairs = [(("drug", str(a)), ("disease", str(b))) for a in range(20) for b in range(20) if (a + b) % 3]
    edges = [("indication", *pair) for pair in pairs] + [("off-label use", *pair) for pair in pairs]
    graph = built(table(edges), tmp_path).graph
    apart = deal(graph, settings=SplitsSettings())
    assert joined_in_training(graph, splits=apart).sum() > 0.5 * (apart.part > 0).sum()
    together = deal(graph, settings=SplitsSettings(same_pair_together=True))
    assert not joined_in_training(graph, splits=together).any()


def test_the_same_seed_gives_the_same_splits_and_another_one_others() -> None:
    parts = [deal(tiny_graph(), settings=SplitsSettings(seed=seed)).part for seed in (3, 3, 4)]
    np.testing.assert_array_equal(parts[0], parts[1])
    assert (parts[0] != parts[2]).any()


def test_nothing_to_hold_out_is_named() -> None:
    graph = tiny_graph()
    with pytest.raises(UserError, match="no relation joins 'disease' to 'disease'"):
        hold_out(graph, settings=SplitsSettings(kind="disease_holdout", partner_type="disease"))
    with pytest.raises(UserError, match="has no node type 'planet'"):
        hold_out(graph, settings=SplitsSettings(kind="disease_holdout", partner_type="planet"))


@pytest.mark.parametrize("kind", ["random", "disease_holdout"])
def test_the_stage_writes_what_it_says(tmp_path: Path, kind: str) -> None:
    save_graph(tmp_path / "graph", tiny_graph())
    (tmp_path / "splits").mkdir()
    run = StageRun(
        SplitsSettings(kind=kind), {"graph": Artifact(tmp_path / "graph")}, tmp_path / "splits", tmp_path, tmp_path
    )
    summary = stage.build(run)
    assert {check.name: check.passed for check in summary.checks} == {"no_leakage": True, "all_splits_filled": True}
    splits = load_splits(tmp_path / "splits")
    assert [summary.numbers[f"split.{name}_edges"] for name in SPLITS] == np.bincount(splits.part).tolist()
    assert (tmp_path / "splits" / "figures" / "splits.png").is_file()


def test_a_relations_key_names_its_types() -> None:
    assert Relation("indication", "drug", "disease").key == "drug|indication|disease"
