"""Runs of consecutive numbers: written out, and so cut that each is of a bearable size."""

from __future__ import annotations

import numpy as np


def ranges(first: np.ndarray, count: np.ndarray) -> np.ndarray:
    """first[0], first[0] + 1, ... `count[0]` of them, then those of the next: [sum of count]."""
    before = np.cumsum(count) - count
    return np.arange(count.sum()) + np.repeat(first - before, count)


def pieces(sizes: np.ndarray, *, most: int) -> list[tuple[int, int]]:
    """First and last + 1 of runs of things of these sizes [n], of about `most` together; at least one thing each."""
    if not len(sizes):
        return []
    starts = np.cumsum(sizes) - sizes
    borders = np.unique(np.searchsorted(starts, np.arange(0, starts[-1] + 1, most))).tolist()
    return list(zip(borders, [*borders[1:], len(sizes)], strict=True))
