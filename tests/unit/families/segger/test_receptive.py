"""Layers that compute only what is heard give the judged transcripts what layers over everything give."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from ml_core.families.segger.receptive import receptive_field, whole
from ml_core.families.segger.samples import Batch
from tests.unit.families.segger.tiny import Tiny


@pytest.fixture(scope="module")
def batch(tiny: Tiny) -> Batch:
    return tiny.samples(mask_share=0.05).fetch(np.array([0, 3, 8]), seed=0, epoch=0)


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_scores_and_gradients_are_those_of_the_whole(tiny: Tiny, batch: Batch, layers: int) -> None:
    found = []
    for field in (whole, receptive_field):
        model = tiny.network(num_mid_layers=layers).train()
        model.field = field
        decoded = model(batch)
        sum((each[each > -20].square().mean() for each in decoded), torch.zeros(())).backward()
        found.append([*decoded, *(weight.grad for weight in model.parameters())])
    for all_of_it, some in zip(*found, strict=True):
        if all_of_it is None:
            assert some is None or not some.any()
        else:
            torch.testing.assert_close(some, all_of_it, rtol=1e-4, atol=2e-6)


def test_each_layer_has_fewer_and_the_last_only_the_judged(batch: Batch) -> None:
    part, counts = receptive_field(batch, layers=3)
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == len(batch["judged"]) < counts[-2] < counts[0] <= len(batch["token"])
    assert torch.equal(part["judged"], torch.arange(counts[-1]))
    assert len(part["token"]) == len(part["step"]) == counts[0]


def test_everyone_that_a_needed_transcript_hears_is_there(batch: Batch) -> None:
    part, counts = receptive_field(batch, layers=2)
    for into, out in itertools.pairwise(counts):
        asked = part["neighbours"][:out]
        assert asked.max() < into
        assert part["belongs"][0].max() < into
    assert (part["neighbours"] >= 0).sum() <= (batch["neighbours"] >= 0).sum()
    there = (batch["neighbours"][batch["judged"]] >= 0).sum()
    assert (part["neighbours"][: counts[-1]] >= 0).sum() == there
