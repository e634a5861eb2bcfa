"""Profiles: what is pooled with what, and a transcript that never vouches for itself."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_core.families.segger.expression import Profiles, nuclear_counts

NUCLEI, GENES = 12, 7


def random_sample(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nucleus (-1 none) and gene of 300 transcripts, and the counts of the nuclei."""
    rng = np.random.default_rng(seed)
    nucleus, gene = rng.integers(-1, NUCLEI, 300), rng.integers(0, GENES, 300)
    return nucleus, gene, counts_of(nucleus, gene)


def counts_of(nucleus: np.ndarray, gene: np.ndarray) -> np.ndarray:
    return nuclear_counts(nucleus, gene, labelled=nucleus >= 0, nuclei=NUCLEI, genes=GENES)


def pooled(counts: np.ndarray, profiles: Profiles, *, prior: float) -> Profiles:
    """The same members and background over other counts."""
    members = profiles.members
    own = counts * profiles.own
    sums = np.stack([own[row[row >= 0]].sum(axis=0) for row in members]) + prior * profiles.background
    return dataclasses.replace(profiles, sums=sums.astype(np.float32))


@given(
    seed=st.integers(0, 1000), prior=st.floats(0.5, 20), neighbours=st.integers(1, 12), stray=st.sampled_from([0, 0.3])
)
def test_leaving_one_out_equals_profiles_made_without_it(
    seed: int, prior: float, neighbours: int, stray: float
) -> None:
    nucleus, gene, counts = random_sample(seed)
    around = np.random.default_rng(seed + 1).poisson(3.0, counts.shape)
    profiles = Profiles.of(counts, neighbours=neighbours, prior=prior, components=3, around=around, stray_share=stray)
    candidates = np.random.default_rng(seed).integers(-1, NUCLEI, (len(gene), 4))
    found = profiles.ratio_of(gene, candidates, counted_in=nucleus)
    own, other = profiles.taken_out(gene, candidates, counted_in=nucleus)
    for row in range(0, len(gene), 37):
        without = pooled(counts_of(np.delete(nucleus, row), np.delete(gene, row)), profiles, prior=prior)
        expected = np.where(candidates[row] >= 0, without.ratio[candidates[row], gene[row]], 0)
        np.testing.assert_allclose(found[row], expected, atol=2e-4)
        there = candidates[row] >= 0
        change = (without.ratio - profiles.ratio)[candidates[row][there]]
        np.testing.assert_allclose(own[row][there], change[:, gene[row]], atol=2e-4)
        np.testing.assert_allclose(other[row][there], change[:, (gene[row] + 1) % GENES], atol=2e-4)


def test_a_transcript_that_is_counted_nowhere_is_taken_out_of_nothing() -> None:
    _, gene, counts = random_sample(0)
    profiles = Profiles.of(counts, neighbours=4, prior=2.0, components=3)
    candidates = np.tile(np.arange(NUCLEI), (len(gene), 1))
    nowhere = np.full(len(gene), -1)
    np.testing.assert_array_equal(profiles.ratio_of(gene, candidates, counted_in=nowhere), profiles.ratio[:, gene].T)
    assert not np.any(profiles.taken_out(gene, candidates, counted_in=nowhere))


def test_each_nucleus_is_pooled_with_itself_first_and_with_none_twice() -> None:
    profiles = Profiles.of(random_sample(1)[2], neighbours=6, prior=2.0, components=3)
    assert profiles.members[:, 0].tolist() == list(range(NUCLEI))
    assert profiles.members.shape == (NUCLEI, 6)
    assert all(len(set(row)) == 6 for row in profiles.members.tolist())


def test_nuclei_with_equal_profiles_keep_themselves() -> None:
    counts = np.tile([5, 3, 1, 0, 0, 0, 2], (NUCLEI, 1))
    profiles = Profiles.of(counts, neighbours=4, prior=1.0, components=3)
    assert profiles.members[:, 0].tolist() == list(range(NUCLEI))
    assert all(len(set(row)) == 4 for row in profiles.members.tolist())


def test_only_nuclei_of_the_bank_are_pooled_with_others_and_make_the_background() -> None:
    _, _, counts = random_sample(2)
    bank = np.arange(NUCLEI) < 8
    changed = counts.copy()
    changed[~bank] = changed[~bank][:, ::-1]
    one, two = (Profiles.of(c, neighbours=5, prior=2.0, components=3, bank=bank) for c in (counts, changed))
    assert bank[one.members[:, 1:]].all()
    np.testing.assert_array_equal(one.members[bank], two.members[bank])
    np.testing.assert_array_equal(one.sums[bank], two.sums[bank])
    np.testing.assert_array_equal(one.background, two.background)


@pytest.mark.parametrize(("nuclei", "genes"), [(1, 5), (2, 2), (3, 1)])
def test_the_smallest_samples_have_profiles(nuclei: int, genes: int) -> None:
    counts = np.arange(nuclei * genes).reshape(nuclei, genes)
    profiles = Profiles.of(counts, neighbours=25, prior=10.0, components=15)
    assert np.isfinite(profiles.ratio).all()
    assert np.isfinite(profiles.best_ratio).all()


def test_a_nucleus_without_transcripts_says_nothing() -> None:
    _, _, counts = random_sample(3)
    counts[4] = 0
    profiles = Profiles.of(counts, neighbours=1, prior=2.0, components=3)
    np.testing.assert_allclose(profiles.ratio[4], 0, atol=1e-5)


def test_of_what_is_labelled_each_transcript_counts_once() -> None:
    nucleus, gene, _ = random_sample(4)
    labelled = (nucleus >= 0) & (np.arange(len(gene)) % 2 == 0)
    counts = nuclear_counts(nucleus, gene, labelled=labelled, nuclei=NUCLEI, genes=GENES)
    assert counts.sum() == labelled.sum()
    for m, g in ((0, 0), (5, 3)):
        assert counts[m, g] == (labelled & (nucleus == m) & (gene == g)).sum()
