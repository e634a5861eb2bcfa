"""Sampled neighbourhoods: at most so many sources of each node and relation, hop by hop, all relations at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ml_core.families.hgt.attention import starts
from ml_core.families.hgt.messages import Messages, ranges


class NeighbourSampler:
    """One CSR over (target, relation): within a target, edges stand in the order of their relation already."""

    def __init__(self, messages: Messages) -> None:
        self.messages = messages
        self.relations = len(messages.row_offsets) - 1
        relation = messages.row_relation[messages.source_row]
        key = messages.target.astype(np.int64) * self.relations + relation
        self.start = starts(key, messages.graph.node_count * self.relations)

    def sample(
        self, seeds: np.ndarray, budget: Sequence[int], *, hidden: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Nodes (ascending) and directed edges (ascending) of a neighbourhood of `seeds` (ascending).

        budget: edges kept of each (node, relation), the hop next to the seeds first. Groups within the budget are taken
        whole; of larger ones so many are drawn with replacement, and doubles fall together. hidden: canonical edges
        (ascending) that send in neither direction.
        """
        messages = self.messages
        nodes, frontier, taken = seeds, seeds, [np.zeros(0, np.int64)]
        for count in budget:
            edges = self._hop(frontier, count, rng)
            if len(hidden):
                at = np.searchsorted(hidden, messages.edge[edges]).clip(max=len(hidden) - 1)
                edges = edges[hidden[at] != messages.edge[edges]]
            taken.append(edges)
            sources = np.unique(messages.row_node[messages.source_row[edges]])
            frontier = np.setdiff1d(sources, nodes, assume_unique=True)
            nodes = np.union1d(nodes, frontier)
        return nodes, np.unique(np.concatenate(taken))

    def _hop(self, frontier: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        key = (frontier[:, None] * self.relations + np.arange(self.relations)).ravel()
        first, degree = self.start[key], self.start[key + 1] - self.start[key]
        small, large = (degree > 0) & (degree <= count), degree > count
        whole = ranges(first[small], first[small] + degree[small])
        drawn = first[large][:, None] + (rng.random((int(large.sum()), count)) * degree[large][:, None]).astype(
            np.int64
        )
        return np.concatenate([whole, drawn.ravel()])
