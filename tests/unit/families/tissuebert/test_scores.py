"""Figures of cases by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ml_core.families.tissuebert.scores import accuracy, by_tissue, confusion, pooled

SCORES = np.array([[3.0, 1, 0], [0, 2, 1], [2, 1, 0], [0, 0, 0]])
TRUE = np.array([0, 1, 1, 2])


def test_accuracy_counts_ties_in_part_and_items_by_weight() -> None:
    assert accuracy(SCORES, TRUE) == pytest.approx((1 + 1 + 0 + 1 / 3) / 4)
    assert accuracy(SCORES, TRUE, top=2) == pytest.approx((3 + 2 / 3) / 4)
    assert accuracy(SCORES, TRUE, weight=np.array([1, 1, 6, 0])) == pytest.approx(2 / 8)


@pytest.mark.parametrize("count", [0, 1])
def test_one_tissue_or_none_is_no_accuracy(count: int) -> None:
    assert np.isnan(accuracy(SCORES[:count], TRUE[:count]))


def test_pooling_sums_weighted_reads_of_an_owner_wherever_they_stand() -> None:
    owners, summed = pooled(SCORES, weight=np.array([1, 2, 3, 1]), owner=np.array([7, 4, 7, 4]))
    assert owners.tolist() == [4, 7]
    assert summed.tolist() == [[0, 4, 2], [9, 4, 0]]


def test_precision_recall_and_f1_of_a_matrix() -> None:
    matrix = confusion(SCORES[:3], TRUE[:3], weight=np.array([1, 2, 3]))
    assert matrix.tolist() == [[1, 0, 0], [3, 2, 0], [0, 0, 0]]
    figures = by_tissue(matrix)
    assert figures["precision"][:2] == pytest.approx([1 / 4, 1])
    assert figures["recall"][:2] == pytest.approx([1, 2 / 5])
    assert figures["f1"][:2] == pytest.approx([2 / 5, 4 / 7])
    assert all(np.isnan(values[2]) for values in figures.values())
