"""What Dagster loads, and how light it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from dagster_definitions import defs
from dagster_definitions.definitions import build_definitions
from ml_core.families import find_families
from ml_core.presets import check_preset

ROOT = Path(__file__).resolve().parents[2]
PRESETS = sorted((ROOT / "configs").glob("*.yaml"))


def python(code: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_importing_the_door_loads_neither_torch_nor_a_family() -> None:
    python(
        "import sys, dagster_definitions\n"
        "found = [name for name in sys.modules if name == 'torch' or name.startswith('ml_core')]\n"
        "assert not found, found\n"
    )


def test_the_door_opens_in_three_cpu_seconds() -> None:
    python(
        "import resource, dagster_definitions\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "seconds = used.ru_utime + used.ru_stime\n"
        "assert seconds < 3, seconds\n"
    )


@pytest.mark.parametrize("location", ["dagster_definitions", "dagster_definitions.sweeps"])
def test_loading_every_asset_comes_without_torch(location: str) -> None:
    python(
        "import sys\n"
        f"from {location} import defs\n"
        "defs().get_repository_def()\n"
        "heavy = {'torch', 'torch_geometric', 'skbio', 'matplotlib', 'jinja2', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )


def test_every_family_has_a_group_a_job_and_all_its_stages() -> None:
    loaded = defs()
    graph = loaded.resolve_asset_graph()
    for family in find_families().values():
        keys = {dg.AssetKey(f"{family.name}_{stage.name}") for stage in family.stages}
        assert keys <= set(graph.get_all_asset_keys())
        assert {graph.get(key).group_name for key in keys} == {family.name}
        assert {node.name for node in loaded.resolve_job_def(family.name).graph.nodes} >= {
            key.to_user_string() for key in keys
        }


def test_no_asset_is_partitioned() -> None:
    """One alone makes `dagster asset materialize --select '*'` fail."""
    assert not [node.key for node in defs().resolve_asset_graph().asset_nodes if node.is_partitioned]


@pytest.mark.parametrize("name", ["quick.yaml", "demo.yaml"])
def test_a_preset_for_newcomers_sets_something_for_every_family(name: str) -> None:
    ops = yaml.safe_load((ROOT / "configs" / name).read_text())["ops"]
    assert {op.partition("_")[0] for op in ops} == set(find_families())


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.name)
def test_a_preset_fits_the_assets_and_their_fields(path: Path) -> None:
    """Dagster refuses an unknown field, but silently ignores an unknown asset in a run of selected assets."""
    loaded = defs()
    config = yaml.safe_load(path.read_text())
    known = {key.to_user_string() for key in loaded.resolve_asset_graph().get_all_asset_keys()}
    assert set(config["ops"]) <= known
    assert check_preset(path, find_families()) == len(config["ops"])
    for family in find_families():
        ops = {name: entry for name, entry in config["ops"].items() if name.startswith(f"{family}_")}
        if ops:
            assert dg.validate_run_config(loaded.resolve_job_def(family), {**config, "ops": ops})


def test_a_preset_with_an_unknown_asset_is_found(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("ops: {segger_tile: {config: {}}}")
    with pytest.raises(ValueError, match="unknown stage 'tile'"):
        check_preset(path, find_families())


def test_the_history_of_the_shell_and_of_the_ui_is_one_below_the_checkout() -> None:
    settings = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    assert settings["storage"]["sqlite"]["base_dir"] == ".dagster_home"
    assert settings["concurrency"]["pools"] == {"default_limit": 1, "granularity": "run"}
    assert settings["run_monitoring"] == {"enabled": True, "free_slots_after_run_end_seconds": 60}
    assert settings["telemetry"] == {"enabled": False}


def test_a_deployments_executor_and_tags_reach_the_stages_that_train_and_no_other() -> None:
    place = {"some-cluster/config": {"gpus": 1}}
    families = list(find_families().values())
    deployed = build_definitions(families, executor=dg.in_process_executor, training_tags=place)
    repository = deployed.get_repository_def()
    for family in families:
        job = repository.get_job(family.name)
        assert job.executor_def is dg.in_process_executor
        tagged = {node.name for node in job.nodes if "some-cluster/config" in node.definition.tags}
        assert tagged == {f"{family.name}_{stage.name}" for stage in family.stages if stage.trains}
        assert tagged


# What Dagster warns of itself, word for word; everything else is an error, in the process that loads the code too.
DAGSTERS_OWN = (
    "Function `definitions_validate_command` is superseded",  # this very command, which `dg check defs` succeeds
    "Property `ScheduleDefinition.environment_vars` is deprecated",  # read by ScheduleSnap.from_def for each schedule
)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_definitions_validate_says_nothing_but_what_dagster_says_of_itself(tmp_path: Path) -> None:
    warnings = ",".join(["error", *(f"ignore:{said}" for said in DAGSTERS_OWN)])
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONWARNINGS": warnings}
    locations = ["-m", "dagster_definitions", "-m", "dagster_definitions.sweeps"]
    command = [sys.executable, "-m", "dagster", "definitions", "validate", *locations]
    said = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert "All code locations passed validation." in said.stdout + said.stderr
