"""What a batch holds: CpGs are hidden one by one and in training only, and both views of a read say the same."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from ml_core.families.tissuebert.batches import Bags, FixedBags, ReadMaker, TrainingBags
from ml_core.families.tissuebert.hdf5 import Regions
from ml_core.families.tissuebert.sampler import BalancedSampler
from ml_core.families.tissuebert.tables import Tables, fit_tables
from ml_core.families.tissuebert.tokens import METHYLATED, NO_CPG, NOT_OBSERVED, PAD, UNK
from tests.unit.families.tissuebert.planted_model import CPGS, POSITIONS, plant, splits_of

DROPOUT = 0.2


@pytest.fixture(scope="module")
def regions(tmp_path_factory: pytest.TempPathFactory) -> Regions:
    return plant(tmp_path_factory.mktemp("batches"), counts=True)


@pytest.fixture(scope="module")
def tables(regions: Regions) -> Tables:
    return fit_tables(regions, splits_of(regions).samples_in("train"), folds=3, donor_correlation=0.02)


def training_bags(regions: Regions, tables: Tables, **changes: Any) -> TrainingBags:
    options = {"places": "cpgs", "cpg_dropout": DROPOUT} | changes
    return TrainingBags(
        ReadMaker(regions, places=options["places"], use_dna=True),
        BalancedSampler(regions, np.arange(len(regions.samples))),
        tables,
        bag_reads=8,
        cpg_dropout=options["cpg_dropout"],
    )


def same(one: Bags, other: Bags) -> bool:
    return torch.equal(one.reads.state, other.reads.state) and torch.equal(one.reads.region, other.reads.region)


def test_each_observed_cpg_is_hidden_by_itself(regions: Regions, tables: Tables) -> None:
    bags = np.arange(500)
    shown = training_bags(regions, tables, cpg_dropout=0.0).fetch(bags, seed=0, epoch=0).reads.state.numpy()
    hidden = training_bags(regions, tables).fetch(bags, seed=0, epoch=0).reads.state.numpy()
    observed, changed = shown < NO_CPG, shown != hidden
    assert (hidden[changed] == NOT_OBSERVED).all()
    assert not changed[~observed].any()
    by_place = (changed & observed).sum(0) / observed.sum(0)
    assert by_place == pytest.approx(np.full(CPGS, DROPOUT), abs=0.03)
    full = changed[observed.all(1)]  # binomial within a read: no share of it, nor all of it or nothing
    assert np.bincount(full.sum(1), minlength=2)[:2] / len(full) == pytest.approx([0.8**5, 5 * 0.2 * 0.8**4], abs=0.04)


def test_counts_follow_what_is_left_of_a_read_and_stay_in_a_sum(regions: Regions, tables: Tables) -> None:
    reads = training_bags(regions, tables).fetch(np.arange(500), seed=0, epoch=0).reads
    left, summed = reads.state.numpy(), reads.counts.numpy()
    assert summed.any()
    assert np.array_equal(reads.n_cov.numpy()[~summed], (left[~summed] < NO_CPG).sum(1))
    assert np.array_equal(reads.n_meth.numpy()[~summed], (left[~summed] == METHYLATED).sum(1))
    assert reads.n_cov.numpy()[summed].max() > CPGS


def test_a_bag_is_a_pure_function_of_seed_epoch_and_number(regions: Regions, tables: Tables) -> None:
    one, other = training_bags(regions, tables), training_bags(regions, tables)
    other.fetch(np.arange(3), seed=0, epoch=0)
    assert same(one.fetch(np.array([7, 9]), seed=0, epoch=1), other.fetch(np.array([7, 9]), seed=0, epoch=1))
    assert not same(one.fetch(np.array([7, 9]), seed=0, epoch=1), one.fetch(np.array([7, 9]), seed=0, epoch=2))


def test_the_places_of_cpgs_are_those_of_the_whole_window(regions: Regions) -> None:
    rows = np.arange(len(regions))
    tables = np.zeros((len(rows), 1, 1), np.float32)
    short = ReadMaker(regions, places="cpgs", use_dna=True).make(rows, log_rates=tables)
    whole = ReadMaker(regions, places="bases", use_dna=True).make(rows, log_rates=tables)
    at = torch.from_numpy(POSITIONS)
    assert torch.equal(short.state, whole.state[:, at])
    assert torch.equal(short.place, whole.place[:, at])
    assert torch.equal(short.token[:, :-1], whole.token[:, at[:-1]])
    assert (short.token[:, -1] == UNK).all()  # place 148 has no 3-mer of its own
    assert (whole.token[:, 148:] == PAD).all()


def test_a_region_with_fewer_cpgs_has_nothing_at_the_others_places(regions: Regions) -> None:
    n_cpg, position = regions.n_cpg.copy(), regions.cpg_position.copy()
    n_cpg[0], position[0, 3:] = 3, 255
    fewer = dataclasses.replace(regions, n_cpg=n_cpg, cpg_position=position)
    rows = np.flatnonzero(regions.row_region == 0)
    made = ReadMaker(fewer, places="cpgs", use_dna=True).make(rows, log_rates=np.zeros((len(rows), 1, 1), np.float32))
    assert (made.token[:, 3:] == PAD).all()
    assert (made.state[:, 3:] == NO_CPG).all()
    assert torch.equal(made.state[:, :3], torch.from_numpy(regions.states[rows][:, POSITIONS[:3]]))


def test_without_dna_all_windows_look_alike(regions: Regions) -> None:
    made = ReadMaker(regions, places="bases", use_dna=False).make(
        np.arange(9), log_rates=np.zeros((9, 1, 1), np.float32)
    )
    assert (made.token[:, :148] == UNK).all()


def test_validation_sees_every_read_once_and_hides_nothing(regions: Regions, tables: Tables) -> None:
    samples = splits_of(regions).samples_in("validation")
    bags = FixedBags(ReadMaker(regions, places="cpgs", use_dna=True), samples, tables, bag_reads=8, most=None)
    batch = bags.fetch(np.arange(len(bags)), seed=0, epoch=0)
    rows = np.concatenate([regions.rows_of(each) for each in samples])
    times = regions.row_count[rows]
    assert times.max() > 1
    assert batch.weight.sum() == times.sum()
    assert (batch.weight * batch.reads.n_cov).sum() == (times * regions.n_cov[rows]).sum()
    assert torch.equal(batch.tissue, torch.from_numpy(regions.tissue_of_sample)[batch.sample])
    assert np.bincount(batch.bag.numpy(), batch.weight.numpy()).max() <= 8


def test_a_training_read_meets_tables_without_its_donor(regions: Regions, tables: Tables) -> None:
    train = splits_of(regions).samples_in("train")
    sample = int(train[0])
    fold = tables.fold[sample]
    others = train[tables.fold[train] != fold]
    assert sample not in others
    again = fit_tables(regions, others, folds=2, donor_correlation=0.02)
    region = np.arange(len(regions.n_cpg))
    seen = tables.out_of_fold(sample=np.full(len(region), sample), region=region)
    assert np.allclose(seen, again.whole(region))
    assert not np.allclose(seen, tables.whole(region))
