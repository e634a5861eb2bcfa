"""How far points are from the edges of polygons, and which points lie inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from ml_core.families.segger.geometry import Polygons
from ml_core.families.segger.reach import Pairs
from ml_core.families.segger.runs import pieces, ranges
from ml_core.families.segger.strips import Strips

ON_THE_BOUNDARY_UM = 1e-6  # nearer than this counts as inside: the vertices of a hull lie in the hull
INSIDE = np.float32(1e-30)  # inside, polygons are ordered by INSIDE x distance to the centroid: below any real distance
EDGES_AT_ONCE = 1_000_000  # of a point and an edge whose ends' heights are looked at together


@dataclass(frozen=True)
class Edges:
    """All edges, each as the map of a point (x, y, 1) to its place along the edge, from the middle, and across it.

    **Shapes**: to_edge [2 x vertices, 3]: for each polygon first its rows "along", then its rows "across"; half_length
    [vertices, 1] um; start_y and end_y [vertices] um.
    """

    polygons: Polygons
    to_edge: np.ndarray
    half_length: np.ndarray
    start_y: np.ndarray
    end_y: np.ndarray

    @classmethod
    def of(cls, polygons: Polygons) -> Self:
        start = polygons.xy.astype(np.float64)
        end = start[polygons.following]
        length = np.hypot(*(end - start).T)[:, None]
        along = np.where(length > 0, (end - start) / np.maximum(length, 1e-300), [1.0, 0.0])
        across = np.stack([-along[:, 1], along[:, 0]], axis=1)
        middle, edge = start + end, np.arange(len(start))
        to_edge = np.empty((2 * len(start), 3))
        for axis, before in ((along, polygons.offsets[:-1]), (across, polygons.offsets[1:])):
            rows = edge + before[polygons.owner]
            to_edge[rows, :2] = axis
            to_edge[rows, 2] = -(axis * middle / 2).sum(axis=1)
        return cls(polygons, to_edge, length / 2, np.ascontiguousarray(start[:, 1]), np.ascontiguousarray(end[:, 1]))

    def keys(self, pairs: Pairs, strips: Strips) -> np.ndarray:
        """[pairs] float32 >= 0: distance in um outside, INSIDE x distance to the centroid inside."""
        squared = self._squared(pairs, strips)
        key = np.sqrt(squared, out=squared).astype(np.float32)
        polygon = pairs.first + np.searchsorted(pairs.starts, pairs.in_box, side="right") - 1
        place = pairs.place[pairs.in_box]
        x, y = strips.x[place], strips.y[place]
        held = self._holds(polygon, x=x, y=y) | (key[pairs.in_box] < ON_THE_BOUNDARY_UM)
        centre = self.polygons.centroids[polygon[held]]
        away = np.hypot(x[held] - centre[:, 0], y[held] - centre[:, 1])
        key[pairs.in_box[held]] = INSIDE * away.astype(np.float32)
        return key

    def _squared(self, pairs: Pairs, strips: Strips) -> np.ndarray:
        """[pairs] squared distance of each point to its polygon's nearest edge."""
        found = np.empty(len(pairs.place))
        offsets = self.polygons.offsets[pairs.first : pairs.polygons.stop + 1]
        # no product may have but one column: BLAS multiplies vectors with other last bits than matrices
        wide = np.maximum(pairs.count, 2)
        points = np.ones((3, wide.max()))  # x, y, 1: one place for all polygons, as fresh memory costs page faults
        space = np.empty(int((2 * np.diff(offsets) * wide).max()))
        columns = zip(pairs.starts.tolist(), pairs.count.tolist(), wide.tolist(), strict=False)
        for first, last, (begin, count, w) in zip(offsets.tolist(), offsets[1:].tolist(), columns, strict=False):
            if not count:
                continue
            place = pairs.place[begin : begin + count]
            np.take(strips.x, place, out=points[0, :count], mode="clip")  # the default mode copies once more
            np.take(strips.y, place, out=points[1, :count], mode="clip")
            local = space[: 2 * (last - first) * w].reshape(-1, w)
            np.matmul(self.to_edge[2 * first : 2 * last], points[:, :w], out=local)
            beyond, across = local[: last - first], local[last - first :]
            np.abs(beyond, out=beyond)
            beyond -= self.half_length[first:last]
            np.maximum(beyond, 0, out=beyond)
            np.square(local, out=local)
            beyond += across
            np.minimum.reduce(beyond[:, :count], axis=0, out=found[begin : begin + count])
        return found

    def _holds(self, polygon: np.ndarray, *, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """[points] whether the polygon [points] goes round the point: Sunday's winding number is not 0."""
        found = [np.zeros(0, bool)]
        for first, last in pieces(np.diff(self.polygons.offsets)[polygon], most=EDGES_AT_ONCE):
            piece = slice(first, last)
            found.append(self._winding(polygon[piece], x=x[piece], y=y[piece]) != 0)
        return np.concatenate(found)

    def _winding(self, polygon: np.ndarray, *, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """[points] how often the ring of its polygon goes round each point."""
        first, count = self.polygons.offsets[polygon], np.diff(self.polygons.offsets)[polygon]
        edge, height = ranges(first, count), np.repeat(y, count)
        from_below, to_below = self.start_y[edge] <= height, self.end_y[edge] <= height
        crossing = np.flatnonzero(from_below != to_below)
        edge, point = edge[crossing], np.repeat(np.arange(len(polygon)), count)[crossing]
        a, b, c = self.to_edge[edge + self.polygons.offsets[polygon[point] + 1]].T
        across = a * x[point] + b * y[point] + c
        upward = from_below[crossing]
        turn = (upward & (across > 0)).astype(np.int64) - (~upward & (across < 0))
        return np.bincount(point, weights=turn, minlength=len(polygon))
