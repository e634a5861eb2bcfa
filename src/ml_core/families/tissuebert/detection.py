"""From how much on a tissue is seen in blood: limit of blank and limit of detection (CLSI EP17)."""

from __future__ import annotations

import numpy as np

QUANTILE = 0.95


def limit_of_blank(blanks: np.ndarray) -> np.ndarray:
    """95 % quantile of what is found of each tissue in samples [n, tissues] that have none of it."""
    found: np.ndarray = np.quantile(blanks, QUANTILE, axis=0)
    return found


def limit_of_detection(blank: float, fractions: np.ndarray, found: np.ndarray) -> float:
    """The least true fraction at which, and above which, at least 95 % of the estimates exceed the limit of blank.

    fractions [n], found [n]: true and estimated ones of one tissue. NaN where no fraction tried is enough.
    """
    limit = float("nan")
    for fraction in sorted(set(fractions[fractions > 0]), reverse=True):
        if (found[fractions == fraction] > blank).mean() < QUANTILE:
            break
        limit = float(fraction)
    return limit
