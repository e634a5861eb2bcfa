"""Backfills by dataset and seed, in a location of their own that disturbs nothing of the main one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import dagster as dg
import pytest
import yaml

from dagster_definitions import sweeps
from dagster_definitions.sweep_assets import SEEDS, build_sweeps, datasets_of, values_of
from ml_core.artifacts import Store
from ml_core.families import find_families
from ml_core.stages import Family
from tests.dagster.conftest import Run
from tests.dagster.letters.family import FAMILY

KEY = dg.AssetKey("tiny_sweep")


@pytest.fixture
def family(text: Path) -> Family:
    return dataclasses.replace(FAMILY, smallest={"raw": {"path": str(text)}, "model": {"epochs": 2}})


@pytest.fixture
def configs(tmp_path: Path, text: Path) -> Path:
    """Two presets that say where the family's data are, and one that does not."""
    folder = tmp_path / "configs"
    folder.mkdir()
    raw = {"tiny_raw": {"config": {"path": str(text)}}}
    for name, ops in {
        "a": {**raw, "tiny_model": {"config": {"epochs": 1}}},
        "b": {**raw, "tiny_model": {"config": {"epochs": 1, "seed": 7}}},
        "c": {"tiny_model": {"config": {"epochs": 1}}},
    }.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({"ops": ops}))
    return folder


def materialize(family: Family, configs: Path, dataset: str, seed: int) -> dg.ExecuteInProcessResult:
    definitions = build_sweeps([family], configs=configs)
    return dg.materialize(
        [definitions.get_assets_def(KEY)],
        partition_key=dg.MultiPartitionKey({"dataset": dataset, "seed": str(seed)}),
        resources={"data_root": definitions.resources["data_root"]},  # type: ignore[index]
    )


def test_datasets_are_the_smallest_run_and_the_presets_that_say_where_the_data_are(
    family: Family, configs: Path
) -> None:
    assert list(datasets_of(family, configs)) == ["smallest", "a", "b"]


def test_a_partition_runs_every_stage_with_its_seed_and_shows_the_report(
    family: Family, configs: Path, store: Store
) -> None:
    for dataset, seed in (("smallest", 1), ("a", 2)):
        result = materialize(family, configs, dataset, seed)
        assert result.success
        (event,) = result.asset_materializations_for_node("tiny_sweep")
        assert event.partition == f"{dataset}|{seed}"
        assert str(event.metadata["artifact"].value).startswith(str(store.stage_directory("tiny", "report")))
    weights = {artifact.path("weights").read_text() for artifact in store.all("tiny", "model")}
    assert weights == {"2 epochs of mse, seed 1", "1 epochs of mse, seed 2"}


def test_a_seed_that_the_preset_names_is_kept(family: Family, configs: Path) -> None:
    assert values_of(family, configs / "b.yaml", seed=3)["model"]["seed"] == 7
    assert values_of(family, configs / "a.yaml", seed=3)["model"]["seed"] == 3
    assert "seed" not in family.smallest["model"]


def test_a_sweep_leaves_what_is_current_and_shares_what_is_there(
    family: Family, configs: Path, store: Store, run: Run
) -> None:
    run(model={"epochs": 9})
    before = {stage.name: store.current("tiny", stage.name) for stage in FAMILY.stages}
    materialize(family, configs, "a", 2)
    assert {stage.name: store.current("tiny", stage.name) for stage in FAMILY.stages} == before
    assert len(store.all("tiny", "raw")) == 1
    assert len(store.all("tiny", "report")) == 2


def test_every_family_has_its_sweep_and_the_main_location_has_none() -> None:
    graph = sweeps.defs().resolve_asset_graph()
    assert {key.to_user_string() for key in graph.get_all_asset_keys()} == {f"{name}_sweep" for name in find_families()}
    for family in find_families():
        partitions = graph.get(dg.AssetKey(f"{family}_sweep")).partitions_def
        assert isinstance(partitions, dg.MultiPartitionsDefinition)
        assert {f"smallest|{seed}" for seed in SEEDS} <= set(partitions.get_partition_keys())


def test_the_workspace_loads_both_locations(root: Path) -> None:
    entries = yaml.safe_load((root / "workspace.yaml").read_text())["load_from"]
    names = [entry["python_module"]["module_name"] for entry in entries]
    assert names == ["dagster_definitions", "dagster_definitions.sweeps"]
