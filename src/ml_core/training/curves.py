"""Curves of a training: one quantity over the epochs that have it, and the epoch that was kept."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ml_core.training.state import Row

KEPT_COLOUR = "#b3382c"


def draw_course(panel: Axes, history: list[Row], name: str, **style: Any) -> None:
    """Draw `name` over the epochs in which it is finite; nothing, and no entry in the legend, where it never is."""
    values = np.array([row.get(name, np.nan) for row in history], dtype=float)
    seen = np.isfinite(values)
    if seen.any():
        panel.plot(np.array([row["epoch"] for row in history])[seen], values[seen], **style)


def label_courses(panel: Axes) -> None:
    """A legend, where anything with a label was drawn."""
    if panel.get_legend_handles_labels()[0]:
        panel.legend(frameon=False, fontsize=8)


def mark_kept_epoch(panel: Axes, best_epoch: int) -> None:
    """A vertical line at the epoch whose weights were kept."""
    panel.axvline(best_epoch, color=KEPT_COLOUR, linewidth=1, linestyle=":")
