"""Training that imitates a holdout: nodes lose all edges of the relations that held-out nodes have lost, or none.

Were edges hidden one by one, a disease would nearly always hear some of its drugs, and the layers would learn to look
at these; a held-out disease has none.
"""

from __future__ import annotations

import numpy as np

from ml_core.families.hgt.data import EdgeSplits, KnowledgeGraph

EACH_BY_ITSELF = -1


def losing_nodes(graph: KnowledgeGraph, splits: EdgeSplits) -> np.ndarray | None:
    """[e] int32: for edges of relations that held-out nodes lost, the end of these nodes' type; of others -1.

    None where no node is held out: then edges are hidden one by one.
    """
    if not len(splits.heldout_nodes):
        return None
    kind = int(graph.node_type[int(splits.heldout_nodes[0])])
    first, stop = graph.type_offsets[kind], graph.type_offsets[kind + 1]
    lost = np.zeros(len(graph.relations), bool)
    lost[np.unique(graph.relation_of[np.asarray(splits.part) != 0])] = True
    head, tail = np.asarray(graph.head), np.asarray(graph.tail)
    end = np.where((head >= first) & (head < stop), head, tail)
    return np.where(lost[graph.relation_of], end, EACH_BY_ITSELF).astype(np.int32)


def edges_of_drawn(losing: np.ndarray, edges: np.ndarray, *, share: float, rng: np.random.Generator) -> np.ndarray:
    """Those of the edges that this share of the nodes loses, ascending as `edges` is."""
    nodes, number = np.unique(losing[edges], return_inverse=True)
    drawn = (rng.random(len(nodes)) < share) & (nodes != EACH_BY_ITSELF)
    found: np.ndarray = edges[drawn[number]]
    return found
