"""Stray RNA: which of a nucleus' transcripts are its own, and which belong to its surroundings.

RNA of neighbours lies above and below a nucleus and drifts into it, so that the nuclei of one kind of cell seem to
express what their neighbours do. A profile made from such counts excuses every stray transcript.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

ITERATIONS = 8  # of the EM below; 20 gave the same figures
PRIOR_AROUND = 20.0  # transcripts of the sample's own profile added to each surroundings
PRIOR_OWN = 2.0  # and to each pooled profile
AT_ONCE = 1024  # nuclei whose surroundings are sought together, which bounds memory


def surroundings(
    xy: np.ndarray, gene: np.ndarray, *, loose: np.ndarray, centroids: np.ndarray, radius_um: float, genes: int
) -> np.ndarray:
    """Loose transcripts within `radius_um` of each centroid by gene, [nuclei, genes] float32.

    xy [n, 2] um, gene [n], loose [n] bool: those that lie in no nucleus, which is where RNA is that drifts.
    """
    rows, found = np.flatnonzero(loose), np.zeros((len(centroids), genes), np.float32)
    if not len(rows) or not len(centroids):
        return found
    tree, of_row = cKDTree(xy[rows]), np.asarray(gene)[rows].astype(np.int64)
    for start in range(0, len(centroids), AT_ONCE):
        near = tree.query_ball_point(centroids[start : start + AT_ONCE], radius_um)
        lengths = np.array([len(each) for each in near])
        nucleus = np.repeat(np.arange(len(near)), lengths)
        flat = nucleus * genes + of_row[np.concatenate([np.asarray(each, np.int64) for each in near])]
        counted = np.bincount(flat, minlength=len(near) * genes)
        found[start : start + len(near)] = counted.reshape(len(near), genes)
    return found


def own_share(
    counts: np.ndarray | sparse.csr_matrix,
    *,
    pooling: sparse.csr_matrix,
    around: np.ndarray,
    background: np.ndarray,
    stray_share: float,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Chance that a transcript of each gene in each nucleus is the nucleus' own, [m, g] float32 in (0, 1].

    A nucleus' transcripts are a mixture: `stray_share` of them come from the profile of its surroundings, the rest from
    the pooled profile of nuclei like it. By EM: the pooled profile is made from the own parts, the own parts by Bayes'
    rule from both profiles (as SoupX and DecontX do for droplets: Young & Behjati 2020, Yang et al. 2020, with an
    ambient profile that is local here).

    counts [m, g]; pooling [m, m], which nuclei are pooled for each; around [m, g], `surroundings`; background [g].
    `out` [m, g] float32 is filled where it is given. AT_ONCE nuclei are dense at a time, between iterations only those
    entries are kept in which something was counted.
    """
    counts = sparse.csr_matrix(counts)
    share = np.ones(counts.shape, np.float32) if out is None else out
    if stray_share <= 0:
        share[:] = 1
        return share
    own_part = np.ones(counts.nnz)
    for iteration in range(ITERATIONS):
        own_counts = sparse.csr_matrix((counts.data * own_part, counts.indices, counts.indptr), shape=counts.shape)
        for start in range(0, counts.shape[0], AT_ONCE):
            rows = slice(start, min(start + AT_ONCE, counts.shape[0]))
            pooled = (pooling[rows] @ own_counts).toarray() + PRIOR_OWN * background
            own = (1 - stray_share) * pooled / pooled.sum(axis=1, keepdims=True)
            local = around[rows] + PRIOR_AROUND * background
            local = stray_share * local / local.sum(axis=1, keepdims=True)
            part = own / (own + local)
            counted = slice(counts.indptr[rows.start], counts.indptr[rows.stop])
            of_row = np.repeat(np.arange(len(part)), np.diff(counts.indptr[rows.start : rows.stop + 1]))
            own_part[counted] = part[of_row, counts.indices[counted]]
            if iteration == ITERATIONS - 1:
                share[rows] = part
    return share
