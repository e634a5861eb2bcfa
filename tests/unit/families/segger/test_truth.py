from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ml_core.families.segger.truth import cell_f1, transcript_accuracy

cells = st.lists(st.integers(-1, 5), min_size=1, max_size=60).map(np.array)


@given(cells)
def test_the_truth_itself_is_perfect(truth: np.ndarray) -> None:
    assert transcript_accuracy(truth, truth) == 1
    assert cell_f1(truth, truth) == (1 if (truth >= 0).any() else 0)


@given(cells)
def test_names_of_predicted_cells_do_not_matter_to_f1(truth: np.ndarray) -> None:
    renamed = np.where(truth >= 0, 100 - 7 * truth, -1)
    assert cell_f1(renamed, truth) == cell_f1(truth, truth)


def test_a_cell_that_lost_more_than_half_is_not_found() -> None:
    truth = np.array([0] * 10 + [1] * 10)
    assigned = np.array([0] * 4 + [1] * 16)
    assert transcript_accuracy(assigned, truth) == 14 / 20
    assert cell_f1(assigned, truth) == 0.5  # IoU of cell 0 is 0.4, of cell 1 is 10/16


def test_no_prediction_at_all_finds_nothing() -> None:
    assert cell_f1(np.full(4, -1), np.array([0, 0, 1, 1])) == 0
