"""Runs of a family as a picture: how good each is beside its baselines, and what it cost."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes

from ml_core.canvas import blank_figure, save_figure, unframe
from ml_core.compare import ComparedRun
from ml_core.stages import Score

MOST = 40  # runs in one picture
CHAMPION, OTHER, RIVAL = "#d1495b", "#30638e", "#8d99ae"
INCHES_PER_RUN = 0.3


def draw_runs(path: Path, *, runs: list[ComparedRun], score: Score) -> None:
    """Write a PNG: the newest runs above, at most 40; left their score with its interval, right their cost."""
    shown = runs[-MOST:]
    figure = blank_figure(9, 1.8 + INCHES_PER_RUN * len(shown))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[2, 1])
    _draw_scores(left, shown, score)
    _draw_cost(right, shown)
    left.set_yticks(range(len(shown)), [_label(run) for run in shown], fontsize=8)
    left.set_ylim(-0.7, len(shown) - 0.3)
    if len(runs) > MOST:
        figure.suptitle(f"The newest {MOST} of {len(runs)} runs", fontsize=9)
    for axes in (left, right):
        unframe(axes)
    save_figure(figure, path)


def _draw_scores(axes: Axes, runs: list[ComparedRun], score: Score) -> None:
    labelled: set[str] = set()

    def once(label: str) -> str:
        """A label for the first of its kind: matplotlib leaves one that begins with _ out of the legend."""
        first = label not in labelled
        labelled.add(label)
        return label if first else f"_{label}"

    for place, run in enumerate(runs):
        for rival in run.baselines(score).values():
            axes.plot(rival, place, "|", color=RIVAL, markersize=9, label=once("a baseline"))
        value, low, high = (run.number(f"{score.metric}{end}") for end in ("", "_low", "_high"))
        if value is None:
            continue
        colour = CHAMPION if run.is_champion else OTHER
        if low is not None and high is not None:
            axes.plot([low, high], [place, place], color=colour, linewidth=1.5)
        axes.plot(value, place, "o", color=colour, label=once("the champion" if run.is_champion else "a run"))
    direction = "higher" if score.higher_is_better else "lower"
    axes.set_xlabel(f"{score.metric} ({direction} is better), 95 % interval", fontsize=9)
    axes.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)


def _draw_cost(axes: Axes, runs: list[ComparedRun]) -> None:
    bars = axes.barh(range(len(runs)), [run.cpu_seconds for run in runs], color=RIVAL, height=0.6)
    axes.bar_label(bars, [f" {run.peak_memory_gb:.2f} GB" for run in runs], fontsize=8)
    axes.margins(x=0.3)
    axes.set_xlabel("CPU-seconds of all stages\n(peak memory)", fontsize=9)


def _label(run: ComparedRun) -> str:
    return f"{run.report.manifest['created'][:16].replace('T', ' ')} {run.report.fingerprint[:8]}"
