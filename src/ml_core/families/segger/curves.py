"""Curves of a training, as a figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

Rows = list[dict[str, float]]


def training_curves(history: Rows, path: Path, *, best_epoch: int) -> None:
    """Losses, validation metrics and learning rate over epochs; the chosen epoch is marked."""
    epochs = np.array([row["epoch"] for row in history])
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 3)

    def draw(panel: Axes, name: str, label: str, **style: str) -> None:
        values = np.array([row.get(name, np.nan) for row in history], dtype=float)
        seen = np.isfinite(values)
        panel.plot(epochs[seen], values[seen], label=label, **style)

    for term, colour in (("ring", "#2b5d8a"), ("inner", "#8a6d2b"), ("gene", "#4a8a5b")):
        draw(axes[0], f"train_{term}_loss", f"{term}, training", color=colour, linestyle="--")
        draw(axes[0], f"val_{term}_loss", f"{term}, validation", color=colour)
    for metric, colour in (
        ("auroc", "#2b5d8a"),
        ("average_precision", "#8a2b55"),
        ("f1", "#8a6d2b"),
        ("top1", "#4a8a5b"),
    ):
        draw(axes[1], f"val_{metric}", metric.replace("_", " "), color=colour)
    draw(axes[2], "learning_rate", "learning rate", color="#5c6675")
    for panel, title in zip(axes, ("Loss", "Validation, held-out nuclear transcripts", "Learning rate"), strict=True):
        panel.set(title=title, xlabel="epoch")
        panel.axvline(best_epoch, color="#b3382c", linewidth=1, linestyle=":")
        panel.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, fontsize=8)
    axes[1].legend(frameon=False, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
