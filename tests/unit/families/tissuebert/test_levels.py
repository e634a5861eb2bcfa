"""By read, region, sample and number of reads: who is counted, and how."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ml_core.families.tissuebert.asked import MODEL, NAIVE_BAYES, TABLES, Asked, Known, better_head, rows_of
from ml_core.families.tissuebert.classifiers import by_tables
from ml_core.families.tissuebert.few_reads import AS_ONE, LEAD_ERROR, at_each_number, counts_of, draw
from ml_core.families.tissuebert.hdf5 import Regions
from ml_core.families.tissuebert.lead import lead_error
from ml_core.families.tissuebert.levels import ceilings, reads_and_regions, samples
from ml_core.families.tissuebert.likelihoods import LikelihoodTables, fit_likelihoods
from ml_core.families.tissuebert.model_files import HEADS, TrainedModel
from ml_core.families.tissuebert.one_read import compared
from ml_core.families.tissuebert.report_settings import ReportSettings
from tests.unit.families.tissuebert.planted_model import plant, splits_of

SETTINGS = ReportSettings(pooled_reads=[1, 20, 60, 10**6], draws=10, bootstrap_draws=50, ceiling_draws=40)


@pytest.fixture(scope="module")
def regions(tmp_path_factory: pytest.TempPathFactory) -> Regions:
    return plant(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="module")
def known(regions: Regions) -> Known:
    """What the tables of training donors say stands for the model."""
    splits = splits_of(regions)
    tables = fit_likelihoods(regions, splits.samples_in("train"))
    validation, test = (asked(regions, splits.samples_in(split), tables) for split in ("validation", "test"))
    return Known(regions, splits, TrainedModel(None, tables, {}), validation, test, HEADS[0])  # type: ignore[arg-type]


def asked(regions: Regions, chosen: np.ndarray, tables: LikelihoodTables) -> Asked:
    rows, kept = rows_of(regions, chosen)
    sample = regions.row_sample[rows].astype(np.int64)
    said = by_tables(tables, regions, rows)
    true, weight = regions.tissue_of_sample[sample], regions.row_count[rows].astype(float)
    every = {MODEL: said, TABLES: said, NAIVE_BAYES: said}
    return Asked(kept, rows, sample, true, weight, every, {HEADS[0]: said, HEADS[1]: np.zeros_like(said)})


def test_a_sample_is_named_where_a_read_is_not_and_no_region_beats_its_ceiling(known: Known) -> None:
    numbers = reads_and_regions(known, SETTINGS) | ceilings(known, SETTINGS) | samples(known, SETTINGS)
    assert numbers["test.sample_accuracy"] == 1
    assert numbers["test.region_accuracy_lead_se"] == numbers["test.read_accuracy_lead_se"] == 0  # all say the same
    assert 0.25 < numbers["test.read_accuracy"] < numbers["test.region_accuracy"] < 0.7
    assert numbers["test.read_accuracy"] <= numbers["test.read_ceiling"] + 0.02
    assert numbers["test.region_accuracy"] <= numbers["test.region_ceiling"] + 0.03


def test_a_model_that_knows_the_answers_is_above_the_ceiling(known: Known) -> None:
    told = np.eye(known.tissues)[known.test.true]
    heads = {**known.test.heads, known.head: told}
    leaking = replace(known, test=replace(known.test, said={**known.test.said, MODEL: told}, heads=heads))
    numbers = reads_and_regions(leaking, SETTINGS) | ceilings(leaking, SETTINGS)
    assert numbers["test.region_accuracy"] > numbers["test.region_ceiling"] + 0.1
    for what in ("region", "read"):
        lead = numbers[f"test.{what}_accuracy"] - numbers[f"baseline.naive_bayes.{what}_accuracy"]
        assert lead > 3 * numbers[f"test.{what}_accuracy_lead_se"] > 0


def test_synthetic_copies_are_not_counted(regions: Regions) -> None:
    copied = replace(regions, samples=regions.samples.assign(synthetic=[True, *[False] * (len(regions.samples) - 1)]))
    rows, kept = rows_of(copied, np.array([0, 1]))
    assert kept.tolist() == [1]
    assert set(regions.row_sample[rows]) == {1}


def test_more_reads_name_more_samples_and_none_is_drawn_that_a_sample_lacks(known: Known) -> None:
    rows = at_each_number(known, SETTINGS, groups=np.arange(known.tissues))
    assert [row["reads"] for row in rows] == [1, 20, 60]
    found = [row["model"] for row in rows]
    assert found[0] < found[1] <= found[2]
    assert found[2] > 0.9
    assert rows[2]["logistic"] > 0.5
    assert all(0 <= row[LEAD_ERROR] < 0.2 for row in rows)
    assert [row[AS_ONE] for row in rows] == [pytest.approx(row["model"]) for row in rows]
    told = at_each_number(known, SETTINGS, groups=np.zeros(known.tissues, int))
    assert [row[AS_ONE] for row in told] == [1, 1, 1]


def test_the_lead_errs_by_as_much_as_donors_differ() -> None:
    donor = np.repeat(np.arange(50), 20)
    even = np.ones(len(donor))
    assert lead_error(np.full(len(donor), 0.1), weight=even, donor=donor, settings=SETTINGS) == pytest.approx(
        0, abs=1e-6
    )
    of_donor = np.random.default_rng(0).normal(0, 1, 50)
    many = SETTINGS.model_copy(update={"bootstrap_draws": 1000})
    error = lead_error(of_donor[donor], weight=even, donor=donor, settings=many)
    assert error == pytest.approx(of_donor.std() / np.sqrt(50), rel=0.1)  # of 1,000 items it would be a fifth of that


def test_reads_are_drawn_without_replacement(regions: Regions) -> None:
    rows = regions.rows_of(0)
    total = int(regions.row_count[rows].sum())
    owner, drawn = draw(regions, rows, reads=total, settings=SETTINGS, stream=0)
    assert owner.tolist() == [0] * SETTINGS.draws
    times = np.bincount(drawn[0], minlength=rows[-1] + 1)[rows]
    np.testing.assert_array_equal(times, regions.row_count[rows])
    counts = counts_of(regions, drawn[:1])
    assert counts.cov.sum() == (regions.n_cov[rows].astype(int) * regions.row_count[rows]).sum()


def test_the_head_is_chosen_on_validation_reads(known: Known) -> None:
    assert better_head(known.validation.heads, known.validation) == HEADS[0]
    told = {**known.validation.heads, HEADS[1]: 9.0 * np.eye(known.tissues)[known.validation.true]}
    assert better_head(told, known.validation) == HEADS[1]


def test_the_same_answers_have_no_lead_and_better_ones_have_one_with_an_error() -> None:
    rng = np.random.default_rng(0)
    true = rng.integers(0, 2, 300)
    good, poor = (np.column_stack([np.zeros(300), (2 * true - 1) + rng.normal(0, spread, 300)]) for spread in (0.5, 3))
    one = np.ones(300)
    same = compared({"test": poor, "baseline.logistic": poor}, true, one, settings=SETTINGS)
    assert same["test.read_auc_lead"] == same["test.read_auc_lead_se"] == same["test.read_accuracy_lead"] == 0
    better = compared({"test": good, "baseline.logistic": poor}, true, one, settings=SETTINGS)
    assert better["test.read_auc_lead"] > 3 * better["test.read_auc_lead_se"] > 0
    share = better["test.read_accuracy"]
    assert better["test.read_accuracy_se"] == pytest.approx(np.sqrt(share * (1 - share) / 300), rel=0.4)
