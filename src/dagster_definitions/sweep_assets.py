"""A family as one asset, partitioned by dataset and seed: a partition is a run of all of its stages."""

from collections.abc import Iterable
from pathlib import Path

import dagster as dg

from dagster_definitions.console import console
from dagster_definitions.executor import stage_executor
from dagster_definitions.metadata import artifact_metadata
from dagster_definitions.pipes import ThroughPipes
from dagster_definitions.resources import DataRoot
from dagster_definitions.stage_assets import ACCELERATOR, ended_in_one_sentence
from dagster_definitions.training_run import ObservedEpochs, stopped_with_parent
from ml_core.artifacts import Artifact, Store
from ml_core.presets import Values, read_preset, settings_of
from ml_core.running import Outcome, run_stage
from ml_core.seeds import stages_to_seed
from ml_core.stages import Family, failed_checks

DATASET, SEED = "dataset", "seed"
SEEDS = [str(seed) for seed in range(10)]
SMALLEST = "smallest"  # the simulated data of `Family.smallest`


def build_sweeps(families: Iterable[Family], *, configs: Path) -> dg.Definitions:
    """The definitions of the sweeps of some families; `configs` is the folder of the presets."""
    return dg.Definitions(
        assets=[sweep_asset(family, datasets_of(family, configs)) for family in families],
        resources={"data_root": DataRoot()},
        loggers={"console": console},
        executor=stage_executor,
    )


def datasets_of(family: Family, configs: Path) -> dict[str, Path | None]:
    """Name to preset: those that say where the family's data come from; None is its smallest run on simulated data."""
    sources = {stage.name for stage in family.stages if stage.observe}
    found = {path.stem: path for path in sorted(configs.glob("*.yaml")) if sources & read_preset(path, family).keys()}
    return {SMALLEST: None, **found}


def sweep_asset(family: Family, datasets: dict[str, Path | None]) -> dg.AssetsDefinition:
    """The asset `<family>_sweep`. What it makes leaves `current` and the champion where they are."""
    key = dg.AssetKey(f"{family.name}_sweep")
    partitions = {
        DATASET: dg.StaticPartitionsDefinition(list(datasets)),
        SEED: dg.StaticPartitionsDefinition(SEEDS),
    }

    @dg.asset(
        key=key,
        group_name="sweeps",
        description=f"All stages of {family.name} on a dataset with a seed; a dataset is a preset in configs/.",
        partitions_def=dg.MultiPartitionsDefinition(partitions),
        pool=ACCELERATOR,
    )
    def sweep(context: dg.AssetExecutionContext, data_root: DataRoot) -> dg.MaterializeResult:
        chosen = context.partition_key
        assert isinstance(chosen, dg.MultiPartitionKey)
        dataset, seed = (chosen.keys_by_dimension[name] for name in (DATASET, SEED))
        with ended_in_one_sentence(context), stopped_with_parent():
            store = Store(data_root.store().data, moves_current=False)
            values = values_of(family, datasets[dataset], seed=int(seed))
            outcome = _run(context, family, values, store=store, where=f"{dataset}, seed {seed}")
        if failed := failed_checks(family.stages[-1], outcome.artifact):
            raise dg.Failure(failed[0], allow_retries=False)
        return dg.MaterializeResult(
            asset_key=key,
            metadata=artifact_metadata(outcome.artifact, cached=outcome.cached),
            data_version=dg.DataVersion(outcome.artifact.digest),
        )

    return sweep


def values_of(family: Family, preset: Path | None, *, seed: int) -> Values:
    """What a partition sets, by stage: the preset's fields, and the seed of each stage that names none of its own."""
    given = {stage: dict(fields) for stage, fields in family.smallest.items()}
    if preset is not None:
        given = read_preset(preset, family)
    for stage in stages_to_seed(family, given):
        given.setdefault(stage, {})["seed"] = seed
    return given


def _run(context: dg.AssetExecutionContext, family: Family, values: Values, *, store: Store, where: str) -> Outcome:
    """All stages one after the other; the last one's outcome."""
    epochs = ObservedEpochs(context)
    made: dict[str, Artifact] = {}
    for stage in family.stages:
        outcome = run_stage(
            family,
            stage,
            settings=settings_of(stage, values.get(stage.name, {}), where=f"{where}: {family.name}_{stage.name}"),
            store=store,
            inputs=made,
            watcher=epochs,
            start=ThroughPipes(context, watcher=epochs),
        )
        made[stage.name] = outcome.artifact
        context.log.info(f"{stage.name}: {outcome.artifact.summary.headline or outcome.artifact.directory}")
    return outcome
