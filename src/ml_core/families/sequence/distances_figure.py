"""How far apart samples are, and the plane that shows most of it (principal coordinates, Gower 1966)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ml_core.canvas import blank_figure, save_figure, unframe
from ml_core.families.sequence.data import Distances, SampleTable

COLOUR, EXTRA = "#4477aa", "#bbbbbb"
SHOWN = 500  # samples; more make a slow and crowded figure


def draw_distances(path: Path, *, table: SampleTable, distances: Distances) -> None:
    """Histogram of the distances, and samples on the first two principal coordinates, coloured by Faith's PD."""
    count = min(SHOWN, len(table))
    rows = np.sort(np.random.default_rng(0).choice(len(table), count, replace=False))
    matrix = np.asarray(distances.matrix[np.ix_(rows, rows)], np.float64)
    figure = blank_figure(9.0, 3.6)
    left, right = figure.subplots(1, 2)
    left.hist(matrix[np.triu_indices(count, 1)], bins=50, range=(0, 1), color=COLOUR)
    left.set(xlabel=f"{distances.metric.replace('_', ' ')} UniFrac", ylabel="pairs of samples", xlim=(0, 1))
    points, shares = principal_coordinates(matrix)
    main = np.asarray(table.study)[rows] == 0
    if not main.all():
        right.scatter(*points[~main].T, s=6, color=EXTRA, linewidths=0, label="extra tables")
        right.legend(frameon=False, fontsize=8)
    shown = right.scatter(*points[main].T, s=8, c=distances.faith[rows][main], cmap="viridis", linewidths=0)
    figure.colorbar(shown, ax=right, label="Faith's PD (branch length)")
    right.set(xlabel=f"coordinate 1 ({shares[0]:.0%})", ylabel=f"coordinate 2 ({shares[1]:.0%})")
    for axes in (left, right):
        unframe(axes)
    save_figure(figure, path)


def principal_coordinates(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[n, 2] coordinates from distances [n, n], and the share of all positive variance of each."""
    squared = -0.5 * matrix**2
    centred = squared - squared.mean(axis=0) - squared.mean(axis=1, keepdims=True) + squared.mean()
    values, vectors = np.linalg.eigh(centred)
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    points = np.zeros((len(matrix), 2))
    shown = min(2, len(matrix))
    points[:, :shown] = vectors[:, :shown] * np.sqrt(values[:shown])
    shares = np.zeros(2)
    shares[:shown] = values[:shown] / max(values.sum(), 1e-300)
    return points, shares
