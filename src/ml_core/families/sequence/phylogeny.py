"""A phylogeny as read: any shape, tips by name. What the model sees is `data.Tree`, cut to a table's ASVs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ml_core.families.sequence.data import Tree


@dataclass(frozen=True)
class Phylogeny:
    """Nodes in postorder: children before their parents, the root last.

    **Shapes**, m nodes: parent [m] int64 (-1 for the root); length [m] float64, of the branch above a node (NaN: not
    given); names [m] str objects, "" for inner nodes.
    """

    parent: np.ndarray
    length: np.ndarray
    names: np.ndarray

    def __len__(self) -> int:
        return len(self.parent)

    @cached_property
    def tips(self) -> np.ndarray:
        """[t] int64, nodes without children, ascending."""
        inner = np.zeros(len(self), bool)
        inner[self.parent[self.parent >= 0]] = True
        return np.flatnonzero(~inner)

    @cached_property
    def depth(self) -> np.ndarray:
        """[m] float64, distance from the root."""
        depth = np.zeros(len(self))
        for node in range(len(self) - 2, -1, -1):
            depth[node] = depth[self.parent[node]] + self.length[node]
        return depth


def in_postorder(parent: np.ndarray, length: np.ndarray, names: np.ndarray) -> Phylogeny:
    """The same tree with its nodes renumbered; children keep their order. Arrays as in `Phylogeny`, in any order."""
    children: list[list[int]] = [[] for _ in range(len(parent))]
    for node, above in enumerate(parent.tolist()):
        if above >= 0:
            children[above].append(node)
    waiting, order = [int(np.flatnonzero(parent < 0)[0])], []
    while waiting:  # parents first, the last child first: postorder backwards
        node = waiting.pop()
        order.append(node)
        waiting.extend(children[node])
    order.reverse()
    place = np.empty(len(parent), np.int64)
    place[order] = np.arange(len(order))
    above = parent[order]
    return Phylogeny(np.where(above >= 0, place[above], -1), length[order], names[order])


def shear(phylogeny: Phylogeny, tips: np.ndarray) -> Tree:
    """Cut the tree to `tips` [a] (nodes) and merge branches that no longer fork.

    The root stays where it is, so that no UniFrac distance and no Faith's PD of these ASVs changes.
    """
    count = len(phylogeny)
    kept_children = np.zeros(count, np.int64)
    wanted = np.zeros(count, bool)
    wanted[tips] = True
    for node in range(count - 1):
        if wanted[node] or kept_children[node]:
            kept_children[phylogeny.parent[node]] += 1
    stays = wanted | (kept_children > 1)
    stays[-1] = True
    place = np.cumsum(stays) - 1
    parent = np.full(int(stays.sum()), -1, np.int32)
    length = np.zeros(len(parent))
    top = np.arange(count)  # the nearest node above (or the node itself) that stays
    branch = phylogeny.length.copy()  # from there to the node that stays below it
    for node in range(count - 2, -1, -1):
        above = phylogeny.parent[node]
        if not stays[above]:
            top[node], branch[node] = top[above], branch[node] + branch[above]
        else:
            top[node] = above
    kept = np.flatnonzero(stays[:-1])
    parent[place[kept]] = place[top[kept]]
    length[place[kept]] = branch[kept]
    return Tree(parent, length, place[tips].astype(np.int32))
