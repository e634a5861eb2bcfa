"""A random tree and sequences that evolve along it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml_core.families.sequence.phylogeny import Phylogeny, in_postorder
from ml_core.families.sequence.settings import RawSettings

BASES = np.array(list("ACGT"))
HEIGHT = 0.55  # substitutions per site from the root to a tip, on average: as between phyla in the 16S gene
SITE_SHAPE = 0.4  # of the gamma distribution of the sites' rates: few sites change often
BRANCH_SHAPE = 4.0  # of the gamma distribution of the branches' rates: no strict clock


@dataclass(frozen=True)
class Evolved:
    """phylogeny: tips are called 0, 1, ...; bases [a, length_bp] int8 into ACGT, all different; clade [a] int64."""

    phylogeny: Phylogeny
    bases: np.ndarray
    clade: np.ndarray


def evolve(settings: RawSettings, *, rng: np.random.Generator) -> Evolved:
    """A tree of `asvs` tips, cut into `clades`, and a sequence for each tip (Jukes and Cantor 1969, gamma rates)."""
    parent, height = _joined(settings.asvs, rng=rng)
    clade = _clades(parent, height=height, count=min(settings.clades, settings.asvs))
    length = np.where(parent >= 0, height[parent] - height, 0) * rng.gamma(BRANCH_SHAPE, 1 / BRANCH_SHAPE, len(parent))
    bases = np.empty((len(parent), settings.length_bp), np.int8)
    rates = rng.gamma(SITE_SHAPE, 1 / SITE_SHAPE, settings.length_bp)
    bases[-1] = rng.integers(4, size=settings.length_bp)
    for node in range(len(parent) - 2, -1, -1):
        changed = rng.random(settings.length_bp) < -0.75 * np.expm1(-4 / 3 * rates * length[node])
        bases[node] = (bases[parent[node]] + changed * rng.integers(1, 4, settings.length_bp)) % 4
    names = np.array([str(node) if node < settings.asvs else "" for node in range(len(parent))], object)
    tips = _all_different(bases[: settings.asvs], rng=rng)
    return Evolved(in_postorder(parent, length, names), tips, clade)


def _joined(tips: int, *, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """parent [2 tips - 1] int64 and height [2 tips - 1] above the tips, children before parents (Yule 1925, "
    "backwards)."""
    parent, height = np.full(2 * tips - 1, -1, np.int64), np.zeros(2 * tips - 1)
    alive, now = list(range(tips)), 0.0
    for node in range(tips, 2 * tips - 1):
        now += rng.exponential(1 / len(alive))
        for _ in range(2):
            at = rng.integers(len(alive))
            alive[at], alive[-1] = alive[-1], alive[at]
            parent[alive.pop()] = node
        height[node] = now
        alive.append(node)
    return parent, height * HEIGHT / now


def _clades(parent: np.ndarray, *, height: np.ndarray, count: int) -> np.ndarray:
    """[tips] int64: the lineages that are there when the tree has grown to `count` of them."""
    tips = (len(parent) + 1) // 2
    cut = np.sort(height)[::-1][count - 1] if count > 1 else np.inf
    top = np.arange(len(parent))
    for node in range(len(parent) - 2, -1, -1):
        if height[parent[node]] <= cut:
            top[node] = top[parent[node]]
    return np.unique(top[:tips], return_inverse=True)[1]


def _all_different(bases: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """The same with a site changed wherever a sequence is another one's twin."""
    bases, seen = bases.copy(), set()
    for row in bases:
        while row.tobytes() in seen:
            site = rng.integers(len(row))
            row[site] = (row[site] + 1) % 4
        seen.add(row.tobytes())
    return bases
