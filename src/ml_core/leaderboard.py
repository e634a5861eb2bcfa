"""One page over all families: DATA/leaderboard with report.html, report.md, metrics.json and a figure per family."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

from ml_core.artifacts import Store
from ml_core.compare import Row, compare_runs, compared_runs, score_of
from ml_core.errors import UserError
from ml_core.report import Figure, KeyFigure, Report, Rows, Section, Table, write_report
from ml_core.stages import Family
from ml_core.summary import Number


@dataclass(frozen=True)
class Leaderboard:
    """Where the page lies; rows and figure by family, of those families that have a report."""

    directory: Path
    rows: dict[str, Rows] = field(default_factory=dict)
    figures: dict[str, Path] = field(default_factory=dict)


def write_leaderboard(families: Iterable[Family], store: Store) -> Leaderboard:
    """Write the page anew from the reports in the store. UserError where there is none."""
    from ml_core.compare_figure import draw_runs

    families = list(families)
    board = Leaderboard(store.data / "leaderboard")
    store.data.mkdir(parents=True, exist_ok=True)
    with FileLock(store.data / ".leaderboard.lock"):
        aside = store.data / ".leaderboard.partial"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        sections, key_figures = [], []
        metrics: dict[str, Number] = {}
        for family in families:
            runs, rows = compared_runs(family, store), _cells(compare_runs(family, store))
            if not runs:
                continue
            board.rows[family.name] = rows
            pictures = []
            if score := score_of(family, runs):
                name = f"figures/{family.name}.png"
                draw_runs(aside / name, runs=runs, score=score)
                board.figures[family.name] = board.directory / name
                pictures = [Figure(name, f"Runs of {family.name} beside their baselines, and what they cost.")]
                for run in runs:
                    if run.is_champion:
                        value = run.number(score.metric)
                        metrics[f"{family.name}.{score.metric}"] = value
                        shown = "-" if value is None else f"{value:.4g}"
                        key_figures.append(KeyFigure(family.name, shown, f"{score.metric} of the champion"))
            caption = f"{len(rows)} reports, oldest first; settings that are the same in all of them are left out."
            sections.append(Section(family.title, tables=[Table(rows, caption)], figures=pictures))
        if not sections:
            names = ", ".join(family.name for family in families)
            shutil.rmtree(aside)
            raise UserError(f"{store.data}: has no report of {names}; run a family first.")
        made = sum(len(rows) for rows in board.rows.values())
        headline = f"{made} reports of {len(sections)} families."
        write_report(Report("Leaderboard", headline, key_figures, sections, metrics), aside)
        shutil.rmtree(board.directory, ignore_errors=True)
        aside.rename(board.directory)
    return board


def _cells(rows: list[Row]) -> Rows:
    """Lists and mappings among the settings as text."""
    plain = (int, float, str, bool, type(None))
    return [{name: value if isinstance(value, plain) else str(value) for name, value in row.items()} for row in rows]
