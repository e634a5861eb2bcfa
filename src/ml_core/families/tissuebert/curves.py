"""Curves of a training, as a figure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ml_core.canvas import blank_figure, save_figure, unframe

COLOURS = ("#2b5d8a", "#8a6d2b", "#4a8a5b", "#8a2b55")


def training_curves(
    history: list[dict[str, float]],
    path: Path,
    *,
    best_epoch: int,
    terms: Mapping[str, str],
    metrics: Mapping[str, str],
) -> None:
    """Each loss term and each validation metric (name to label) over epochs; the epoch that was kept is marked."""
    figure = blank_figure(10, 3.6)
    losses, judged = figure.subplots(1, 2)
    for (term, label), colour in zip(terms.items(), COLOURS, strict=False):
        _draw(losses, history, f"train_{term}_loss", label=f"{label}, training", color=colour, linestyle="--")
        _draw(losses, history, f"val_{term}_loss", label=f"{label}, validation", color=colour)
    for (metric, label), colour in zip(metrics.items(), COLOURS, strict=False):
        _draw(judged, history, f"val_{metric}", label=label, color=colour)
    losses.set(title="Loss", xlabel="epoch", yscale="log")
    judged.set(title="Validation", xlabel="epoch")
    for panel in (losses, judged):
        panel.axvline(best_epoch, color="#b3382c", linewidth=1, linestyle=":")
        unframe(panel)
        if panel.has_data() and panel.get_legend_handles_labels()[0]:
            panel.legend(frameon=False, fontsize=8)
    save_figure(figure, path)


def _draw(panel: Axes, history: list[dict[str, float]], name: str, **style: Any) -> None:
    values = np.array([row.get(name, np.nan) for row in history], dtype=float)
    seen = np.isfinite(values)
    if seen.any():
        panel.plot(np.array([row["epoch"] for row in history])[seen], values[seen], **style)
