"""How sure a lead of the model over a baseline is."""

from __future__ import annotations

import numpy as np

from ml_core.families.tissuebert.report_settings import ReportSettings
from ml_core.metrics.bootstrap import draw_weights


def lead_error(lead: np.ndarray, *, weight: np.ndarray, donor: np.ndarray, settings: ReportSettings) -> float:
    """Standard error of the mean of `lead` [items] under `weight` [items], donors [items] drawn with replacement."""
    names, group = np.unique(donor, return_inverse=True)
    times = draw_weights(len(names), draws=settings.bootstrap_draws, seed=settings.seed)
    total = np.bincount(group, weight * lead, minlength=len(names))
    counted = np.bincount(group, weight, minlength=len(names))
    return float(((times @ total) / (times @ counted)).std())
