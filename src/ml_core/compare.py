"""Runs side by side: every report of a family with the settings in which they differ, its figures, and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ml_core.artifacts import Artifact, Store
from ml_core.promotion import champion_of
from ml_core.stages import Family, Score

BASELINES = ("baseline", "control")  # what a family calls that which its model is held against
CPU_SECONDS, MEMORY_GB = "cost.cpu_seconds", "cost.peak_memory_gb"
Row = dict[str, Any]


@dataclass(frozen=True)
class ComparedRun:
    """A report, all settings behind it by "stage.field", and what it took to make it from nothing.

    cpu_seconds: of all its stages together. peak_memory_gb: of the stage that took most [1e9 bytes].
    """

    report: Artifact
    settings: dict[str, Any]
    is_champion: bool
    cpu_seconds: float
    peak_memory_gb: float

    def number(self, name: str) -> float | None:
        value = self.report.summary.numbers.get(name)
        return float(value) if isinstance(value, int | float) else None

    def baselines(self, score: Score) -> dict[str, float]:
        """What the report's baselines reach in a score, by their name."""
        tail = score.metric.removeprefix("test.")
        found = {}
        for name in self.report.summary.numbers:
            kind, _, rest = name.partition(".")
            rival, _, metric = rest.partition(".")
            if kind in BASELINES and metric == tail and (value := self.number(name)) is not None:
                found[rival] = value
        return found


def compared_runs(family: Family, store: Store) -> list[ComparedRun]:
    """Every report artifact of a family, oldest first."""
    best = champion_of(family, store)
    return [
        _compared(report, store, is_champion=best is not None and report.fingerprint == best.fingerprint)
        for report in store.all(family.name, family.stages[-1].name)
    ]


def compare_runs(family: Family, store: Store) -> list[Row]:
    """One row per report, oldest first.

    created, report, champion; the settings that differ (`stage.field`); the key metrics; the best baseline and what it
    reaches in the family's score; what it cost.
    """
    runs = compared_runs(family, store)
    names = sorted({name for run in runs for name in run.settings})
    differing = [name for name in names if len({repr(run.settings.get(name)) for run in runs}) > 1]
    there = sorted({name for run in runs for name in run.report.summary.numbers})
    figures = tuple(dict.fromkeys((*family.key_metrics, *family.shown_metrics(there)))) or there
    return [_row(run, differing=differing, figures=figures, score=score_of(family, runs)) for run in runs]


def score_of(family: Family, runs: list[ComparedRun]) -> Score | None:
    """The first score of the family that one of the runs has a figure for."""
    return next((score for score in family.scores if any(run.number(score.metric) is not None for run in runs)), None)


def _row(run: ComparedRun, *, differing: list[str], figures: Sequence[str], score: Score | None) -> Row:
    numbers = run.report.summary.numbers
    row: Row = {"created": run.report.manifest["created"][:19], "report": run.report.fingerprint}
    row |= {"champion": "yes" if run.is_champion else "", **{name: run.settings.get(name) for name in differing}}
    row |= {name: numbers.get(name) for name in figures}
    if score:
        rivals = run.baselines(score)
        row |= {name: numbers.get(name) for name in (score.metric, f"{score.metric}_low", f"{score.metric}_high")}
        best = (max if score.higher_is_better else min)(rivals, key=lambda rival: rivals[rival], default=None)
        row |= {"best baseline": best, f"best baseline's {score.metric}": rivals[best] if best else None}
    return {**row, CPU_SECONDS: round(run.cpu_seconds, 1), MEMORY_GB: round(run.peak_memory_gb, 3)}


def _compared(report: Artifact, store: Store, *, is_champion: bool) -> ComparedRun:
    manifests = [artifact.manifest for artifact in store.ancestors(report).values() if artifact is not None]
    return ComparedRun(
        report,
        {
            f"{made['stage']}.{field}": value
            for made in reversed(manifests)
            for field, value in made["settings"].items()
        },
        is_champion,
        sum(made["cpu_seconds"] for made in manifests),
        max(made["peak_memory_gb"] for made in manifests),
    )
