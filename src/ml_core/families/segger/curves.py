"""Curves of a training, as a figure."""

from __future__ import annotations

from pathlib import Path

from ml_core.canvas import blank_figure, save_figure, unframe
from ml_core.training.curves import draw_course, label_courses, mark_kept_epoch

Rows = list[dict[str, float]]


def training_curves(history: Rows, path: Path, *, best_epoch: int) -> None:
    """Losses, validation metrics and learning rate over epochs; the chosen epoch is marked."""
    figure = blank_figure(12, 3.6)
    axes = figure.subplots(1, 3)

    for term, colour in (("ring", "#2b5d8a"), ("inner", "#8a6d2b"), ("gene", "#4a8a5b")):
        draw_course(axes[0], history, f"train_{term}_loss", label=f"{term}, training", color=colour, linestyle="--")
        draw_course(axes[0], history, f"val_{term}_loss", label=f"{term}, validation", color=colour)
    for metric, colour in (
        ("auroc", "#2b5d8a"),
        ("average_precision", "#8a2b55"),
        ("f1", "#8a6d2b"),
        ("top1", "#4a8a5b"),
    ):
        draw_course(axes[1], history, f"val_{metric}", label=metric.replace("_", " "), color=colour)
    draw_course(axes[2], history, "learning_rate", label="learning rate", color="#5c6675")
    for panel, title in zip(axes, ("Loss", "Validation, held-out nuclear transcripts", "Learning rate"), strict=True):
        panel.set(title=title, xlabel="epoch")
        mark_kept_epoch(panel, best_epoch)
        unframe(panel)
    label_courses(axes[0])
    label_courses(axes[1])
    save_figure(figure, path, dots_per_inch=110)
