"""The look that all figures share: no display, no frame, one resolution unless a figure asks for another."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

DOTS_PER_INCH = 100


def blank_figure(width: float, height: float) -> Figure:
    """An empty figure of this many inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def unframe(axes: Axes) -> None:
    """Leave the left and the lower axis only."""
    axes.spines[["top", "right"]].set_visible(False)


def save_figure(figure: Figure, path: Path, *, dots_per_inch: int = DOTS_PER_INCH) -> None:
    """Write the PNG, and its folder where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=dots_per_inch)
