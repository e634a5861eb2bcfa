"""Proportions by non-negative least squares on the mean methylation of regions."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls


def least_squares(means: np.ndarray, observed: np.ndarray, reads: np.ndarray) -> np.ndarray:
    """Plain: proportions [tissues], scaled to 1, that give `observed` [regions] from means [regions, tissues];
    regions without reads are left out."""
    seen = reads > 0
    found, _ = nnls(means[seen], observed[seen])
    return found / max(found.sum(), 1e-12)
