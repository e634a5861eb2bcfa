"""The same trees and distances in scikit-bio: what ours is tested and timed against. Nothing else needs it."""

from __future__ import annotations

from typing import Any

import numpy as np
from skbio import TreeNode
from skbio.diversity import beta_diversity

from ml_core.families.sequence.data import Tree
from ml_core.families.sequence.unifrac import Metric


def as_scikit_bio(tree: Tree) -> TreeNode:
    """The same tree, tips called by the number of their ASV."""
    nodes = [TreeNode(length=float(length)) for length in tree.length]
    for asv, tip in enumerate(tree.tip):
        nodes[tip].name = str(asv)
    for node, above in enumerate(tree.parent):
        if above >= 0:
            nodes[above].append(nodes[node])
    return nodes[-1]


def unifrac_of_scikit_bio(counts: np.ndarray, tree: TreeNode, metric: Metric) -> np.ndarray:
    """Distances between all samples [samples, samples] of counts [samples, ASVs], on a tree of `as_scikit_bio`."""
    options: dict[str, Any] = {"taxa": [str(asv) for asv in range(counts.shape[1])], "tree": tree, "validate": False}
    if metric == "weighted_normalized":
        options["normalized"] = True
    name = "unweighted_unifrac" if metric == "unweighted" else "weighted_unifrac"
    found: np.ndarray = beta_diversity(name, counts, **options).data
    return found
