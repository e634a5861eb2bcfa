"""The simulated graph has PrimeKG's types and relations, and the structure that was planted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest

from ml_core.families.hgt.primekg_counts import NODE_TYPES, NODES, RELATIONS
from ml_core.families.hgt.settings import RawSettings
from ml_core.families.hgt.simulate import planned_edges, simulate, write


def test_the_plan_is_primekgs() -> None:
    assert (NODES, len(NODE_TYPES), len(RELATIONS)) == (129_375, 10, 30)
    assert 2 * sum(plan.edges for plan in RELATIONS) == 8_100_498
    counts = {plan.name: plan.nodes for plan in NODE_TYPES}
    for plan in RELATIONS:
        size = {"head": counts[plan.head], "tail": counts[plan.tail]}
        assert planned_edges(plan, nodes=NODES, **size, growth=0.5) == plan.edges


def test_edges_follow_the_communities_and_every_node_has_one() -> None:
    graph = simulate(RawSettings(nodes=3000, communities=8, noise=0.1))
    heads, tails = graph.edges["disease_protein"]
    same = graph.types["disease"].community[heads] == graph.types["gene/protein"].community[tails]
    assert same.mean() > 0.6 > 3 / 8
    for name, nodes in graph.types.items():
        ends = [
            np.concatenate([h if p.head == name else [], t if p.tail == name else []])
            for p in graph.relations
            for h, t in [graph.edges[p.name]]
        ]
        assert len(np.unique(np.concatenate(ends))) == len(nodes)


def test_no_pair_stands_twice_and_no_node_is_joined_to_itself() -> None:
    graph = simulate(RawSettings(nodes=1000))
    for plan in graph.relations:
        heads, tails = graph.edges[plan.name]
        low, high = (np.minimum(heads, tails), np.maximum(heads, tails)) if plan.head == plan.tail else (heads, tails)
        assert len(np.unique(low * 10**6 + high)) == len(heads)
        assert plan.head != plan.tail or (heads != tails).all()


def share_of_indications_with_a_common_gene(path_share: float) -> float:
    graph = simulate(RawSettings(nodes=3000, path_share=path_share))
    joined = []
    for name, kind in (("drug_protein", "drug"), ("disease_protein", "disease")):
        matrix = np.zeros((len(graph.types[kind]), len(graph.types["gene/protein"])), np.float32)
        matrix[graph.edges[name]] = 1
        joined.append(matrix)
    return float((joined[0] @ joined[1].T > 0)[graph.edges["indication"]].mean())


def test_drugs_reach_their_diseases_by_way_of_a_gene_when_asked_to() -> None:
    assert share_of_indications_with_a_common_gene(0.9) > share_of_indications_with_a_common_gene(0.0) + 0.1


def test_hubs_grow_with_their_spread() -> None:
    def largest(sigma: float) -> float:
        heads, _ = simulate(RawSettings(nodes=3000, hub_sigma=sigma)).edges["disease_protein"]
        degrees = np.bincount(heads)
        return float(degrees.max() / degrees.mean())

    assert largest(1.5) > 2 * largest(0.0)


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_the_file_has_primekgs_columns_and_both_directions(tmp_path: Path, file_format: str) -> None:
    graph = simulate(RawSettings(nodes=600))
    write(graph, tmp_path, file_format=file_format)
    read = {"parquet": lambda path: pyarrow.parquet.read_table(path).to_pandas(), "csv": pd.read_csv}[file_format]
    kg = read(tmp_path / f"kg.{file_format}").astype(str)
    assert len(kg) == 2 * sum(len(heads) for heads, _ in graph.edges.values())
    assert list(kg.columns[:4]) == ["relation", "display_relation", "x_index", "x_id"]
    forward = set(zip(kg["relation"], kg["x_index"], kg["y_index"], strict=True))
    assert forward == set(zip(kg["relation"], kg["y_index"], kg["x_index"], strict=True))
    truth = pd.read_parquet(tmp_path / "truth.parquet")
    assert len(truth) == sum(len(nodes) for nodes in graph.types.values())
