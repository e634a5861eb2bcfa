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


def with_unknown(means: np.ndarray, unknown: np.ndarray, observed: np.ndarray, reads: np.ndarray) -> np.ndarray:
    """Proportions [tissues + 1] with an unknown tissue last, which may look like any of the columns of `unknown`
    [regions, states] or between them. Shares are not scaled: a last row asks for a sum of 1 as strongly as all regions
    together ask for their means, for what known tissues leave unexplained is not to vanish by scaling."""
    seen = reads > 0
    columns = np.column_stack([means, unknown])[seen]
    weight = np.sqrt(max(int(seen.sum()), 1))
    rows = np.vstack([columns, np.full(columns.shape[1], weight)])
    found, _ = nnls(rows, np.append(observed[seen], weight))
    shares = np.append(found[: means.shape[1]], found[means.shape[1] :].sum())
    proportions: np.ndarray = shares / max(shares.sum(), 1e-12)
    return proportions
