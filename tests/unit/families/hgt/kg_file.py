"""Small files in PrimeKG's columns, and the stages that read them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ml_core.families.hgt.graph import Built, build_graph
from ml_core.families.hgt.readers.primekg import read_primekg
from ml_core.families.hgt.settings import GraphSettings

Node = tuple[str, str]  # type, id
COLUMNS = [
    *("relation", "display_relation", "x_index", "x_id", "x_type", "x_name", "x_source"),
    *("y_index", "y_id", "y_type", "y_name", "y_source"),
]


def table(edges: Sequence[tuple[str, Node, Node]]) -> pd.DataFrame:
    """One row for each (relation, x, y), in all twelve columns; every node has an index of its own."""
    index: dict[Node, int] = {}
    rows = []
    for relation, x, y in edges:
        ends = [
            (str(index.setdefault(node, len(index))), node[1], node[0], f"name of {node[1]}", "S") for node in (x, y)
        ]
        rows.append([relation, relation, *ends[0], *ends[1]])
    return pd.DataFrame(rows, columns=COLUMNS)


def both_ways(edges: Sequence[tuple[str, Node, Node]]) -> list[tuple[str, Node, Node]]:
    return [*edges, *((relation, y, x) for relation, x, y in edges)]


def built(kg: pd.DataFrame, folder: Path, **settings: Any) -> Built:
    """The graph of these rows, read from a CSV file; all types are kept unless settings say otherwise."""
    path = folder / "kg.csv"
    kg.to_csv(path, index=False)
    chosen = GraphSettings(**{"include_node_types": [], **settings})
    rows = read_primekg(path, key=chosen.key, check_index=chosen.check_index, relation_column=chosen.relation_column)
    return build_graph(rows, settings=chosen)


def edge_set(found: Built) -> set[tuple[str, frozenset[Node]]]:
    """(relation, its two nodes) of each edge."""
    graph = found.graph
    nodes = list(zip(graph.nodes["node_type"], graph.nodes["node_id"], strict=True))
    ends = zip(graph.relation_of.tolist(), graph.head.tolist(), graph.tail.tolist(), strict=True)
    return {(graph.relations[r].name, frozenset({nodes[h], nodes[t]})) for r, h, t in ends}


def small_table() -> pd.DataFrame:
    """Two drugs, two diseases, three genes, a pathway and a process, each edge in both directions; ids collide."""
    drug, disease = [("drug", "1"), ("drug", "2")], [("disease", "1"), ("disease", "2")]
    gene, pathway, process = (
        [("gene/protein", str(n)) for n in (1, 2, 3)],
        ("pathway", "1"),
        ("biological_process", "1"),
    )
    edges = [
        ("indication", drug[0], disease[0]),
        ("indication", drug[1], disease[1]),
        ("drug_protein", drug[0], gene[0]),
        ("drug_protein", drug[1], gene[2]),
        ("disease_protein", disease[0], gene[0]),
        ("disease_protein", disease[1], gene[1]),
        ("protein_protein", gene[0], gene[1]),
        ("protein_protein", gene[1], gene[2]),
        ("pathway_protein", pathway, gene[1]),
        ("bioprocess_protein", process, gene[2]),
    ]
    return table(both_ways(edges))
