"""What the finders leave: a table as CSV and a figure as PNG."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from ml_core.training.find import BatchSizes, RangeTest

BLUE, RED, GOLD, GREY = "#2b5d8a", "#b3382c", "#8a6d2b", "#8b95a1"


def write_range_test(found: RangeTest, stem: Path) -> None:
    """`stem`.csv and `stem`.png: the loss over the learning rate, with the two suggestions."""
    rows = zip(found.rates.tolist(), found.losses.tolist(), found.smooth.tolist(), strict=True)
    _write_table(stem, ("learning_rate", "loss", "smoothed_loss"), list(rows))
    figure, (axes,) = _figure(1)
    axes.plot(found.rates, found.losses, ".", color=GREY, label="each step")
    axes.plot(found.rates, found.smooth, color=BLUE, label="smoothed")
    if found.steepest is not None and found.lowest is not None:
        tenth = found.lowest / 10
        axes.axvline(found.steepest, color=RED, linestyle="--", label=f"falls most steeply: {found.steepest:.2g}")
        axes.axvline(tenth, color=GOLD, linestyle=":", label=f"a tenth of the lowest's: {tenth:.2g}")
    # The steps that diverged would press everything else flat.
    lowest, first = float(found.losses.min()), float(found.smooth[0])
    top = min(float(found.losses.max()), first + max(first - lowest, 0.1 * abs(first)))
    margin = 0.05 * (top - lowest)
    axes.set(xscale="log", ylim=(lowest - margin, top + margin), xlabel="learning rate", ylabel="loss")
    axes.set_title(f"Learning-rate range test; it ended as {found.ended}", fontsize=10)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(stem.with_suffix(".png"), dpi=110)


def write_batch_sizes(found: BatchSizes, stem: Path) -> None:
    """`stem`.csv and `stem`.png: throughput and memory over the batch size."""
    rows = [(each.batch_size, each.samples_per_second, each.memory_gb) for each in found.tried]
    _write_table(stem, ("batch_size", "samples_per_second", "memory_gb"), rows)
    sizes, pace, memory = np.array(rows).T
    figure, (left, right) = _figure(2)
    left.plot(sizes, pace, "o-", color=BLUE)
    best = found.fastest
    left.plot([best.batch_size], [best.samples_per_second], "o", color=RED, label=f"fastest: {best.batch_size}")
    left.set(ylabel="samples per second", ylim=(0, 1.1 * pace.max()))
    left.legend(frameon=False, fontsize=8, loc="lower right")
    right.plot(sizes, memory, "o-", color=BLUE)
    if found.limit_gb is not None and found.limit_gb < 4 * memory.max():
        right.axhline(found.limit_gb, color=RED, linestyle="--", label=f"limit: {found.limit_gb:.1f} GB")
        right.legend(frameon=False, fontsize=8, loc="lower right")
    right.set(ylabel=f"highest memory on {found.device} [GB]")
    top = found.limit_gb if found.limit_gb is not None and found.limit_gb < 4 * memory.max() else memory.max()
    right.set_ylim(0, 1.1 * top)
    for axes in (left, right):
        axes.set(xscale="log", xlabel="batch size [samples]", xticks=sizes, xticklabels=[f"{s:.0f}" for s in sizes])
        axes.xaxis.set_minor_locator(NullLocator())
    figure.suptitle(f"Batch sizes; no larger one: {found.ended}", fontsize=10)
    figure.savefig(stem.with_suffix(".png"), dpi=110)


def _figure(panels: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(6.5 if panels == 1 else 10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(1, panels, squeeze=False)[0])
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _write_table(stem: Path, names: Sequence[str], rows: Sequence[Sequence[float]]) -> None:
    stem.parent.mkdir(parents=True, exist_ok=True)
    with stem.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(rows)
