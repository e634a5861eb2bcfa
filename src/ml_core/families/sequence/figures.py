"""The figures of the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ml_core.canvas import blank_figure, save_figure, unframe
from ml_core.families.sequence.evaluate import Said

OURS, THEIRS, FAINT = "#2b5d8a", "#8a6d2b", "#5c6675"
COLOURS = {"frozen": OURS, "finetuned": "#4a8a5b", "scratch": "#8a2b55", "random": FAINT}


def draw_numbers(path: Path, *, said: Said, true: np.ndarray, column: str) -> None:
    """Predicted against true, each with where its ensemble lies."""
    figure = blank_figure(5.2, 4.6)
    axes = figure.subplots()
    spread = np.abs(np.stack([said.point - said.low, said.high - said.point]))
    axes.errorbar(true, said.point, yerr=spread, fmt="o", color=OURS, ecolor="#b9cbdc", markersize=3, elinewidth=0.8)
    ends = [min(true.min(), said.point.min()), max(true.max(), said.point.max())]
    axes.plot(ends, ends, color=FAINT, linewidth=1)
    axes.set(xlabel=f"{column}, true", ylabel=f"{column}, predicted", title="Test samples")
    unframe(axes)
    save_figure(figure, path)


def draw_confusion(path: Path, *, found: np.ndarray, true: np.ndarray, classes: list[str]) -> None:
    """How often each class (a row) is taken for each (a column), as counts and as shares of the row."""
    counted = np.zeros((len(classes), len(classes)), int)
    np.add.at(counted, (true, found), 1)
    share = counted / np.maximum(counted.sum(1, keepdims=True), 1)
    figure = blank_figure(1.6 + len(classes), 1.4 + len(classes))
    axes = figure.subplots()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*counted.shape):
        colour = "white" if share[row, column] > 0.5 else "black"
        axes.text(column, row, f"{counted[row, column]}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(classes)), classes, rotation=30, ha="right")
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="predicted", ylabel="true", title="Test samples")
    save_figure(figure, path)


def draw_distances(path: Path, *, said: np.ndarray, true: np.ndarray) -> None:
    """UniFrac from the embeddings against the true one, for the pairs of test samples."""
    above = np.triu_indices(len(true), 1)
    figure = blank_figure(5.0, 4.4)
    axes = figure.subplots()
    drawn = axes.hexbin(true[above], said[above], gridsize=50, cmap="Blues", bins="log", mincnt=1)
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1)
    axes.set(xlabel="UniFrac", ylabel="distance of the embeddings", title="Pairs of test samples")
    figure.colorbar(drawn, label="pairs")
    unframe(axes)
    save_figure(figure, path)


def draw_label_efficiency(path: Path, *, rows: list[dict[str, float | str]], metric: str) -> None:
    """The metric over the share of labels, one line for each mode."""
    figure = blank_figure(5.2, 3.8)
    axes = figure.subplots()
    for mode, colour in COLOURS.items():
        mine = sorted((float(row["share"]), float(row[metric])) for row in rows if row["mode"] == mode)
        if mine:
            axes.plot(*zip(*mine, strict=True), marker="o", label=mode, color=colour)
    axes.set(xlabel="share of the training groups' labels", ylabel=f"test {metric}", title="Label efficiency")
    axes.legend(frameon=False, fontsize=8)
    unframe(axes)
    save_figure(figure, path)


def draw_methods(path: Path, *, values: dict[str, float], metric: str) -> None:
    """The model beside the baselines."""
    figure = blank_figure(5.2, 0.9 + 0.45 * len(values))
    axes = figure.subplots()
    colours = [OURS if name == "model" else THEIRS for name in values]
    axes.barh(list(values)[::-1], list(values.values())[::-1], color=colours[::-1])
    axes.set(xlabel=f"test {metric}")
    unframe(axes)
    save_figure(figure, path)
