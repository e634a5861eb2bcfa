"""Wrong nuclei to set against a transcript's own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ml_core.families.segger.gather import Tile

MOST_NEAR = 16  # nuclei next to a transcript's candidates from which near negatives are drawn


@dataclass(frozen=True)
class Negatives:
    """How many wrong nuclei stand against each right one, and of which kind.

    hard: other candidates of the same transcript; near: other nuclei around them; random: any nucleus of the tile.
    Where a transcript has too few candidates, near ones fill up, so that `ratio` is exact.
    """

    ratio: int = 5
    hard_share: float = 0.6
    near_share: float = 0.2

    @property
    def hard(self) -> int:
        return round(self.ratio * self.hard_share)

    @property
    def random(self) -> int:
        return self.ratio - self.hard - round(self.ratio * self.near_share)

    def draw(
        self, tile: Tile, judged: np.ndarray, *, own: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Further nuclei [r, ratio] (-1 padded), and which candidates [r, c] are hard negatives.

        judged [r], transcripts of the tile; own [r], the column of the own nucleus among the candidates, -1 unknown:
        these get none. Nor do any in a tile that has no nucleus but the candidates.
        """
        candidates = tile.candidates[judged]
        wrong = (candidates >= 0) & (np.arange(candidates.shape[1]) != own[:, None]) & (own >= 0)[:, None]
        lot = np.where(wrong, rng.random(candidates.shape), 2.0).argsort(axis=1).argsort(axis=1)
        hard = wrong & (lot < self.hard)
        further = np.full((len(judged), self.ratio), -1, np.int32)
        around = nuclei_around(tile, judged)
        if around.shape[1] == 0:
            return further, hard
        missing = np.where(own >= 0, self.ratio - hard.sum(axis=1), 0)
        own_nucleus = candidates[np.arange(len(judged)), own.clip(0)]
        near = np.take_along_axis(around, rng.integers(0, around.shape[1], further.shape), axis=1)
        anywhere = rng.integers(0, len(tile.nuclei), further.shape)
        anywhere = np.where(anywhere == own_nucleus[:, None], near, anywhere)
        slot = np.arange(self.ratio)
        drawn = np.where(slot < missing[:, None] - self.random, near, anywhere)
        return np.where(slot < missing[:, None], drawn, -1).astype(np.int32), hard


def nuclei_around(tile: Tile, judged: np.ndarray) -> np.ndarray:
    """[r, near] the nuclei next to each transcript's candidates, themselves no candidates; none where there are few."""
    c = tile.candidates.shape[1]
    if len(tile.nuclei) <= c + 1 or not len(judged):
        return np.zeros((len(judged), 0), np.int32)
    count = min(len(tile.nuclei), c + MOST_NEAR)
    found = cKDTree(tile.centroids).query(tile.xy[judged], k=count)[1]
    taken = (found[:, :, None] == tile.candidates[judged][:, None, :]).any(axis=2)
    order = np.argsort(taken, axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1)[:, : count - c].astype(np.int32)  # type: ignore[no-any-return]
