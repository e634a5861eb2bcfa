"""Sums of log likelihoods against votes, and against reads one by one."""

import numpy as np
import pytest

from ml_core.families.tissuebert.likelihoods import fit_likelihoods, split_counts
from ml_core.families.tissuebert.pooling import accuracy_by_reads, pool, posterior
from tests.unit.families.tissuebert.planted import plant_atlas, plant_regions


def test_weights_stand_for_reads_that_occur_so_often() -> None:
    rng = np.random.default_rng(0)
    log, weight, key = rng.normal(size=(20, 3)), rng.integers(1, 5, 20), rng.integers(0, 4, 20)
    once = pool(np.repeat(log, weight, axis=0), np.ones(weight.sum()), np.repeat(key, weight))
    pooled = pool(log, weight, key)
    assert pooled.log_likelihood == pytest.approx(once.log_likelihood)
    assert pooled.reads.tolist() == once.reads.tolist()


def test_a_posterior_follows_bayes_whatever_the_constant() -> None:
    chance, prior = np.array([[0.2, 0.3, 0.6]]), np.array([0.5, 0.3, 0.2])
    expected = chance * prior / (chance * prior).sum()
    assert posterior(np.log(chance) - 4000, prior) == pytest.approx(expected)


def test_pooling_beats_voting_on_new_donors() -> None:
    atlas = plant_atlas(tissues=6, markers=4, spread=200)
    regions = plant_regions(atlas, donors=4, depth=8, seed=3)
    tables = fit_likelihoods(regions, np.arange(12))
    rows = np.arange(regions.sample_offset[12], len(regions))
    place, k, n, weight = split_counts(regions, rows)
    log = tables.log_likelihood(regions.row_region[rows[place]], k, n)
    sample, truth = regions.row_sample[rows[place]], regions.tissue_of_sample
    pooled = pool(log, weight, sample)
    votes = pool(np.eye(6)[log.argmax(1)], weight, sample)
    assert pooled.accuracy(truth[pooled.key]) == 1
    assert votes.accuracy(truth[votes.key]) < 0.9
    by_reads = accuracy_by_reads(log, weight, sample, truth, counts=[1, 20, 100, 10**6], draws=20, seed=0)
    assert by_reads[1] < by_reads[20] < by_reads[100]
    assert set(by_reads) == {1, 20, 100}
