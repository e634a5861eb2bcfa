"""Classifiers beside the model: what each knows, and that it chooses on validation donors."""

from __future__ import annotations

import numpy as np
import pytest

from ml_core.families.tissuebert.baselines import count_regions, rates
from ml_core.families.tissuebert.classifiers import (
    Logistic,
    SampleLogistic,
    by_tables,
    naive_bayes,
    prior,
    read_features,
)
from ml_core.families.tissuebert.hdf5 import Regions
from ml_core.families.tissuebert.likelihoods import fit_likelihoods
from ml_core.families.tissuebert.scores import accuracy, pooled
from tests.unit.families.tissuebert.planted_model import TISSUES, plant, splits_of


@pytest.fixture(scope="module")
def regions(tmp_path_factory: pytest.TempPathFactory) -> Regions:
    return plant(tmp_path_factory.mktemp("planted"), counts=True)


def test_naive_bayes_is_the_product_of_its_cpgs(regions: Regions) -> None:
    cell = np.full((len(regions.n_cpg), 2), 0.5)
    cell[:, 1] = 0.8
    found = naive_bayes(cell, regions, np.arange(5))
    k, n = regions.n_meth[:5].astype(float), regions.n_cov[:5].astype(float)
    np.testing.assert_allclose(found[:, 1], k * np.log(0.8) + (n - k) * np.log(0.2))
    np.testing.assert_allclose(found[:, 0], n * np.log(0.5))


def test_tables_say_of_reads_what_they_say_and_of_counts_as_much_as_of_their_reads(regions: Regions) -> None:
    train = splits_of(regions).samples_in("train")
    tables = fit_likelihoods(regions, train)
    reads = regions.rows_of(0)
    direct = tables.log_likelihood(regions.row_region[reads], regions.n_meth[reads], regions.n_cov[reads])
    np.testing.assert_allclose(by_tables(tables, regions, reads), direct)
    counted = regions.rows_of(len(regions.samples) - 1)
    said = by_tables(tables, regions, counted).sum(0)
    assert said.argmax() == regions.tissue_of_sample[-1]


def test_the_prior_names_the_most_frequent_tissue() -> None:
    assert prior(np.array([2, 2, 0]), tissues=4, items=3).argmax(1).tolist() == [2, 2, 2]


def test_logistic_regression_and_naive_bayes_name_samples_of_new_donors(regions: Regions) -> None:
    splits = splits_of(regions)
    train, validation, test = (splits.samples_in(split) for split in ("train", "validation", "test"))
    true = regions.tissue_of_sample
    counts = {name: count_regions(regions, own) for name, own in (("a", train), ("b", validation), ("c", test))}
    logistic = SampleLogistic.fit(
        counts["a"], true[train], tissues=TISSUES, validation=counts["b"], known=true[validation], even=False
    )
    assert accuracy(logistic.scores(counts["c"]), true[test]) == 1
    rows = np.concatenate([regions.rows_of(each) for each in test])
    cells = rates(counts["a"], true[train], tissues=TISSUES)
    said = naive_bayes(cells, regions, rows)
    owners, summed = pooled(said, weight=regions.row_count[rows].astype(float), owner=regions.row_sample[rows])
    assert accuracy(summed, true[owners]) == 1


def test_its_strength_is_that_which_does_best_on_validation() -> None:
    """A feature of noise with a large scale in training misleads a weakly regularised regression."""
    rng = np.random.default_rng(0)
    true = np.repeat([0, 1], 15)
    train = np.column_stack([true + rng.normal(0, 0.8, 30), rng.normal(0, 1, (30, 40))])
    known = np.repeat([0, 1], 200)
    validation = np.column_stack([known + rng.normal(0, 0.8, 400), rng.normal(0, 1, (400, 40))])
    chosen = Logistic.fit(train, true, tissues=2, validation=validation, known=known, even=False)
    plain = Logistic.fit(train, true, tissues=2, validation=validation[:0], known=known[:0], even=False)
    assert accuracy(chosen.scores(validation), known) > accuracy(plain.scores(validation), known)


def test_a_tissue_that_was_not_trained_on_is_never_named() -> None:
    features = np.arange(8.0)[:, None]
    fitted = Logistic.fit(
        features, np.repeat([0, 3], 4), tissues=5, validation=features[:0], known=np.zeros(0, int), even=False
    )
    assert set(fitted.scores(np.linspace(-50, 50, 21)[:, None]).argmax(1)) == {0, 3}


def test_a_read_is_known_by_its_share_and_its_block(regions: Regions) -> None:
    found = read_features(regions, np.arange(20))
    assert found.shape == (20, 1 + len(regions.n_cpg))
    np.testing.assert_array_equal(found[:, 1:].sum(1), 1)
    assert (np.argsort(found[:, 0]) == np.argsort((regions.n_meth[:20] + 0.5) / (regions.n_cov[:20] + 1.0))).all()
