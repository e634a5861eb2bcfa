"""The map of blocks and splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ml_core.families.segger.blocks import Blocks
from ml_core.families.segger.data import SPLITS, Graph, Splits

COLOURS = ("#4477aa", "#ddaa33", "#bb5566")
MOST_POINTS = 4000


def draw_map(path: Path, *, graph: Graph, blocks: Blocks, assignment: np.ndarray, splits: Splits) -> None:
    """Blocks in their split's colour; transcripts that may be supervised are dots, so the guard bands stay empty."""
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for (x0, y0, x1, y1), number in zip(blocks.rectangles.tolist(), assignment.tolist(), strict=True):
        axes.add_patch(
            Rectangle(
                (x0, y0), x1 - x0, y1 - y0, facecolor=COLOURS[number], alpha=0.25, edgecolor="white", linewidth=1.5
            )
        )
    step = -(-len(graph.rows) // MOST_POINTS)
    rows = np.arange(0, len(graph.rows), step)
    rows = rows[splits.supervised[rows]]
    for number, name in enumerate(SPLITS):
        mine = rows[splits.transcript[rows] == number]
        axes.plot(*graph.xy[mine].T, ".", markersize=1.2, color=COLOURS[number], rasterized=True, label=name)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), markerscale=8, frameon=False)
    axes.set(
        xlabel="x (um)", ylabel="y (um)", aspect="equal", title="Blocks; dots: transcripts outside the guard bands"
    )
    axes.invert_yaxis()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)
