"""The network: neither order, padding, place nor company of a transcript changes its score."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from ml_core.families.segger.data import FULL
from ml_core.families.segger.model import NO_CANDIDATE, Decoded, with_gene
from ml_core.families.segger.samples import Batch, TileSamples
from tests.unit.families.segger.tiny import Tiny

OF_CANDIDATES = ("candidates", "approach")
OF_PAIRS = ("pair_nucleus", "pair", "ratio", "compared")


@pytest.fixture(scope="module")
def batch(tiny: Tiny) -> Batch:
    return tiny.samples(splits=None, folds=2).fetch(np.array([3, 8]), seed=0, epoch=0)


@torch.no_grad()
def scores(tiny: Tiny, batch: Batch, **sizes: int) -> tuple[torch.Tensor, Decoded]:
    decoded = tiny.network(**sizes)(batch)
    return with_gene(decoded, batch["ratio"]), decoded


def test_candidates_in_another_order_have_the_same_scores_in_that_order(tiny: Tiny, batch: Batch) -> None:
    columns = torch.tensor([0, 3, 1, 2])
    c = batch["candidates"].shape[1]
    others = torch.arange(c, batch["pair_nucleus"].shape[1])
    moved = {**batch, **{name: batch[name][:, columns] for name in OF_CANDIDATES}}
    moved |= {name: batch[name][:, torch.cat([columns, others])] for name in OF_PAIRS}
    before, after = scores(tiny, batch)[0], scores(tiny, moved)[0]
    torch.testing.assert_close(before[:, columns], after[:, :c], rtol=0, atol=1e-5)


def test_padding_changes_nothing(tiny: Tiny, batch: Batch) -> None:
    t, r = len(batch["token"]), len(batch["judged"])
    more = {
        "neighbours": torch.full((t, 2), -1),
        "step": torch.zeros(t, 2, 3),
        "candidates": torch.full((t, 1), -1),
        "approach": torch.zeros(t, 1, batch["approach"].shape[2]),
        "pair_nucleus": torch.full((r, 3), -1),
        "pair": torch.zeros(r, 3, batch["pair"].shape[2]),
        "ratio": torch.zeros(r, 3),
    }
    padded = {name: torch.cat([value, more[name]], dim=1) if name in more else value for name, value in batch.items()}
    before, after = scores(tiny, batch)[0], scores(tiny, padded)[0]
    torch.testing.assert_close(before, after[:, : before.shape[1]], rtol=0, atol=1e-5)
    assert (after[:, before.shape[1] :] == NO_CANDIDATE).all()


def moved_by(tiny: Tiny, shift: float) -> TileSamples:
    view = tiny.graph.views[FULL]
    view = dataclasses.replace(view, centroids=view.centroids + np.float32(shift))
    graph = dataclasses.replace(tiny.graph, xy=tiny.graph.xy + np.float32(shift), views={FULL: view})
    return tiny.samples(graph=graph, splits=None, folds=2)


def test_a_sample_that_lies_elsewhere_has_the_same_scores(tiny: Tiny) -> None:
    chance = []
    for shift in (0.0, 500.0):
        batch = moved_by(tiny, shift).fetch(np.array([3, 8]), seed=0, epoch=0)
        c = batch["candidates"].shape[1]
        chance.append(torch.softmax(scores(tiny, batch)[0][:, :c], dim=1))
    torch.testing.assert_close(*chance, rtol=0, atol=1e-4)


def test_a_gene_that_the_model_never_saw_is_as_good_as_hidden(tiny: Tiny) -> None:
    """Its token is that of a hidden gene; of its own score only the ratio of this sample speaks."""
    mask = len(tiny.graph.genes)
    tokens = np.where(np.arange(mask) == tiny.graph.gene[0], mask, np.arange(mask))
    batch = tiny.samples(splits=None, folds=2, tokens=tokens).fetch(np.array([0]), seed=0, epoch=0)
    assert batch["token"].max() == mask
    assert torch.isfinite(scores(tiny, batch)[0]).all()


def test_a_transcript_far_away_has_no_say(tiny: Tiny, batch: Batch) -> None:
    """Of two tiles in a batch one may change at will."""
    other = dict(batch)
    first = len(tiny.samples(splits=None, folds=2).fetch(np.array([3]), seed=0, epoch=0)["token"])
    other["token"] = batch["token"].clone()
    other["token"][first:] = (other["token"][first:] + 1) % len(tiny.graph.genes)
    before, after = scores(tiny, batch)[0], scores(tiny, other)[0]
    mine = batch["judged"] < first
    assert torch.equal(before[mine], after[mine])
    assert not torch.equal(before[~mine], after[~mine])


def test_a_foreign_gene_costs_at_most_the_share_of_stray_rna() -> None:
    ambient = torch.tensor([[0.0, -2.0, 3.0]])
    decoded = Decoded(torch.tensor([[1.0, 2.0, NO_CANDIDATE]]), ambient, torch.zeros(1))
    impossible = with_gene(decoded, torch.full((1, 3), -1e4))
    expected = decoded.weight[:, :2] + torch.log(torch.sigmoid(ambient[:, :2]))
    torch.testing.assert_close(impossible[:, :2], expected)
    assert impossible[0, 2] == NO_CANDIDATE
    torch.testing.assert_close(with_gene(decoded, torch.zeros(1, 3))[:, :2], decoded.weight[:, :2], atol=1e-6, rtol=0)


def test_without_layers_heads_or_dropout_being_their_defaults_it_still_runs(tiny: Tiny, batch: Batch) -> None:
    for sizes in ({"num_mid_layers": 0}, {"heads": 1}, {"heads": 8, "dropout": 0.5}):
        assert torch.isfinite(scores(tiny, batch, **sizes)[0]).all()


def test_every_weight_gets_a_gradient(tiny: Tiny) -> None:
    model = tiny.network().train()
    task = tiny.task()
    task.model = model
    batch = tiny.samples().fetch(tiny.splits.tiles_of("train"), seed=0, epoch=0)
    sum(task.losses(batch, model).values()).backward()
    silent = [name for name, value in model.named_parameters() if value.grad is None or not value.grad.abs().sum()]
    # in the last layer the nuclei's keys and transcripts' targets still matter; softmax ignores what is common to all
    assert silent == []
