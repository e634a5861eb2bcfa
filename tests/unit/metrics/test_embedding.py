"""Effective rank, components and cosines against definitions written out, and against planted collapses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from ml_core.metrics.embedding import (
    components_for,
    effective_rank,
    geometry,
    mean_cosine,
    mean_cosine_between,
    sampled_cosines,
    variances,
)

MATRICES = st.tuples(st.integers(0, 2**32 - 1), st.integers(2, 40), st.integers(1, 12))


def gaussian(seed: int, n: int, f: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(rng.normal(), 1, (n, f)) * rng.exponential(1, f)


@given(MATRICES)
@settings(max_examples=100, deadline=None)
def test_effective_rank_is_the_entropy_of_the_singular_values(shape: tuple[int, int, int]) -> None:
    rows = gaussian(*shape)
    singular = np.linalg.svd(rows, compute_uv=False)
    share = singular / singular.sum()
    assert effective_rank(rows) == pytest.approx(np.exp(-(share * np.log(share + 1e-300)).sum()), rel=1e-5)
    assert 1 - 1e-9 <= effective_rank(rows) <= min(rows.shape) + 1e-9


@given(MATRICES)
@settings(max_examples=100, deadline=None)
def test_components_are_those_of_a_pca(shape: tuple[int, int, int]) -> None:
    rows = gaussian(*shape)
    ratio = np.cumsum(PCA().fit(rows).explained_variance_ratio_)
    assert components_for(variances(rows), 0.9) == int((ratio < 0.9 - 1e-12).sum()) + 1


@given(MATRICES)
@settings(max_examples=100, deadline=None)
def test_cosines_are_means_over_all_pairs(shape: tuple[int, int, int]) -> None:
    rows = gaussian(*shape)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    all_pairs = unit @ unit.T
    assert mean_cosine(rows) == pytest.approx(all_pairs[~np.eye(len(rows), dtype=bool)].mean(), abs=1e-9)
    half = len(rows) // 2
    assert mean_cosine_between(rows[:half], rows[half:]) == pytest.approx(all_pairs[:half, half:].mean(), abs=1e-9)


@given(MATRICES, st.floats(0.01, 100))
@settings(max_examples=50, deadline=None)
def test_scale_and_rotation_change_nothing(shape: tuple[int, int, int], scale: float) -> None:
    rows = gaussian(*shape)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(rows.shape[1], rows.shape[1])))[0]
    before, after = geometry(rows), geometry(scale * rows @ turn)
    assert after.effective_rank == pytest.approx(before.effective_rank, rel=1e-5)
    assert after.within_cosine == pytest.approx(before.within_cosine, abs=1e-6)
    assert (after.pca90, after.pca95) == (before.pca90, before.pca95)


def test_components_have_no_cap() -> None:
    """A good embedding of 200 dimensions needs far more than the 50 at which others stop counting."""
    rows = np.random.default_rng(0).normal(size=(5000, 200))
    assert geometry(rows).pca90 > 150
    assert geometry(rows).effective_rank > 190


def test_one_row_for_all_plus_rounding_has_rank_one_and_no_components() -> None:
    rng = np.random.default_rng(0)
    rows = (rng.normal(size=64) + rng.normal(0, 1e-7, (300, 64))).astype(np.float32)
    found = geometry(rows)
    assert found.effective_rank == pytest.approx(1, abs=0.01)
    assert (found.pca90, found.pca95) == (0, 0)
    assert found.within_cosine == pytest.approx(1)


def test_planted_groups_show_in_the_sampled_cosines() -> None:
    rows = np.repeat(np.eye(4), 50, axis=0)
    cosines = sampled_cosines(rows, pairs=4000, seed=0)
    assert set(np.round(cosines, 9)) == {0.0, 1.0}
    assert cosines.mean() == pytest.approx(mean_cosine(rows), abs=0.03)


def test_what_is_not_finite_has_no_geometry() -> None:
    found = geometry(np.array([[1.0, np.nan], [0.0, 1.0]]))
    assert np.isnan(found.effective_rank)
    assert np.isnan(found.within_cosine)
    assert effective_rank(np.zeros((5, 3))) == 0
    assert np.isnan(mean_cosine(np.ones((1, 3))))
