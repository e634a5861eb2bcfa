"""Sequences of mixed length, in chunks or not, with gradient checkpointing or not: the same embeddings."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ml_core.families.sequence.tokens import MASK, tokenize
from tests.unit.families.sequence.small import small_encoder, small_table

TOKENS = torch.from_numpy(tokenize(small_table().sequences, max_bp=20))


@pytest.mark.parametrize("pooling", ["place", "attention"])
def test_longer_sequences_in_the_batch_change_no_embedding(pooling: str) -> None:
    model = small_encoder(pooling=pooling)
    together = model.asv(TOKENS)[1]
    for row, tokens in enumerate(TOKENS):
        alone = model.asv(tokens[: int((tokens > 0).sum())][None])[1]
        torch.testing.assert_close(alone[0], together[row], rtol=1e-5, atol=1e-5)


def test_chunks_change_neither_embeddings_nor_gradients() -> None:
    torch.manual_seed(0)
    whole = small_encoder()
    chunked = small_encoder(asv_chunk_size=3)
    chunked.load_state_dict(whole.state_dict())
    for model in (whole, chunked):
        model.asv(TOKENS)[1].square().sum().backward()
    torch.testing.assert_close(whole.asv(TOKENS)[1], chunked.asv(TOKENS)[1])
    for left, right in zip(whole.asv.parameters(), chunked.asv.parameters(), strict=True):
        torch.testing.assert_close(left.grad, right.grad, rtol=1e-4, atol=1e-4)


def test_each_hidden_nucleotide_has_one_row_of_logits_in_the_order_of_the_mask() -> None:
    model = small_encoder()
    rng = np.random.default_rng(0)
    hidden = torch.from_numpy(rng.random(TOKENS.shape) < 0.3) & (TOKENS > 0) & (TOKENS < 5)
    states, embedding = model.asv(torch.where(hidden, MASK, TOKENS))
    logits = model.nucleotide(states, embedding, hidden)
    assert logits.shape == (int(hidden.sum()), 4)
    last = torch.zeros_like(hidden)
    row, column = hidden.nonzero()[-1]
    last[row, column] = True
    torch.testing.assert_close(model.nucleotide(states, embedding, last)[0], logits[-1])
