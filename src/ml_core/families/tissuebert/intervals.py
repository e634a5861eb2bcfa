"""Intervals of proportions by bootstrap over regions, widened by as much as held-out donors show to be needed."""

from __future__ import annotations

import numpy as np

from ml_core.families.tissuebert.em import Mixture, expand, explain, pseudo_reads
from ml_core.families.tissuebert.evidence import Evidence
from ml_core.metrics.bootstrap import draw_weights

LEVEL = 0.95
WIDENINGS = np.round(np.arange(0.5, 8.01, 0.05), 2)
ITERATIONS = 60


def bootstrap(evidence: Evidence, mixture: Mixture, *, concentration: float, draws: int, seed: int) -> np.ndarray:
    """Proportions [draws, tissues + 1] (the unknown one last) of samples whose regions are drawn with replacement.

    Donors differ region by region, so that this holds their differences as well as the noise of reads. What the unknown
    tissue is in each region stays as found.
    """
    weights = draw_weights(len(mixture.states), draws=draws, seed=seed)  # [draws, regions]
    row, likelihood, weight = expand(evidence, mixture.states)
    likelihood = likelihood.astype(np.float32)
    drawn = (weights[:, evidence.region[row]].T * weight[:, None]).astype(np.float32)
    start = np.tile(np.maximum(mixture.whole, 1e-4), (draws, 1)).astype(np.float32)
    pseudo = pseudo_reads(evidence.likelihood.shape[1], concentration=concentration)
    if mixture.unknown == 0:
        known = explain(likelihood[:, :-1], drawn, start=start[:, :-1], pseudo=pseudo[:-1], iterations=ITERATIONS)
        return np.column_stack([known, np.zeros(draws, np.float32)])
    return explain(likelihood, drawn, start=start, pseudo=pseudo, iterations=ITERATIONS)


def standard_errors(evidence: Evidence, mixture: Mixture) -> np.ndarray:
    """Of each proportion with the others fixed, from the information of the reads, [tissues + 1]: what a tissue that
    was not found could still be."""
    _, likelihood, weight = expand(evidence, mixture.states)
    mix = np.maximum(likelihood @ mixture.whole, 1e-12)
    found: np.ndarray = 1 / np.sqrt(np.maximum(weight @ (likelihood / mix[:, None]) ** 2, 1e-12))
    return found


def interval(
    point: np.ndarray, draws: np.ndarray, errors: np.ndarray, *, widen: float
) -> tuple[np.ndarray, np.ndarray]:
    """Low and high [tissues] around proportions `point` [tissues]: the percentiles' distances times `widen`; upwards at
    least `widen` standard `errors`."""
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    up = np.maximum(np.maximum(high - point, 0), errors)
    down = np.maximum(point - low, 0)
    return np.clip(point - widen * down, 0, 1), np.clip(point + widen * up, 0, 1)


def choose_widening(
    points: list[np.ndarray], draws: list[np.ndarray], errors: list[np.ndarray], truths: list[np.ndarray]
) -> float:
    """The least of `WIDENINGS` with which the intervals hold 95 % of the true proportions above 0 of known mixtures."""
    for widen in WIDENINGS:
        inside = [
            covered(truth, *interval(point, drawn, error, widen=widen))
            for point, drawn, error, truth in zip(points, draws, errors, truths, strict=True)
        ]
        if np.concatenate(inside).mean() >= LEVEL:
            return float(widen)
    return float(WIDENINGS[-1])


def covered(truth: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """bool [present]: whether each proportion that is not 0 lies in its interval."""
    present = truth > 0
    inside: np.ndarray = (truth >= low) & (truth <= high)
    return inside[present]
