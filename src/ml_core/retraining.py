"""What a retraining runs: a family's standing order, as run config.

    DATA/retrain/<family>.yaml      written by the user, in the shape of configs/

Where there is no such file, the order is to do again what the champion was made with, else what the newest report was.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_core.artifacts import Artifact, Store
from ml_core.errors import UserError
from ml_core.presets import check_preset, settings_of
from ml_core.promotion import champion_of
from ml_core.settings import Settings, read_yaml
from ml_core.stages import Family, Stage

RunConfig = dict[str, Any]


def order_file(family: Family, store: Store) -> Path:
    return store.data / "retrain" / f"{family.name}.yaml"


def standing_order(family: Family, store: Store) -> RunConfig:
    """The run config of a retraining. UserError where there is none, or where it does not fit the stages."""
    path = order_file(family, store)
    if path.is_file():
        check_preset(path, {family.name: family})
        return read_yaml(path)
    report = champion_of(family, store) or store.current(family.name, family.stages[-1].name)
    if report is None:
        raise UserError(
            f"{family.name}: nothing is known to run again; write {path} (as in configs/), or run the family once."
        )
    return {
        "ops": {f"{family.name}_{stage}": {"config": values} for stage, values in _made_with(family, report, store)}
    }


def settings_in(order: Mapping[str, Any], family: Family, stage: Stage) -> Settings:
    """The settings that an order has for a stage. UserError where they do not fit it."""
    op = f"{family.name}_{stage.name}"
    values = ((order.get("ops") or {}).get(op) or {}).get("config") or {}
    return settings_of(stage, {name: value for name, value in values.items() if name != "force"}, where=op)


def _made_with(family: Family, report: Artifact, store: Store) -> list[tuple[str, dict[str, Any]]]:
    """For each stage behind a report the fields that differ from their default, in the family's order."""
    found = {artifact.manifest["stage"]: artifact for artifact in store.ancestors(report).values() if artifact}
    missing = [stage.name for stage in family.stages if stage.observe and stage.name not in found]
    if missing:
        raise UserError(
            f"{family.name}: the artifact of {missing[0]} behind report {report.fingerprint} is gone, so that nothing "
            f"is known to run again; write {order_file(family, store)}, or run the family once more."
        )
    stages = [stage for stage in family.stages if stage.name in found]
    return [(stage.name, changed_fields(stage, found[stage.name].manifest["settings"])) for stage in stages]


def changed_fields(stage: Stage, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The fields whose value is not the default; those that the stage no longer has are left out."""
    fields = stage.settings.model_fields
    return {
        name: value
        for name, value in settings.items()
        if name in fields and (fields[name].is_required() or value != fields[name].get_default())
    }
