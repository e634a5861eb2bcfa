"""AUROC and AUPRC are scikit-learn's; negatives are never known pairs; matched ones have the degrees of the true."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.metrics import average_precision_score, roc_auc_score

from ml_core.metrics.bootstrap import draw_weights, interval, weighted_means
from ml_core.metrics.separation import auroc_contributions, corrupt, separate, separate_sets


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 4), st.booleans())
@settings(max_examples=150, deadline=None)
def test_separation_is_that_of_scikit_learn(seed: int, pairs: int, per_pair: int, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    positive = rng.integers(0, 6, pairs).astype(float)
    negative = rng.integers(-2, 5, (pairs, per_pair)).astype(float)
    negative[rng.random(negative.shape) < 0.2] = np.nan
    weights = rng.integers(0, 3, (1, pairs)).astype(np.float32) if weighted else None
    count = np.ones(pairs) if weights is None else weights[0]
    there = ~np.isnan(negative)
    weight = np.concatenate([count, np.repeat(count[:, None], per_pair, axis=1)[there]])
    label = np.arange(len(weight)) < pairs
    scores = np.concatenate([positive, negative[there]])
    found = separate(positive, negative, weights=weights)
    if not weight[label].sum() or not weight[~label].sum():
        assert np.isnan(found.auroc).all()
        return
    assert found.auroc[0] == pytest.approx(roc_auc_score(label, scores, sample_weight=weight))
    balanced = np.where(label, weight, weight * weight[label].sum() / weight[~label].sum())
    assert found.auprc[0] == pytest.approx(average_precision_score(label, scores, sample_weight=balanced))


def test_a_score_that_is_no_number_separates_nothing() -> None:
    found = separate(np.array([1.0, np.nan]), np.zeros((2, 3)))
    assert np.isnan(found.auroc).all()
    assert np.isnan(found.auprc).all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_the_mean_of_the_contributions_is_the_auroc(seed: int, pairs: int, per_pair: int) -> None:
    rng = np.random.default_rng(seed)
    positive, negative = rng.integers(0, 6, pairs).astype(float), rng.integers(-2, 5, (pairs, per_pair)).astype(float)
    negative[rng.random(negative.shape) < 0.2] = np.nan
    expected = separate(positive, negative).auroc[0]
    np.testing.assert_allclose(auroc_contributions(positive, negative).mean(), expected, equal_nan=True)


def test_resampled_contributions_have_the_interval_of_the_resampled_auroc() -> None:
    """Negatives of one pair go up and down together, so that the pair is the unit."""
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 1, (200, 1))
    positive, negative = rng.normal(1, 1, 200), shared + rng.normal(0, 0.3, (200, 10))
    weights = draw_weights(200, draws=1000, seed=0)
    exact = interval(separate(positive, negative, weights=weights).auroc)
    ours = interval(weighted_means(auroc_contributions(positive, negative), weights))
    assert ours == pytest.approx(exact, abs=0.004)
    assert exact[1] - exact[0] > 0.05


def test_two_sets_resample_each_by_itself() -> None:
    rng = np.random.default_rng(0)
    positive, negative = rng.normal(1, 1, 80), rng.normal(0, 1, 240)
    label = np.arange(320) < 80
    exact = roc_auc_score(label, np.concatenate([positive, negative]))
    assert separate_sets(positive, negative).auroc[0] == pytest.approx(exact)
    drawn = separate_sets(positive, negative, draws=400, seed=0).auroc
    low, high = interval(drawn)
    assert low < exact < high
    hanley_mcneil = np.sqrt(
        (exact * (1 - exact) + 79 * (exact / (2 - exact) - exact**2) + 239 * (2 * exact**2 / (1 + exact) - exact**2))
        / (80 * 240)
    )
    assert drawn.std() == pytest.approx(hanley_mcneil, rel=0.2)


def zipf_pairs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """300 different pairs whose rows and columns are taken the more often, the lower their number."""
    rng = np.random.default_rng(seed)
    weight = 1 / np.arange(1, 61)
    pairs = {tuple(rng.choice(60, 2, p=weight / weight.sum())) for _ in range(700)}
    rows, columns = np.array(sorted(pairs)[:300]).T
    return rows, columns


@given(st.integers(0, 10_000), st.booleans(), st.sampled_from([2, 4, 10]))
@settings(max_examples=30, deadline=None)
def test_negatives_are_unknown_and_change_one_side(seed: int, matched: bool, per_pair: int) -> None:
    rows, columns = zipf_pairs(seed)
    known = sparse.csr_matrix((np.ones(len(rows), bool), (rows, columns)), shape=(60, 60))
    found = corrupt(rows, columns, known=known, per_pair=per_pair, matched=matched, rng=np.random.default_rng(seed))
    there = found.rows >= 0
    assert not np.asarray(known[found.rows[there], found.columns[there]]).any()
    half = per_pair // 2
    same_row, same_column = found.rows == rows[:, None], found.columns == columns[:, None]
    assert (same_row | ~there)[:, :half].all()
    assert (same_column | ~there)[:, half:].all()


def test_where_all_pairs_are_known_there_is_no_negative() -> None:
    known = sparse.csr_matrix(np.ones((2, 2), bool))
    rows, columns = np.array([0, 1]), np.array([0, 1])
    found = corrupt(rows, columns, known=known, per_pair=4, matched=False, rng=np.random.default_rng(0))
    assert (found.rows == -1).all()
    assert (found.columns == -1).all()


def test_popularity_tells_uniform_negatives_apart_and_matched_ones_not() -> None:
    """The trap of data/README: with uniform negatives the degree alone looks like a good model."""
    rng = np.random.default_rng(0)
    weight = 1 / np.arange(1, 2001)
    pairs = {tuple(rng.choice(2000, 2, p=weight / weight.sum())) for _ in range(6000)}
    rows, columns = np.array(sorted(pairs)).T
    known = sparse.csr_matrix((np.ones(len(rows), bool), (rows, columns)), shape=(2000, 2000))
    degree = [np.bincount(side, minlength=2000) for side in (rows, columns)]
    found = {}
    for matched in (False, True):
        negatives = corrupt(rows, columns, known=known, per_pair=4, matched=matched, rng=np.random.default_rng(1))
        product = np.log1p(degree[0][negatives.rows]) + np.log1p(degree[1][negatives.columns])
        negative = np.where(negatives.rows >= 0, product, np.nan)
        found[matched] = separate(np.log1p(degree[0][rows]) + np.log1p(degree[1][columns]), negative).auroc[0]
    assert found[False] > 0.75
    assert found[True] < 0.58


def test_resampling_draws_as_many_units_as_there_are_and_each_equally_often() -> None:
    weights = draw_weights(40, draws=2000, seed=0)
    assert (weights.sum(axis=1) == 40).all()
    np.testing.assert_allclose(weights.mean(axis=0), 1, atol=0.12)
    np.testing.assert_array_equal(weights, draw_weights(40, draws=2000, seed=0))
