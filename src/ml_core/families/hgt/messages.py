"""Along which edges nodes send messages: training edges, both directions, less those that are to be predicted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ml_core.data.batch import to_device
from ml_core.families.hgt.attention import Structure, starts, structure_of
from ml_core.families.hgt.data import KnowledgeGraph, Relation


@dataclass(frozen=True)
class MessageGraph:
    """What a forward pass reads: n nodes, and m (relation, source) rows that send along e directed edges.

    Each row's key and value are computed once, however many edges it sends along. type_offsets [types + 1] and
    row_offsets [directed relations + 1] are plain numbers; row_node [m] int64 the node of each row; node [n] int64 the
    numbers of the nodes in the whole graph, None where it is the whole graph.
    """

    type_offsets: list[int]
    row_offsets: list[int]
    row_node: Tensor
    structure: Structure
    node: Tensor | None = None

    @property
    def node_count(self) -> int:
        return self.type_offsets[-1]

    def to(self, device: torch.device, *, non_blocking: bool = False) -> MessageGraph:
        if device.type == self.row_node.device.type == "cpu":
            return self
        moved: MessageGraph = replace(
            self,
            row_node=self.row_node.to(device, non_blocking=non_blocking),
            structure=to_device(self.structure, device),
            node=None if self.node is None else self.node.to(device, non_blocking=non_blocking),
        )
        return moved


def directed_relations(relations: list[Relation]) -> list[tuple[int, bool]]:
    """Relations as messages know them: (index, reversed): all forward, then backwards those not symmetric."""
    forward = [(index, False) for index in range(len(relations))]
    return forward + [(index, True) for index, relation in enumerate(relations) if not relation.symmetric]


class Messages:
    """All training edges in both directions, sorted once; leaving some out keeps the order.

    **Shapes**, d directed edges sorted by (target, row): edge [d] int32 into the canonical edges; source_row [d] and
    target [d] int32.
    """

    def __init__(self, graph: KnowledgeGraph, edges: np.ndarray) -> None:
        """edges: the canonical edges that carry messages, ascending."""
        self.graph = graph
        self.type_offsets = [int(offset) for offset in graph.type_offsets]
        directed = directed_relations(graph.relations)
        first_reverse = {index: number for number, (index, backwards) in enumerate(directed) if backwards}
        relation = graph.relation_of[edges].astype(np.int64)
        head, tail = np.asarray(graph.head[edges], np.int64), np.asarray(graph.tail[edges], np.int64)
        reverse_of = np.array([first_reverse.get(index, index) for index in range(len(graph.relations))], np.int64)
        source, target = np.concatenate([head, tail]), np.concatenate([tail, head])
        relation = np.concatenate([relation, reverse_of[relation]]) if len(edges) else relation.repeat(2)
        edge = np.concatenate([edges, edges]).astype(np.int32)
        loop = source == target  # a symmetric loop would stand there twice
        loop[: len(edges)] = False
        if loop.any():
            source, target, relation, edge = (each[~loop] for each in (source, target, relation, edge))
        n = graph.node_count
        keys, row = np.unique(relation * n + source, return_inverse=True)
        self.row_node, row_relation = keys % n, keys // n
        self.row_offsets = [int(at) for at in starts(row_relation, len(directed))]
        order = np.lexsort((row, target))
        self.edge, self.source_row, self.target = edge[order], row[order].astype(np.int32), target[order]
        self.back = np.argsort(self.source_row, kind="stable")
        self.target = self.target.astype(np.int32)
        self._start, self._start_back = starts(self.target, n), starts(self.source_row, len(keys))

    @cached_property
    def row_relation(self) -> np.ndarray:
        """[m] directed relation of each row."""
        return np.repeat(np.arange(len(self.row_offsets) - 1), np.diff(self.row_offsets))

    def whole(self) -> MessageGraph:
        """Everything sends."""
        return self.keeping(np.ones(len(self.edge), bool))

    def without(self, hidden: np.ndarray) -> MessageGraph:
        """As `whole`, but canonical edges that `hidden` (bool [all canonical edges]) marks do not send."""
        return self.keeping(~hidden[self.edge])

    def keeping(self, keep: np.ndarray) -> MessageGraph:
        """keep: bool [d]. Linear in the edges: both sort orders outlive the choice."""
        position = np.zeros(len(keep) + 1, dtype=np.int64)
        np.cumsum(keep, out=position[1:])
        back = self.back[keep[self.back]]
        kept_back = np.zeros(len(keep) + 1, dtype=np.int64)
        np.cumsum(keep[self.back], out=kept_back[1:])
        arrays = (
            position[self._start],
            self.source_row[keep],
            self.target[keep],
            kept_back[self._start_back],
            self.target[back],
            position[back],
        )
        structure = Structure(*(torch.from_numpy(np.ascontiguousarray(each, dtype=np.int32)) for each in arrays))
        return MessageGraph(self.type_offsets, self.row_offsets, torch.from_numpy(self.row_node), structure)

    def part(self, nodes: np.ndarray, keep: np.ndarray) -> MessageGraph:
        """The graph of these nodes (ascending) along these of the d directed edges (indices), renumbered.

        Both ends of every kept edge must be among the nodes.
        """
        local = np.full(self.graph.node_count, -1, dtype=np.int64)
        local[nodes] = np.arange(len(nodes))
        rows, source = np.unique(self.source_row[keep], return_inverse=True)
        target = local[self.target[keep]]
        return MessageGraph(
            type_offsets=[int(at) for at in np.searchsorted(nodes, self.type_offsets)],
            row_offsets=[int(at) for at in np.searchsorted(rows, self.row_offsets)],
            row_node=torch.from_numpy(local[self.row_node[rows]]),
            structure=structure_of(source, target, sources=len(rows), targets=len(nodes)),
            node=torch.from_numpy(nodes.astype(np.int64)),
        )

    def edges_into(self, node: np.ndarray) -> np.ndarray:
        """Indices of the directed edges whose target is one of these nodes."""
        first, last = self._start[node], self._start[node + 1]
        return ranges(first, last)


def ranges(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """The numbers first[i] ... last[i] - 1 of every i, one after another, int64."""
    lengths = last - first
    total = int(lengths.sum())
    ends = np.cumsum(lengths)
    numbers: np.ndarray = np.arange(total) + np.repeat(first - ends + lengths, lengths)
    return numbers
