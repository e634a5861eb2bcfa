"""The interval of the AUC, by which a classifier is promoted or not."""

from __future__ import annotations

import numpy as np
import pytest

from ml_core.families.sequence.predictor_task import class_metrics
from ml_core.families.sequence.report import drawn_auc
from ml_core.metrics.bootstrap import draw_weights, interval


def interval_of(chance: np.ndarray, true: np.ndarray, *, weights: np.ndarray) -> tuple[float, float]:
    return interval(drawn_auc(chance, true, weights=weights))


def sample(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Chances [n, 2] that tell the classes apart in most cases, and the classes."""
    rng = np.random.default_rng(0)
    true = np.arange(count) % 2
    second = 1 / (1 + np.exp(-rng.normal(true - 0.5, 1)))
    return np.stack([1 - second, second], axis=1), true


def test_the_interval_holds_the_auc_and_narrows_with_samples() -> None:
    widths = []
    for count in (40, 400):
        chance, true = sample(count)
        low, high = interval_of(chance, true, weights=draw_weights(count, draws=200, seed=0))
        assert low < class_metrics(chance, true)["auc"] < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_samples_that_are_always_drawn_once_leave_no_width() -> None:
    chance, true = sample(40)
    auc = class_metrics(chance, true)["auc"]
    assert interval_of(chance, true, weights=np.ones((5, 40))) == pytest.approx((auc, auc))


def test_draws_of_one_class_are_left_out_and_nothing_else_gives_nan() -> None:
    chance, true = sample(40)
    one_class = np.where(true == 1, 1.0, 0.0)
    auc = class_metrics(chance, true)["auc"]
    mixed = np.stack([one_class, np.ones(40)])
    assert interval_of(chance, true, weights=mixed) == pytest.approx((auc, auc))
    assert np.isnan(interval_of(chance, true, weights=one_class[None])).all()
