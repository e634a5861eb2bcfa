"""Which pairs of a relation are known, so that no negative and no competitor is one of them."""

from __future__ import annotations

import numpy as np

from ml_core.families.hgt.attention import starts
from ml_core.families.hgt.data import KnowledgeGraph
from ml_core.families.hgt.messages import ranges

Side = tuple[np.ndarray, np.ndarray]  # start [nodes of the asking type + 1], partners sorted by who asks


class Known:
    """Partners of every node in every relation, among these canonical edges (indices, ascending).

    In a relation within one type each node also knows itself: no such pair is asked for, and a diagonal decoder would
    rank it first.
    """

    def __init__(self, graph: KnowledgeGraph, edges: np.ndarray) -> None:
        self.graph = graph
        first = np.searchsorted(edges, graph.relation_offsets)
        self.sides: list[tuple[Side, Side]] = []
        for relation, of in enumerate(graph.relations):
            own = edges[first[relation] : first[relation + 1]]
            at = [graph.nodes_of(of.head), graph.nodes_of(of.tail)]
            ends = [
                np.asarray(graph.head[own], np.int64) - at[0].start,
                np.asarray(graph.tail[own], np.int64) - at[1].start,
            ]
            if of.symmetric:
                ends = [np.concatenate(ends), np.concatenate(ends[::-1])]
            if of.head == of.tail:
                ends = [np.concatenate([end, np.arange(len(at[0]))]) for end in ends]
            self.sides.append((_grouped(ends[0], ends[1], len(at[0])), _grouped(ends[1], ends[0], len(at[1]))))

    def hits(self, relation: int, side: int, asking: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which (i, j) are known pairs of asking[i] and asked[j]; both are distinct numbers within their types.

        side 0: heads ask for tails; 1: tails ask for heads.
        """
        start, partners = self.sides[relation][side]
        of = self.graph.relations[relation]
        place = np.full(len(self.graph.nodes_of(of.tail if side == 0 else of.head)), -1, dtype=np.int32)
        place[asked] = np.arange(len(asked), dtype=np.int32)
        first, last = start[asking], start[asking + 1]
        column = place[partners[ranges(first, last)]]
        row = np.repeat(np.arange(len(asking)), last - first)
        return row[column >= 0], column[column >= 0].astype(np.int64)


def _grouped(keys: np.ndarray, values: np.ndarray, groups: int) -> Side:
    order = np.argsort(keys, kind="stable")
    return starts(keys, groups), values[order].astype(np.int32)
