"""Points sorted along narrow vertical strips: near in space is near in memory, and a box is a few runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from ml_core.families.segger.runs import ranges

WIDTH_UM = 8.0


def strip_of(xy: np.ndarray, *, left_um: float) -> np.ndarray:
    """[n] int32 strip of each point [n, 2] um, counted from the left."""
    return ((xy[:, 0] - left_um) / WIDTH_UM).astype(np.int32)


def by_strip_and_y(strip: np.ndarray, y: np.ndarray) -> np.ndarray:
    """[n] int64 the order by strip, then by y um, then by index: `np.lexsort((y, strip))` in a third of the time.

    A sort that may change the order of equals is several times as fast as one that may not; equals are few.
    """
    order = np.argsort(y)
    sorted_y = y[order]
    equal = np.zeros(len(y) + 1, bool)  # to the one before
    equal[1:-1] = sorted_y[1:] == sorted_y[:-1]
    tied = np.flatnonzero(equal[1:] | equal[:-1])
    order[tied] = order[tied][np.lexsort((order[tied], sorted_y[tied]))]
    strip = strip[order]
    small = np.uint16 if len(y) and strip.max() <= np.iinfo(np.uint16).max else strip.dtype  # which radix sort takes
    return order[np.argsort(strip.astype(small), kind="stable")]


def strips_within(distance_um: float) -> int:
    """How many strips to either side hold everything so near a strip; one more, as a border may be rounded."""
    return math.ceil(distance_um / WIDTH_UM) + 1


@dataclass(frozen=True)
class Strips:
    """`order` sorts the points by strip, then by y.

    **Shapes**: order [n] int64 (sorted place -> input row), x and y [n] um, sorted; starts [strips + 1]. `first` is the
    number of the first strip here, where these are some of a sample's strips.
    """

    order: np.ndarray
    x: np.ndarray
    y: np.ndarray
    starts: np.ndarray
    left_um: float
    first: int = 0

    @classmethod
    def of(cls, points: np.ndarray) -> Self:
        """Sort `points` [n, 2] um. Equal points keep their order."""
        left = float(points[:, 0].min()) if len(points) else 0.0
        strip = strip_of(points, left_um=left)
        order = by_strip_and_y(strip, points[:, 1])
        strips = int(strip.max()) + 1 if len(points) else 0
        starts = np.concatenate([[0], np.cumsum(np.bincount(strip, minlength=strips))])
        x, y = (np.ascontiguousarray(points[order, axis], np.float64) for axis in (0, 1))
        return cls(order, x, y, starts, left)

    @cached_property
    def inverse(self) -> np.ndarray:
        """[n] input row -> sorted place."""
        inverse = np.empty_like(self.order)
        inverse[self.order] = np.arange(len(self.order))
        return inverse

    def crossed(self, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The strips that each box [boxes, 4] um crosses: numbers of the boxes, ascending, and of strips, [r] each."""
        reach = strips_of_boxes(boxes, left_um=self.left_um) - self.first
        first, final = np.clip(reach, [0, -1], [len(self.starts) - 1, len(self.starts) - 2]).T
        count = np.maximum(final - first + 1, 0)
        return np.repeat(np.arange(len(boxes)), count), ranges(first, count)

    def runs(self, strip: np.ndarray, *, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First sorted place and number of the points of a strip with low <= y <= high; all [r]."""
        begin, end = np.zeros((2, len(strip)), np.int64)
        order = np.argsort(strip, kind="stable")
        borders = np.searchsorted(strip[order], np.arange(len(self.starts)))
        for number in range(len(self.starts) - 1):  # each strip answers all that ask with one search
            asking = order[borders[number] : borders[number + 1]]
            ys = self.y[self.starts[number] : self.starts[number + 1]]
            begin[asking] = self.starts[number] + np.searchsorted(ys, low[asking], side="left")
            end[asking] = self.starts[number] + np.searchsorted(ys, high[asking], side="right")
        return begin, np.maximum(end - begin, 0)


def strips_of_boxes(boxes: np.ndarray, *, left_um: float) -> np.ndarray:
    """[boxes, 2] int64 first and last strip of each box [boxes, 4] um; they may lie beyond all strips."""
    return ((boxes[:, [0, 2]] - left_um) // WIDTH_UM).astype(np.int64)  # type: ignore[no-any-return]
