"""Calibration: figures of known cases, and a temperature that undoes a known distortion."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from ml_core.metrics.calibration import cross_entropy, fit_temperature, reliability, without_smoothing


def honest(count: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Log probabilities, and classes drawn from exactly these."""
    rng = np.random.default_rng(seed)
    scores = log_softmax(rng.normal(0, 2, (count, 4)), axis=1)
    true = (rng.random(count)[:, None] > softmax(scores, axis=1).cumsum(1)[:, :-1]).sum(1)
    return scores, true


def test_honest_probabilities_have_almost_no_error_and_bold_ones_have() -> None:
    scores, true = honest(40_000)
    weight = np.ones(len(true))
    assert reliability(scores, true, weight=weight, bins=15).error < 0.01
    assert reliability(3 * scores, true, weight=weight, bins=15).error > 0.1


def test_the_error_of_a_case_by_hand() -> None:
    scores = np.log(np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4]]))
    found = reliability(scores, np.array([0, 1, 0]), weight=np.array([1.0, 1.0, 2.0]), bins=10)
    assert found.error == pytest.approx((2 * abs(0.9 - 0.5) + 2 * abs(0.6 - 1.0)) / 4)


@pytest.mark.parametrize("distortion", [0.4, 1.0, 2.5])
def test_the_temperature_undoes_a_distortion(distortion: float) -> None:
    scores, true = honest(40_000)
    assert fit_temperature(distortion * scores, true, weight=np.ones(len(true))) == pytest.approx(distortion, rel=0.05)


def test_weights_count_as_copies() -> None:
    scores, true = honest(200)
    weight = np.arange(200) % 3 + 1
    copies = np.repeat(np.arange(200), weight)
    ones = np.ones(len(copies))
    assert reliability(scores, true, weight=weight, bins=5).error == pytest.approx(
        reliability(scores[copies], true[copies], weight=ones, bins=5).error
    )
    assert cross_entropy(scores, true, weight=weight) == pytest.approx(
        cross_entropy(scores[copies], true[copies], weight=ones)
    )


def test_smoothing_is_undone_exactly() -> None:
    chances = softmax(np.random.default_rng(1).normal(0, 2, (50, 5)), axis=1)
    smoothed = np.log(0.9 * chances + 0.1 / 5)
    assert np.allclose(softmax(without_smoothing(smoothed, label_smoothing=0.1), axis=1), chances, atol=1e-9)


def test_logits_beyond_what_smoothing_allows_stay_finite() -> None:
    assert np.isfinite(without_smoothing(np.array([[50.0, -50.0]]), label_smoothing=0.1)).all()


def test_without_items_the_error_is_no_number() -> None:
    assert np.isnan(reliability(np.zeros((0, 3)), np.zeros(0, int), weight=np.zeros(0), bins=5).error)
