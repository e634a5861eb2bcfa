"""Figures of the report: curves over the share assigned, calibration, scores, and maps of a window."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection

from ml_core.canvas import blank_figure, save_figure, unframe
from ml_core.families.segger.geometry import Polygons

METHODS = {
    "model": ("Segger", "#2b5d8a"),
    "model_plausible": ("Segger, plausible nuclei only", "#8fb4d6"),
    "likelihood": ("likelihood", "#4a8a5b"),
    "likelihood_nuclear_kept": ("likelihood, nuclear kept", "#9cc3a5"),
    "nearest_polygon": ("nearest nucleus", "#c07f2a"),
    "nearest_polygon_our_cut": ("nearest nucleus, our cut", "#e3bd8b"),
    "nearest_centroid": ("nearest centroid", "#8d8d8d"),
    "vendor": ("vendor", "#b3382c"),
}
GREY = "#d3d8df"


def biology_curves(curves: dict[str, list[dict[str, float]]], path: Path) -> None:
    """MECR and contamination of every method over the share assigned, with 95 % intervals; lower is better."""
    figure = blank_figure(10, 4)
    for axes, name, title in zip(
        figure.subplots(1, 2),
        ("mecr", "contamination"),
        ("Mutually exclusive co-expression (MECR)", "Contamination"),
        strict=True,
    ):
        for method, rows in curves.items():
            label, colour = METHODS[method]
            share, value, low, high = (
                np.array([row[key] for row in rows]) for key in ("share", name, f"{name}_low", f"{name}_high")
            )
            if len(rows) == 1:
                axes.errorbar(
                    share, value, yerr=[value - low, high - value], fmt="o", color=colour, label=label, capsize=3
                )
            else:
                axes.plot(share, value, "o-", color=colour, label=label, markersize=4)
                if method in ("model", "likelihood", "nearest_polygon"):
                    axes.fill_between(share, low, high, color=colour, alpha=0.13, linewidth=0)
        axes.set(title=title, xlabel="share of transcripts assigned", ylim=(0, None))
        unframe(axes)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    save_figure(figure, path)


def calibration_curve(table: pd.DataFrame, path: Path, *, error: float) -> None:
    """Share of right answers over the score; dots grow with the number of transcripts."""
    figure = blank_figure(4.4, 4)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    size = 12 + 160 * table["transcripts"] / table["transcripts"].max()
    axes.scatter(table["chance"], table["right"], s=size, color="#2b5d8a", alpha=0.8, linewidth=0)
    axes.set(
        title=f"Calibration, error {error:.3f}", xlabel="score", ylabel="share right", xlim=(0, 1.02), ylim=(0, 1.02)
    )
    unframe(axes)
    save_figure(figure, path)


def score_histograms(chance: np.ndarray, evidence: np.ndarray, path: Path, *, kept: np.ndarray) -> None:
    """How sure the assignment is, and how well genes fit their cells; what the cut leaves out is red."""
    figure = blank_figure(10, 3.4)
    left, right = figure.subplots(1, 2)
    left.hist(chance, bins=60, range=(0, 1), color="#2b5d8a")
    left.set(title="Score of the best nucleus", xlabel="score", ylabel="transcripts", yscale="log")
    clipped = np.clip(evidence, -6, 1)
    colours, labels = ("#4a8a5b", "#b3382c"), ("assigned", "left out")
    right.hist([clipped[kept], clipped[~kept]], bins=80, range=(-6, 1), stacked=True, color=colours, label=labels)
    right.legend(frameon=False)
    right.set(
        title="Evidence of the gene in its cell",
        xlabel="log p(gene | cell) - log p(gene | its own kind), nats",
    )
    for axes in (left, right):
        unframe(axes)
    save_figure(figure, path)


def window_around(xy: np.ndarray, chosen: np.ndarray, *, side_um: float) -> tuple[float, float]:
    """Corner (least x, y) of the square with most of the `chosen` [n] transcripts, on a grid of half its side."""
    low = xy.min(axis=0)
    place = np.floor((xy[chosen] - low) / (side_um / 2)).astype(int)
    if not len(place):
        return float(low[0]), float(low[1])
    grid = np.zeros(place.max(axis=0) + 2, int)
    np.add.at(grid, tuple(place.T), 1)
    blocks = grid[:-1, :-1] + grid[1:, :-1] + grid[:-1, 1:] + grid[1:, 1:]
    at = np.unravel_index(blocks.argmax(), blocks.shape)
    return float(low[0] + at[0] * side_um / 2), float(low[1] + at[1] * side_um / 2)


def window_map(
    xy: np.ndarray,
    path: Path,
    *,
    corner: tuple[float, float],
    side_um: float,
    nuclei: Polygons,
    assigned: np.ndarray,
    nearest: np.ndarray,
) -> None:
    """A window twice: transcripts in their cell's colour, and those for which model and nearest nucleus differ."""
    x, y = corner
    inside = (xy[:, 0] >= x) & (xy[:, 0] < x + side_um) & (xy[:, 1] >= y) & (xy[:, 1] < y + side_um)
    points, cell, other = xy[inside], assigned[inside], nearest[inside]
    colours = _cell_colours(cell)
    differs = (cell >= 0) & (cell != other)
    figure = blank_figure(12, 6)
    left, right = figure.subplots(1, 2)
    left.scatter(*points[cell < 0].T, s=2, color=GREY, linewidth=0)
    left.scatter(*points[cell >= 0].T, s=4, c=colours[cell >= 0], linewidth=0)
    left.set_title("Segger: colour is the cell, grey is none")
    right.scatter(*points[~differs].T, s=1.5, color=GREY, linewidth=0)
    right.scatter(*points[differs].T, s=7, c=colours[differs], linewidth=0)
    right.set_title(f"Given to another cell than the nearest nucleus: {differs.sum():,} of {(cell >= 0).sum():,}")
    for axes in (left, right):
        axes.add_collection(LineCollection(_rings(nuclei, corner, side_um), colors="#1d2430", linewidths=0.7))
        axes.set(xlim=(x, x + side_um), ylim=(y + side_um, y), aspect="equal", xlabel="x, um")
        unframe(axes)
    left.set_ylabel("y, um")
    save_figure(figure, path)


def _cell_colours(cell: np.ndarray) -> np.ndarray:
    """A colour for each cell, the same in every figure; neighbours in number are far apart in hue."""
    hue = (np.maximum(cell, 0) * 0.61803) % 1.0
    shade = 0.55 + 0.35 * ((np.maximum(cell, 0) * 7) % 3) / 2
    angle = (hue[:, None] * 6 + np.array([0, 4, 2])) % 6
    rgb = np.clip(np.abs(angle - 3) - 1, 0, 1)
    return (0.15 + 0.8 * rgb) * shade[:, None]  # type: ignore[no-any-return]


def _rings(nuclei: Polygons, corner: tuple[float, float], side_um: float) -> list[np.ndarray]:
    box = nuclei.boxes
    seen = (
        (box[:, 2] > corner[0])
        & (box[:, 0] < corner[0] + side_um)
        & (box[:, 3] > corner[1])
        & (box[:, 1] < corner[1] + side_um)
    )
    rings = [nuclei.xy[nuclei.offsets[i] : nuclei.offsets[i + 1]] for i in np.flatnonzero(seen)]
    return [np.concatenate([ring, ring[:1]]) for ring in rings]
