"""Which epoch was kept, and what is said of a training without validation."""

from __future__ import annotations

import pytest

from ml_core.training.outcome import best_row
from ml_core.training.settings import TrainingSettings

ROWS = [{"epoch": 1.0, "val_auroc": float("nan")}, {"epoch": 2.0, "val_auroc": 0.5}, {"epoch": 3.0, "val_auroc": 0.5}]


def settings(mode: str = "min") -> TrainingSettings:
    return TrainingSettings(monitor="val_auroc", monitor_mode=mode)


@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_best_epoch_is_the_first_of_equals_and_never_a_nan(mode: str) -> None:
    assert best_row(ROWS, settings=settings(mode))["epoch"] == 2


def test_epochs_without_validation_are_no_candidates_for_the_best() -> None:
    assert best_row([{"epoch": 1.0, "train_loss": 0.0}, *ROWS], settings=settings())["epoch"] == 2
    only_nan = [{"epoch": 1.0, "val_auroc": float("nan")}]
    assert best_row(only_nan, settings=settings()) is only_nan[0]


def test_without_any_validation_the_last_epoch_was_kept() -> None:
    rows = [{"epoch": 1.0, "train_loss": 0.1}, {"epoch": 2.0, "train_loss": 0.2}]
    assert best_row(rows, settings=settings()) is rows[1]
