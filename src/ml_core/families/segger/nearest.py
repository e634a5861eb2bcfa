"""The nearest polygons of many points, exactly: one small matrix product per polygon instead of one call per pair."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from ml_core.families.segger.chunks import Chunks
from ml_core.families.segger.data import ArrayFile
from ml_core.families.segger.geometry import Polygons
from ml_core.families.segger.strips import Strips, strips_of_boxes

ON_THE_BOUNDARY_UM = 1e-6  # nearer than this counts as inside: the vertices of a hull lie in the hull
INSIDE = np.float32(1e-30)  # inside, polygons are ordered by INSIDE x distance to the centroid: below any real distance


Found = tuple[np.ndarray, np.ndarray]


def nearest_polygons(points: np.ndarray, *, polygons: Polygons, k: int, max_distance_um: float) -> Found:
    """The `k` polygons nearest to each point, at most `max_distance_um` away; the distance inside a polygon is 0.

    Sorted by distance; among polygons that hold the point, by distance to the centroid; then by index.

    **Shapes**: points [n, 2] um -> index [n, k] int32 (-1 where there is none), distance [n, k] float32 um (inf there).
    """
    strips = Strips.of(points)
    best = _none_yet(k, len(points))
    _insert(best, polygons, numbers=np.arange(len(polygons)), strips=strips, max_distance_um=max_distance_um)
    return _unpacked(best.T[strips.inverse])


def nearest_by_chunk(
    chunks: Chunks, places: ArrayFile, *, polygons: Polygons, k: int, max_distance_um: float
) -> Iterator[Found]:
    """The same for sorted points [n, 2] um on disk, for one chunk after the other.

    Each polygon is measured once, with the chunk in which its reach begins, against all the points in its reach: what
    it is to points of later chunks is carried over to them. Hence the result is that of all points at once, to the bit.
    """
    reach = strips_of_boxes(_reach(polygons, max_distance_um), left_um=chunks.left_um).clip(0)
    chunk_of = np.searchsorted(chunks.borders, reach[:, 0], side="right") - 1
    carried = _none_yet(k, 0)
    for chunk in range(len(chunks)):
        mine = np.flatnonzero(chunk_of == chunk)
        first, end = int(chunks.borders[chunk]), int(chunks.borders[chunk + 1])
        window_end = min(max(end, int(reach[mine, 1].max(initial=0)) + 1), len(chunks.starts) - 1)
        window, owned = chunks.rows_between(first, window_end), chunks.rows(chunk)
        strips = chunks.strips(first, window_end, xy=places.read(window))
        best = _none_yet(k, max(window.stop - window.start, carried.shape[1]))
        best[:, : carried.shape[1]] = carried
        _insert(best, polygons.take(mine), numbers=mine, strips=strips, max_distance_um=max_distance_um)
        yield _unpacked(best[:, : owned.stop - owned.start].T)
        carried = best[:, owned.stop - owned.start :]


def _insert(
    best: np.ndarray, polygons: Polygons, *, numbers: np.ndarray, strips: Strips, max_distance_um: float
) -> None:
    """Put each polygon into the slots [k, n] (packed, sorted) of the points that it is among the nearest of.

    numbers [m]: what the polygons are called in the slots.
    """
    edges, limit = Edges.of(polygons), max(max_distance_um, ON_THE_BOUNDARY_UM)
    for polygon, places in enumerate(strips.boxes(_reach(polygons, max_distance_um))):
        key = edges.order_key(polygon, x=strips.x[places], y=strips.y[places])
        new = _packed(key, polygon=int(numbers[polygon]))
        worth = np.flatnonzero((key <= limit) & (new < best[-1, places]))
        places, new = places[worth], new[worth]
        for slot in best:  # insertion into k sorted slots
            old = slot[places]
            slot[places] = np.minimum(old, new)
            new = np.maximum(old, new)


def _reach(polygons: Polygons, max_distance_um: float) -> np.ndarray:
    """[m, 4] um boxes around all points that can be near enough."""
    return polygons.boxes + np.array([-max_distance_um, -max_distance_um, max_distance_um, max_distance_um])


def _none_yet(k: int, points: int) -> np.ndarray:
    """Empty slots [k, points]."""
    return np.full((k, points), _packed(np.array([np.inf], np.float32), polygon=-1)[0])


def _unpacked(best: np.ndarray) -> Found:
    """Polygon and distance, each [n, k], from slots [n, k]."""
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
