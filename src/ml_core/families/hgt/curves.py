"""Curves of a training, as a figure."""

from __future__ import annotations

from pathlib import Path

from ml_core.canvas import blank_figure, save_figure, unframe
from ml_core.training.curves import draw_course, mark_kept_epoch

Rows = list[dict[str, float]]
COLOURS = ("#2b5d8a", "#8a2b55", "#8a6d2b", "#4a8a5b", "#5c6675", "#b3382c", "#6b4a8a", "#2b8a86")


def training_curves(history: Rows, path: Path, *, best_epoch: int, vector_epochs: int) -> None:
    """Losses, validation MRR, signs of collapse by node type; marked: when the layers start, the epoch chosen."""
    figure = blank_figure(15, 3.6)
    panels = figure.subplots(1, 4)

    def beginning(prefix: str) -> list[str]:
        return sorted({name for row in history for name in row if name.startswith(prefix)})

    for term, colour in (("link", COLOURS[0]), ("contrastive", COLOURS[1])):
        draw_course(panels[0], history, f"train_{term}_loss", label=f"{term}, training", color=colour, linestyle="--")
    for name in beginning("val_mrr."):
        draw_course(panels[1], history, name, label="_each", color="#c8cdd4")
    draw_course(panels[1], history, "val_mrr", label="mean over relations", color=COLOURS[0])
    for panel, prefix in ((panels[2], "val_effective_rank."), (panels[3], "val_within_cosine.")):
        for number, name in enumerate(beginning(prefix)):
            draw_course(panel, history, name, label=name.removeprefix(prefix), color=COLOURS[number % len(COLOURS)])
    titles = ("Loss", "Validation, filtered MRR", "Effective rank", "Mean cosine within a type")
    for panel, title in zip(panels, titles, strict=True):
        panel.set(title=title, xlabel="epoch")
        mark_kept_epoch(panel, best_epoch)
        if vector_epochs:
            panel.axvline(vector_epochs + 0.5, color="#8d8d8d", linewidth=1, label="layers join in")
        unframe(panel)
        if panel.get_legend_handles_labels()[0]:
            panel.legend(frameon=False, fontsize=7)
    save_figure(figure, path, dots_per_inch=110)
