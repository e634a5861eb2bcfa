"""Figures of the report: every judge on every relation, the shape of the embeddings, ranks and scores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.ticker import FixedLocator, NullLocator
from scipy.stats import gaussian_kde

from ml_core.canvas import blank_figure, save_figure, unframe
from ml_core.families.hgt.evaluate import Answers

METHODS = {
    "model": ("HGT", "#2b5d8a", "o"),
    "distmult": ("DistMult", "#4a8a5b", "s"),
    "distmult_leaning": ("DistMult, leaning as HGT", "#9cc9a9", "s"),
    "metapaths": ("metapath regression", "#7a4a9c", "P"),
    "popularity": ("popularity", "#c07f2a", "D"),
    "global_popularity": ("popularity, all relations", "#e3bd8b", "d"),
    "untrained": ("untrained network", "#8d8d8d", "^"),
    "constant": ("constant features", "#b3382c", "v"),
}
TYPES = ("#2b5d8a", "#b3382c", "#4a8a5b", "#c07f2a", "#7a4a9c", "#2aa3a3", "#8d6a4f", "#c35a9a", "#5c6675", "#a8b400")
RANKS = [1, 2, 5, 10, 20, 50, 100, 200, 500]  # ticks of a logarithmic axis
GREY = "#d3d8df"
Points = Mapping[str, Mapping[str, float]]  # method -> relation -> value


def relations_panel(
    panels: Mapping[str, Points], intervals: Mapping[str, Mapping[str, tuple[float, float]]], path: Path
) -> None:
    """A panel for each metric: every relation a row, every judge a mark, the model with its 95 % interval."""
    rows = list(next(iter(panels.values()))["model"])
    figure = blank_figure(5.2 * len(panels) + 1.6, 1.5 + 0.3 * len(rows))
    place = np.arange(len(rows))[::-1]
    axes = np.atleast_1d(figure.subplots(1, len(panels), sharey=True))
    for panel, (metric, points) in zip(axes, panels.items(), strict=True):
        panel.hlines(place, 0, 1, color=GREY, linewidth=0.6)
        for method, values in points.items():
            label, colour, marker = METHODS[method]
            size = 46 if method == "model" else 26
            panel.scatter(
                [values[row] for row in rows], place, s=size, color=colour, marker=marker, label=label, zorder=3
            )
        low, high = np.array([intervals[metric][row] for row in rows]).T
        panel.hlines(place, low, high, color=METHODS["model"][1], linewidth=3, alpha=0.45, zorder=2)
        panel.set(title=metric, xlim=(0, 1), ylim=(-0.7, len(rows) - 0.3))
        if "AUROC" in metric:
            panel.axvline(0.5, color="#5c6675", linewidth=0.8, linestyle=":")
        unframe(panel)
    axes[0].set_yticks(place, rows)
    axes[-1].legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    save_figure(figure, path)


def ranks_and_scores(answers: Mapping[str, Answers], path: Path, *, name: str, curated: np.ndarray | None) -> None:
    """Of the main relation: share of true pairs among the first k, and the model's scores of true and other pairs."""
    figure = blank_figure(11, 3.8)
    left, right = figure.subplots(1, 2)
    at = np.unique(np.logspace(0, 3, 60).astype(int))
    for method, found in answers.items():
        label, colour, _ = METHODS[method]
        ranks = np.sort(found.ranks.ravel())
        left.plot(at, np.searchsorted(ranks, at, side="right") / max(len(ranks), 1), color=colour, label=label)
    left.set(title=f"{name}: true pairs among the first k", xscale="log", xlabel="k", ylabel="share", ylim=(0, 1))
    left.legend(frameon=False, fontsize=8)
    ours = answers["model"]
    sets = [
        ("test pairs", ours.positive, "#2b5d8a"),
        ("any other pairs", ours.uniform, "#8d8d8d"),
    ]
    if curated is not None and len(curated):
        sets.append(("curated non-indications", curated, "#b3382c"))
    values = [(label, scores[np.isfinite(scores)], colour) for label, scores, colour in sets]
    low, high = np.quantile(np.concatenate([scores for _, scores, _ in values]), [0.001, 0.999])
    grid = np.linspace(low, high, 300) + (high - low) * np.linspace(-0.08, 0.08, 300)
    for label, scores, colour in values:
        if len(np.unique(scores)) > 1:
            density = gaussian_kde(scores)(grid)
            right.fill_between(grid, density, color=colour, alpha=0.15, linewidth=0)
            right.plot(grid, density, color=colour, label=f"{label} ({len(scores):,})")
    right.set(title=f"{name}: the model's scores", xlabel="score", ylabel="density")
    right.set_ylim(0, None)
    right.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        unframe(axes)
    save_figure(figure, path)


def shapes_panel(
    ranks: Points, cosines: Points, path: Path, *, asked: Mapping[str, float], fail_above: float, warn_above: float
) -> None:
    """Effective rank and mean cosine of every type, for the model and the controls, with what fails."""
    types = list(ranks["model"])
    figure = blank_figure(11, 1.6 + 0.34 * len(types))
    left, right = figure.subplots(1, 2, sharey=True)
    place = np.arange(len(types))[::-1]
    for panel, points in ((left, ranks), (right, cosines)):
        for method, values in points.items():
            label, colour, marker = METHODS[method]
            panel.scatter(
                [values[name] for name in types], place, s=36, color=colour, marker=marker, label=label, zorder=3
            )
        panel.grid(axis="y", color=GREY, linewidth=0.6)
        unframe(panel)
    left.scatter([asked[name] for name in types], place, marker="|", s=160, color="#1d2430", label="least that passes")
    left.set(title="Effective rank", xscale="log", ylim=(-0.7, len(types) - 0.3))
    left.xaxis.set_major_locator(FixedLocator(RANKS))
    left.xaxis.set_major_formatter("{x:g}")
    left.xaxis.set_minor_locator(NullLocator())
    left.set_yticks(place, types)
    right.axvline(fail_above, color="#b3382c", linewidth=1)
    right.axvline(warn_above, color="#c07f2a", linewidth=1, linestyle=":")
    right.set(title="Mean cosine within the type", xlim=(-0.15, 1.05))
    figure.legend(*left.get_legend_handles_labels(), frameon=False, fontsize=8, loc="outside right upper")
    save_figure(figure, path)


def pca_map(
    points: np.ndarray, of_type: np.ndarray, path: Path, *, types: list[str], shares: np.ndarray, most: int
) -> None:
    """The first two principal components; points [m, 2], of_type [m] into types, shares [2] of the variance."""
    figure = blank_figure(7.6, 5)
    axes = figure.subplots()
    for number, name in enumerate(types):
        x, y = points[of_type == number].T
        axes.scatter(x, y, s=7, alpha=0.6, linewidth=0, color=TYPES[number % len(TYPES)], label=name)
    axes.set(xlabel=f"component 1, {shares[0]:.0%} of variance", ylabel=f"component 2, {shares[1]:.0%}")
    axes.set_title(f"Nodes of every type, at most {most} of each")
    legend = axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1), markerscale=2)
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1)
    unframe(axes)
    save_figure(figure, path)


def distributions(spectra: Mapping[str, np.ndarray], cosines: Mapping[str, np.ndarray], path: Path) -> None:
    """For every type: cumulative variance over components (no cap), and cosines of random pairs of nodes."""
    figure = blank_figure(11, 4)
    left, right = figure.subplots(1, 2)
    for number, (name, spread) in enumerate(spectra.items()):
        colour = TYPES[number % len(TYPES)]
        if spread.sum() > 0:
            left.plot(np.arange(1, len(spread) + 1), np.cumsum(spread) / spread.sum(), color=colour, label=name)
        if len(cosines[name]):
            right.hist(cosines[name], bins=80, range=(-1, 1), density=True, histtype="step", color=colour, label=name)
    left.axhline(0.9, color="#5c6675", linewidth=0.8, linestyle=":")
    left.set(
        title="Variance in the first components", xlabel="components", ylabel="share", xscale="log", ylim=(0, 1.02)
    )
    right.set(title="Cosines of random pairs within a type", xlabel="cosine", ylabel="density", xlim=(-1, 1))
    right.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    for axes in (left, right):
        unframe(axes)
    save_figure(figure, path)
