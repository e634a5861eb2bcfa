"""Regions that tell a tissue have information, others have none, and each tissue gets its turn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_core.families.tissuebert.hdf5_writer import Rows
from ml_core.families.tissuebert.information import choose, class_counts, information, shares


def rows(meth: list[int], cov: list[int], *, count: list[int], region: list[int]) -> Rows:
    states = np.full((len(meth), 150), 2, np.uint8)
    for row, (own, all_) in enumerate(zip(meth, cov, strict=True)):
        states[row, :own], states[row, own : min(all_, 4)] = 1, 0
    return Rows(np.array(region), states, np.array(count), np.array(meth), np.array(cov))


def test_fragments_are_unmethylated_mixed_or_methylated_by_their_cpgs() -> None:
    found = class_counts(
        rows([0, 1, 2, 3, 4], [4] * 5, count=[1, 2, 3, 4, 5], region=[0, 0, 1, 1, 1]), regions=3, kind="reads"
    )
    assert found.tolist() == [[3, 0, 0], [0, 3, 9], [0, 0, 0]]


def test_counts_of_cpgs_stand_for_fragments() -> None:
    found = class_counts(rows([4], [40], count=[1], region=[1]), regions=2, kind="counts")
    assert found[1].tolist() == [9, 0, 1]  # 40 reads on 4 CpGs are 10 fragments


def test_bits_are_those_of_the_definition() -> None:
    perfect = np.array([[[1.0, 0, 0]], [[0, 0, 1.0]]])
    np.testing.assert_allclose(information(perfect), [[1, 1]])
    alike = np.full((5, 3, 3), 1 / 3)
    np.testing.assert_allclose(information(alike), np.zeros((3, 5)), atol=1e-12)


def test_few_fragments_tell_little() -> None:
    counts = np.zeros((2, 3, 3))
    counts[0, :, 0], counts[1, :, 2] = [0, 2, 200], [0, 2, 200]
    bits = information(shares(counts))[:, 0]
    assert bits[0] == pytest.approx(0, abs=1e-9)
    assert 0 < bits[1] < 0.2
    assert bits[2] > 0.9


@given(st.integers(1, 30), st.integers(1, 6), st.integers(1, 40), st.integers(0, 99))
def test_as_many_regions_are_chosen_as_there_are_and_each_once(
    regions: int, tissues: int, count: int, seed: int
) -> None:
    bits = np.random.default_rng(seed).random((regions, tissues))
    chosen = choose(bits, count=count)
    assert len(chosen) == min(count, regions)
    assert (np.diff(chosen) > 0).all()
    if count >= tissues and count < regions:
        assert set(bits.argmax(axis=0)) <= set(chosen)


def test_a_tissue_with_weak_markers_gets_as_many_as_one_with_strong_ones() -> None:
    bits = np.zeros((40, 2))
    bits[:20, 0], bits[20:, 1] = np.linspace(0.9, 0.5, 20), np.linspace(0.09, 0.05, 20)
    assert choose(bits, count=10).tolist() == [0, 1, 2, 3, 4, 20, 21, 22, 23, 24]
