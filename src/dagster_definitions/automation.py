"""What looks at the world outside: the raw data of each family."""

import types
import warnings
from collections.abc import Mapping
from typing import Any

import dagster as dg
from pydantic import Field, create_model

from dagster_definitions.resources import DataRoot
from dagster_definitions.stage_assets import ended_in_one_sentence, source_key, stage_key
from ml_core.artifacts import Store
from ml_core.confinement import refuse_outside
from ml_core.presets import settings_of
from ml_core.stages import Family, Stage


def source_asset(family: Family, stage: Stage) -> dg.AssetsDefinition:
    """The observable `<family>_source` ahead of `stage`: its data version is the digest of the outside data's content.

    Where nothing is set for it, it looks at what the stage is set to: in the same run, else in its newest artifact.
    """
    key = source_key(family)
    name = key.to_user_string()
    spec = dg.AssetSpec(
        key,
        description=(
            f"The data that {family.name}_{stage.name} reads, where they lie. Observing them tells whether their bytes "
            "have changed; without settings of its own it looks where that stage looked."
        ),
        group_name=family.name,
    )

    def observe(context: dg.AssetExecutionContext, config: Any, data_root: DataRoot) -> dg.ObserveResult:
        with ended_in_one_sentence(context):
            store = data_root.store()
            values = _values(context, family=family, stage=stage, store=store)
            settings = settings_of(stage, values, where=name)
            if not data_root.allow_outside:
                refuse_outside(family, stage, settings=settings, store=store)
            assert stage.observe is not None
            seen = family.resolve(stage.observe)(settings, store.raw)
            version = dg.DataVersion(seen.digest)
        return dg.ObserveResult(asset_key=key, data_version=version, metadata=dict(seen.details))

    observe.__annotations__["config"] = source_config(family, stage)
    with warnings.catch_warnings():  # it is beta in 1.13, and the only observable asset that takes a config
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.multi_observable_source_asset(specs=[spec], name=name)(observe)


def source_config(family: Family, stage: Stage) -> type[dg.Config]:
    """The stage's settings, of which those without a default may be left out as well."""
    optional: dict[str, Any] = {
        name: (field.annotation | None, Field(None, description=field.description))
        for name, field in stage.settings.model_fields.items()
        if field.is_required()
    }
    name = f"{family.name}_source_config"
    merged = types.new_class(name, (stage.settings, dg.Config), exec_body=lambda body: body.update(__module__=__name__))
    return create_model(name, __base__=merged, **optional)


def _values(context: dg.AssetExecutionContext, *, family: Family, stage: Stage, store: Store) -> Mapping[str, Any]:
    ops = context.run.run_config.get("ops", {})
    for key in (source_key(family), stage_key(family, stage.name)):
        given = ops.get(key.to_user_string(), {}).get("config")
        if given:
            return {field: value for field, value in given.items() if field != "force"}
    current = store.current(family.name, stage.name)
    return current.manifest["settings"] if current else {}
