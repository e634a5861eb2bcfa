"""Two parts of one larger tree joined again: what only one of them has is hung where its tips' relatives say."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ml_core.errors import UserError
from ml_core.families.sequence.phylogeny import Phylogeny, in_postorder

TOLERANCE = 1e-6  # of the height of the tree: files round lengths
FEWEST_SHARED = 2


def graft(first: Phylogeny, second: Phylogeny, *, path: Path) -> tuple[Phylogeny, int]:
    """A tree with the tips of both, and how many came from the one whose root is lower.

    Both must be rooted parts (shears) of one tree: they agree on every distance between shared tips, and the joined
    tree agrees with both. Tips of different parts that leave a common branch at one place are joined there, though they
    may share more. UserError, naming `path`, the second one's file, where they do not.
    """
    pairs = _shared(first, second, path=path)
    offset = float(np.median(first.depth[pairs[:, 0]] - second.depth[pairs[:, 1]]))
    if offset < 0:
        first, second, pairs, offset = second, first, pairs[:, ::-1], -offset
    tolerance = TOLERANCE * float(first.depth.max())
    _agree(first, second, pairs=pairs, offset=offset, tolerance=tolerance, path=path)
    relative = _shared_tip_below(second, pairs=pairs)  # [nodes of second], a node of first
    joined = _Joined(first)
    new = 0
    size = _subtree_sizes(second)
    for node in range(len(second) - 1):
        above = second.parent[node]
        if relative[node] < 0 and relative[above] >= 0:
            place = joined.node_at(int(relative[above]), depth=float(second.depth[above]) + offset, tolerance=tolerance)
            joined.hang(second, np.arange(node - size[node] + 1, node + 1), below=place)
            new += int(np.isin(second.tips, np.arange(node - size[node] + 1, node + 1)).sum())
    return joined.phylogeny(), new


class _Joined:
    """A tree that grows."""

    def __init__(self, start: Phylogeny) -> None:
        self.parent: list[int] = start.parent.tolist()
        self.length: list[float] = start.length.tolist()
        self.names: list[str] = start.names.tolist()
        self.depth: list[float] = start.depth.tolist()

    def node_at(self, tip: int, *, depth: float, tolerance: float) -> int:
        """The node `depth` below the root on the way from there to `tip`; made where there is none."""
        node = tip
        while self.parent[node] >= 0 and self.depth[self.parent[node]] > depth + tolerance:
            node = self.parent[node]
        above = self.parent[node]
        if above < 0 or self.depth[above] >= depth - tolerance:
            return above if above >= 0 else node
        return self._split(node, depth=depth)

    def _split(self, node: int, *, depth: float) -> int:
        above = self.parent[node]
        new = self._add(above, depth - self.depth[above], "")
        self.parent[node], self.length[node] = new, max(self.depth[node] - depth, 0.0)
        return new

    def hang(self, other: Phylogeny, nodes: np.ndarray, *, below: int) -> None:
        """Add a subtree of `other`, its nodes ascending, the top one last."""
        place = {int(other.parent[nodes[-1]]): below}
        for node in nodes[::-1].tolist():
            place[node] = self._add(place[int(other.parent[node])], float(other.length[node]), str(other.names[node]))

    def _add(self, above: int, length: float, name: str) -> int:
        self.parent.append(above)
        self.length.append(length)
        self.names.append(name)
        self.depth.append(self.depth[above] + length)
        return len(self.parent) - 1

    def phylogeny(self) -> Phylogeny:
        names = np.array([*self.names, None], object)[:-1]
        return in_postorder(np.array(self.parent), np.array(self.length), names)


def _shared(first: Phylogeny, second: Phylogeny, *, path: Path) -> np.ndarray:
    """[s, 2] tips of one name, first's and second's nodes."""
    there = {name: tip for tip, name in zip(first.tips, first.names[first.tips], strict=True) if name}
    pairs = [
        (there[name], tip) for tip, name in zip(second.tips, second.names[second.tips], strict=True) if name in there
    ]
    if len(pairs) < FEWEST_SHARED:
        raise UserError(
            f"{path}: shares {len(pairs)} of its {len(second.tips)} tips with the main tree, expected at least "
            f"{FEWEST_SHARED} to join them by; give one tree with the ASVs of all tables."
        )
    return np.array(pairs)


def _agree(
    first: Phylogeny, second: Phylogeny, *, pairs: np.ndarray, offset: float, tolerance: float, path: Path
) -> None:
    """UserError unless both trees put the shared tips, and the forks between neighbours among them, at one depth."""
    apart = np.abs(first.depth[pairs[:, 0]] - second.depth[pairs[:, 1]] - offset)
    worst = float(apart.max())
    for order in (np.argsort(pairs[:, 0]), np.argsort(pairs[:, 1])):
        for (a, b), (c, d) in zip(pairs[order][:-1], pairs[order][1:], strict=True):
            forks = first.depth[_fork(first, int(a), int(c))], second.depth[_fork(second, int(b), int(d))]
            worst = max(worst, abs(forks[0] - forks[1] - offset))
    if worst > 4 * tolerance:
        raise UserError(
            f"{path}: disagrees with the main tree on {len(pairs)} shared ASVs by up to {worst:.3g} of branch length, "
            "expected parts of one tree; give one tree with the ASVs of all tables."
        )


def _fork(phylogeny: Phylogeny, one: int, other: int) -> int:
    while one != other:
        if one < other:
            one = int(phylogeny.parent[one])
        else:
            other = int(phylogeny.parent[other])
    return one


def _shared_tip_below(second: Phylogeny, *, pairs: np.ndarray) -> np.ndarray:
    """[nodes] a shared tip (first's node) below each of second's nodes, or -1."""
    below = np.full(len(second), -1, np.int64)
    below[pairs[:, 1]] = pairs[:, 0]
    for node in range(len(second) - 1):
        if below[node] >= 0:
            below[second.parent[node]] = below[node]
    return below


def _subtree_sizes(phylogeny: Phylogeny) -> np.ndarray:
    size = np.ones(len(phylogeny), np.int64)
    for node in range(len(phylogeny) - 1):
        size[phylogeny.parent[node]] += size[node]
    return size
