"""What starts a family's job by itself: new data, and the week. Both are stopped until somebody switches them on."""

import json
from collections.abc import Mapping
from typing import Any

import dagster as dg

from dagster_definitions.resources import DataRoot
from ml_core.arrivals import Look, Memory, gone, look
from ml_core.artifacts import Store
from ml_core.confinement import refuse_outside
from ml_core.errors import UserError
from ml_core.retraining import settings_in, standing_order
from ml_core.stages import Family, Stage

SECONDS_BETWEEN_LOOKS = 30
WEEKLY = "0 3 * * 0"  # Sundays at 3 o'clock


def new_data_sensor(family: Family, stage: Stage) -> dg.SensorDefinition:
    """Looks at the files that a retraining would read, and asks for one run for each change of their content."""

    @dg.sensor(
        name=f"{family.name}_new_data",
        job_name=family.name,
        minimum_interval_seconds=SECONDS_BETWEEN_LOOKS,
        description=(
            f"Runs {family.name} again when the files that it reads have other bytes than before. A file that is still "
            "being written is left alone until two looks in a row find it alike. See docs/retraining.md."
        ),
    )
    def new_data(context: dg.SensorEvaluationContext, data_root: DataRoot) -> dg.SensorResult:
        memory = Memory.from_json(json.loads(context.cursor)) if context.cursor else Memory()
        try:
            store = data_root.store()
            order = standing_order(family, store)
            seen = _look(family, stage, store=store, order=order, memory=memory, allowed=data_root.allow_outside)
        except UserError as error:
            seen, order = gone(memory, why=str(error)), {}
        cursor = json.dumps(seen.memory.to_json())
        if not seen.run:
            return dg.SensorResult(skip_reason=seen.said, cursor=cursor)
        context.log.info(seen.said)
        request = dg.RunRequest(
            run_key=f"{seen.memory.calls} {seen.memory.digest}",
            run_config=order,
            tags={"bioassets/because": seen.said[:200]},
        )
        return dg.SensorResult(run_requests=[request], cursor=cursor)

    return new_data


def weekly_schedule(family: Family) -> dg.ScheduleDefinition:
    """Runs the family's standing order every week; what is unchanged then is not redone."""

    @dg.schedule(
        name=f"{family.name}_weekly",
        job_name=family.name,
        cron_schedule=WEEKLY,
        description=f"Runs {family.name} again as its standing order says, see docs/retraining.md.",
    )
    def weekly(context: dg.ScheduleEvaluationContext, data_root: DataRoot) -> dg.RunRequest | dg.SkipReason:
        try:
            order = standing_order(family, data_root.store())
        except UserError as error:
            return dg.SkipReason(str(error))
        return dg.RunRequest(run_config=order)

    return weekly


def _look(
    family: Family, stage: Stage, *, store: Store, order: Mapping[str, Any], memory: Memory, allowed: bool
) -> Look:
    settings = settings_in(order, family, stage)
    source = getattr(settings, "source", "path")
    if source != "path":
        return gone(memory, why=f"The order's source is '{source}', which cannot change: only files can.")
    if not (allowed or _resource(order).get("allow_outside")):
        refuse_outside(family, stage, settings=settings, store=store)
    assert stage.observe is not None
    files = family.resolve(stage.observe)(settings, store.raw).files
    current = store.current(family.name, stage.name)
    try:
        return look(files, memory, already=current.manifest["outside"] if current else None)
    except OSError as error:
        return gone(memory, why=f"{error.filename}: cannot be read ({error.strerror}); the next look tries again.")


def _resource(order: Mapping[str, Any]) -> Mapping[str, Any]:
    """The config of the data directory in a run config."""
    found: Mapping[str, Any] = ((order.get("resources") or {}).get("data_root") or {}).get("config") or {}
    return found
