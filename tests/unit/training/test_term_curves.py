"""Curves of a training have a panel for validation only where there was one."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import pytest

from ml_core.training.term_curves import training_curves


@pytest.mark.parametrize("validated", [True, False])
def test_there_is_no_empty_panel(tmp_path: Path, validated: bool) -> None:
    course = {"val_bag_loss": 1.0, "val_accuracy": 0.5} if validated else {}
    history = [{"epoch": epoch, "train_bag_loss": 1.0 / epoch, **course} for epoch in (1.0, 2.0)]
    training_curves(
        history,
        tmp_path / "c.png",
        best_epoch=2,
        terms={"bag": "bag"},
        metrics={"accuracy": "right", "recall": "found"},
    )
    height, width = matplotlib.image.imread(tmp_path / "c.png").shape[:2]
    assert (width > 2 * height) == validated
