"""Runs that failed, one JSON line each in DATA/runs/failures.jsonl: what it was, what it said, how to go on."""

from __future__ import annotations

import datetime
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_core import journal
from ml_core.artifacts import Store
from ml_core.stages import Family


def failures_file(store: Store) -> Path:
    return store.data / "runs" / "failures.jsonl"


def record_failure(
    store: Store, *, run: str, family: Family, stage: str | None, error: str, ops: Mapping[str, Any]
) -> dict[str, Any]:
    """Write down a failed run of a family, and return the line.

    `stage` is the one that failed, None where none had begun or the process was killed. `ops` is the run's config.
    """
    settings = _settings(family, ops)
    row = {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "run": run,
        "family": family.name,
        "stage": stage,
        "error": error,
        "settings": settings,
        "checkpoint": str(found) if (found := newest_checkpoint(store, family, stage)) else None,
        "go_on": go_on(store, family, settings),
    }
    journal.append(failures_file(store), row)
    return row


def go_on(store: Store, family: Family, settings: Mapping[str, Mapping[str, Any]]) -> str:
    """The shell command that runs the family with these settings; it goes on from a checkpoint where there is one."""
    chosen = [f"{stage}.{field}={json.dumps(value)}" for stage, of in settings.items() for field, value in of.items()]
    words = ["python", "-m", "ml_core", "run", family.name, "--data", str(store.data)]
    return shlex.join([*words, *(part for each in chosen for part in ("--set", each))])


def newest_checkpoint(store: Store, family: Family, stage: str | None) -> Path | None:
    """The newest checkpoint of a stage that is not done, of any stage where none is named."""
    stages = [stage] if stage else [each.name for each in family.stages if each.trains]
    folders = [store.data / "runs" / family.name / name for name in stages]
    records = [path for folder in folders for path in folder.glob("**/checkpoints/[!.]*/state.json")]
    newest = max(records, key=lambda path: path.stat().st_mtime_ns, default=None)
    return newest.parent if newest else None


def _settings(family: Family, ops: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What the run's config set, by stage."""
    given = {}
    for stage in family.stages:
        config = (ops.get(f"{family.name}_{stage.name}") or {}).get("config") or {}
        if fields := {name: value for name, value in config.items() if name != "force"}:
            given[stage.name] = fields
    return given
