"""Rarefaction draws as many reads as asked, without replacement, and each sample by itself."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from ml_core.families.sequence.rarefaction import rarefied, rarefied_sample


def table(seed: int, samples: int = 5, asvs: int = 9) -> sparse.csr_matrix:
    counts = np.random.default_rng(seed).integers(0, 40, (samples, asvs)) + np.eye(samples, asvs, dtype=np.int64) * 30
    return sparse.csr_matrix(counts.astype(np.int32))


def names(count: int) -> np.ndarray:
    return np.array([f"s{number}" for number in range(count)], object)


@given(st.integers(0, 1000), st.integers(1, 30))
def test_every_sample_has_the_depth_and_no_read_that_it_had_not(seed: int, depth: int) -> None:
    whole = table(seed)
    drawn = rarefied(whole, sample_ids=names(5), depth=depth, seed=seed)
    assert (drawn.sum(axis=1) == depth).all()
    assert (drawn.toarray() <= whole.toarray()).all()
    assert drawn.dtype == np.int32
    assert drawn.data.all()


def test_a_seed_gives_the_same_draw_and_another_seed_another() -> None:
    draws = [rarefied(table(0), sample_ids=names(5), depth=25, seed=seed).toarray() for seed in (1, 1, 2)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0] != draws[2]).any()


def test_a_samples_draw_depends_neither_on_other_samples_nor_on_asvs_that_it_has_not() -> None:
    whole = table(0)
    drawn = rarefied(whole, sample_ids=names(5), depth=25, seed=3)
    alone = rarefied(whole[3:4], sample_ids=names(5)[3:4], depth=25, seed=3)
    np.testing.assert_array_equal(drawn[3].toarray(), alone.toarray())
    wider = sparse.hstack([sparse.csr_matrix((5, 4), dtype=np.int32), whole], format="csr")
    np.testing.assert_array_equal(
        rarefied(wider, sample_ids=names(5), depth=25, seed=3).toarray()[:, 4:], drawn.toarray()
    )


def test_the_table_that_is_drawn_from_stays_as_it_was() -> None:
    whole = table(0)
    before = whole.toarray()
    rarefied(whole, sample_ids=names(5), depth=25, seed=3)
    np.testing.assert_array_equal(whole.toarray(), before)


def test_reads_are_drawn_in_proportion() -> None:
    rng = np.random.default_rng(0)
    draws = np.stack([rarefied_sample(np.array([600, 300, 100]), depth=100, rng=rng) for _ in range(400)])
    np.testing.assert_allclose(draws.mean(axis=0), [60, 30, 10], atol=1)
    without_replacement = 100 * 0.6 * 0.4 * 900 / 999  # variance of the hypergeometric distribution
    np.testing.assert_allclose(draws[:, 0].var(), without_replacement, rtol=0.2)
