"""Points sorted along narrow vertical strips: near in space is near in memory, and a box is a few slices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

WIDTH_UM = 8.0


def strip_of(xy: np.ndarray, *, left_um: float) -> np.ndarray:
    """[n] int32 strip of each point [n, 2] um, counted from the left."""
    return ((xy[:, 0] - left_um) / WIDTH_UM).astype(np.int32)


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
        order = np.lexsort((points[:, 1], strip))
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

    def boxes(self, boxes: np.ndarray) -> list[np.ndarray]:
        """Sorted places of the points in each box, and up to a strip to its left or right.

        boxes [boxes, 4] um: least x, least y, greatest x, greatest y.
        """
        reach = strips_of_boxes(boxes, left_um=self.left_um) - self.first
        first, final = np.clip(reach, [0, -1], [len(self.starts) - 1, len(self.starts) - 2]).T
        places: list[list[np.ndarray]] = [[] for _ in boxes]
        for strip in range(len(self.starts) - 1):  # each strip answers all of its boxes with one search
            asking = np.flatnonzero((first <= strip) & (strip <= final))
            ys = self.y[self.starts[strip] : self.starts[strip + 1]]
            begin = self.starts[strip] + np.searchsorted(ys, boxes[asking, 1], side="left")
            end = self.starts[strip] + np.searchsorted(ys, boxes[asking, 3], side="right")
            for box, a, b in zip(asking.tolist(), begin.tolist(), end.tolist(), strict=True):
                if b > a:
                    places[box].append(np.arange(a, b))
        return [np.concatenate(parts) if parts else np.zeros(0, np.int64) for parts in places]


def strips_of_boxes(boxes: np.ndarray, *, left_um: float) -> np.ndarray:
    """[boxes, 2] int64 first and last strip of each box [boxes, 4] um; they may lie beyond all strips."""
    return ((boxes[:, [0, 2]] - left_um) // WIDTH_UM).astype(np.int64)  # type: ignore[no-any-return]
