"""Whether stated probabilities are as often right as they say, and one temperature that mends what is not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

HOTTEST = 100.0  # temperatures are looked for from 1 / HOTTEST to HOTTEST


@dataclass(frozen=True)
class Reliability:
    """Bins of equal width of the highest probability: weight, mean probability and share that is right, [bins]; the
    latter two NaN in empty bins."""

    weight: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error (Guo et al. 2017): the bins' mean distance; NaN without items."""
        if self.weight.sum() == 0:
            return float("nan")
        filled = self.weight > 0
        apart = np.abs(self.confidence[filled] - self.accuracy[filled])
        return float(np.average(apart, weights=self.weight[filled]))


def reliability(scores: np.ndarray, true: np.ndarray, *, weight: np.ndarray, bins: int) -> Reliability:
    """Of log probabilities up to a constant, [n, classes]; true [n]; weight [n]."""
    chances = softmax(scores.astype(np.float64), axis=1) if len(scores) else np.zeros((0, 1))
    confidence, named = chances.max(1, initial=0), chances.argmax(1)
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    total = np.bincount(bin_of, weight, minlength=bins)
    with np.errstate(invalid="ignore"):
        return Reliability(
            total,
            np.bincount(bin_of, weight * confidence, minlength=bins) / total,
            np.bincount(bin_of, weight * (named == true), minlength=bins) / total,
        )


def cross_entropy(scores: np.ndarray, true: np.ndarray, *, weight: np.ndarray) -> float:
    """Weighted mean of -log p of the true class; scores [n, classes] as in `reliability`."""
    of_true = log_softmax(scores.astype(np.float64), axis=1)[np.arange(len(true)), true]
    return float(-np.average(of_true, weights=weight))


def fit_temperature(scores: np.ndarray, true: np.ndarray, *, weight: np.ndarray) -> float:
    """The temperature by which scores are divided so that their cross entropy is least; above 1: they were too sure."""

    def loss(log_temperature: float) -> float:
        return cross_entropy(scores / np.exp(log_temperature), true, weight=weight)

    span = float(np.log(HOTTEST))
    return float(np.exp(minimize_scalar(loss, bounds=(-span, span), method="bounded").x))


def without_smoothing(scores: np.ndarray, *, label_smoothing: float) -> np.ndarray:
    """Log probabilities [n, classes] of logits that were trained on labels smoothed by so much.

    The best answer to smoothed labels is (1 - s) p + s / classes; this gives p, at least a thousandth of s / classes.
    """
    chances, even = softmax(scores.astype(np.float64), axis=1), label_smoothing / scores.shape[1]
    least = max(even, 1e-9) / 1000
    mended: np.ndarray = np.log(np.maximum((chances - even) / (1 - label_smoothing), least))
    return mended
