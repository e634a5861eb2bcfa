"""Figure of a new sample: its proportions with their intervals."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ml_core.canvas import blank_figure, save_figure, unframe
from ml_core.summary import Number


def draw_proportions(path: Path, *, rows: list[dict[str, Number]]) -> None:
    """A line for each tissue, on a square-root scale, so that small shares can be seen beside large ones."""
    values = np.array([[float(row[name] or 0) for name in ("proportion", "low", "high")] for row in rows])
    figure = blank_figure(6.4, 1.1 + 0.24 * len(rows))
    axes = figure.subplots()
    place = np.arange(len(rows))[::-1]
    axes.hlines(place, 100 * values[:, 1], 100 * values[:, 2], color="#7fa8c9", linewidth=3)
    axes.scatter(100 * values[:, 0], place, color="#2b5d8a", zorder=3)
    axes.set_yticks(place, [_short(str(row["tissue"])) for row in rows], fontsize=8)
    axes.set_xscale("function", functions=(lambda x: np.sqrt(np.maximum(x, 0)), np.square))
    ticks = [0, 0.5, 2, 5, 10, 25, 50, 100]
    axes.set_xticks(ticks, [f"{each:g}" for each in ticks])
    axes.set(xlim=(0, 102), ylim=(-0.6, len(rows) - 0.4), xlabel="share, % (line: 95 % interval)")
    axes.grid(axis="x", color="#e6e9ed")
    unframe(axes)
    save_figure(figure, path)


def _short(name: str, most: int = 34) -> str:
    return name if len(name) <= most else f"{name[: most - 3]}..."
