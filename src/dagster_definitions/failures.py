"""A line in DATA/runs/failures.jsonl for each run that failed."""

from collections.abc import Sequence

import dagster as dg

from dagster_definitions.resources import DataRoot
from dagster_definitions.stage_assets import source_key, stage_key
from ml_core.failures import record_failure
from ml_core.stages import Family


def failure_sensor(families: Sequence[Family]) -> dg.SensorDefinition:
    """Writes down what failed, what it said, its settings, its checkpoint and the command to go on."""

    @dg.run_failure_sensor(
        name="failures",
        description="Adds a line to runs/failures.jsonl in the data directory for each run that fails: settings, "
        "error, checkpoint, and the command to go on. See docs/retraining.md.",
    )
    def failures(context: dg.RunFailureSensorContext, data_root: DataRoot) -> None:
        run = context.dagster_run
        ops = (run.run_config or {}).get("ops") or {}
        store, told = data_root.store(), False
        for event in context.get_step_failure_events():
            family, stage = _place(event.step_key or "", families)
            if family is not None:
                record_failure(store, run=run.run_id, family=family, stage=stage, error=_sentence(event), ops=ops)
                told = True
        for family in [] if told else _families_of(run, families):
            record_failure(
                store, run=run.run_id, family=family, stage=None, error=context.failure_event.message or "", ops=ops
            )

    return failures


def _place(step: str, families: Sequence[Family]) -> tuple[Family | None, str | None]:
    """The family and the stage behind a step; stage None for its source."""
    for family in families:
        if step == source_key(family).to_user_string():
            return family, None
        for stage in family.stages:
            if step == stage_key(family, stage.name).to_user_string():
                return family, stage.name
    return None, None


def _families_of(run: dg.DagsterRun, families: Sequence[Family]) -> list[Family]:
    """The families that a run was to make, told by its job, else by the assets that were chosen."""
    chosen = {key.to_user_string() for key in run.asset_selection or ()}
    named = [family for family in families if family.name == run.job_name]
    return named or [
        family
        for family in families
        if any(stage_key(family, stage.name).to_user_string() in chosen for stage in family.stages)
    ]


def _sentence(event: dg.DagsterEvent) -> str:
    failure = event.step_failure_data
    if failure.user_failure_data is not None and failure.user_failure_data.description:
        return str(failure.user_failure_data.description)
    said = failure.error.message if failure.error is not None else str(event.message)
    return " ".join(said.split())
