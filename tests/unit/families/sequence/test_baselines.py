"""Baselines on cases that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from ml_core.families.sequence.baselines import (
    majority,
    nearest_samples,
    nearest_sequence,
    position_majority,
    random_forest,
)
from ml_core.families.sequence.targets import CLASSIFICATION, REGRESSION


def test_the_nearest_samples_answer_with_their_mean() -> None:
    distances = np.array([[0, 1, 2, 9.0], [1, 0, 3, 9], [2, 3, 0, 9], [9, 9, 9, 0]])
    rows = {"train": np.array([1, 2, 3]), "test": np.array([0])}
    said = nearest_samples(distances, **rows, answer=np.array([4.0, 6.0, 90.0]), kind=REGRESSION, classes=0, k=2)
    assert said.tolist() == [5]
    chance = nearest_samples(distances, **rows, answer=np.array([0, 1, 1]), kind=CLASSIFICATION, classes=2, k=2)
    assert chance.tolist() == [[0.5, 0.5]]


def test_the_majority_is_the_median_or_the_shares_of_classes() -> None:
    assert majority(np.array([1.0, 2.0, 9.0]), count=2, kind=REGRESSION, classes=0).tolist() == [2, 2]
    assert majority(np.array([0, 1, 1, 1]), count=1, kind=CLASSIFICATION, classes=2).tolist() == [[0.25, 0.75]]


@pytest.mark.parametrize("kind", [REGRESSION, CLASSIFICATION])
def test_the_forest_finds_an_asv_that_tells_and_is_blind_to_asvs_that_training_lacks(kind: str) -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 5, (40, 6))
    counts[:30, 5] = 0
    answer = (counts[:30, 0] > 2).astype(int)
    rows = {"train": np.arange(30), "test": np.arange(30, 40)}
    asked = {"answer": answer, "kind": kind, "classes": 2, "seed": 0}
    said = random_forest(sparse.csr_matrix(counts), **rows, **asked)
    found = said.argmax(1) if kind == CLASSIFICATION else said > 0.5
    assert (found == (counts[30:, 0] > 2)).mean() >= 0.9
    counts[30:, 5] = 99
    np.testing.assert_array_equal(random_forest(sparse.csr_matrix(counts), **rows, **asked), said)


def test_hidden_nucleotides_by_position_and_by_the_nearest_other_sequence() -> None:
    known = np.array([[1, 1, 1, 1], [1, 1, 2, 2], [1, 1, 2, 3]], np.uint8)
    tokens, hidden = known[[2]], np.array([[False, False, True, True]])
    assert position_majority(tokens, hidden, known) == 0.5  # the majority of the third place is 2, of the fourth a tie
    shown = np.array([[False, False, False, True]])
    assert nearest_sequence(tokens, shown, known, itself=np.array([2])) == 0  # row 1 is nearest, and has a 2


def test_what_is_hidden_does_not_help_to_find_the_nearest() -> None:
    known = np.array([[1, 1, 1, 4], [2, 2, 2, 3]], np.uint8)
    tokens = np.array([[1, 1, 1, 3]], np.uint8)
    hidden = np.array([[False, False, False, True]])
    assert nearest_sequence(tokens, hidden, known, itself=np.array([-1])) == 0
