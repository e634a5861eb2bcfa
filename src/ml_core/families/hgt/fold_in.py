"""A node that the graph does not have, from its edges alone: encoded by the trained network without training.

The new node hears its neighbours through every layer; they stay as they are, so that no other prediction moves. What
it is by itself nobody has learnt: its vector is the mean of those of the nodes most like it, weighted by the Jaccard
index of their training neighbours; without any such node, the mean of its type.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ml_core.errors import UserError
from ml_core.families.hgt.attention import structure_of
from ml_core.families.hgt.data import KnowledgeGraph
from ml_core.families.hgt.flows import attention
from ml_core.families.hgt.messages import MessageGraph, Messages, directed_relations
from ml_core.families.hgt.model import HGT, Layer
from ml_core.families.hgt.naming import find_node

MOST_ALIKE = 10  # nodes whose first states a new one begins with
COLUMNS = ("relation", "node")


@dataclass(frozen=True)
class NewEdges:
    """Edges of a new node of `node_type`. **Shapes**: relation, node [k]; is_head [k] bool: whether it is the head."""

    node_type: str
    relation: np.ndarray
    node: np.ndarray
    is_head: np.ndarray


@dataclass(frozen=True)
class NewNode:
    """embedding [hidden]; source, relation [k] and attention [layers][k]: whom it hears, and how much."""

    embedding: np.ndarray
    source: np.ndarray
    relation: np.ndarray
    attention: list[np.ndarray]


def read_edges(path: Path, *, graph: KnowledgeGraph, node_type: str) -> NewEdges:
    """A CSV with columns relation and node (name or id). UserError naming file, line and what is there instead."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}); expected a CSV with columns relation and node.") from error
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise UserError(f"{path}: has no column '{missing[0]}' (it has {', '.join(table.columns)}); add it.")
    if table.empty:
        raise UserError(f"{path}: has no edge; a new {node_type} needs at least one to be placed by.")
    fitting = {
        relation.name: index
        for index, relation in enumerate(graph.relations)
        if node_type in (relation.head, relation.tail)
    }
    relations, nodes, is_head = [], [], []
    for line, (name, text) in enumerate(zip(table["relation"], table["node"], strict=True), start=2):
        if name not in fitting:
            raise UserError(
                f"{path}: line {line}: no relation '{name}' joins a {node_type} to others; those that do are "
                f"{', '.join(fitting)}."
            )
        of = graph.relations[fitting[name]]
        heads = of.head == node_type
        try:
            nodes.append(find_node(graph, of.tail if heads else of.head, text))
        except UserError as error:
            raise UserError(f"{path}: line {line}: {error}") from error
        relations.append(fitting[name])
        is_head.append(heads)
    return NewEdges(node_type, np.array(relations), np.array(nodes), np.array(is_head))


@torch.no_grad()
def fold_in(model: HGT, messages: Messages, edges: NewEdges, *, known: list[Tensor]) -> NewNode:
    """Encode the new node; `known` are the `flows.states` of all others."""
    small, numbers, place, relation = _around(messages, edges)
    own = _own(messages, edges, vectors=model.embedding(None))
    kind = messages.graph.node_types.index(edges.node_type)
    alone = [int(number > kind) for number in range(len(messages.type_offsets))]  # offsets of this one node
    state, heard = model.start(own[None], alone)[0], []
    for layer, others in zip(model.layers, known, strict=False):
        assert isinstance(layer, Layer)
        x = others.new_empty(small.node_count, others.size(1))
        x[place] = state
        x[np.arange(small.node_count) != place] = others[numbers]
        heard.append(attention(layer.conv, x, small))
        state = layer(x, small)[place]
    source = small.row_node.numpy()[small.structure.source.numpy()]
    whole = np.insert(numbers, place, -1)
    return NewNode(model.finish(own[None], state[None])[0].numpy(), whole[source], relation, heard)


def _around(messages: Messages, edges: NewEdges) -> tuple[MessageGraph, np.ndarray, int, np.ndarray]:
    """The new node with its neighbours, who send only to it; their numbers, its place, each edge's relation."""
    graph = messages.graph
    numbers = np.unique(edges.node)
    end = int(graph.type_offsets[graph.node_types.index(edges.node_type) + 1])
    place = int(np.searchsorted(numbers, end))
    local = np.searchsorted(numbers, edges.node)
    local += local >= place
    directed = directed_relations(graph.relations)
    of_pair = {pair: number for number, pair in enumerate(directed)}
    symmetric = [relation.symmetric for relation in graph.relations]
    sends = np.array(
        [
            of_pair[
                int(relation), bool(is_head) and not symmetric[relation]
            ]  # to the head it is the reverse that sends
            for relation, is_head in zip(edges.relation, edges.is_head, strict=True)
        ]
    )
    n = len(numbers) + 1
    rows = np.unique(sends * n + local)
    offsets = np.searchsorted(numbers, messages.type_offsets)
    offsets[graph.node_types.index(edges.node_type) + 1 :] += 1
    small = MessageGraph(
        type_offsets=[int(at) for at in offsets],
        row_offsets=[int(at) for at in np.searchsorted(rows // n, np.arange(len(directed) + 1))],
        row_node=torch.from_numpy(rows % n),
        structure=structure_of(np.arange(len(rows)), np.full(len(rows), place), sources=len(rows), targets=n),
    )
    return small, numbers, place, np.array([directed[number][0] for number in rows // n])


def _own(messages: Messages, edges: NewEdges, *, vectors: Tensor) -> Tensor:
    """The vector that the new node begins with."""
    nodes = messages.graph.nodes_of(edges.node_type)
    alike = jaccard(messages, edges)
    chosen = np.argsort(-alike, kind="stable")[:MOST_ALIKE]
    weight = torch.from_numpy(alike[chosen]).float()
    of_chosen = vectors[nodes.start + chosen]
    if not weight.sum() > 0:
        return vectors[nodes.start : nodes.stop].mean(dim=0)
    return (weight / weight.sum()) @ of_chosen


def jaccard(messages: Messages, edges: NewEdges) -> np.ndarray:
    """Of the new node and each node of its type: shared over all (relation, neighbour) pairs, [nodes of the type]."""
    graph = messages.graph
    nodes = graph.nodes_of(edges.node_type)
    carrying = np.zeros(graph.edge_count, bool)
    carrying[messages.edge] = True
    shared, has = np.zeros(len(nodes)), np.zeros(len(nodes))
    for relation in np.unique(edges.relation):
        mine = set(edges.node[edges.relation == relation].tolist())
        part = graph.edges_of(int(relation))
        head, tail = (np.asarray(side[part])[carrying[part]] for side in (graph.head, graph.tail))
        of = graph.relations[relation]
        ways = [(head, tail)] if of.head == edges.node_type else [(tail, head)]
        if of.symmetric:
            ways.append((tail, head))
        for own, other in ways:
            has += np.bincount(own - nodes.start, minlength=len(nodes))
            common = np.isin(other, list(mine))
            shared += np.bincount(own[common] - nodes.start, minlength=len(nodes))
    count = len(np.unique(np.stack([edges.relation, edges.node]), axis=1).T)
    index: np.ndarray = shared / np.maximum(has + count - shared, 1)
    return index
