"""Transcripts without a nucleus that hang together: cells whose nucleus lies outside the section, perhaps."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ml_core.families.segger.data import ROWS_AT_ONCE


def fragments_of(neighbours: np.ndarray, *, alone: np.ndarray, least: int, at_once: int = ROWS_AT_ONCE) -> np.ndarray:
    """Fragment of each transcript, -1 for none, [n] int32; they count from 0 in the order of their first transcript.

    neighbours [n, k] (-1 padded) are the edges, between transcripts that are `alone` [n] bool; components of fewer than
    `least` transcripts are none. Edges are read piece by piece; held are the edges of
    `at_once` transcripts and one label for each lone one.
    """
    rows = np.flatnonzero(alone)
    label = np.arange(len(rows))  # of each lone transcript: the component that it is known to belong to
    for start in range(0, len(rows), at_once):
        target = np.asarray(neighbours[rows[start : start + at_once]])
        source, column = np.nonzero((target >= 0) & alone[target])
        place = np.searchsorted(rows, target[source, column])
        label = _joined(label, label[start + source], label[place])
    fragment = np.full(len(alone), -1, np.int32)
    large = (np.bincount(label) >= least)[label] if len(rows) else np.zeros(0, bool)
    _, first, inverse = np.unique(label[large], return_index=True, return_inverse=True)
    fragment[rows[large]] = np.argsort(np.argsort(first))[inverse]
    return fragment


def _joined(label: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The labels [r] when components one[i] and other[i] are the same."""
    edges = coo_matrix((np.ones(len(one), bool), (one, other)), shape=(len(label), len(label)))
    return connected_components(edges, directed=False)[1][label]  # type: ignore[no-any-return]
