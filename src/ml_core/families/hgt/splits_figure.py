"""How the edges of each relation are split, as shares, with their number beside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ml_core.families.hgt.data import SPLITS
from ml_core.summary import Number

COLOURS = ("#4477aa", "#ddaa33", "#bb5566")


def draw_shares(path: Path, *, rows: list[dict[str, Number]]) -> None:
    """One bar for each relation, the largest on top."""
    counts = np.array([[row[name] for name in SPLITS] for row in rows], float)
    order = np.argsort(counts.sum(axis=1), kind="stable")
    shares = counts[order] / counts[order].sum(axis=1, keepdims=True)
    figure = Figure(figsize=(7.0, 1.2 + 0.24 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    at = np.arange(len(rows))
    for number, name in enumerate(SPLITS):
        axes.barh(at, shares[:, number], left=shares[:, :number].sum(axis=1), color=COLOURS[number], label=name)
    axes.set_yticks(at, [f"{rows[i]['relation']} ({int(counts[i].sum()):,})" for i in order], fontsize=8)
    axes.set(xlabel="share of edges", xlim=(0, 1), ylim=(-0.6, len(rows) - 0.4))
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(SPLITS), frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)
