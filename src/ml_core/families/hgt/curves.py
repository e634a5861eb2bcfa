"""Curves of a training, as a figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

Rows = list[dict[str, float]]
COLOURS = ("#2b5d8a", "#8a2b55", "#8a6d2b", "#4a8a5b", "#5c6675", "#b3382c", "#6b4a8a", "#2b8a86")


def training_curves(history: Rows, path: Path, *, best_epoch: int, vector_epochs: int) -> None:
    """Losses, validation MRR, signs of collapse by node type; marked: when the layers start, the epoch chosen."""
    epochs = np.array([row["epoch"] for row in history])
    figure = Figure(figsize=(15, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 4)

    def draw(panel: Axes, name: str, label: str, **style: Any) -> None:
        values = np.array([row.get(name, np.nan) for row in history], dtype=float)
        seen = np.isfinite(values)
        if seen.any():
            panel.plot(epochs[seen], values[seen], label=label, **style)

    def beginning(prefix: str) -> list[str]:
        return sorted({name for row in history for name in row if name.startswith(prefix)})

    for term, colour in (("link", COLOURS[0]), ("contrastive", COLOURS[1])):
        draw(panels[0], f"train_{term}_loss", f"{term}, training", color=colour, linestyle="--")
    for name in beginning("val_mrr."):
        draw(panels[1], name, "_each", color="#c8cdd4")
    draw(panels[1], "val_mrr", "mean over relations", color=COLOURS[0])
    for panel, prefix in ((panels[2], "val_effective_rank."), (panels[3], "val_within_cosine.")):
        for number, name in enumerate(beginning(prefix)):
            draw(panel, name, name.removeprefix(prefix), color=COLOURS[number % len(COLOURS)])
    titles = ("Loss", "Validation, filtered MRR", "Effective rank", "Mean cosine within a type")
    for panel, title in zip(panels, titles, strict=True):
        panel.set(title=title, xlabel="epoch")
        panel.axvline(best_epoch, color="#b3382c", linewidth=1, linestyle=":")
        if vector_epochs:
            panel.axvline(vector_epochs + 0.5, color="#8d8d8d", linewidth=1, label="layers join in")
        panel.spines[["top", "right"]].set_visible(False)
        if panel.get_legend_handles_labels()[0]:
            panel.legend(frameon=False, fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
