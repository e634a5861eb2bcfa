"""Polygons as flat arrays: hulls, shapes, and the inner part of a cloud of points."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, wraps

import numpy as np
import shapely

AT_ONCE = 50_000  # polygons that are measured together, which bounds memory
FEATURES = ("log_area_um2", "convexity", "elongation", "circularity", "density_per_um2")
SMALLEST_AREA_UM2 = 0.01  # hulls of collinear points have no area; their features stay finite


def _by_parts(measure: Callable[[Polygons], np.ndarray]) -> cached_property[np.ndarray]:
    """A property [m, ...] of each polygon by itself, measured part by part where there are very many polygons."""

    @wraps(measure)
    def whole(self: Polygons) -> np.ndarray:
        return measure(self) if len(self) <= AT_ONCE else np.concatenate([measure(part) for part in self.parts()])

    return cached_property(whole)


@dataclass(frozen=True)
class Polygons:
    """`m` polygons: ring i has the vertices xy[offsets[i]:offsets[i + 1]], in order and not closed.

    **Shapes**: xy [vertices, 2] um, offsets [m + 1]. A ring may be degenerate (two points or one).
    """

    xy: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def following(self) -> np.ndarray:
        """[vertices] index of the next vertex along the ring."""
        following = np.arange(1, len(self.xy) + 1)
        following[self.offsets[1:] - 1] = self.offsets[:-1]
        return following

    @cached_property
    def owner(self) -> np.ndarray:
        """[vertices] polygon of each vertex."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    @cached_property
    def boxes(self) -> np.ndarray:
        """[m, 4] um: least x, least y, greatest x, greatest y."""
        if not len(self):
            return np.zeros((0, 4))
        least, greatest = (extreme.reduceat(self.xy, self.offsets[:-1]) for extreme in (np.minimum, np.maximum))
        return np.hstack([least, greatest]).astype(np.float64)

    @_by_parts
    def centroids(self) -> np.ndarray:
        """[m, 2] um, float64; the mean of the vertices where a ring has no area."""
        centre = self._sums(self.xy) / np.diff(self.offsets)[:, None]
        a, b, cross = self._edges_around(centre)
        area2 = self._sums(cross)
        shift = self._sums((a + b) * cross[:, None]) / (3 * np.where(area2 == 0, 1, area2))[:, None]
        return centre + np.where(np.abs(area2)[:, None] > 2 * SMALLEST_AREA_UM2, shift, 0)

    @_by_parts
    def areas(self) -> np.ndarray:
        """[m] um2."""
        return np.abs(self._sums(self._edges_around(self.centroids)[2])) / 2

    @_by_parts
    def perimeters(self) -> np.ndarray:
        """[m] um."""
        return self._sums(np.hypot(*(self.xy[self.following] - self.xy).T))

    @_by_parts
    def elongations(self) -> np.ndarray:
        """[m] long axis / short axis (>= 1) of the ellipse with the polygon's second moments, at most 100."""
        a, b, cross = self._edges_around(self.centroids)
        second = self._sums((a * a + a * b + b * b) * cross[:, None]) / 12
        mixed = (
            self._sums((a[:, 0] * b[:, 1] + b[:, 0] * a[:, 1] + 2 * (a * a[:, ::-1] + b * b[:, ::-1])[:, 0]) * cross)
            / 24
        )
        mean, half = np.abs(second.sum(1)) / 2, np.hypot((second[:, 0] - second[:, 1]) / 2, mixed)
        return np.sqrt((mean + half + 1e-12) / np.maximum(mean - half, (mean + half + 1e-12) / 1e4))

    def parts(self) -> Iterator[Polygons]:
        """These polygons, at most AT_ONCE at a time."""
        for first in range(0, len(self), AT_ONCE):
            offsets = self.offsets[first : first + AT_ONCE + 1]
            yield Polygons(self.xy[offsets[0] : offsets[-1]], offsets - offsets[0])

    def take(self, index: np.ndarray) -> Polygons:
        """The polygons of an index array, in its order."""
        sizes = np.diff(self.offsets)[index]
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[index] - offsets[:-1], sizes)
        return Polygons(self.xy[rows], offsets)

    def to_shapely(self) -> np.ndarray:
        """[m] shapely geometries; degenerate rings become lines or points."""
        points = shapely.multipoints(shapely.points(self.xy), indices=self.owner)
        shapes = shapely.convex_hull(points)
        proper = np.flatnonzero(np.diff(self.offsets) >= 3)
        rings = self.take(proper)
        if len(proper):
            shapes[proper] = shapely.polygons(shapely.linearrings(rings.xy, indices=rings.owner))
        return shapes

    def _sums(self, values: np.ndarray) -> np.ndarray:
        """Sum over each ring's vertices, in float64."""
        return (
            np.add.reduceat(values.astype(np.float64), self.offsets[:-1], axis=0)
            if len(self)
            else values[:0].astype(np.float64)
        )

    def _edges_around(self, centre: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Starts and ends [vertices, 2] of all edges about their polygon's `centre`, and cross products [vertices]."""
        a = self.xy.astype(np.float64) - centre[self.owner]
        b = a[self.following]
        return a, b, a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def convex_hulls(points: np.ndarray, *, group: np.ndarray, groups: int) -> Polygons:
    """Convex hull of each group's points.

    Parameters: points [n, 2] um; group [n] in 0..groups-1 or -1 (left out). Every group must have a point.
    """
    rows = np.flatnonzero(group >= 0)
    rows = rows[np.argsort(group[rows], kind="stable")]
    if groups == 0:
        return Polygons(np.zeros((0, 2), np.float32), np.zeros(1, np.int64))
    sizes = np.bincount(group[rows], minlength=groups)
    assert np.all(sizes), "a group without points has no hull"
    starts = np.concatenate([[0], np.cumsum(sizes)])
    hulls = []
    for first in range(0, groups, AT_ONCE):
        mine = rows[starts[first] : starts[min(first + AT_ONCE, groups)]]
        clouds = shapely.multipoints(shapely.points(points[mine].astype(np.float64)), indices=group[mine] - first)
        hulls.append(from_shapely(shapely.convex_hull(clouds)))
    return joined(hulls)


def joined(parts: Sequence[Polygons]) -> Polygons:
    """The polygons of all parts, in order."""
    sizes = np.concatenate([np.diff(part.offsets) for part in parts])
    return Polygons(np.concatenate([part.xy for part in parts]), np.concatenate([[0], np.cumsum(sizes)]))


def from_shapely(shapes: np.ndarray) -> Polygons:
    """Outer rings of shapely polygons (or of the lines and points that degenerate hulls are), as float32."""
    rings = np.where(shapely.get_type_id(shapes) == 3, shapely.get_exterior_ring(shapes), shapes)
    xy, owner = shapely.get_coordinates(rings, return_index=True)
    closing = np.append(owner[1:] != owner[:-1], True) & (shapely.get_type_id(rings) == 2)[owner]
    xy, owner = xy[~closing], owner[~closing]
    return Polygons(xy.astype(np.float32), np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(shapes)))]))


def shape_features(polygons: Polygons, *, transcripts: np.ndarray) -> np.ndarray:
    """The features named in `FEATURES` of each polygon that holds `transcripts` [m] transcripts -> [m, 5] float32."""
    area = np.maximum(polygons.areas, SMALLEST_AREA_UM2)
    hull = np.concatenate([_hull_areas(part) for part in polygons.parts()]) if len(polygons) else area
    convexity = np.minimum(area / np.maximum(hull, SMALLEST_AREA_UM2), 1)
    circularity = np.minimum(4 * np.pi * area / np.maximum(polygons.perimeters, 1e-6) ** 2, 1)
    columns = [np.log(area), convexity, polygons.elongations, circularity, transcripts / area]
    return np.stack(columns, axis=1).astype(np.float32)


def _hull_areas(polygons: Polygons) -> np.ndarray:
    return convex_hulls(polygons.xy, group=polygons.owner, groups=len(polygons)).areas


def inner_share(points: np.ndarray, *, group: np.ndarray, groups: int, share: float, min_points: int) -> np.ndarray:
    """Which points [n] belong to the inner `share` of their group, by distance to the mean of the group's points.

    Groups with fewer than `min_points` stay whole; of the others at least three points remain. Points with group -1 are
    not inner. Ties go to the earlier point.
    """
    rows = np.flatnonzero(group >= 0)
    of = group[rows]
    size = np.bincount(of, minlength=groups)
    mean = np.stack([np.bincount(of, points[rows, axis], minlength=groups) for axis in (0, 1)], axis=1)
    mean /= np.maximum(size, 1)[:, None]
    distance = np.hypot(*(points[rows] - mean[of]).T)
    order = np.lexsort((distance, of))
    rank = np.arange(len(rows)) - (np.cumsum(size) - size)[of[order]]
    quota = np.where(size >= min_points, np.maximum(np.floor(size * share), 3), size)
    inner = np.zeros(len(points), bool)
    inner[rows[order[rank < quota[of[order]]]]] = True
    return inner
