"""A stage as an asset: typed config, checks, what it says about its artifact."""

import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dagster as dg
from pydantic import Field

from dagster_definitions.metadata import artifact_metadata
from dagster_definitions.pipes import ThroughPipes
from dagster_definitions.resources import DataRoot
from dagster_definitions.training_run import ObservedEpochs, stopped_with_parent
from ml_core.artifacts import Artifact, Store
from ml_core.confinement import refuse_outside
from ml_core.errors import UserError
from ml_core.presets import settings_of
from ml_core.promotion import Decision, consider
from ml_core.running import Outcome, run_stage
from ml_core.stages import Check, Family, Stage

ACCELERATOR = "accelerator"  # the pool of stages that train: one at a time, see dagster.yaml
FORCE = Field(False, description="Run although nothing has changed")


def stage_key(family: Family, stage: str) -> dg.AssetKey:
    return dg.AssetKey(f"{family.name}_{stage}")


def source_key(family: Family) -> dg.AssetKey:
    """What stands ahead of the stage that reads outside data."""
    return dg.AssetKey(f"{family.name}_source")


def stage_asset(family: Family, stage: Stage, *, training_tags: Mapping[str, Any] | None = None) -> dg.AssetsDefinition:
    """The asset `<family>_<stage>`. Its function runs the stage, or finds its artifact unchanged.

    `training_tags` are the step's where the stage trains: what a cluster reads to place it on a GPU.
    """
    key = stage_key(family, stage.name)
    config = config_class(family, stage)

    @dg.asset(
        key=key,
        description=stage.description,
        group_name=family.name,
        kinds=set(stage.kinds),
        code_version=family.code_version(stage),
        deps=[*(stage_key(family, name) for name in stage.inputs), *([source_key(family)] if stage.observe else [])],
        check_specs=[_check_spec(check, key) for check in stage.checks],
        config_schema=config.to_config_schema(),
        pool=ACCELERATOR if stage.trains else None,
        op_tags=training_tags if stage.trains else None,
        automation_condition=dg.AutomationCondition.eager() if stage is family.stages[-1] else None,
    )
    def run(context: dg.AssetExecutionContext, data_root: DataRoot) -> dg.MaterializeResult:
        values = dict(context.op_execution_context.op_config)
        force = values.pop("force")
        with ended_in_one_sentence(context), stopped_with_parent():
            store, epochs = data_root.store(), ObservedEpochs(context)
            settings = settings_of(stage, values, where=f"{family.name}_{stage.name}")
            if not data_root.allow_outside:
                refuse_outside(family, stage, settings=settings, store=store)
            outcome = run_stage(
                family,
                stage,
                settings=settings,
                store=store,
                inputs=artifacts_of_this_run(context, family=family, stage=stage, store=store),
                force=force,
                watcher=epochs,
                start=ThroughPipes(context, watcher=epochs),
            )
        _tell(context, stage, outcome)
        with ended_in_one_sentence(context):
            decision = consider(family, outcome.artifact, store) if stage is family.stages[-1] else None
        if decision:
            context.log.info(decision.reason)
        return _result(stage, outcome.artifact, cached=outcome.cached, key=key, champion=decision)

    return run


def config_class(family: Family, stage: Stage) -> type[dg.Config]:
    """The stage's settings as Dagster's config class, with the same fields, descriptions and defaults; and `force`."""
    body = {"__module__": __name__, "__annotations__": {"force": bool}, "force": FORCE}
    name = f"{family.name}_{stage.name}_config"
    return types.new_class(name, (stage.settings, dg.Config), exec_body=lambda namespace: namespace.update(body))


def artifacts_of_this_run(
    context: dg.AssetExecutionContext, *, family: Family, stage: Stage, store: Store
) -> dict[str, Artifact]:
    """Input stage to the artifact that this run made of it, or the run that this one re-executes a part of.

    What another run makes meanwhile does not count. Stages that no such run made are missing here: `current` serves.
    """
    found: dict[str, Artifact] = {}
    run_id: str | None = context.run.run_id
    while run_id is not None and len(found) < len(stage.inputs):
        for name, fingerprint in _fingerprints(context.instance, run_id, family=family, stage=stage).items():
            artifact = store.find(family.name, name, fingerprint)
            if name not in found and artifact is not None:
                found[name] = artifact
        run = context.instance.get_run_by_id(run_id)
        run_id = run.tags.get("dagster/parent_run_id") if run else None
    return found


@contextmanager
def ended_in_one_sentence(context: dg.AssetExecutionContext) -> Iterator[None]:
    """What the user can mend, and a stop that was asked for, end the step without a retry and with one sentence."""
    from ml_core.training.interrupt import Interrupted

    try:
        yield
    except UserError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from None
    except Interrupted as stopped:
        context.log.warning(str(stopped))
        raise dg.DagsterExecutionInterruptedError(str(stopped)) from None


def _fingerprints(instance: dg.DagsterInstance, run_id: str, *, family: Family, stage: Stage) -> Mapping[str, str]:
    """Input stage to the fingerprint in its newest materialization of the run."""
    names = {stage_key(family, name): name for name in stage.inputs}
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION).records
    events = [record.event_log_entry.asset_materialization for record in records]
    return {
        names[event.asset_key]: str(event.metadata["fingerprint"].value)
        for event in events
        if event is not None and event.asset_key in names and "fingerprint" in event.metadata
    }


def _tell(context: dg.AssetExecutionContext, stage: Stage, outcome: Outcome) -> None:
    """What came of it, in the log; Dagster itself says nothing there."""
    summary = outcome.artifact.summary
    if outcome.cached:
        context.log.info(f"unchanged, {outcome.artifact.directory} is taken as it is")
    if summary.headline:
        context.log.info(summary.headline)
    declared = {check.name: check for check in stage.checks}
    for result in summary.checks:
        if not result.passed:
            check = declared[result.name]
            say = context.log.error if check.blocking else context.log.warning
            say(f"check {result.name} failed: {result.message} {check.meaning} {check.remedy}")


def _check_spec(check: Check, key: dg.AssetKey) -> dg.AssetCheckSpec:
    meaning = f"A failure means: {check.meaning} What to do: {check.remedy}"
    return dg.AssetCheckSpec(check.name, asset=key, blocking=check.blocking, description=meaning)


def _result(
    stage: Stage, artifact: Artifact, *, cached: bool, key: dg.AssetKey, champion: Decision | None
) -> dg.MaterializeResult:
    declared = {check.name: check for check in stage.checks}
    checks = [
        dg.AssetCheckResult(
            asset_key=key,
            check_name=result.name,
            passed=result.passed,
            severity=dg.AssetCheckSeverity.ERROR if declared[result.name].blocking else dg.AssetCheckSeverity.WARN,
            description=result.message if result.passed else f"{result.message} {declared[result.name].remedy}",
        )
        for result in artifact.summary.checks
    ]
    return dg.MaterializeResult(
        asset_key=key,
        metadata=artifact_metadata(artifact, cached=cached, champion=champion.reason if champion else None),
        data_version=dg.DataVersion(artifact.digest),
        check_results=checks,
    )
