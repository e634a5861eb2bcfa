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
    counts: np.ndarray, *, pooling: sparse.csr_matrix, around: np.ndarray, background: np.ndarray, stray_share: float
) -> np.ndarray:
    """Chance that a transcript of each gene in each nucleus is the nucleus' own, [m, g] float32 in (0, 1].

    A nucleus' transcripts are a mixture: `stray_share` of them come from the profile of its surroundings, the rest from
    the pooled profile of nuclei like it. By EM: the pooled profile is made from the own parts, the own parts by Bayes'
    rule from both profiles (as SoupX and DecontX do for droplets: Young & Behjati 2020, Yang et al. 2020, with an
    ambient profile that is local here).

    counts [m, g]; pooling [m, m], which nuclei are pooled for each; around [m, g], `surroundings`; background [g].
    """
    local = around + PRIOR_AROUND * background
    local = stray_share * local / local.sum(axis=1, keepdims=True)
    share = np.ones(counts.shape)
    for _ in range(ITERATIONS if stray_share > 0 else 0):
        pooled = pooling @ (counts * share) + PRIOR_OWN * background
        own = (1 - stray_share) * pooled / pooled.sum(axis=1, keepdims=True)
        share = own / (own + local)
    return share.astype(np.float32)
