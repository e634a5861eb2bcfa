"""Which points may be near enough to which polygons: runs of the strips that a polygon's reach crosses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ml_core.families.segger.geometry import Polygons
from ml_core.families.segger.runs import pieces, ranges
from ml_core.families.segger.strips import WIDTH_UM, Strips

PAIRS_AT_ONCE = 64_000  # of a point and a polygon: bounds memory, and what is worked on stays in the cache
SLACK_UM = 0.05  # by which a point may be off its strip, as borders are rounded
SLAB_UM = 100.0


@dataclass(frozen=True)
class Pairs:
    """Points in the reach of the m polygons from `first` on, one polygon after the other.

    **Shapes**: place [p] int64, sorted place of the point; starts [m + 1], first pair of each polygon; in_box [b], the
    pairs whose point lies in the polygon's box.
    """

    first: int
    place: np.ndarray
    starts: np.ndarray
    in_box: np.ndarray

    @property
    def polygons(self) -> slice:
        return slice(self.first, self.first + len(self.starts) - 1)

    @property
    def count(self) -> np.ndarray:
        """[m] pairs of each polygon."""
        return np.diff(self.starts)


def along_slabs(polygons: Polygons) -> np.ndarray:
    """[m] the polygons' order in which those that follow each other are near."""
    x, y = polygons.centroids.T
    return np.lexsort((y, x // SLAB_UM))


def in_reach(polygons: Polygons, strips: Strips, *, max_distance_um: float) -> Iterator[Pairs]:
    """The pairs of some polygons after those of others. Every point within the distance is there, and some beyond."""
    reach, box = reach_of(polygons, max_distance_um), polygons.boxes
    polygon, strip = strips.crossed(reach)
    left = strips.left_um + (strip + strips.first) * WIDTH_UM
    x, y = polygons.centroids[polygon].T
    radius = (_radii(polygons) + max_distance_um + SLACK_UM)[polygon]
    aside = np.maximum(np.maximum(left - x, x - left - WIDTH_UM) - SLACK_UM, 0)
    half = np.sqrt(np.maximum(radius**2 - aside**2, 0))  # of the disc's chord where it enters the strip
    low, high = np.maximum(reach[polygon, 1], y - half), np.minimum(reach[polygon, 3], y + half)
    begin, count = strips.runs(strip, low=low, high=high)
    box_begin, box_count = strips.runs(
        strip, low=np.maximum(low, box[polygon, 1]), high=np.minimum(high, box[polygon, 3])
    )

    rows = np.searchsorted(polygon, np.arange(len(polygons) + 1))  # first run of each polygon
    starts = np.concatenate([[0], np.cumsum(count)])[rows]
    for first, last in pieces(np.diff(starts), most=PAIRS_AT_ONCE):
        mine = slice(rows[first], rows[last])
        place = ranges(begin[mine], count[mine])
        before = np.cumsum(count[mine]) - count[mine]
        held = ranges(before + box_begin[mine] - begin[mine], box_count[mine])
        least, greatest = (np.repeat(box[polygon[mine], side], box_count[mine]) for side in (0, 2))
        across = strips.x[place[held]]
        held = held[(across >= least) & (across <= greatest)]
        yield Pairs(first, place, starts[first : last + 1] - starts[first], held)


def reach_of(polygons: Polygons, max_distance_um: float) -> np.ndarray:
    """[m, 4] um boxes around all points that can be near enough."""
    return polygons.boxes + np.array([-max_distance_um, -max_distance_um, max_distance_um, max_distance_um])


def _radii(polygons: Polygons) -> np.ndarray:
    """[m] um from the centroid to the farthest vertex."""
    away = polygons.xy - polygons.centroids[polygons.owner]
    return np.sqrt(np.maximum.reduceat((away**2).sum(axis=1), polygons.offsets[:-1]))
