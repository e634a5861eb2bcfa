"""Intervals by resampling: which units are drawn how often, and what remains of a figure over the draws."""

from __future__ import annotations

import numpy as np


def draw_weights(units: int, *, draws: int, seed: int) -> np.ndarray:
    """How often each unit is drawn in each of `draws` resamplings with replacement, [draws, units] float32."""
    rng = np.random.default_rng(seed)
    if not units:
        return np.zeros((draws, 0), np.float32)
    drawn = rng.integers(0, units, (draws, units)) + np.arange(draws)[:, None] * units
    return np.bincount(drawn.ravel(), minlength=draws * units).reshape(draws, units).astype(np.float32)


def weighted_means(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean of `values` [units] in each resampling, [draws]; NaN without units."""
    if not len(values):
        return np.full(len(weights), np.nan)
    means: np.ndarray = (weights @ values.astype(np.float64)) / weights.sum(axis=1)
    return means


def interval(values: np.ndarray, *, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of a figure over the draws; NaN where no draw gave a number."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return float("nan"), float("nan")
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
