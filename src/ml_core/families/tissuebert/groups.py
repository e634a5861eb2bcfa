"""Which tissues the reference cannot tell apart, so that only their sum can be reported."""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from ml_core.families.tissuebert.likelihoods import CLASS, LikelihoodTables

CHANCE = 1.96**2  # of a chi-squared with one degree of freedom, 95 %


def distances(tables: LikelihoodTables, *, moved: float, depth: float, donor_correlation: float) -> np.ndarray:
    """Chi-squared [tissues, tissues] by which a sample changes when `moved` of it goes from one tissue to another.

    Expected at `depth` reads in each region, with what donors differ by counted as noise (`donor_correlation`).
    """
    shares = tables.weights @ CLASS  # [regions, tissues, classes]
    scaled = (shares / np.sqrt(np.maximum(shares.mean(1, keepdims=True), 1e-3))).transpose(1, 0, 2)
    flat = scaled.reshape(len(tables.tissues), -1)
    square = (flat**2).sum(1)
    apart = np.maximum(square[:, None] + square - 2 * flat @ flat.T, 0)
    effective = depth / (1 + (depth - 1) * donor_correlation)
    found: np.ndarray = moved**2 * effective * apart
    return found


def group_tissues(tables: LikelihoodTables, *, moved: float, depth: float, donor_correlation: float) -> np.ndarray:
    """Number of each tissue's group [tissues]: between any two of a group `moved` of a sample can go unseen.

    Complete linkage: with single linkage tissues chain, each like the next and the ends unlike.
    """
    if len(tables.tissues) < 2:
        return np.zeros(len(tables.tissues), np.int64)
    apart = distances(tables, moved=moved, depth=depth, donor_correlation=donor_correlation)
    np.fill_diagonal(apart, 0)
    tree = linkage(squareform(apart, checks=False), "complete")
    return np.asarray(fcluster(tree, CHANCE, "distance") - 1, np.int64)


def group_names(tissues: list[str], group: np.ndarray) -> list[str]:
    """Name of each group: of its tissues, joined by " + "."""
    return [
        " + ".join(name for name, own in zip(tissues, group, strict=True) if own == each)
        for each in range(int(group.max(initial=-1)) + 1)
    ]


def summed(proportions: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Proportions [..., tissues] as those of groups [..., groups]."""
    member = np.eye(int(group.max()) + 1)[group]
    found: np.ndarray = proportions @ member
    return found
