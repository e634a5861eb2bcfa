"""Each ASV of a batch is there once; blocks are functions of seed, epoch and number; the cap keeps the abundant."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_core.families.sequence.samples import EncoderSamples, make_sets
from ml_core.families.sequence.tokens import A, tokenize
from tests.unit.families.sequence.small import small_distances, small_settings, small_table

TABLE = small_table()
TOKENS = tokenize(TABLE.sequences, max_bp=20)


@given(st.lists(st.integers(0, 11), min_size=1, max_size=6))
def test_sets_hold_what_the_rows_hold_and_each_asv_once(rows: list[int]) -> None:
    sets = make_sets(TABLE.counts[rows], TOKENS, limit=100, rngs=None)
    assert len(np.unique(sets.asv)) == len(sets.asv) == len(sets.tokens)
    rebuilt = np.zeros((len(rows), len(TABLE.asv_ids)))
    for row, (slot, reads) in enumerate(zip(sets.slot, sets.reads, strict=True)):
        there = reads > 0
        rebuilt[row, sets.asv[slot[there]]] = reads[there]
    np.testing.assert_array_equal(rebuilt, TABLE.counts[rows].toarray())


def test_over_the_cap_the_most_abundant_stay_or_some_are_drawn() -> None:
    top = make_sets(TABLE.whole[[0]], TOKENS, limit=3, rngs=None)
    kept = sorted(top.reads[0].tolist())
    assert kept == sorted(TABLE.whole[[0]].toarray().ravel().tolist())[-3:]
    drawn = make_sets(TABLE.whole[[0]], TOKENS, limit=3, rngs=[np.random.default_rng(0)])
    assert (drawn.reads > 0).sum() == 3


def test_an_epoch_has_each_sample_once_and_another_epoch_deals_anew() -> None:
    distances = small_distances()
    samples = EncoderSamples(TABLE, distances, np.arange(12), settings=small_settings(), fixed=False)
    blocks = [samples.fetch(np.arange(len(samples)), seed=0, epoch=epoch) for epoch in (0, 0, 1)]
    sums = [sorted(float(block.distances.sum()) for block in epoch) for epoch in blocks]
    assert sum(len(block.distances) for block in blocks[0]) == 12
    assert sums[0] == sums[1] != sums[2]
    (alone,) = samples.fetch(np.array([1]), seed=0, epoch=0)
    assert (alone.masked == blocks[0][1].masked).all()


def test_fixed_blocks_hide_the_same_nucleotides_in_every_epoch_and_answer_for_them() -> None:
    samples = EncoderSamples(TABLE, small_distances(), np.arange(12), settings=small_settings(), fixed=True)
    first, later = (samples.fetch(np.array([0]), seed=seed, epoch=seed)[0] for seed in (0, 5))
    assert (first.masked == later.masked).all()
    assert first.clean
    assert (first.answer + A == first.sets.tokens[first.hidden]).all()


@pytest.mark.parametrize(("rows", "blocks"), [(0, 0), (1, 0), (3, 1), (9, 2)])
def test_no_block_has_fewer_than_two_samples(rows: int, blocks: int) -> None:
    samples = EncoderSamples(TABLE, small_distances(), np.arange(rows), settings=small_settings(), fixed=False)
    assert len(samples) == blocks


def test_which_asvs_a_sample_keeps_does_not_depend_on_its_batch():
    def kept(rows):
        rngs = [np.random.default_rng([5, row]) for row in rows]
        sets = make_sets(TABLE.whole[rows], TOKENS, limit=3, rngs=rngs)
        return {row: set(sets.asv[sets.slot[at]][sets.reads[at] > 0].tolist()) for at, row in enumerate(rows)}

    rows = list(range(min(6, TABLE.whole.shape[0])))
    together = kept(rows)
    assert max(np.diff(TABLE.whole.indptr)[rows]) > 3
    assert all(kept([row])[row] == together[row] for row in rows)
