"""Curves of a training, as a figure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ml_core.canvas import blank_figure, save_figure, unframe
from ml_core.training.curves import draw_course, label_courses, mark_kept_epoch

COLOURS = ("#2b5d8a", "#8a6d2b", "#4a8a5b", "#8a2b55")


def training_curves(
    history: list[dict[str, float]],
    path: Path,
    *,
    best_epoch: int,
    terms: Mapping[str, str],
    metrics: Mapping[str, str],
) -> None:
    """Each loss term and each validation metric (name to label) over epochs; the epoch that was kept is marked.

    Without a validation set there is no second panel.
    """
    known = {name for row in history for name in row}
    validated = any(f"val_{metric}" in known for metric in metrics)
    figure = blank_figure(10 if validated else 5.2, 3.6)
    losses, *judged = figure.subplots(1, 1 + validated, squeeze=False)[0]
    for (term, label), colour in zip(terms.items(), COLOURS, strict=False):
        draw_course(losses, history, f"train_{term}_loss", label=f"{label}, training", color=colour, linestyle="--")
        draw_course(losses, history, f"val_{term}_loss", label=f"{label}, validation", color=colour)
    losses.set(title="Loss", xlabel="epoch", yscale="log")
    for panel in judged:
        for (metric, label), colour in zip(metrics.items(), COLOURS, strict=False):
            draw_course(panel, history, f"val_{metric}", label=label, color=colour)
        panel.set(title="Validation", xlabel="epoch")
    for panel in (losses, *judged):
        mark_kept_epoch(panel, best_epoch)
        unframe(panel)
        label_courses(panel)
    save_figure(figure, path)
