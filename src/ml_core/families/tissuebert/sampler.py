"""Which reads a bag holds: a tissue, one of its files, then regions of that file, then a read of each."""

from __future__ import annotations

import numpy as np

from ml_core.errors import UserError
from ml_core.families.tissuebert.counters import key_of, uniform
from ml_core.families.tissuebert.hdf5 import Regions

FILES, REGIONS, READS = range(3)  # streams of random numbers that must not meet


class BalancedSampler:
    """Draws reads so that each tissue is as frequent as any other, and each file within its tissue.

    A file's chance is 1 / (tissues x files of the tissue), whatever its depth. All draws are pure functions of (seed,
    epoch, number of the bag). weights [regions]: chances of the regions of a file, None: alike.
    """

    def __init__(self, regions: Regions, samples: np.ndarray, *, weights: np.ndarray | None = None) -> None:
        tissue = regions.tissue_of_sample[samples]
        with_reads = (np.diff(regions.sample_offset)[samples] > 0) & (tissue >= 0)
        self.samples = np.asarray(samples)[with_reads]
        if not len(self.samples):
            raise UserError(f"{regions.path}: no training sample has reads and a tissue; look at splits and regions.")
        self._tissues, place = np.unique(tissue[with_reads], return_inverse=True)
        self._order = np.argsort(place, kind="stable")
        self._files = np.bincount(place)
        self._first = np.cumsum(self._files) - self._files
        self._index(regions, weights)

    def draw(self, bags: np.ndarray, *, reads: int, seed: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Sample [n] and rows [n, reads] of bags [n], numbers within the epoch."""
        of_bag = uniform(key_of(seed, epoch, FILES), np.stack([2 * bags, 2 * bags + 1]))
        tissue = (of_bag[0] * len(self._tissues)).astype(np.int64)
        file = (of_bag[1] * self._files[tissue]).astype(np.int64)
        sample = self._order[self._first[tissue] + file]
        counters = bags[:, None] * reads + np.arange(reads)
        group = _between(
            self._by_group,
            self._groups_of[sample][:, None],
            self._groups_of[sample + 1][:, None],
            uniform(key_of(seed, epoch, REGIONS), counters),
        )
        read = uniform(key_of(seed, epoch, READS), counters)
        place = _between(self._by_row, self._group_rows[group], self._group_rows[group + 1], read)
        return self.samples[sample], self._rows[place]

    def _index(self, regions: Regions, weights: np.ndarray | None) -> None:
        """Rows of all samples in a line, cut into groups of one sample and region."""
        self._rows = np.concatenate([regions.rows_of(each) for each in self.samples])
        region, owner = regions.row_region[self._rows], regions.row_sample[self._rows]
        new = np.ones(len(region), bool)
        new[1:] = (np.diff(region) != 0) | (np.diff(owner) != 0)
        starts = np.flatnonzero(new)
        self._group_rows = np.append(starts, len(region))
        self._by_row = _summed(np.maximum(regions.row_count[self._rows], 1))
        self._by_group = None if weights is None else _summed(weights[region[starts]])
        ends = np.cumsum(np.diff(regions.sample_offset)[self.samples])
        self._groups_of = np.searchsorted(starts, np.append(0, ends))


def _summed(weights: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(weights, dtype=np.float64)])


def _between(summed: np.ndarray | None, first: np.ndarray, end: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Of the items first to end - 1 one each, in proportion to weights whose running sum is `summed`; None: alike."""
    if summed is None:
        place = (first + chance * (end - first)).astype(np.int64)
    else:
        low, high = summed[first], summed[end]
        place = np.searchsorted(summed, low + chance * (high - low), side="right") - 1
    found: np.ndarray = np.clip(place, first, end - 1)
    return found
