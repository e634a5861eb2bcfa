"""Every family to assets, checks, jobs, sensors and schedules. Nothing here knows a family by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg

from dagster_definitions.automation import source_asset
from dagster_definitions.console import console
from dagster_definitions.executor import stage_executor
from dagster_definitions.failures import failure_sensor
from dagster_definitions.leaderboard import LEADERBOARD, leaderboard_asset
from dagster_definitions.resources import DataRoot
from dagster_definitions.retraining import new_data_sensor, weekly_schedule
from dagster_definitions.stage_assets import source_key, stage_asset, stage_key
from ml_core.stages import Family

EVERYTHING = "all_families"


def build_definitions(
    families: Iterable[Family],
    *,
    executor: dg.ExecutorDefinition = stage_executor,
    training_tags: Mapping[str, Any] | None = None,
) -> dg.Definitions:
    """The definitions of some families: of all that exist, or of a test's own.

    The executor is chosen by a run's config (`execution: {config: {in_process: {}}}`); a process per stage otherwise.
    A deployment may give another (`executor`), and tags for the stages that train, by which it finds them a GPU.
    """
    families, tags = list(families), training_tags or {}
    stages = [stage_asset(family, stage, training_tags=tags) for family in families for stage in family.stages]
    sources = [source_asset(family, stage) for family in families for stage in family.stages if stage.observe]
    return dg.Definitions(
        assets=[*sources, *stages, leaderboard_asset(families)],
        jobs=[*(family_job(family) for family in families), everything_job(families)],
        sensors=[
            *(new_data_sensor(family, stage) for family in families for stage in family.stages if stage.observe),
            failure_sensor(families),
        ],
        schedules=[weekly_schedule(family) for family in families],
        resources={"data_root": DataRoot()},
        loggers={"console": console},
        executor=executor,
    )


def everything_job(families: Iterable[Family]) -> dg.UnresolvedAssetJobDefinition:
    """All families, one after the other or side by side as the executor and the pools allow."""
    keys = [LEADERBOARD, *(key for family in families for key in _keys(family))]
    return dg.define_asset_job(EVERYTHING, selection=keys, description="Every stage of every family.")


def family_job(family: Family) -> dg.UnresolvedAssetJobDefinition:
    """A family's source observed, all of its stages run and the leaderboard written, called as the family is."""
    return dg.define_asset_job(family.name, selection=[*_keys(family), LEADERBOARD], description=family.description)


def _keys(family: Family) -> list[dg.AssetKey]:
    keys = [stage_key(family, stage.name) for stage in family.stages]
    return [*keys, source_key(family)] if any(stage.observe for stage in family.stages) else keys
