"""UniFrac and Faith's PD, exact, by matrix products over the branches of the tree.

With presence P [branches, samples] and branch lengths L, two samples share S = (P * L)^T P of branch length, and each
has its own total t = P^T L (Faith's PD). Unweighted UniFrac is 1 - S / (t_i + t_j - S) (Lozupone and Knight 2005).
With shares p of a sample's reads below each branch, normalised weighted UniFrac is
sum L |p_i - p_j| / sum L (p_i + p_j) = 1 - 2 sum min(L p_i, L p_j) / (w_i + w_j), w = sum L p (Lozupone et al. 2007).
Only branches of both samples count in the sums over S and min. A sample without reads is at distance 0 from its like
and 1 from all others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import sparse

from ml_core.families.sequence.data import Tree

Metric = Literal["unweighted", "weighted_normalized"]
MULTIPLIED = 512  # branches at a time, in float32, before they are added up in float64: fast, and exact to 1e-7
COMPARED = 128  # branches at a time for the weighted metric: they stay in the processor's cache


@dataclass(frozen=True)
class _Block:
    """Samples with what they have of each branch: presence [branches, samples] bool, or length x share float32."""

    start: int
    stop: int
    values: np.ndarray
    total: np.ndarray  # [samples] float64, branch length of each, or length x share


def within(
    counts: sparse.csr_matrix, *, tree: Tree, metric: Metric, block_samples: int, out: np.ndarray | None = None
) -> np.ndarray:
    """[n, n] float32 distances between all rows of counts [n, a], the ASVs as in `tree.tip`.

    `out` takes them where it is given, for instance a memory map. Memory beside it: [nodes, 2 x block_samples] values.
    """
    n = counts.shape[0]
    out = np.empty((n, n), np.float32) if out is None else out
    for rows in _blocks(counts, tree=tree, metric=metric, size=block_samples):
        for columns in _blocks(counts, tree=tree, metric=metric, size=block_samples, first=rows.start):
            found = _distances(rows, columns, length=tree.length, metric=metric)
            if rows.start == columns.start:
                found = np.triu(found, 1)
                found += found.T
            out[rows.start : rows.stop, columns.start : columns.stop] = found
            out[columns.start : columns.stop, rows.start : rows.stop] = found.T
    return out


def between(
    query: sparse.csr_matrix, reference: sparse.csr_matrix, *, tree: Tree, metric: Metric, block_samples: int
) -> np.ndarray:
    """[q, r] float32 distances from each row of query [q, a] to each of reference [r, a], the ASVs as in `tree.tip`."""
    out = np.empty((query.shape[0], reference.shape[0]), np.float32)
    for rows in _blocks(query, tree=tree, metric=metric, size=block_samples):
        for columns in _blocks(reference, tree=tree, metric=metric, size=block_samples):
            found = _distances(rows, columns, length=tree.length, metric=metric)
            out[rows.start : rows.stop, columns.start : columns.stop] = found
    return out


def faith_pd(counts: sparse.csr_matrix, *, tree: Tree, block_samples: int) -> np.ndarray:
    """[n] float64, branch length from the root to all ASVs of each sample (Faith 1992)."""
    blocks = _blocks(counts, tree=tree, metric="unweighted", size=block_samples)
    return np.concatenate([np.empty(0), *(block.total for block in blocks)])


def _blocks(counts: sparse.csr_matrix, *, tree: Tree, metric: Metric, size: int, first: int = 0) -> Iterator[_Block]:
    for start in range(first, counts.shape[0], size):
        rows = counts[start : start + size]
        if metric == "unweighted":
            values = np.zeros((len(tree), rows.shape[0]), bool)
            values[tree.tip] = (rows.T > 0).toarray()
            for node, above in enumerate(tree.parent[:-1].tolist()):
                values[above] |= values[node]
            yield _Block(start, start + rows.shape[0], values, tree.length @ values)
        else:
            reads = np.asarray(rows.sum(axis=1), np.float64).ravel()
            shares = np.zeros((len(tree), rows.shape[0]))
            shares[tree.tip] = (rows.T / np.maximum(reads, 1)).toarray()
            for node, above in enumerate(tree.parent[:-1].tolist()):
                shares[above] += shares[node]
            shares *= np.asarray(tree.length)[:, None]
            yield _Block(start, start + rows.shape[0], shares.astype(np.float32), shares.sum(axis=0))


def _distances(rows: _Block, columns: _Block, *, length: np.ndarray, metric: Metric) -> np.ndarray:
    """[rows, columns] float64."""
    both = rows.total[:, None] + columns.total
    if metric == "unweighted":
        shared = _shared_length(rows, columns, length=length)
        apart, whole = both - 2 * shared, both - shared
    else:
        apart, whole = both - 2 * _shared_weight(rows, columns), both
    found: np.ndarray = np.divide(apart, whole, out=np.zeros_like(apart), where=whole > 0)
    return np.clip(found, 0, 1, out=found)


def _shared_length(rows: _Block, columns: _Block, *, length: np.ndarray) -> np.ndarray:
    shared = np.zeros((rows.values.shape[1], columns.values.shape[1]))
    for start in range(0, len(length), MULTIPLIED):
        branches = slice(start, start + MULTIPLIED)
        weighted = rows.values[branches] * np.asarray(length[branches], np.float32)[:, None]
        shared += weighted.T @ columns.values[branches].astype(np.float32)
    return shared


def _shared_weight(rows: _Block, columns: _Block) -> np.ndarray:
    by_sample = np.ascontiguousarray(rows.values.T)  # [samples, branches]
    shared = np.zeros((len(by_sample), columns.values.shape[1]))
    ones = np.ones(COMPARED, np.float32)
    smaller = np.empty((COMPARED, shared.shape[1]), np.float32)
    for sample, weights in enumerate(by_sample):
        branches = np.flatnonzero(weights)
        for start in range(0, len(branches), COMPARED):
            some = branches[start : start + COMPARED]
            taken = smaller[: len(some)]
            np.take(columns.values, some, axis=0, out=taken, mode="clip")  # clip: writes into `out` without a copy
            np.minimum(taken, weights[some, None], out=taken)
            shared[sample] += ones[: len(some)] @ taken
    return shared
