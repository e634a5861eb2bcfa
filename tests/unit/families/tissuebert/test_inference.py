"""Planted atlas -> tables, pooled samples, proportions, an unknown tissue, groups and limits."""

from __future__ import annotations

import numpy as np
import pytest

from ml_core.errors import UserError
from ml_core.families.tissuebert.ceiling import read_ceiling, read_chances, region_ceiling
from ml_core.families.tissuebert.detection import limit_of_detection
from ml_core.families.tissuebert.em import deconvolve, maximise, step
from ml_core.families.tissuebert.evidence import Reads, expected_states, gather_evidence
from ml_core.families.tissuebert.groups import group_names, group_tissues
from ml_core.families.tissuebert.hdf5 import Regions
from ml_core.families.tissuebert.likelihoods import LikelihoodTables, fit_likelihoods
from ml_core.families.tissuebert.pooling import pool
from tests.unit.families.tissuebert.planted import Atlas, draw_reads, plant_atlas, plant_regions


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return plant_atlas(tissues=6, markers=12, spread=300)


@pytest.fixture(scope="module")
def regions(atlas: Atlas) -> Regions:
    return plant_regions(atlas, donors=4, depth=20)


@pytest.fixture(scope="module")
def tables(regions: Regions) -> LikelihoodTables:
    return fit_likelihoods(regions, np.flatnonzero(~regions.samples["name"].str.endswith("d3")))


def mixed(atlas: Atlas, proportions: np.ndarray, *, depth: float, seed: int) -> Reads:
    region, n_meth, n_cov = draw_reads(atlas.unmethylated @ proportions, depth=depth, rng=np.random.default_rng(seed))
    return Reads(region, n_meth, n_cov, np.ones(len(region)))


def test_a_new_donors_reads_summed_name_its_tissue(regions: Regions, tables: LikelihoodTables) -> None:
    held_out = np.flatnonzero(regions.samples["name"].str.endswith("d3"))
    rows = np.concatenate([regions.rows_of(sample) for sample in held_out])
    log = tables.log_likelihood(regions.row_region[rows], regions.n_meth[rows], regions.n_cov[rows])
    samples = pool(log, regions.row_count[rows], regions.row_sample[rows])
    assert samples.accuracy(regions.tissue_of_sample[samples.key]) == 1.0


def test_without_training_samples_there_is_one_sentence(regions: Regions) -> None:
    with pytest.raises(UserError, match="no training sample has reads in the panel"):
        fit_likelihoods(regions, np.zeros(0, np.int64))


def test_known_proportions_are_found_and_nothing_unknown(
    atlas: Atlas, regions: Regions, tables: LikelihoodTables
) -> None:
    truth = np.array([0.7, 0.2, 0.1, 0, 0, 0])
    evidence = gather_evidence(tables, mixed(atlas, truth, depth=60, seed=1)).tempered(0.02)
    found = deconvolve(evidence, states=expected_states(regions.regions, tables.tissues, turned=0.002))
    np.testing.assert_allclose(found.proportions, truth, atol=0.04)
    assert found.unknown < 0.02
    assert found.whole.sum() == pytest.approx(1)


def test_a_tissue_that_the_reference_lacks_is_unknown(atlas: Atlas, regions: Regions, tables: LikelihoodTables) -> None:
    truth = np.array([0.7, 0.1, 0, 0, 0, 0.2])
    reference = tables.without("tissue 5")
    evidence = gather_evidence(reference, mixed(atlas, truth, depth=60, seed=2)).tempered(0.02)
    found = deconvolve(evidence, states=expected_states(regions.regions, reference.tissues, turned=0.002))
    assert found.unknown == pytest.approx(0.2, abs=0.05)


def test_no_step_of_em_makes_the_reads_less_likely_than_the_answer() -> None:
    rng = np.random.default_rng(0)
    likelihood, weight = rng.random((200, 5)), rng.integers(1, 5, (200, 1)).astype(float)
    found = maximise(likelihood, weight)

    def value(x: np.ndarray) -> float:
        return float((weight[:, 0] * np.log(likelihood @ x)).sum())

    assert value(found[0]) >= max(value(x) for x in rng.dirichlet(np.ones(5), 500))
    np.testing.assert_allclose(step(likelihood, weight, found), found, atol=1e-4)


def test_reads_counted_together_are_reads_one_by_one(atlas: Atlas, tables: LikelihoodTables) -> None:
    single = mixed(atlas, np.full(6, 1 / 6), depth=10, seed=3)
    keys, times = np.unique(np.stack([single.region, single.n_meth, single.n_cov]), axis=1, return_counts=True)
    one, other = (gather_evidence(tables, each) for each in (single, Reads(*keys, times.astype(float))))
    np.testing.assert_array_equal(one.weight, other.weight)
    np.testing.assert_array_equal(one.likelihood, other.likelihood)


def test_twins_are_one_group_and_the_others_are_not() -> None:
    twins = plant_regions(plant_atlas(tissues=5, markers=12, twins=True, spread=300), donors=3, depth=20)
    tables = fit_likelihoods(twins, np.arange(len(twins.samples)))
    group = group_tissues(tables, moved=0.2, depth=30, donor_correlation=0.02)
    assert sorted(group_names(tables.tissues, group)) == ["tissue 0", "tissue 1", "tissue 2", "tissue 3 + tissue 4"]


def test_more_reads_of_a_region_have_a_higher_ceiling_that_never_reaches_certainty(tables: LikelihoodTables) -> None:
    chances = read_chances(tables, cpgs=6)
    np.testing.assert_allclose(chances.sum(2), 1)
    one = read_ceiling(chances).mean()
    many = region_ceiling(chances, reads=20, draws=20, seed=0).mean()
    assert 1 / 6 < one < many < 1


def test_a_limit_of_detection_holds_for_all_larger_shares_too() -> None:
    fractions = np.repeat([0.01, 0.05, 0.1], 20)
    found = np.where(fractions == 0.05, 0.0, fractions)
    assert limit_of_detection(0.001, fractions, found) == 0.1
    assert np.isnan(limit_of_detection(0.5, fractions, found))
