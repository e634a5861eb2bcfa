"""Class shares of region-tissue cells, each drawn to its region as far as the data of all cells say that it should be.

In a marker region nearly all tissues are alike and a few stand out. So a cell's shares are drawn from one of two
Dirichlet distributions: the region's background, whose strength is learnt, or a wide one for what stands out. Without
that, the noise of a few donors' reads in thousands of background cells outweighs the markers.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

STRENGTHS = np.array([1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0])  # reads that a background may weigh
WIDE_READS = 3.0  # what the wide distribution weighs
ROUNDS = 12


def shrink(counts: np.ndarray) -> np.ndarray:
    """Posterior mean shares [regions, tissues, classes] of effective read counts of that shape (empirical Bayes)."""
    everywhere = counts.sum((0, 1)) + 1
    wide = WIDE_READS * everywhere / everywhere.sum()  # [classes]
    wide = np.broadcast_to(wide, counts.shape)
    background, alike = _shares(counts.sum(1) + 0.1), 0.9
    strength = 20.0
    chance = np.full(counts.shape[:2], alike)
    for _ in range(ROUNDS):
        ours = _evidence(counts, strength * background[:, None])
        chance = 1 / (1 + (1 - alike) / alike * np.exp(np.clip(_evidence(counts, wide) - ours, -500, 500)))
        alike = float(np.clip(chance[counts.sum(2) > 0].mean(), 0.01, 0.99)) if counts.any() else alike
        background = _shares((counts * chance[:, :, None]).sum(1) + 0.1 * wide[:, 0])
        fits = [(chance * _evidence(counts, each * background[:, None])).sum() for each in STRENGTHS]
        strength = float(STRENGTHS[int(np.argmax(fits))])
    close = _shares(counts + strength * background[:, None])
    found: np.ndarray = chance[:, :, None] * close + (1 - chance[:, :, None]) * _shares(counts + wide)
    return found


def _evidence(counts: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """log probability of counts [..., classes] under Dirichlet-multinomials, without the number of orders [...]."""
    total, each = prior.sum(-1), gammaln(counts + prior) - gammaln(prior)
    found: np.ndarray = gammaln(total) - gammaln(counts.sum(-1) + total) + each.sum(-1)
    return found


def _shares(counts: np.ndarray) -> np.ndarray:
    found: np.ndarray = counts / counts.sum(-1, keepdims=True)
    return found
