"""The data stages, one after the other, in a store for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ml_core.artifacts import Artifact, Store
from ml_core.families.tissuebert.family import FAMILY
from ml_core.running import run_stage

TINY: dict[str, dict[str, Any]] = {"raw": {"regions": 40, "tissues": 4, "donors": 4, "depth": 8.0}}


def run_data_stages(data: Path, *, until: str = "splits", **settings: dict[str, Any]) -> dict[str, Artifact]:
    """Stage -> artifact; `settings` by stage, on top of `TINY`'s where the source is simulated."""
    made: dict[str, Artifact] = {}
    for stage in FAMILY.needed_for(until):
        chosen = settings.get(stage.name, {})
        if "source" not in settings.get("raw", {}):
            chosen = {**TINY.get(stage.name, {}), **chosen}
        outcome = run_stage(FAMILY, stage, settings=stage.settings(**chosen), store=Store(data), inputs=made)
        made[stage.name] = outcome.artifact
    return made
