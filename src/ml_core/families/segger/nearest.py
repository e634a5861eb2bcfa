"""The nearest polygons of many points, exactly: one small matrix product per polygon instead of one call per pair."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import sparse

from ml_core.families.segger.chunks import Chunks
from ml_core.families.segger.data import ArrayFile
from ml_core.families.segger.edge_distance import ON_THE_BOUNDARY_UM, Edges
from ml_core.families.segger.geometry import Polygons
from ml_core.families.segger.reach import along_slabs, in_reach, reach_of
from ml_core.families.segger.strips import Strips, strips_of_boxes

Found = tuple[np.ndarray, np.ndarray]


def nearest_polygons(points: np.ndarray, *, polygons: Polygons, k: int, max_distance_um: float) -> Found:
    """The `k` polygons nearest to each point, at most `max_distance_um` away; the distance inside a polygon is 0.

    Sorted by distance; among polygons that hold the point, by distance to the centroid; then by index.

    **Shapes**: points [n, 2] um -> index [n, k] int32 (-1 where there is none), distance [n, k] float32 um (inf there).
    """
    strips = Strips.of(points)
    index, distance = nearest_of_sorted(strips, polygons=polygons, k=k, max_distance_um=max_distance_um)
    return index[strips.inverse], distance[strips.inverse]


def nearest_of_sorted(strips: Strips, *, polygons: Polygons, k: int, max_distance_um: float) -> Found:
    """The same for points that are sorted already, in their order."""
    best = _none_yet(k, len(strips.x))
    _insert(best, polygons, numbers=np.arange(len(polygons)), strips=strips, max_distance_um=max_distance_um)
    return _unpacked(best)


def nearest_by_chunk(
    chunks: Chunks, places: ArrayFile, *, polygons: Polygons, k: int, max_distance_um: float
) -> Iterator[Found]:
    """The same for sorted points [n, 2] um on disk, for one chunk after the other.

    Each polygon is measured once, with the chunk in which its reach begins: what it is to points of later chunks is
    carried over to them. What a polygon is to a point hangs on nothing but the two (`Edges.keys`), and of equal keys
    the lower number is nearer. Hence the result is that of all points at once, to the bit.
    """
    reach = strips_of_boxes(reach_of(polygons, max_distance_um), left_um=chunks.left_um).clip(0)
    chunk_of = np.searchsorted(chunks.borders, reach[:, 0], side="right") - 1
    carried = _none_yet(k, 0)
    for chunk in range(len(chunks)):
        mine = np.flatnonzero(chunk_of == chunk)
        first, end = int(chunks.borders[chunk]), int(chunks.borders[chunk + 1])
        window_end = min(max(end, int(reach[mine, 1].max(initial=0)) + 1), len(chunks.starts) - 1)
        window, owned = chunks.rows_between(first, window_end), chunks.rows(chunk)
        strips = chunks.strips(first, window_end, xy=places.read(window))
        best = _none_yet(k, max(window.stop - window.start, len(carried)))
        best[: len(carried)] = carried
        _insert(best, polygons.take(mine), numbers=mine, strips=strips, max_distance_um=max_distance_um)
        yield _unpacked(best[: owned.stop - owned.start])
        carried = best[owned.stop - owned.start :]


def _insert(
    best: np.ndarray, polygons: Polygons, *, numbers: np.ndarray, strips: Strips, max_distance_um: float
) -> None:
    """Put each polygon into the slots [n, k] (packed, sorted) of the points that it is among the nearest of.

    numbers [m]: what the polygons are called in the slots.
    """
    if not len(polygons):
        return
    order = along_slabs(polygons)
    polygons, numbers = polygons.take(order), numbers[order]
    k, limit, edges = best.shape[1], max(max_distance_um, ON_THE_BOUNDARY_UM), Edges.of(polygons)
    for pairs in in_reach(polygons, strips, max_distance_um=max_distance_um):
        key = edges.keys(pairs, strips)
        near = np.flatnonzero(key <= limit)
        if not len(near):
            continue
        starts = np.searchsorted(near, pairs.starts)
        packed = _packed(key[near], polygon=np.repeat(numbers[pairs.polygons], np.diff(starts)))
        place = pairs.place[near]
        first = place.min()
        # a sparse matrix [polygons, points]: its columns are what each point is near to
        column = (place - first).astype(np.int32)
        shape = (len(pairs.count), int(column.max()) + 1)
        by_point = sparse.csr_array((packed, column, starts.astype(np.int32)), shape=shape).tocsc()
        count = np.diff(by_point.indptr)
        touched = np.flatnonzero(count)
        count, touched = count[touched], first + touched
        slots = np.full((len(touched), k + int(count.max())), NOTHING)
        slots[:, :k] = best[touched]
        slots[:, k:][np.arange(count.max()) < count[:, None]] = by_point.data
        slots.sort(axis=1)
        best[touched] = slots[:, :k]


def _none_yet(k: int, points: int) -> np.ndarray:
    """Empty slots [points, k]."""
    return np.full((points, k), NOTHING)


def _unpacked(best: np.ndarray) -> Found:
    """Polygon and distance, each [n, k], from slots [n, k]."""
    index = best.astype(np.int32)  # the low half
    distance = (best >> 32).astype(np.int32).view(np.float32)
    return index, np.where(distance < ON_THE_BOUNDARY_UM, np.float32(0), distance)


def _packed(key: np.ndarray, *, polygon: np.ndarray) -> np.ndarray:
    """[n] int64 that sort by key, then by polygon: bits of floats that are not negative sort like the floats."""
    return (key.view(np.int32).astype(np.int64) << 32) | (polygon & 0xFFFFFFFF)


NOTHING = _packed(np.array([np.inf], np.float32), polygon=np.array([-1]))[0]  # an empty slot: after all others
