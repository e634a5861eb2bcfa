"""Runs side by side: every report of a family with the settings in which they differ and its key metrics."""

from __future__ import annotations

from typing import Any

from ml_core.artifacts import Artifact, Store
from ml_core.stages import Family


def compare_runs(family: Family, store: Store) -> list[dict[str, Any]]:
    """One row per report artifact, oldest first: created, report, settings that differ (`stage.field`), key metrics."""
    reports = store.all(family.name, family.stages[-1].name)
    settings = [_all_settings(family, report, store) for report in reports]
    names = sorted({name for values in settings for name in values})
    differing = [name for name in names if len({repr(values.get(name)) for values in settings}) > 1]
    rows = []
    for report, values in zip(reports, settings, strict=True):
        numbers = report.summary.numbers
        row: dict[str, Any] = {"created": report.manifest["created"][:19], "report": report.fingerprint}
        row |= {name: values.get(name) for name in differing}
        row |= {name: numbers.get(name) for name in family.key_metrics or sorted(numbers)}
        rows.append(row)
    return rows


def _all_settings(family: Family, artifact: Artifact, store: Store) -> dict[str, Any]:
    """Settings of an artifact and of all that it was made from, by "stage.field"."""
    manifest = artifact.manifest
    values = {f"{manifest['stage']}.{field}": value for field, value in manifest["settings"].items()}
    for stage, fingerprint in manifest["input_fingerprints"].items():
        upstream = store.find(family.name, stage, fingerprint)
        if upstream is not None:
            values |= _all_settings(family, upstream, store)
    return values
