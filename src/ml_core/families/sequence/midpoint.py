"""Rooting at the midpoint of the longest path between two tips."""

from __future__ import annotations

import numpy as np

from ml_core.families.sequence.phylogeny import Phylogeny, in_postorder


def rooted_at_midpoint(phylogeny: Phylogeny) -> Phylogeny:
    """A new root of two branches in the middle of the longest path between tips; lengths must be there, none negative.

    Distances between tips stay as they are. (Farris 1972, Am. Nat. 106:645.)
    """
    tip, reach = _longest_path(phylogeny)
    node, climbed, root = tip, 0.0, len(phylogeny) - 1
    while climbed + phylogeny.length[node] < reach / 2 and phylogeny.parent[node] != root:
        climbed += phylogeny.length[node]
        node = int(phylogeny.parent[node])
    below = min(reach / 2 - climbed, float(phylogeny.length[node]))  # rounding may put the middle above the old root
    return _rooted_above(phylogeny, node, below=below)


def _longest_path(phylogeny: Phylogeny) -> tuple[int, float]:
    """The tip at its deeper end, and its length."""
    count = len(phylogeny)
    height, deepest = np.zeros(count), np.arange(count)  # of the deepest tip seen so far below each node
    best, end = -1.0, 0
    for node in range(count - 1):
        above, new = int(phylogeny.parent[node]), height[node] + phylogeny.length[node]
        if deepest[above] != above and height[above] + new > best:
            best = height[above] + new
            end = int(deepest[node] if new >= height[above] else deepest[above])
        if deepest[above] == above or new > height[above]:
            height[above], deepest[above] = new, deepest[node]
    return end, best


def _rooted_above(phylogeny: Phylogeny, node: int, *, below: float) -> Phylogeny:
    """Split the branch above `node`, `below` above it, and hang the tree up there."""
    root = len(phylogeny)
    parent = np.append(phylogeny.parent, -1)
    length = np.append(phylogeny.length, 0.0)
    names = np.append(phylogeny.names, "")
    up, rest = int(parent[node]), length[node] - below
    parent[node], length[node] = root, below
    above = root
    while up >= 0:  # each node on the way to the old root now hangs from the one below it
        next_up, next_rest = int(parent[up]), length[up]
        parent[up], length[up] = above, rest
        above, up, rest = up, next_up, next_rest
    return in_postorder(parent, length, names)
