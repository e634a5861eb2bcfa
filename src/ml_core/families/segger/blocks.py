"""Contiguous blocks of tiles, and the best of many ways to deal them out to the splits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ml_core.families.segger.data import Tiles

SHARE_WEIGHT = 4.0  # a share that is off by 1 % counts as much as 4 % of all inner borders
DENSITY_WEIGHT = 0.25  # one standard deviation of block density counts as much as a quarter of all inner borders


@dataclass(frozen=True)
class Blocks:
    """Sibling tiles of the k-d cuts, so that each block is a rectangle and all of them cover the sample.

    **Shapes**, b blocks: of_tile [t] int64; rectangles [b, 4] um: least x, least y, greatest x, greatest y; transcripts
    [b].
    """

    of_tile: np.ndarray
    rectangles: np.ndarray
    transcripts: np.ndarray

    def densities(self) -> np.ndarray:
        """[b] transcripts per um2."""
        sides = np.maximum(self.rectangles[:, 2:] - self.rectangles[:, :2], 1e-3)
        return self.transcripts / sides.prod(axis=1)

    def borders(self) -> np.ndarray:
        """[b, b] length in um of the border that two blocks share."""
        low, high = self.rectangles[:, None, :2], self.rectangles[:, None, 2:]
        shared = np.maximum(np.minimum(high, high.transpose(1, 0, 2)) - np.maximum(low, low.transpose(1, 0, 2)), 0)
        touching = high == low.transpose(1, 0, 2)
        length = np.where(touching[..., 0], shared[..., 1], 0) + np.where(touching[..., 1], shared[..., 0], 0)
        return length + length.T

    def nearest(self, points: np.ndarray) -> np.ndarray:
        """[n] the block that holds, or lies nearest to, each point [n, 2] um."""
        best, block = np.full(len(points), np.inf), np.zeros(len(points), np.int64)
        for index, rectangle in enumerate(self.rectangles):
            gap = np.hypot(*np.maximum(np.maximum(rectangle[:2] - points, points - rectangle[2:]), 0).T)
            block[gap < best] = index
            best = np.minimum(best, gap)
        return block


def group_tiles(tiles: Tiles, *, count: int) -> Blocks:
    """`count` blocks, each a branch of the tree of cuts with about as many tiles as the others."""
    ranges = list(_branches(0, len(tiles), count))
    sizes = np.array([last - first for first, last in ranges])
    of_tile = np.repeat(np.arange(count), sizes)
    firsts = np.array([first for first, _ in ranges])
    rectangles = np.hstack(
        [np.minimum.reduceat(tiles.regions[:, :2], firsts), np.maximum.reduceat(tiles.regions[:, 2:], firsts)]
    )
    return Blocks(of_tile, rectangles, np.add.reduceat(np.diff(tiles.owned_offsets), firsts))


def good_assignments(blocks: Blocks, *, shares: tuple[float, float, float], draws: int, seed: int) -> np.ndarray:
    """Splits [deals, b] int8 of the blocks: of `draws` random deals those with good shares, densities and borders.

    They are the best twentieth of the different deals, in random order, so that another seed gives another test set.
    """
    b = len(blocks.transcripts)
    rng = np.random.default_rng(seed)
    rank = np.argsort(np.argsort(rng.random((draws, b)), axis=1), axis=1)
    test = max(1, round(shares[2] * b))
    validation = min(max(1, round(shares[1] * b)), b - test - 1)
    deal = np.unique(np.select([rank < test, rank < test + validation], [2, 1], 0), axis=0)  # [deals, b]

    member = (deal[:, :, None] == np.arange(3)).astype(np.float64)  # [draws, b, 3]
    weight = blocks.transcripts / blocks.transcripts.sum()
    realised = weight @ member  # [draws, 3]
    density = np.log(blocks.densities())
    spread = max(float(density.std()), 1e-9)
    off_density = np.abs((weight * density) @ member / realised - weight @ density).max(axis=1) / spread
    borders = blocks.borders()
    uncut = np.einsum("dbs,bc,dcs->d", member, borders, member, optimize=True)
    cut = 1 - uncut / max(float(borders.sum()), 1e-9)
    off_share = np.abs(realised - np.array(shares)).max(axis=1)
    score = SHARE_WEIGHT * off_share + DENSITY_WEIGHT * off_density + cut
    good = np.argsort(score, kind="stable")[: max(1, len(score) // 20)]
    return deal[rng.permutation(good)].astype(np.int8)  # type: ignore[no-any-return]


def _branches(first: int, last: int, count: int) -> Iterator[tuple[int, int]]:
    """Ranges of tiles below `count` branches of the tree that `tiles.cut_into_tiles` cuts."""
    if count == 1:
        yield first, last
        return
    middle = first + (last - first) // 2
    left = min(
        max(round(count * (middle - first) / (last - first)), 1, count - (last - middle)), count - 1, middle - first
    )
    yield from _branches(first, middle, left)
    yield from _branches(middle, last, count - left)
