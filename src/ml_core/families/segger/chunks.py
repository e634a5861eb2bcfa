"""A sample in chunks of whole strips, which is how it is sorted and connected without being held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from ml_core.families.segger.strips import Strips, strip_of


@dataclass(frozen=True)
class Chunks:
    """Runs of whole strips, from left to right, of about as many transcripts each.

    **Shapes**, s strips, c chunks: starts [s + 1], first sorted transcript of each strip; borders [c + 1], first strip
    of each chunk.
    """

    left_um: float
    starts: np.ndarray
    borders: np.ndarray

    @classmethod
    def of(cls, sizes: np.ndarray, *, left_um: float, most: int) -> Self:
        """Chunks of about `most` transcripts, at least one strip each; sizes [s], transcripts of each strip."""
        starts = np.concatenate([[0], np.cumsum(sizes)])
        count = max(1, -(-int(starts[-1]) // most))
        borders = np.searchsorted(starts, np.arange(count + 1) * starts[-1] / count)
        return cls(left_um, starts, np.unique(np.append(borders[:-1], len(sizes))))

    @classmethod
    def of_sorted(cls, xy: np.ndarray, *, most: int) -> Self:
        """Chunks of transcripts that are sorted already; xy [n, 2] um, which may be memory-mapped."""
        pieces = [xy[start : start + most] for start in range(0, len(xy), most)]
        left_um = min(float(piece[:, 0].min()) for piece in pieces)
        last = int(strip_of(xy[-1:], left_um=left_um)[0])
        sizes = sum(np.bincount(strip_of(piece, left_um=left_um), minlength=last + 1) for piece in pieces)
        return cls.of(np.asarray(sizes), left_um=left_um, most=most)

    def __len__(self) -> int:
        return len(self.borders) - 1

    def rows(self, chunk: int, *, halo_strips: int = 0) -> slice:
        """Sorted transcripts of a chunk, with those of so many strips on either side."""
        return self.rows_between(self.borders[chunk] - halo_strips, self.borders[chunk + 1] + halo_strips)

    def rows_between(self, first: int, end: int) -> slice:
        """Sorted transcripts of the strips from `first` up to, not including, `end`."""
        first, end = (min(max(int(strip), 0), len(self.starts) - 1) for strip in (first, end))
        return slice(int(self.starts[first]), int(self.starts[end]))

    def strips(self, first: int, end: int, *, xy: np.ndarray) -> Strips:
        """The strips from `first` up to `end`, whose transcripts are at xy [n, 2] um, sorted."""
        starts = self.starts[first : end + 1] - self.starts[first]
        x, y = (np.ascontiguousarray(xy[:, axis], np.float64) for axis in (0, 1))
        return Strips(np.arange(len(xy)), x, y, starts, self.left_um, first)
