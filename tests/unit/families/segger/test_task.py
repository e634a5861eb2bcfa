"""The loss terms are means over their transcripts; the metrics are pooled and never break on what is missing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ml_core.families.segger.data import FULL
from ml_core.families.segger.model import Decoded
from ml_core.families.segger.samples import Batch
from ml_core.families.segger.task import SeggerTask
from tests.unit.families.segger.tiny import Tiny

VIEWS = {FULL: 0.5, "0.40": 0.5}


def batch_of(tiny: Tiny, *tiles: int, epoch: int = 0) -> Batch:
    profiles = {view: tiny.profiles(tiny.graph, view) for view in VIEWS}
    return tiny.samples(views=VIEWS, profiles=profiles).fetch(np.array(tiles), seed=0, epoch=epoch)


@pytest.mark.parametrize("link_loss", ["bce", "focal", "triplet"])
def test_a_batch_of_two_tiles_has_the_mean_loss_of_both_weighted_by_their_targets(tiny: Tiny, link_loss: str) -> None:
    task = tiny.task(link_loss=link_loss)
    training = tiny.splits.tiles_of("train")
    seen = set()
    for epoch in range(4):
        parts = [batch_of(tiny, tile, epoch=epoch) for tile in training[:2]]
        counts, losses = [task.counts(part) for part in parts], [task.losses(part, task.model) for part in parts]
        together = batch_of(tiny, *training[:2], epoch=epoch)
        total, whole = task.counts(together), task.losses(together, task.model)
        for term in whole:
            assert total[term] == sum(count[term] for count in counts)
            if total[term]:
                seen.add(term)
                each = [loss[term] * count[term] for loss, count in zip(losses, counts, strict=True) if count[term]]
                assert float(whole[term].detach()) == pytest.approx(
                    float(sum(each).detach()) / total[term], rel=1e-5, abs=1e-6
                )
    assert seen == {"ring", "inner", "gene"}


def test_terms_are_counted_where_the_loss_takes_its_mean(tiny: Tiny) -> None:
    task = tiny.task()
    batch = batch_of(tiny, *tiny.splits.tiles_of("train"))
    linked = batch["own"] >= 0
    counts = task.counts(batch)
    assert counts["ring"] + counts["inner"] == linked.sum()
    assert counts["gene"] == batch["free"].sum()
    assert min(counts.values()) > 0


@pytest.mark.parametrize("link_loss", ["bce", "focal", "triplet"])
def test_the_link_loss_is_lower_the_better_the_own_nucleus_stands(tiny: Tiny, link_loss: str) -> None:
    task = tiny.task(link_loss=link_loss)
    batch = batch_of(tiny, *tiny.splits.tiles_of("train"))
    right = torch.zeros_like(batch["ratio"])
    linked = batch["own"] >= 0
    right[linked, batch["own"][linked]] = 1.0
    losses = [task._link(factor * right, batch)[linked].mean() for factor in (-3.0, 0.0, 3.0, 9.0)]
    assert losses[0] > losses[1] > losses[2] >= losses[3]
    assert losses[3] < 0.01


def test_predictions_are_chances_that_sum_to_one_over_the_candidates(tiny: Tiny) -> None:
    batch = batch_of(tiny, *tiny.splits.tiles_of("train"))
    with torch.no_grad():
        found = tiny.task().predictions(batch)
    np.testing.assert_allclose(found["chance"].sum(axis=1), 1, rtol=1e-5)
    assert (found["chance"][~found["there"]] == 0).all()
    assert (found["fit"][:, 0] <= found["fit"].max()).all()


def test_stray_rna_is_no_reason_to_be_put_into_a_cell_but_may_lie_in_a_nucleus(tiny: Tiny) -> None:
    """A transcript between two nuclei alike in place: the first has much stray RNA around it and not its gene."""
    batch = batch_of(tiny, *tiny.splits.tiles_of("train")[:1])
    shape = batch["ratio"].shape
    batch["pair_nucleus"] = torch.zeros_like(batch["pair_nucleus"])
    batch["ratio"] = torch.full(shape, -20.0)
    batch["ratio"][:, :2] = torch.tensor([-6.0, -1.5])  # nats: the gene is foreign to the first
    ambient = torch.full(shape, -5.0)
    ambient[:, 0] = 2.0  # logit: most of what is there is stray
    weight = torch.zeros(shape)
    chance = {}
    for nuclear in (True, False):
        batch["nuclear"] = torch.full_like(batch["nuclear"], nuclear)
        decoded = Decoded(weight, ambient, torch.zeros(len(weight)))
        chance[nuclear] = tiny.task()._predictions(batch, decoded)["chance"]
    assert (chance[True].argmax(axis=1) == 0).all()
    assert (chance[False].argmax(axis=1) == 1).all()


# ---------------------------------------------------------------- metrics


def pooled(own: list[int], chance: list[list[float]], *, inner: list[bool] | None = None) -> dict[str, np.ndarray]:
    values = np.array(chance)
    return {
        "own": np.array(own),
        "chance": np.nan_to_num(values),
        "there": np.isfinite(values),
        "inner": np.array(inner or [False] * len(own), bool),
    }


def metrics(tiny: Tiny, **arrays: object) -> dict[str, float]:
    return tiny.task().metrics(pooled(**arrays))  # type: ignore[arg-type]


def test_right_answers_give_ones_and_wrong_ones_do_not(tiny: Tiny) -> None:
    good = metrics(tiny, own=[0, 1, 0], chance=[[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    assert good == {"auroc": 1.0, "average_precision": 1.0, "f1": 1.0, "top1": 1.0}
    bad = metrics(tiny, own=[1, 0, 1], chance=[[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    assert bad["auroc"] == 0.0
    assert bad["top1"] == 0.0


def test_only_held_out_transcripts_with_a_known_nucleus_count(tiny: Tiny) -> None:
    found = metrics(tiny, own=[0, -1, 1], chance=[[0.9, 0.1], [0.1, 0.9], [0.9, 0.1]], inner=[False, False, True])
    assert found["top1"] == 1.0


@pytest.mark.parametrize(("own", "inner"), [([-1, -1], [False, False]), ([0, 1], [True, True]), ([], [])])
def test_nothing_to_judge_gives_nan_and_no_error(tiny: Tiny, own: list[int], inner: list[bool]) -> None:
    found = metrics(tiny, own=own, chance=[[0.5, 0.5]] * len(own) or np.zeros((0, 2)), inner=inner)
    assert all(math.isnan(value) for value in found.values())


def test_with_right_candidates_only_there_is_no_auroc(tiny: Tiny) -> None:
    found = metrics(tiny, own=[0, 0], chance=[[1.0, np.nan], [1.0, np.nan]])
    assert math.isnan(found["auroc"])
    assert found["top1"] == 1.0


def test_metrics_are_pooled_and_not_averaged_over_batches(tiny: Tiny) -> None:
    parts = [{"own": [0], "chance": [[0.6, 0.4]]}, {"own": [1, 0], "chance": [[0.7, 0.3], [0.9, 0.1]]}]
    whole = pooled(own=[0, 1, 0], chance=[[0.6, 0.4], [0.7, 0.3], [0.9, 0.1]])
    each = [tiny.task().metrics(pooled(**part))["auroc"] for part in parts]  # type: ignore[arg-type]
    assert tiny.task().metrics(whole)["auroc"] != pytest.approx(np.mean(each))


# ---------------------------------------------------------------- learning


def test_it_overfits_one_batch(tiny: Tiny) -> None:
    """Behaviour 19 of the training library, for this family: one tile with several nuclei, held-out transcripts."""
    torch.manual_seed(0)
    samples = tiny.samples(view="0.40")
    batch = samples.fetch(tiny.splits.tiles_of("train")[:1], seed=0, epoch=0)
    linked = batch["own"] >= 0
    assert len(batch["pair_nucleus"][linked, batch["own"][linked]].unique()) >= 2
    task: SeggerTask = tiny.task()
    optimizer = torch.optim.AdamW(task.model.parameters(), lr=0.02)
    for _ in range(80):
        losses = task.losses(batch, task.model)
        loss = losses["ring"] + losses["inner"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        found = task.predictions(batch)
    assert loss.item() < 0.02
    assert (found["chance"].argmax(axis=1) == found["own"])[found["own"] >= 0].all()
