"""Nodes that share neighbours are drawn together: SupCon (Khosla et al. 2020) over a batch of one node type."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.nn import functional as F

from ml_core.families.hgt.data import KnowledgeGraph


@dataclass(frozen=True)
class Contrast:
    """Anchors against a batch.

    **Shapes**: batch [b] int64, nodes of the message graph; anchor [a] int64 into the batch; positive [2, p] int64:
    pairs (of anchors, of batch); weight [a] float32, 1 for each anchor.
    """

    batch: Tensor
    anchor: Tensor
    positive: Tensor
    weight: Tensor


def similar_pairs(graph: KnowledgeGraph, edges: np.ndarray, *, of: str, by: str, threshold: float) -> sparse.csr_matrix:
    """Bool [nodes of `of`, the same]: different nodes whose `by` neighbours have a Jaccard index above threshold.

    `edges`: the canonical edges that count, those of training. All zero where either type is missing.
    """
    if of not in graph.node_types or by not in graph.node_types:
        nodes = len(graph.nodes_of(of)) if of in graph.node_types else 0
        return sparse.csr_matrix((nodes, nodes), dtype=bool)
    rows, columns = graph.nodes_of(of), graph.nodes_of(by)
    head, tail = np.asarray(graph.head[edges], np.int64), np.asarray(graph.tail[edges], np.int64)
    of_number, by_number = graph.node_types.index(of), graph.node_types.index(by)
    own, other = [], []
    for left, right in ((head, tail), (tail, head)):
        fits = (graph.node_type[left] == of_number) & (graph.node_type[right] == by_number)
        own.append(left[fits] - rows.start)
        other.append(right[fits] - columns.start)
    pairs = np.unique(np.stack([np.concatenate(own), np.concatenate(other)]), axis=1)
    sets = sparse.csr_matrix((np.ones(pairs.shape[1], np.float32), tuple(pairs)), shape=(len(rows), len(columns)))
    shared = (sets @ sets.T).tocoo()
    size = np.diff(sets.indptr)
    jaccard = shared.data / (size[shared.row] + size[shared.col] - shared.data)
    chosen = (jaccard > threshold) & (shared.row != shared.col)
    return sparse.csr_matrix(
        (np.ones(chosen.sum(), bool), (shared.row[chosen], shared.col[chosen])), shape=(len(rows), len(rows))
    )


def contrast_of(similar: sparse.csr_matrix, batch: np.ndarray, anchors: np.ndarray, *, first: int) -> Contrast:
    """Of `batch` (numbers within the type, each once) and the places of the anchors in it; `first`: the type's node 0.

    Anchors without a pair in the batch are left out: they have no loss.
    """
    inside = similar[batch[anchors]][:, batch].tocoo()
    with_pair = np.unique(inside.row)
    anchor = anchors[with_pair]
    positive = np.stack([np.searchsorted(with_pair, inside.row), inside.col]).astype(np.int64)
    return Contrast(
        torch.from_numpy(batch.astype(np.int64) + first),
        torch.from_numpy(anchor.astype(np.int64)),
        torch.from_numpy(positive),
        torch.ones(len(anchor)),
    )


def contrastive_loss(z: Tensor, contrast: Contrast, *, temperature: float) -> Tensor:
    """Mean over anchors of the mean over their positives of -log softmax of cosine / temperature; z [n, f]."""
    unit = F.normalize(z.index_select(0, contrast.batch).float(), dim=1)
    alike = unit.index_select(0, contrast.anchor) @ unit.T / temperature  # [a, b]
    itself = F.one_hot(contrast.anchor, len(unit)).bool()
    log_share = torch.log_softmax(alike.masked_fill(itself, -1e30), dim=1)
    row, column = contrast.positive
    count = torch.bincount(row, minlength=len(alike))
    each = torch.zeros(len(alike), device=z.device).index_add(0, row, log_share[row, column]) / count
    return -(each * contrast.weight).mean()
