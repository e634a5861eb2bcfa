"""UniFrac equals scikit-bio's on every tree and table, and does what a distance between communities must do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy import sparse
from skbio.diversity import alpha_diversity

from ml_core.families.sequence.data import Tree
from ml_core.families.sequence.peer import as_scikit_bio, unifrac_of_scikit_bio
from ml_core.families.sequence.phylogeny import shear
from ml_core.families.sequence.unifrac import Metric, between, faith_pd, within
from tests.unit.families.sequence.planted import problems, random_phylogeny

METRICS: tuple[Metric, ...] = ("unweighted", "weighted_normalized")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@given(problems(), st.sampled_from(METRICS), st.integers(1, 8))
@hypothesis_settings(max_examples=120)
def test_it_equals_scikit_bio_whatever_the_tree_the_table_and_the_blocks(
    problem: tuple[sparse.csr_matrix, Tree], metric: Metric, block: int
) -> None:
    counts, tree = problem
    found = within(counts, tree=tree, metric=metric, block_samples=block)
    theirs = unifrac_of_scikit_bio(counts.toarray(), as_scikit_bio(tree), metric)
    np.testing.assert_allclose(found, theirs, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(found, found.T)
    assert found.dtype == np.float32


@given(problems())
@hypothesis_settings(max_examples=40)
def test_faiths_pd_equals_scikit_bio(problem: tuple[sparse.csr_matrix, Tree]) -> None:
    counts, tree = problem
    names = [str(asv) for asv in range(counts.shape[1])]
    theirs = alpha_diversity("faith_pd", counts.toarray(), taxa=names, tree=as_scikit_bio(tree), validate=False)
    np.testing.assert_allclose(faith_pd(counts, tree=tree, block_samples=3), theirs, rtol=0, atol=1e-9)


@given(problems(), st.sampled_from(METRICS))
@hypothesis_settings(max_examples=40)
def test_new_samples_against_known_ones_are_the_block_of_all_together(
    problem: tuple[sparse.csr_matrix, Tree], metric: Metric
) -> None:
    counts, tree = problem
    cut = counts.shape[0] // 2
    whole = within(counts, tree=tree, metric=metric, block_samples=8)
    found = between(counts[:cut], counts[cut:], tree=tree, metric=metric, block_samples=2)
    np.testing.assert_allclose(found, whole[:cut, cut:], atol=1e-6)


@given(st.integers(3, 12), st.integers(0, 1000), st.sampled_from(METRICS))
@hypothesis_settings(max_examples=30)
def test_cutting_the_tree_to_the_asvs_changes_no_distance(tips: int, seed: int, metric: Metric) -> None:
    phylogeny = random_phylogeny(tips, seed=seed)
    rng = np.random.default_rng(seed)
    kept = np.sort(rng.choice(tips, rng.integers(1, tips), replace=False))
    counts = np.zeros((4, tips), np.int32)
    counts[:, kept] = rng.integers(0, 3, (4, len(kept)))
    full, cut = shear(phylogeny, phylogeny.tips), shear(phylogeny, phylogeny.tips[kept])
    assert len(cut) <= 2 * len(kept)
    before = sparse.csr_matrix(counts)
    after = sparse.csr_matrix(counts[:, kept])
    np.testing.assert_allclose(
        within(before, tree=full, metric=metric, block_samples=4),
        within(after, tree=cut, metric=metric, block_samples=4),
        atol=1e-6,
    )
    np.testing.assert_allclose(
        faith_pd(before, tree=full, block_samples=4), faith_pd(after, tree=cut, block_samples=4), atol=1e-9
    )


def star(lengths: list[float]) -> Tree:
    count = len(lengths)
    return Tree(np.array([count] * count + [-1], np.int32), np.array([*lengths, 0.0]), np.arange(count, dtype=np.int32))


def test_it_is_what_the_definition_says_on_a_star() -> None:
    counts = sparse.csr_matrix(np.array([[1, 1, 0], [0, 3, 1]], np.int32))
    tree = star([1.0, 2.0, 4.0])
    assert within(counts, tree=tree, metric="unweighted", block_samples=2)[0, 1] == pytest.approx(5 / 7)
    # shares .5 .5 0 and 0 .75 .25: (.5 + 2 x .25 + 4 x .25) / (.5 + 2 x 1.25 + 4 x .25)
    assert within(counts, tree=tree, metric="weighted_normalized", block_samples=2)[0, 1] == pytest.approx(2 / 4)


@pytest.mark.parametrize("metric", METRICS)
def test_a_sample_of_one_read_is_a_sample(metric: Metric) -> None:
    counts = sparse.csr_matrix(np.array([[1, 0], [3, 1]], np.int32))
    found = within(counts, tree=star([1.0, 1.0]), metric=metric, block_samples=2)[0, 1]
    assert found == pytest.approx(1 / 2 if metric == "unweighted" else 1 / 4)


@pytest.mark.parametrize("metric", METRICS)
def test_samples_without_reads_are_alike_and_far_from_all_others(metric: Metric) -> None:
    counts = sparse.csr_matrix(np.array([[0, 0], [0, 0], [2, 1]], np.int32))
    found = within(counts, tree=star([1.0, 1.0]), metric=metric, block_samples=2)
    np.testing.assert_array_equal(found, [[0, 0, 1], [0, 0, 1], [1, 1, 0]])


def test_it_stays_exact_on_a_table_of_a_real_size() -> None:
    """float32 products are added up in float64: 3,000 branches leave less than 2e-7 of error."""
    rng = np.random.default_rng(0)
    phylogeny = random_phylogeny(2000, seed=0)
    counts = sparse.csr_matrix((rng.random((12, 2000)) < 0.1).astype(np.int32))
    tree = shear(phylogeny, phylogeny.tips)
    found = within(counts, tree=tree, metric="unweighted", block_samples=5)
    theirs = unifrac_of_scikit_bio(counts.toarray(), as_scikit_bio(tree), "unweighted")
    np.testing.assert_allclose(found, theirs, rtol=0, atol=2e-7)


def test_the_matrix_can_be_written_where_it_will_lie() -> None:
    counts = sparse.csr_matrix(np.eye(5, dtype=np.int32))
    out = np.full((5, 5), np.nan, np.float32)
    found = within(counts, tree=star([1.0] * 5), metric="unweighted", block_samples=2, out=out)
    assert found is out
    np.testing.assert_array_equal(out, 1 - np.eye(5))
