"""Neighbours are those of scikit-learn, candidates those of shapely; shrunken views hide what they say they hide."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from ml_core.families.segger.data import load_graph
from ml_core.families.segger.geometry import convex_hulls
from ml_core.families.segger.graph import nearest_neighbours, shrink


@given(seed=st.integers(0, 10_000), k=st.integers(1, 6))
def test_neighbours_are_those_of_scikit_learn(seed: int, k: int) -> None:
    xy = np.random.default_rng(seed).uniform(0, 20, (120, 2)).astype(np.float32)
    found = nearest_neighbours(xy, k=k, max_distance_um=3.0, workers=1)
    distance, index = NearestNeighbors(n_neighbors=k + 1).fit(xy).kneighbors(xy)
    expected = np.where(distance[:, 1:] <= 3.0, index[:, 1:], -1)
    np.testing.assert_array_equal(found, expected)


def test_points_at_one_place_are_neighbours_of_each_other_and_never_of_themselves() -> None:
    xy = np.zeros((9, 2), np.float32)
    found = nearest_neighbours(xy, k=4, max_distance_um=1.0, workers=1)
    assert np.all(found >= 0)
    assert np.all(found != np.arange(9)[:, None])
    assert all(len(set(row)) == 4 for row in found.tolist())


@given(seed=st.integers(0, 10_000), k=st.integers(1, 8))
def test_equally_far_points_come_in_the_order_of_their_index(seed: int, k: int) -> None:
    """On a grid, as pixels are, most distances are tied."""
    xy = np.random.default_rng(seed).integers(0, 9, (150, 2)).astype(np.float32)
    found = nearest_neighbours(xy, k=k, max_distance_um=3.0, workers=1)
    squared = ((xy[:, None] - xy[None]) ** 2).sum(axis=2)
    np.fill_diagonal(squared, -1)
    order = np.argsort(squared, axis=1, kind="stable")[:, 1 : k + 1]
    expected = np.where(np.take_along_axis(squared, order, axis=1) <= 9, order, -1)
    np.testing.assert_array_equal(found, expected)


def test_the_distance_is_a_limit_that_may_be_reached() -> None:
    xy = np.array([[0, 0], [5, 0], [10.5, 0]], np.float32)
    assert nearest_neighbours(xy, k=1, max_distance_um=5.0, workers=1).tolist() == [[1], [0], [-1]]


def test_fewer_points_than_neighbours_are_padded() -> None:
    assert nearest_neighbours(np.zeros((1, 2), np.float32), k=3, max_distance_um=5.0, workers=1).tolist() == [[-1] * 3]


def test_a_shrunken_nucleus_is_the_hull_of_what_stays_labelled() -> None:
    rng = np.random.default_rng(0)
    xy = np.concatenate([rng.normal(size=(40, 2)), rng.normal(size=(6, 2)) + 20]).astype(np.float32)
    nucleus = np.repeat([0, 1], [40, 6])
    whole = convex_hulls(xy, group=nucleus, groups=2)
    labelled, polygons = shrink(whole, xy=xy, nucleus=nucleus, share=0.5, min_points=12)
    assert labelled.sum() == 20 + 6
    np.testing.assert_allclose(
        polygons.areas[0], convex_hulls(xy[:40][labelled[:40]], group=np.zeros(20, int), groups=1).areas[0]
    )
    np.testing.assert_allclose(polygons.areas[1], whole.areas[1])
    assert polygons.areas[0] < whole.areas[0]


def test_the_graph_holds_every_kept_transcript_once_and_points_back_to_its_row(sample) -> None:
    graph = load_graph(sample.folder / "graph")
    table = pd.read_parquet(sample.folder / "transcripts" / "transcripts.parquet")
    assert sorted(graph.rows) == np.flatnonzero(table.status == 0).tolist()
    np.testing.assert_array_equal(graph.xy, table[["x_um", "y_um"]].to_numpy()[graph.rows])
    np.testing.assert_array_equal(graph.gene, table.gene.to_numpy()[graph.rows])
    np.testing.assert_array_equal(graph.nucleus, table.nucleus.to_numpy()[graph.rows])


def test_candidates_are_sorted_within_reach_and_padded_alike(sample) -> None:
    for view in load_graph(sample.folder / "graph").views.values():
        assert np.all(np.diff(np.where(np.isinf(view.distance), 1e9, view.distance), axis=1) >= 0)
        np.testing.assert_array_equal(view.candidates >= 0, np.isfinite(view.distance))
        assert view.distance[view.candidates >= 0].max() <= 15
        assert view.features.shape == (len(view.polygons), 5)
        assert np.isfinite(view.features).all()


def test_held_out_transcripts_are_nuclear_and_were_not_used_for_the_view(sample) -> None:
    graph = load_graph(sample.folder / "graph")
    assert not graph.held_out("full").any()
    held_out = graph.held_out("0.50")
    assert held_out.any()
    assert np.all(graph.nucleus[held_out] >= 0)
    assert not np.any(held_out & graph.views["0.50"].labelled)
