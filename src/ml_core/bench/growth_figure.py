"""Growth as a figure: CPU time and memory of each stage over the size of the input, both on logarithmic axes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ml_core.bench.case import Row
from ml_core.canvas import blank_figure, save_figure, unframe

PANELS = (("cpu_seconds", "CPU-s"), ("grown_gb", "GB more"))
SMALLEST = 1e-3  # what is less stands on the floor: zero has no place on a logarithmic axis


def draw_growth(path: Path, *, case: str, rows: Sequence[Row]) -> None:
    """One line for each stage; the dotted one grows as the input does."""
    sizes = list(rows[0].series["size"])
    figure = blank_figure(9, 3.6)
    panels = figure.subplots(1, len(PANELS))
    for axes, (name, label) in zip(panels, PANELS, strict=True):
        for row in rows:
            shown = [max(value, SMALLEST) for value in row.series[name]]
            axes.plot(row.series["size"], shown, marker="o", markersize=3, label=row.what.split(",")[0])
        top = max(row.series[name][0] for row in rows)
        axes.plot(sizes, [top * size / sizes[0] for size in sizes], ":", color="grey", label="as the input")
        axes.set(xscale="log", yscale="log", xlabel=rows[0].what.rsplit(" ", 1)[1], ylabel=label)
        axes.set_xticks(sizes, [f"{size:,.0f}" for size in sizes], fontsize=7)
        axes.set_xticks([], minor=True)
        unframe(axes)
    panels[0].set_title(case, loc="left", fontsize=10)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", fontsize=7)
    save_figure(figure, path)
