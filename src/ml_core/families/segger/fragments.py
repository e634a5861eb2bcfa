"""Transcripts without a nucleus that hang together: cells whose nucleus lies outside the section, perhaps."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


def fragments_of(neighbours: np.ndarray, *, alone: np.ndarray, least: int) -> np.ndarray:
    """Fragment of each transcript, -1 for none, [n]; fragments count from 0 in the order of their first transcript.

    neighbours [n, k] (-1 padded) are the edges, between transcripts that are `alone` [n] bool; components of fewer than
    `least` transcripts are none.
    """
    n = len(alone)
    source = np.repeat(np.arange(n), neighbours.shape[1])
    target = np.asarray(neighbours).ravel()
    edge = (target >= 0) & alone[source] & alone[target]
    graph = coo_matrix((np.ones(edge.sum(), bool), (source[edge], target[edge])), shape=(n, n))
    label = connected_components(graph, directed=False)[1]
    large = (np.bincount(label, minlength=n) >= least)[label] & alone
    fragment = np.full(n, -1, np.int64)
    _, first, inverse = np.unique(label[large], return_index=True, return_inverse=True)
    fragment[large] = np.argsort(np.argsort(first))[inverse]
    return fragment
