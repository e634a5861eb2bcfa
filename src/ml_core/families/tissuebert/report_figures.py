"""Figures of the report: accuracy by read, region and sample beside its ceiling, and of samples of few reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ml_core.canvas import blank_figure, save_figure, unframe
from ml_core.families.tissuebert.few_reads import CEILING
from ml_core.summary import Number

METHODS = {
    "model": ("model", "#2b5d8a", "o"),
    "tables": ("tables of its training donors", "#7fa8c9", "s"),
    "logistic": ("logistic regression", "#8a6d2b", "D"),
    "naive_bayes": ("naive Bayes", "#8a2b55", "^"),
    "prior": ("prior", "#5c6675", "v"),
}
LEVELS = ("read", "region", "sample")
FAINT = "#5c6675"


def draw_levels(path: Path, *, numbers: Mapping[str, Number]) -> None:
    """Accuracy of each method at the three levels; the best possible one of reads and regions is a line."""
    figure = blank_figure(6.4, 3.6)
    axes = figure.subplots()
    for shift, (name, (label, colour, marker)) in zip(
        np.linspace(-0.2, 0.2, len(METHODS)), METHODS.items(), strict=True
    ):
        prefix = "test" if name == "model" else f"baseline.{name}"
        found = [(place, numbers.get(f"{prefix}.{level}_accuracy")) for place, level in enumerate(LEVELS)]
        there = [(place + shift, float(value)) for place, value in found if isinstance(value, float)]
        axes.scatter(*zip(*there, strict=True) if there else ([], []), color=colour, marker=marker, label=label)
    ceilings = [(place, numbers.get(f"test.{level}_ceiling")) for place, level in enumerate(LEVELS[:2])]
    for place, value in ceilings:
        if isinstance(value, float):
            name = "best possible guess" if place == 0 else None
            axes.hlines(value, place - 0.35, place + 0.35, color=FAINT, linestyle=":", label=name)
    axes.set_xticks(range(len(LEVELS)), ["one read", "a region of a sample", "a sample"])
    axes.set(ylim=(-0.02, 1.02), xlim=(-0.5, 2.5), ylabel="share named rightly")
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    unframe(axes)
    save_figure(figure, path)


def draw_few_reads(path: Path, *, rows: list[dict[str, Number]]) -> None:
    """Sample accuracy over the number of reads that are known, beside the best possible one."""
    figure = blank_figure(5.4, 3.6)
    axes = figure.subplots()
    reads = [float(row["reads"] or 0) for row in rows]
    for name, (label, colour, marker) in METHODS.items():
        if name in rows[0]:
            values = [np.nan if row[name] is None else float(row[name] or 0) for row in rows]
            axes.plot(reads, values, color=colour, marker=marker, label=label)
    axes.plot(
        reads, [float(row[CEILING] or 0) for row in rows], color=FAINT, linestyle=":", label=f"best guess, {CEILING}"
    )
    axes.set(
        xscale="log", xlabel="reads of a sample that are known", ylabel="samples named rightly", ylim=(-0.02, 1.02)
    )
    axes.set_xticks(reads, [f"{each:g}" for each in reads])
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    unframe(axes)
    save_figure(figure, path)
