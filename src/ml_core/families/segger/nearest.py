"""The nearest polygons of many points, exactly: one small matrix product per polygon instead of one call per pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from ml_core.families.segger.geometry import Polygons
from ml_core.families.segger.strips import Strips

ON_THE_BOUNDARY_UM = 1e-6  # nearer than this counts as inside: the vertices of a hull lie in the hull
INSIDE = np.float32(1e-30)  # inside, polygons are ordered by INSIDE x distance to the centroid: below any real distance


def nearest_polygons(
    points: np.ndarray, *, polygons: Polygons, k: int, max_distance_um: float, strips: Strips | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The `k` polygons nearest to each point, at most `max_distance_um` away; the distance inside a polygon is 0.

    Sorted by distance; among polygons that hold the point, by distance to the centroid; then by index. `strips` saves
    the sort where the caller has sorted `points` already.

    **Shapes**: points [n, 2] um -> index [n, k] int32 (-1 where there is none), distance [n, k] float32 um (inf there).
    """
    strips = strips or Strips.of(points)
    best = np.full((k, len(points)), _packed(np.array([np.inf], np.float32), polygon=-1)[0])  # [k, n], sorted per point
    edges, limit = Edges.of(polygons), max(max_distance_um, ON_THE_BOUNDARY_UM)
    margin = np.array([-max_distance_um, -max_distance_um, max_distance_um, max_distance_um])
    for polygon, places in enumerate(strips.boxes(polygons.boxes + margin)):
        key = edges.order_key(polygon, x=strips.x[places], y=strips.y[places])
        new = _packed(key, polygon=polygon)
        worth = np.flatnonzero((key <= limit) & (new < best[-1, places]))
        places, new = places[worth], new[worth]
        for slot in best:  # insertion into k sorted slots
            old = slot[places]
            slot[places] = np.minimum(old, new)
            new = np.maximum(old, new)
    best = best.T[strips.inverse]
    index = best.astype(np.int32)  # the low half
    distance = (best >> 32).astype(np.int32).view(np.float32)
    return index, np.where(distance < ON_THE_BOUNDARY_UM, np.float32(0), distance)


def _packed(key: np.ndarray, *, polygon: int) -> np.ndarray:
    """One int64 that sorts by key, then by polygon: bits of floats that are not negative sort like the floats."""
    return (key.view(np.int32).astype(np.int64) << 32) | np.int64(polygon & 0xFFFFFFFF)


@dataclass(frozen=True)
class Edges:
    """All edges, each as the map of a point (x, y, 1) to its place along the edge, from the middle, and across it.

    **Shapes**: to_edge [2 x vertices, 3]: for each polygon first its rows "along", then its rows "across"; half_length
    [vertices, 1] um; start_y and end_y [vertices, 1] um.
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
        maps = [np.hstack([axis, -(axis * (start + end) / 2).sum(axis=1, keepdims=True)]) for axis in (along, across)]
        grouped = np.argsort(np.tile(polygons.owner, 2), kind="stable")
        return cls(polygons, np.concatenate(maps)[grouped], length / 2, start[:, 1:], end[:, 1:])

    def order_key(self, polygon: int, *, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """[points] float32 >= 0: distance in um outside, INSIDE x distance to the centroid inside."""
        first, last = self.polygons.offsets[polygon : polygon + 2]
        local = self.to_edge[2 * first : 2 * last] @ np.stack([x, y, np.ones_like(x)])
        along, across = local[: last - first], local[last - first :]
        box = self.polygons.boxes[polygon]
        near = np.flatnonzero((x >= box[0]) & (x <= box[2]) & (y >= box[1]) & (y <= box[3]))
        inside = self._winding(slice(first, last), y=y[near], across=across[:, near]) != 0

        beyond = np.abs(along, out=along)  # in place from here on: these arrays are all of the time
        beyond -= self.half_length[first:last]
        np.maximum(beyond, 0, out=beyond)
        np.square(local, out=local)
        beyond += across
        key = np.sqrt(beyond.min(axis=0)).astype(np.float32)
        held = near[inside | (key[near] < ON_THE_BOUNDARY_UM)]
        centre = self.polygons.centroids[polygon]
        key[held] = INSIDE * np.hypot(x[held] - centre[0], y[held] - centre[1]).astype(np.float32)
        return key

    def _winding(self, edges: slice, *, y: np.ndarray, across: np.ndarray) -> np.ndarray:
        """[points] how often the ring goes round each point (Sunday's winding number); 0 means outside."""
        from_below, to_below = self.start_y[edges] <= y, self.end_y[edges] <= y
        upward = from_below & ~to_below & (across > 0)
        downward = ~from_below & to_below & (across < 0)
        return upward.sum(axis=0) - downward.sum(axis=0)
