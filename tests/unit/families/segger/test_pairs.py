"""Features of candidate edges: their scale, their padding, and what the neighbours' genes say."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ml_core.families.segger import pairs

NOTHING = (np.zeros((3, 2)), np.zeros((3, 2)))


def test_features_are_of_order_one_for_every_place_and_shape() -> None:
    rng = np.random.default_rng(0)
    n, k = 500, 4
    distance = np.sort(np.where(rng.random((n, k)) < 0.2, np.inf, rng.exponential(5, (n, k))), axis=1)
    shape = np.stack(
        [rng.uniform(-8, 6, (n, k)), *rng.random((3, n, k)), rng.exponential(1, (n, k))], axis=2
    )  # also hulls without an area
    found = pairs.geometry(
        distance,
        distance + 3,
        others=pairs.nearest_other(distance),
        shape=shape,
        density=rng.normal(size=n),
    )
    assert found.shape == (n, k, pairs.GEOMETRY)
    assert np.isfinite(found).all()
    assert np.abs(found).max() < 20


def test_the_nearest_other_candidate_is_never_the_candidate_itself() -> None:
    distance = np.array([[1.0, 2.0, 5.0], [0.0, np.inf, np.inf]])
    assert pairs.nearest_other(distance).tolist() == [[2.0, 1.0, 1.0], [np.inf, 0.0, 0.0]]
    assert pairs.nearest_other(distance[:, :1]).tolist() == [[np.inf], [np.inf]]


@given(st.floats(0.2, 5))
def test_density_falls_as_the_neighbours_move_away(step: float) -> None:
    neighbours = np.array([[1, 2], [0, 2], [0, 1], [-1, -1]])
    near, far = (pairs.local_density(np.where(neighbours >= 0, length, 0.0), neighbours) for length in (step, step * 2))
    assert (near[:3] > far[:3]).all()
    assert near[3] == far[3]


def test_neighbours_vouch_for_the_nucleus_whose_genes_they_are() -> None:
    ratio = np.array([[2.0, -1.0], [-1.0, 2.0]], np.float32)
    gene = np.array([0, 0, 1])
    nuclei, neighbours = np.array([[0, 1], [1, -1], [-1, -1]]), np.array([[1, 2], [0, -1], [-1, -1]])
    found = pairs.neighbours_under_profile(ratio, nuclei, gene, neighbours, own_gene=gene, taken_out=NOTHING)
    np.testing.assert_allclose(found, [[1 / 5, 1 / 5], [-1 / 4, 0], [0, 0]], rtol=1e-6)


def test_the_transcript_itself_is_taken_out_where_neighbours_have_its_gene() -> None:
    ratio, gene = np.zeros((2, 2), np.float32), np.array([0, 0, 1])
    nuclei, neighbours = np.array([[0, 1]] * 3), np.array([[1, 2], [0, 2], [0, 1]])
    own, other = np.full((3, 2), -1.0), np.full((3, 2), 0.1)
    found = pairs.neighbours_under_profile(ratio, nuclei, gene, neighbours, own_gene=gene, taken_out=(own, other))
    np.testing.assert_allclose(found[:, 0], [(-1 + 0.1) / 5, (-1 + 0.1) / 5, 0.2 / 5], rtol=1e-6)


def test_the_best_candidate_is_zero_below_the_best_and_further_nuclei_do_not_move_it() -> None:
    ratio, gene = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32), np.array([0, 1, 1])
    nuclei, neighbours = np.array([[0, 1, 3], [1, 2, 4], [2, -1, 0]]), np.array([[1, 2], [0, 2], [0, 1]])
    nothing = (np.zeros((3, 3)), np.zeros((3, 3)))
    found, other = (
        pairs.context(ratio, some, gene, circles=(neighbours,), candidates=2, own_gene=gene, taken_out=nothing)
        for some in (nuclei, np.where([True, True, False], nuclei, 0))
    )
    assert np.where(nuclei[:, :2] >= 0, found[:, :2, 1], -1.0).max(axis=1).tolist() == [0, 0, 0]
    np.testing.assert_array_equal(found[:, :2], other[:, :2])
