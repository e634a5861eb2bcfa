"""What is drawn of a history with gaps."""

from __future__ import annotations

import math

from ml_core.canvas import blank_figure
from ml_core.training.curves import draw_course, mark_kept_epoch

HISTORY = [
    {"epoch": 1.0, "train_loss": 4.0},
    {"epoch": 2.0, "train_loss": math.nan, "val_loss": 3.0},
    {"epoch": 3.0, "train_loss": 2.0, "val_loss": math.inf},
]


def test_a_course_has_only_the_epochs_in_which_it_is_finite() -> None:
    panel = blank_figure(3, 2).subplots()
    draw_course(panel, HISTORY, "train_loss", label="loss")
    assert panel.lines[0].get_xydata().tolist() == [[1, 4], [3, 2]]
    assert panel.get_legend_handles_labels()[1] == ["loss"]


def test_what_is_never_finite_leaves_no_trace_in_the_legend() -> None:
    panel = blank_figure(3, 2).subplots()
    draw_course(panel, HISTORY[:1], "val_loss", label="validation")
    draw_course(panel, HISTORY, "val_auroc", label="AUROC")
    assert panel.get_legend_handles_labels()[1] == []


def test_the_epoch_that_was_kept_is_marked() -> None:
    panel = blank_figure(3, 2).subplots()
    mark_kept_epoch(panel, 2)
    assert list(panel.lines[0].get_xdata()) == [2, 2]
