"""The knowledge graph: typed nodes and canonical edges, with an account of every row of the file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse import csgraph

from ml_core.errors import UserError
from ml_core.families.hgt.accounting import Ledger
from ml_core.families.hgt.canonical import Edges, canonicalise
from ml_core.families.hgt.data import NODE_COLUMNS, KnowledgeGraph, save_graph
from ml_core.families.hgt.graph_figure import draw_relations
from ml_core.families.hgt.readers import Rows, read_raw
from ml_core.families.hgt.sample import sample_nodes
from ml_core.families.hgt.settings import GraphSettings
from ml_core.running import StageRun
from ml_core.summary import Number, Summary

CONNECTED = 0.9  # of the nodes in one component; with fewer, the check warns


@dataclass(frozen=True)
class Built:
    """A graph, the account of its rows, and of its nodes: one row for each type of the file."""

    graph: KnowledgeGraph
    ledger: Ledger
    node_rows: list[dict[str, Number]]


def build(run: StageRun) -> Summary:
    """Read the file, keep what is asked for, number its nodes type by type, and account for every row."""
    settings: GraphSettings = run.settings
    rows = read_raw(run.inputs["raw"].directory, settings=settings)
    built = build_graph(rows, settings=settings)
    save_graph(run.directory, built.graph)
    built.ledger.save(run.directory / "accounting.json")
    draw_relations(run.directory / "figures" / "relations.png", ledger=built.ledger)
    return _summary(built, rows=rows)


def build_graph(rows: Rows, *, settings: GraphSettings) -> Built:
    """The graph of the rows; equal for the same rows in another order, except for a sample of `limit_nodes`' ties."""
    edges = canonicalise(rows, settings=settings)
    used = np.zeros(len(rows.nodes), bool)
    used[edges.head] = used[edges.tail] = True
    number, offsets, order = _numbering(rows.nodes, used=used, type_names=edges.type_names)
    group, head, tail = edges.group, number[edges.head], number[edges.tail]
    sampled = np.ones(len(order), bool)
    if settings.limit_nodes is not None:
        kinds = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        ends = {"head": head, "tail": tail, "group": group}
        sampled = sample_nodes(kinds, **ends, limit=settings.limit_nodes, seed=settings.seed)
        kept = sampled[head] & sampled[tail]
        edges.ledger.drop("limit_nodes", group[~kept])
        edges.ledger.keep(group[kept])
        renumbered = (np.cumsum(sampled) - 1).astype(np.int32)
        group, head, tail = group[kept], renumbered[head[kept]], renumbered[tail[kept]]
        kept_of_type = np.bincount(kinds[sampled], minlength=len(offsets) - 1)
        offsets, order = np.concatenate([[0], np.cumsum(kept_of_type)]), order[sampled]
    graph = _graph(edges, group=group, head=head, tail=tail, offsets=offsets, labels=rows.nodes.iloc[order])
    return Built(graph, edges.ledger, _node_rows(rows.nodes, used=used, graph=graph, asked=edges.type_names))


def components(graph: KnowledgeGraph) -> np.ndarray:
    """Sizes of the connected components, greatest first."""
    n = graph.node_count
    links = sparse.coo_array((np.ones(graph.edge_count, np.int8), (graph.head, graph.tail)), shape=(n, n))
    _, component = csgraph.connected_components(links, directed=False)
    return np.sort(np.bincount(component))[::-1]


def _numbering(
    nodes: pd.DataFrame, *, used: np.ndarray, type_names: list[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """New number of each node (-1 unused), where each type begins, and the old numbers in the new order: by id."""
    kinds = pd.Categorical(nodes["node_type"], categories=type_names).codes
    old = np.flatnonzero(used)
    ids = nodes["node_id"].to_numpy(object)[old]
    order = old[np.lexsort((pd.Series(ids).rank(method="first").to_numpy(), kinds[old]))]
    counts = np.bincount(kinds[old], minlength=len(type_names))
    if not counts.all():
        name = type_names[int(np.argmin(counts))]
        raise UserError(
            f"graph.include_node_types: no edge joins a node of type '{name}' to the types that are kept, so that it "
            "is empty; leave it out, or name the types or relations that it is joined by."
        )
    number = np.full(len(nodes), -1, np.int32)
    number[order] = np.arange(len(order), dtype=np.int32)
    return number, np.concatenate([[0], np.cumsum(counts)]), order


def _graph(
    edges: Edges, *, group: np.ndarray, head: np.ndarray, tail: np.ndarray, offsets: np.ndarray, labels: pd.DataFrame
) -> KnowledgeGraph:
    """Edges sorted by relation, head and tail; an undirected one runs from the lower number."""
    symmetric = np.array([relation.symmetric for relation in edges.relations], bool)
    turned = symmetric[group] & (head > tail)
    head, tail = np.where(turned, tail, head), np.where(turned, head, tail)
    order = np.lexsort((tail, head, group))
    counts = np.bincount(group, minlength=len(edges.relations))
    return KnowledgeGraph(
        node_types=edges.type_names,
        type_offsets=offsets.astype(np.int64),
        relations=[relation for relation, count in zip(edges.relations, counts, strict=True) if count],
        relation_offsets=np.concatenate([[0], np.cumsum(counts[counts > 0])]).astype(np.int64),
        head=head[order].astype(np.int32),
        tail=tail[order].astype(np.int32),
        labels=labels[list(NODE_COLUMNS)].reset_index(drop=True),
    )


def _node_rows(
    nodes: pd.DataFrame, *, used: np.ndarray, graph: KnowledgeGraph, asked: list[str]
) -> list[dict[str, Number]]:
    """What became of each type's nodes."""
    there, with_edges = nodes["node_type"].value_counts(), nodes["node_type"][used].value_counts()
    rows: list[dict[str, Number]] = []
    for name in [*asked, *(name for name in there.index if name not in asked)]:
        kept, left, total = (
            len(graph.nodes_of(name)) if name in asked else 0,
            int(with_edges.get(name, 0)),
            int(there[name]),
        )
        rows.append({
            "node type": name,
            "nodes in": total,
            "nodes kept": kept,
            "excluded_node_type": 0 if name in asked else total,
            "no_edge_left": total - left if name in asked else 0,
            "limit_nodes": left - kept,
        })  # fmt: skip
    return rows


def _summary(built: Built, *, rows: Rows) -> Summary:
    graph, ledger = built.graph, built.ledger
    sizes = components(graph)
    degree = np.bincount(graph.head, minlength=graph.node_count) + np.bincount(graph.tail, minlength=graph.node_count)
    rows_in = sum(account.rows_in for account in ledger.accounts)
    dropped = {reason: ledger.total(reason) for reason in ledger.reasons()}
    note = f" {rows.remarks['attribution']}" if "attribution" in rows.remarks else ""
    summary = Summary(
        headline=f"{graph.node_count:,} nodes of {len(graph.node_types)} types, {graph.edge_count:,} edges of "
        f"{len(graph.relations)} relations, from {rows_in:,} rows.{note}",
        numbers={
            "graph.rows_in": rows_in,
            "graph.nodes": graph.node_count,
            "graph.node_types": len(graph.node_types),
            "graph.edges": graph.edge_count,
            "graph.relations": len(graph.relations),
            "graph.components": len(sizes),
            "graph.largest_component_share": float(sizes[0] / graph.node_count),
            "graph.median_degree": float(np.median(degree)),
            "graph.largest_degree": int(degree.max()),
            **{f"graph.dropped.{reason}": count for reason, count in dropped.items()},
            **{f"graph.{name}": value for name, value in rows.remarks.items()},
        },
        tables={"Rows by relation": [dict(row) for row in ledger.rows()], "Nodes by type": built.node_rows},
        figures={"Edges by relation": "figures/relations.png"},
    )
    untied = [*ledger.untied(), *(str(row["node type"]) for row in built.node_rows if not _ties_out(row))]
    total = f"{rows_in:,} rows = {graph.edge_count:,} edges + " + " + ".join(f"{c:,} {r}" for r, c in dropped.items())
    kept = sum(account.kept for account in ledger.accounts)
    summary.check(
        "accounted",
        not untied and kept == graph.edge_count,
        f"the sums of {', '.join(untied)} do not tie out" if untied else total.removesuffix(" + "),
    )
    summary.check(
        "connected",
        sizes[0] >= CONNECTED * graph.node_count,
        f"{sizes[0] / graph.node_count:.1%} of the nodes are in the greatest of {len(sizes):,} components",
    )
    return summary


def _ties_out(row: dict[str, Number]) -> bool:
    dropped = sum(int(row[reason] or 0) for reason in ("excluded_node_type", "no_edge_left", "limit_nodes"))
    return row["nodes in"] == int(row["nodes kept"] or 0) + dropped
