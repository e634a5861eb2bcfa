"""The nearest polygons are those that shapely finds, one pair at a time."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import example, given
from hypothesis import strategies as st

from ml_core.families.segger import reach
from ml_core.families.segger.geometry import Polygons, convex_hulls
from ml_core.families.segger.nearest import nearest_polygons
from ml_core.families.segger.runs import ranges
from ml_core.families.segger.strips import Strips, by_strip_and_y


def by_shapely(points: np.ndarray, shapes: np.ndarray, *, k: int, limit: float) -> tuple[np.ndarray, np.ndarray]:
    distance = shapely.distance(shapely.points(points.astype(float))[:, None], shapes[None])
    centre = shapely.get_coordinates(shapely.centroid(shapes))
    beside = np.hypot(*(points[:, None].astype(float) - centre[None]).transpose(2, 0, 1))
    order = np.lexsort((beside, distance), axis=1)[:, :k]
    sorted_distance = np.take_along_axis(distance, order, axis=1)
    return np.where(sorted_distance <= limit, order, -1), np.where(sorted_distance <= limit, sorted_distance, np.inf)


@given(seed=st.integers(0, 100_000), convex=st.booleans())
@example(seed=0, convex=True)
def test_index_and_distance_are_those_of_shapely(seed: int, convex: bool) -> None:
    rng = np.random.default_rng(seed)
    rings = []
    for _ in range(12):
        turn = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(5, 20)))
        radius = 4.0 if convex else rng.uniform(1.5, 5, (len(turn), 1))
        rings.append(rng.uniform(0, 50, 2) + radius * np.stack([np.cos(turn), np.sin(turn)], axis=1))
    offsets = np.concatenate([[0], np.cumsum([len(ring) for ring in rings])])
    polygons = Polygons(np.concatenate(rings).astype(np.float32), offsets)
    points = rng.uniform(-10, 60, (150, 2)).astype(np.float32)
    index, distance = nearest_polygons(points, polygons=polygons, k=4, max_distance_um=15.0)
    shapes = np.array([shapely.Polygon(ring.astype(float)) for ring in np.split(polygons.xy, offsets[1:-1])])
    expected_index, expected = by_shapely(points, shapes, k=4, limit=15.0)
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(np.isfinite(distance), finite)
    np.testing.assert_allclose(distance[finite], expected[finite], atol=2e-6, rtol=2e-6)
    np.testing.assert_array_equal(distance == 0, expected == 0)
    np.testing.assert_array_equal(index, expected_index)


def test_points_that_made_a_hull_lie_inside_it() -> None:
    points = (np.random.default_rng(3).normal(size=(400, 2)) * 3 + [9000, 12000]).astype(np.float32)
    group = np.repeat(np.arange(20), 20)
    hulls = convex_hulls(points, group=group, groups=20)
    index, distance = nearest_polygons(points, polygons=hulls, k=20, max_distance_um=15.0)
    own = index == group[:, None]
    assert own.any(axis=1).all()
    assert np.all(distance[own] == 0)


def test_rings_without_area_are_lines_and_points() -> None:
    rings = Polygons(np.array([[0, 0], [10, 0], [5, 5]], np.float32), np.array([0, 2, 3]))
    index, distance = nearest_polygons(np.array([[5.0, 1.0], [5.0, 4.0]]), polygons=rings, k=2, max_distance_um=9.0)
    assert index.tolist() == [[0, 1], [1, 0]]
    np.testing.assert_allclose(distance, [[1, 4], [1, 4]])


def test_no_polygons_and_none_in_reach_give_padding() -> None:
    far = Polygons(np.array([[100, 100], [101, 100], [100, 101]], np.float32), np.array([0, 3]))
    none = Polygons(np.zeros((0, 2), np.float32), np.zeros(1, np.int64))
    for polygons in (far, none):
        index, distance = nearest_polygons(np.zeros((3, 2)), polygons=polygons, k=2, max_distance_um=5.0)
        assert np.all(index == -1)
        assert np.all(np.isinf(distance))


def test_points_in_any_order_get_the_same_answers() -> None:
    rng = np.random.default_rng(5)
    points = rng.uniform(0, 40, (300, 2)).astype(np.float32)
    hulls = convex_hulls(points, group=np.arange(300) // 10, groups=30)
    index, distance = nearest_polygons(points, polygons=hulls, k=3, max_distance_um=8.0)
    order = rng.permutation(300)
    other_index, other_distance = nearest_polygons(points[order], polygons=hulls, k=3, max_distance_um=8.0)
    np.testing.assert_array_equal(other_index, index[order])
    np.testing.assert_array_equal(other_distance, distance[order])


@given(seed=st.integers(0, 10_000), strips=st.sampled_from([1, 9, 70_000]), heights=st.sampled_from([3, 40, 10_000]))
def test_the_order_is_that_of_a_stable_sort(seed: int, strips: int, heights: int) -> None:
    rng = np.random.default_rng(seed)
    strip, y = rng.integers(0, strips, 300).astype(np.int32), rng.integers(0, heights, 300).astype(np.float32)
    np.testing.assert_array_equal(by_strip_and_y(strip, y), np.lexsort((y, strip)))


@given(seed=st.integers(0, 10_000), per_block=st.sampled_from([1, 60, 700]))
def test_what_a_polygon_is_to_a_point_hangs_on_nothing_else(seed: int, per_block: int) -> None:
    """The same bits whatever else is measured beside: other points, other polygons, other blocks."""
    rng = np.random.default_rng(seed)
    points = (rng.uniform(0, 60, (200, 2)) + 3000).astype(np.float32)
    hulls = convex_hulls(
        (np.repeat(rng.uniform(0, 60, (25, 2)), 8, axis=0) + rng.normal(3000, 3, (200, 2))).astype(np.float32),
        group=np.repeat(np.arange(25), 8),
        groups=25,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reach, "PAIRS_AT_ONCE", per_block)
        index, distance = nearest_polygons(points, polygons=hulls, k=25, max_distance_um=15.0)
    for few in (points[:1], points[50:120]):
        alone = nearest_polygons(few, polygons=hulls, k=25, max_distance_um=15.0)
        at = slice(0, 1) if len(few) == 1 else slice(50, 120)
        np.testing.assert_array_equal(alone[0], index[at])
        np.testing.assert_array_equal(alone[1], distance[at])
    (one,) = (nearest_polygons(points, polygons=hulls.take(np.array([7])), k=1, max_distance_um=15.0)[1],)
    np.testing.assert_array_equal(one[:, 0], np.where(index == 7, distance, np.inf).min(axis=1))


@given(seed=st.integers(0, 10_000))
def test_a_box_gives_all_of_its_points(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 50, (80, 2))
    strips = Strips.of(points)
    low = rng.uniform(-10, 50, (4, 2))
    boxes = np.hstack([low, low + rng.uniform(0, 30, (4, 2))])
    crossing, strip = strips.crossed(boxes)
    begin, count = strips.runs(strip, low=boxes[crossing, 1], high=boxes[crossing, 3])
    for number, box in enumerate(boxes):
        places = ranges(begin[crossing == number], count[crossing == number])
        inside = np.flatnonzero(np.all((points >= box[:2]) & (points <= box[2:]), axis=1))
        assert set(inside) <= set(strips.order[places])
        assert len(set(places)) == len(places)


def test_a_reach_of_zero_finds_the_polygons_that_hold_the_point() -> None:
    square = Polygons(np.array([[0, 0], [4, 0], [4, 4], [0, 4]], np.float32), np.array([0, 4]))
    points = np.array([[1.0, 1.0], [4.0, 2.0], [4.1, 2.0]])
    index, distance = nearest_polygons(points, polygons=square, k=1, max_distance_um=0.0)
    assert index[:, 0].tolist() == [0, 0, -1]
    assert distance[:2, 0].tolist() == [0, 0]
