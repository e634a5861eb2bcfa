"""A sample is a set: order and empty slots change nothing. Distances are 0 for the same sample and at most 1."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ml_core.families.sequence.samples import Sets, make_sets
from ml_core.families.sequence.tokens import tokenize
from tests.unit.families.sequence.small import small_encoder, small_table

TABLE = small_table()
TOKENS = tokenize(TABLE.sequences, max_bp=20)
METRICS = ["unweighted", "weighted_normalized"]


def encoded(sets: Sets, metric: str = "unweighted") -> tuple[Tensor, Tensor, Tensor]:
    """Presence, pooled and distances."""
    torch.manual_seed(0)
    model = small_encoder(metric=metric)
    samples = model.sample(model.asv(sets.tokens)[1], sets.slot, sets.reads)
    return samples.presence, samples.pooled, model.unifrac(samples)


@pytest.mark.parametrize("metric", METRICS)
def test_the_order_of_asvs_and_the_order_in_the_table_change_nothing(metric: str) -> None:
    order = np.random.default_rng(0).permutation(len(TOKENS))
    plain = encoded(make_sets(TABLE.counts, TOKENS, limit=100, rngs=None), metric)
    moved = encoded(make_sets(TABLE.counts[:, order], TOKENS[order], limit=100, rngs=None), metric)
    for left, right in zip(plain, moved, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-5)


def test_empty_slots_and_other_samples_of_the_batch_change_nothing() -> None:
    together = encoded(make_sets(TABLE.counts, TOKENS, limit=100, rngs=None))
    for row in range(len(TABLE)):
        alone = encoded(make_sets(TABLE.counts[[row]], TOKENS, limit=100, rngs=None))
        torch.testing.assert_close(alone[0][0], together[0][row], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(alone[1][0], together[1][row], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("metric", METRICS)
def test_distances_are_zero_for_the_same_sample_symmetric_and_at_most_one(metric: str) -> None:
    distances = encoded(make_sets(TABLE.counts, TOKENS, limit=100, rngs=None), metric)[2]
    assert distances.diagonal().abs().max() < 1e-5
    torch.testing.assert_close(distances, distances.T, rtol=1e-5, atol=1e-5)
    assert distances.min() >= -1e-6
    assert 0.01 < distances.max() <= 1


def test_samples_that_share_no_clade_are_at_distance_one() -> None:
    model = small_encoder()
    presence = torch.tensor([[1.0, 0.0] * 8, [0.0, 1.0] * 8])
    samples = model.sample(torch.randn(2, 12), torch.tensor([[0], [1]]), torch.ones(2, 1))
    vars(samples)["presence"] = presence
    torch.testing.assert_close(model.unifrac(samples), 1 - torch.eye(2))


@pytest.mark.parametrize("metric", METRICS)
def test_distances_pass_a_gradient_to_the_sequences(metric: str) -> None:
    model = small_encoder(metric=metric)
    sets = make_sets(TABLE.counts[:3], TOKENS, limit=100, rngs=None)
    model.unifrac(model.sample(model.asv(sets.tokens)[1], sets.slot, sets.reads)).sum().backward()
    assert model.asv.token.weight.grad.abs().sum() > 0


def test_abundance_is_an_input() -> None:
    counts = TABLE.counts.copy()
    counts.data = counts.data * 10
    few, many = (encoded(make_sets(each, TOKENS, limit=100, rngs=None))[1] for each in (TABLE.counts, counts))
    assert (few - many).abs().max() > 1e-4
