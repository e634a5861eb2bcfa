"""Hulls, shape features and inner parts agree with shapely and with the definitions."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from ml_core.families.segger.geometry import (
    FEATURES,
    SMALLEST_AREA_UM2,
    Polygons,
    convex_hulls,
    from_shapely,
    inner_share,
    joined,
    shape_features,
)


def stars(count: int, seed: int) -> Polygons:
    """Irregular star-shaped polygons of 3 to 20 vertices."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(3, 20, count)
    rings = []
    for size in sizes:
        turn = np.sort(rng.uniform(0, 2 * np.pi, size))
        rings.append(rng.uniform(0, 60, 2) + rng.uniform(1, 6, (size, 1)) * np.stack([np.cos(turn), np.sin(turn)], 1))
    return Polygons(np.concatenate(rings).astype(np.float32), np.concatenate([[0], np.cumsum(sizes)]))


@given(seed=st.integers(0, 10_000))
def test_areas_perimeters_and_centroids_are_those_of_shapely(seed: int) -> None:
    polygons = stars(8, seed)
    shapes = [shapely.Polygon(ring) for ring in np.split(polygons.xy, polygons.offsets[1:-1])]
    np.testing.assert_allclose(polygons.areas, shapely.area(shapes), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(polygons.perimeters, shapely.length(shapes), rtol=1e-5)
    large = np.abs(polygons.areas) > 1
    centroids = shapely.get_coordinates(shapely.centroid(shapes))
    np.testing.assert_allclose(polygons.centroids[large], centroids[large], atol=1e-3)


@given(seed=st.integers(0, 10_000))
def test_convex_hulls_are_those_of_shapely_whatever_the_order_of_the_groups(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 30, (200, 2)).astype(np.float32)
    group = rng.permutation(np.concatenate([np.repeat(np.arange(5), 30), np.full(50, -1)]))
    hulls = convex_hulls(points, group=group, groups=5).to_shapely()
    for number, hull in enumerate(hulls):
        assert hull.equals(shapely.MultiPoint(points[group == number].astype(float)).convex_hull)


def test_a_hull_of_points_on_a_line_stays_a_ring_with_finite_features() -> None:
    points = np.array([[0, 0], [1, 1], [2, 2], [5, 5], [5, 5], [5, 5]], np.float32)
    hulls = convex_hulls(points, group=np.array([0, 0, 0, 1, 1, 1]), groups=2)
    assert np.diff(hulls.offsets).tolist() == [2, 1]
    np.testing.assert_allclose(hulls.centroids, [[1, 1], [5, 5]])
    features = shape_features(hulls, transcripts=np.array([3, 3]))
    assert np.isfinite(features).all()
    np.testing.assert_allclose(features[:, 0], np.log(SMALLEST_AREA_UM2), rtol=1e-6)


def test_features_of_a_square_and_of_a_rectangle_are_those_of_the_definitions() -> None:
    shapes = np.array([shapely.box(0, 0, 2, 2), shapely.box(10, 10, 18, 12)])
    features = dict(zip(FEATURES, shape_features(from_shapely(shapes), transcripts=np.array([8, 4])).T, strict=True))
    np.testing.assert_allclose(features["log_area_um2"], np.log([4, 16]), rtol=1e-6)
    np.testing.assert_allclose(features["convexity"], [1, 1])
    np.testing.assert_allclose(features["elongation"], [1, 4], rtol=1e-5)
    np.testing.assert_allclose(features["circularity"], [4 * np.pi * 4 / 64, 4 * np.pi * 16 / 400], rtol=1e-6)
    np.testing.assert_allclose(features["density_per_um2"], [2, 0.25])


def test_features_do_not_change_when_a_polygon_is_turned_or_reversed() -> None:
    shape = shapely.Polygon([(0, 0), (6, 0), (6, 2), (2, 2), (2, 5), (0, 5)])
    turned = shapely.affinity.rotate(shape, 37)
    features = shape_features(
        from_shapely(np.array([shape, turned, shapely.reverse(shape)])), transcripts=np.full(3, 5)
    )
    np.testing.assert_allclose(features[1], features[0], rtol=1e-4)
    np.testing.assert_allclose(features[2], features[0], rtol=1e-5)
    assert features[0, 1] < 1


def test_taking_and_joining_polygons_keeps_their_rings() -> None:
    polygons = stars(5, 1)
    both = joined([polygons, polygons]).take(np.array([7, 0]))
    np.testing.assert_array_equal(both.xy[: both.offsets[1]], polygons.xy[polygons.offsets[2] : polygons.offsets[3]])
    np.testing.assert_array_equal(both.xy[both.offsets[1] :], polygons.xy[: polygons.offsets[1]])


def test_the_inner_half_of_a_nucleus_is_the_half_nearest_to_its_centre() -> None:
    points = np.stack([np.arange(12) - 5.5, np.zeros(12)], axis=1)
    inner = inner_share(points, group=np.zeros(12, int), groups=1, share=0.5, min_points=12)
    assert np.flatnonzero(inner).tolist() == [3, 4, 5, 6, 7, 8]


def test_nuclei_with_too_few_transcripts_stay_whole_and_others_never_count() -> None:
    points = np.random.default_rng(0).normal(size=(30, 2))
    group = np.repeat([0, 1, -1], [11, 12, 7])
    inner = inner_share(points, group=group, groups=2, share=0.3, min_points=12)
    assert [int(inner[group == number].sum()) for number in (0, 1, -1)] == [11, 3, 0]


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_the_inner_share_has_the_size_that_is_asked_for(share: float) -> None:
    points = np.random.default_rng(1).normal(size=(100, 2))
    inner = inner_share(points, group=np.zeros(100, int), groups=1, share=share, min_points=12)
    assert inner.sum() == int(np.floor(100 * share))
