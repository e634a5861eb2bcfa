"""Losses that add up over parts of a batch, and figures by read, region and sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ml_core.data.batch import to_device
from ml_core.families.tissuebert.batches import FixedBags
from ml_core.families.tissuebert.hdf5 import Regions
from ml_core.families.tissuebert.model_settings import ModelSettings
from ml_core.families.tissuebert.task import TissueTask
from ml_core.families.tissuebert.train import prepare_on
from ml_core.training.task import Training
from tests.unit.families.tissuebert.planted_model import TISSUES, plant, splits_of

SMALL = {"dim": 8, "layers": 1, "heads": 2, "feed_dim": 16, "bag_reads": 8, "table_folds": 2, "tissue_weight": 1.0}


@pytest.fixture(scope="module")
def regions(tmp_path_factory: pytest.TempPathFactory) -> Regions:
    return plant(tmp_path_factory.mktemp("task"))


def training_of(regions: Regions, **changes: Any) -> Training:
    return prepare_on(regions, splits_of(regions), settings=ModelSettings(**(SMALL | changes))).training


def task_of(training: Training) -> TissueTask:
    assert isinstance(training.task, TissueTask)
    training.task.model.eval()
    return training.task


def value(loss: torch.Tensor) -> float:
    return float(loss.detach())


def bags_of(training: Training) -> FixedBags:
    assert isinstance(training.validation, FixedBags)
    return training.validation


def test_losses_of_parts_weighed_by_their_counts_are_those_of_the_whole(regions: Regions) -> None:
    training = training_of(regions)
    task, bags = task_of(training), bags_of(training)
    parts = [bags.fetch(part, seed=0, epoch=0) for part in np.split(np.arange(len(bags)), [3, 4])]
    whole = bags.fetch(np.arange(len(bags)), seed=0, epoch=0)
    expected, total = task.losses(whole, task.model), task.counts(whole)
    assert set(expected) == {"tissue", "likelihood", "bag"}
    for term, loss in expected.items():
        summed = sum(value(task.losses(part, task.model)[term]) * task.counts(part)[term] for part in parts)
        assert summed / total[term] == pytest.approx(value(loss), rel=1e-5)


def test_a_loss_of_weight_0_is_left_out_and_others_keep_their_value(regions: Regions) -> None:
    both, one = training_of(regions), training_of(regions, bag_weight=0)
    batch = bags_of(both).fetch(np.arange(4), seed=0, epoch=0)
    losses = task_of(one).losses(batch, task_of(one).model)
    assert set(losses) == set(task_of(one).counts(batch)) == {"tissue", "likelihood"}
    assert value(losses["tissue"]) == pytest.approx(value(task_of(both).losses(batch, task_of(both).model)["tissue"]))


def test_the_tissue_head_aims_at_smoothed_labels_and_reads_weigh_as_often_as_they_occur(regions: Regions) -> None:
    training = training_of(regions, label_smoothing=0.2)
    task, bags = task_of(training), bags_of(training)
    batch = bags.fetch(np.arange(len(bags)), seed=0, epoch=0)
    of_read = batch.tissue[batch.bag]
    target = torch.full((len(of_read), TISSUES), 0.2 / TISSUES)
    target[torch.arange(len(of_read)), of_read] += 0.8
    each = -(target * task.model(batch.reads).tissue.log_softmax(1)).sum(1)
    assert batch.weight.max() > 1
    expected = (each * batch.weight).sum() / batch.weight.sum()
    assert value(task.losses(batch, task.model)["tissue"]) == pytest.approx(value(expected), rel=1e-5)


def test_bags_of_the_same_tissue_are_judged_by_the_sum_of_their_reads(regions: Regions) -> None:
    training = training_of(regions)
    task, bags = task_of(training), bags_of(training)
    batch = bags.fetch(np.arange(5), seed=0, epoch=0)
    weighted = task.model(batch.reads).likelihood * batch.weight[:, None]
    summed = torch.stack([weighted[batch.bag == bag].sum(0) for bag in range(5)])
    expected = F.cross_entropy(summed, batch.tissue)
    assert value(task.losses(batch, task.model)["bag"]) == pytest.approx(value(expected), rel=1e-5)


def test_samples_are_named_better_than_regions_and_these_better_than_reads(regions: Regions) -> None:
    training = training_of(regions)
    task, bags = task_of(training), bags_of(training)
    batch = bags.fetch(np.arange(len(bags)), seed=0, epoch=0)
    with torch.inference_mode():
        predictions = task.predictions(to_device(batch, torch.device("cpu")))
    metrics = task.metrics(predictions)
    assert metrics["read_accuracy"] < metrics["region_accuracy"] < metrics["sample_accuracy"] == 1
    assert metrics["read_top3"] > metrics["read_accuracy"]
    assert {f"{figure}/tissue{n}" for figure in ("precision", "recall", "f1") for n in range(TISSUES)} < set(metrics)
    assert set(task.figures(predictions)) == {"confusion"}


def test_regions_are_drawn_by_information_where_asked(regions: Regions) -> None:
    even, told = training_of(regions), training_of(regions, region_weights="information")
    batches = [each.train.fetch(np.arange(50), seed=0, epoch=0) for each in (even, told)]
    assert not torch.equal(batches[0].reads.region, batches[1].reads.region)
