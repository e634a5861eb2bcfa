"""Config files and overrides: one YAML shape for the shell and for Dagster.

ops:
  segger_tiles:
    config: {transcripts_per_tile: 4000}
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from ml_core.errors import UserError
from ml_core.settings import Settings, read_yaml
from ml_core.stages import Family, Stage

DAGSTER_ONLY = {"execution", "resources", "loggers"}
Values = dict[str, dict[str, Any]]


def read_preset(path: Path, family: Family) -> Values:
    """Field values by stage of `family` from a config file; ops of other families are left to them."""
    values = {}
    for op, config in _ops(path).items():
        if op.startswith(f"{family.name}_") and op != f"{family.name}_source":
            stage = family[op.removeprefix(f"{family.name}_")]
            values[stage.name] = {field: value for field, value in config.items() if field != "force"}
    return values


def check_preset(path: Path, families: Mapping[str, Family]) -> int:
    """Number of stages that the file configures; UserError for an unknown op, stage, field or value."""
    ops = _ops(path)
    for op, config in ops.items():
        family = next((family for name, family in families.items() if op.startswith(f"{name}_")), None)
        if family is None:
            raise UserError(
                f"{path}: unknown op '{op}'; names are <family>_<stage> with a family of {', '.join(families)}."
            )
        name = op.removeprefix(f"{family.name}_")
        stage = family.stages[0] if name == "source" else family[name]
        settings_of(stage, {field: value for field, value in config.items() if field != "force"}, where=f"{path}: {op}")
    return len(ops)


def with_overrides(values: Values, overrides: Iterable[str], family: Family) -> Values:
    """`values` with each "stage.field=value" laid over them; the value is read as YAML."""
    merged = {stage: dict(fields) for stage, fields in values.items()}
    for override in overrides:
        target, equals, text = override.partition("=")
        stage, dot, field = target.partition(".")
        if not (equals and dot):
            raise UserError(f"--set {override}: expected stage.field=value, for instance tiles.halo_um=25.")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UserError(f"--set {override}: the value is not valid YAML; put it in quotes.") from error
        merged.setdefault(family[stage].name, {})[field] = value
    return merged


def choose_settings(
    family: Family, stages: Iterable[Stage], *, config: Path | None, overrides: Iterable[str]
) -> dict[str, Settings]:
    """Settings of each of these stages: the file's, with the overrides laid over them.

    Those of other stages are checked by name only, and a line on stderr says that they are not used.
    """
    values = with_overrides(read_preset(config, family) if config else {}, overrides, family)
    where = str(config) if config else "--set"
    settings = {
        stage.name: settings_of(stage, values.get(stage.name, {}), where=f"{where}: {stage.name}") for stage in stages
    }
    unused = sorted(values.keys() - settings.keys())
    if unused:
        print(f"note: settings of {', '.join(unused)} are not used by the stages that run", file=sys.stderr)
    return settings


def settings_of(stage: Stage, values: Mapping[str, Any], *, where: str) -> Settings:
    """The stage's settings, defaults where `values` is silent. UserError with `where` for a wrong field or value."""
    return stage.settings.parse(dict(values), where=where)


def _ops(path: Path) -> dict[str, dict[str, Any]]:
    content = read_yaml(path)
    unknown = content.keys() - DAGSTER_ONLY - {"ops"}
    if unknown:
        known = ", ".join(["ops", *sorted(DAGSTER_ONLY)])
        raise UserError(f"{path}: unknown key '{sorted(unknown)[0]}' at the top level; expected {known}.")
    ops = content.get("ops") or {}
    for op, entry in ops.items():
        if not isinstance(entry, dict) or set(entry) - {"config"}:
            raise UserError(
                f"{path}: op '{op}' must hold one mapping called config (ops: {{{op}: {{config: {{field: value}}}}}})."
            )
    return {op: entry.get("config") or {} for op, entry in ops.items()}
