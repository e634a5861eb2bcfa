"""Figures of the stage `mixtures`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ml_core.canvas import blank_figure, save_figure, unframe
from ml_core.summary import Number

OURS, NNLS, EM, FAINT = "#2b5d8a", "#8a6d2b", "#8a2b55", "#5c6675"
Rows = list[dict[str, Number]]


def draw_errors(path: Path, *, rows: Rows) -> None:
    """Mean absolute error over depth, one panel for each kind of mixture."""
    kinds = {"cfdna": "like cell-free DNA", "dirichlet": "all tissues"}
    there = [kind for kind in kinds if any(row["mixtures"] == kind for row in rows)]
    figure = blank_figure(4.0 * len(there) + 0.4, 3.4)
    for axes, kind in zip(np.atleast_1d(figure.subplots(1, len(there))), there, strict=True):
        own = sorted((row for row in rows if row["mixtures"] == kind), key=lambda row: float(row["depth"] or 0))
        depth = [float(row["depth"] or 0) for row in own]
        for method, colour in (("ours", OURS), ("nnls", NNLS), ("em", EM)):
            name = {"ours": "ours", "nnls": "plain NNLS", "em": "plain EM"}[method]
            axes.plot(depth, [100 * float(row[method] or 0) for row in own], marker="o", color=colour, label=name)
        axes.set(xscale="log", xlabel="reads in a region", ylabel="mean absolute error, points", title=kinds[kind])
        axes.set_xticks(depth, [f"{each:g}" for each in depth])
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False, fontsize=8)
        unframe(axes)
    save_figure(figure, path)


def draw_true_found(path: Path, *, found: pd.DataFrame) -> None:
    """Found proportion with its interval against the true one, for mixtures like cell-free DNA, one panel a depth."""
    own = found[(found["mixtures"] == "cfdna") & (found["true"] > 0)]
    depths = sorted(own["depth"].unique())
    figure = blank_figure(3.4 * len(depths) + 0.4, 3.6)
    low = 5e-4
    for axes, depth in zip(np.atleast_1d(figure.subplots(1, len(depths), sharey=True)), depths, strict=True):
        rows = own[own["depth"] == depth]
        middle = np.maximum(rows["ours"], low)
        ends = np.stack([middle - np.maximum(rows["low"], low), np.maximum(rows["high"], low) - middle])
        axes.errorbar(
            np.maximum(rows["true"], low),
            middle,
            yerr=np.maximum(ends, 0),
            fmt="o",
            markersize=3,
            color=OURS,
            ecolor="#b9cbdc",
            elinewidth=0.8,
        )
        axes.plot([low, 1], [low, 1], color=FAINT, linewidth=1)
        axes.set(xscale="log", yscale="log", xlabel="true share", title=f"{depth} reads in a region")
        unframe(axes)
    np.atleast_1d(figure.axes)[0].set_ylabel("share found (95 % interval)")
    save_figure(figure, path)


def draw_unknown(path: Path, *, lost: pd.DataFrame) -> None:
    """Unknown share found against the true one, when a tissue is taken out of the reference."""
    figure = blank_figure(4.8, 3.8)
    axes = figure.subplots()
    top = 100 * max(lost["true"].max(), lost[["unknown", "nnls"]].to_numpy().max()) + 2
    axes.fill_between([0, top], [-2, top - 2], [2, top + 2], color="#e6edf3", label="within 2 points")
    axes.plot([0, top], [0, top], color=FAINT, linewidth=1)
    kinds = (
        ("unknown", OURS, "ours, its markers in the panel"),
        ("without its markers", EM, "ours, its markers not there"),
        ("nnls", NNLS, "NNLS, its markers in the panel"),
    )
    for place, (column, colour, label) in enumerate(kinds):
        shift = 0.5 * (place - 1)
        axes.scatter(100 * lost["true"] + shift, 100 * lost[column], s=14, color=colour, alpha=0.5)
        mean = 100 * lost.groupby("true")[column].mean()
        axes.plot(mean.index * 100 + shift, mean, color=colour, marker="_", markersize=12, label=f"{label} (mean)")
    axes.set(xlabel="share of the missing tissue, %", ylabel="unknown share found, %", ylim=(-1, top))
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    unframe(axes)
    save_figure(figure, path)


def draw_detection(path: Path, *, rows: Rows) -> None:
    """Limit of detection of each tissue; a hollow mark at the right where no share tried was enough."""
    depths = sorted({int(row["depth"] or 0) for row in rows})
    names = list(dict.fromkeys(str(row["tissue"]) for row in rows))
    known = [float(row["limit of detection"]) for row in rows if row["limit of detection"] is not None]
    beyond = 2 * max(known, default=0.5)
    figure = blank_figure(5.4, 1.2 + 0.22 * len(names))
    axes = figure.subplots()
    for depth, colour in zip(depths, (OURS, NNLS, EM, FAINT, "#4a8a5b"), strict=False):
        own = {str(row["tissue"]): row["limit of detection"] for row in rows if row["depth"] == depth}
        place = [number for number, name in enumerate(names) if own.get(name) is not None]
        axes.scatter(
            [100 * float(own[names[each]] or 0) for each in place],
            place,
            color=colour,
            label=f"{depth} reads in a region",
        )
        lost = [number for number, name in enumerate(names) if name in own and own[name] is None]
        axes.scatter(
            [100 * beyond] * len(lost),
            lost,
            facecolors="none",
            edgecolors=colour,
            label="above all tried" if lost else None,
        )
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set(xscale="log", xlabel="limit of detection in the background, %")
    axes.grid(axis="x", color="#e6e9ed")
    axes.legend(frameon=False, fontsize=8)
    unframe(axes)
    save_figure(figure, path)
