"""deploy/slurm: what dagster-slurm would submit, and its job's payload run here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from ml_core.artifacts import Store
from tests.deploy.conftest import segger_config


def test_a_job_asks_for_a_gpu_and_for_a_signal_before_its_time_is_over() -> None:
    from deploy.slurm.definitions import compute

    with dg.build_init_resource_context() as context:
        client: Any = compute().get_pipes_client(context)
    command = client._build_sbatch_command(
        job_name="x", working_dir="/w", output_file="/w/out", error_file="/w/err", script_path="/w/job.sh"
    )
    for option in ("-p gpu", "-t 12:00:00", "-c 8", "--gres=gpu:1", "--signal=B:TERM@180"):
        assert option in command
    assert client.pre_deployed_env_path == "/shared/bioassets"


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, root: Path) -> Any:
    """dagster-slurm's way to run a job on this machine, for development."""
    from dagster_slurm import BashLauncher, ComputeResource

    monkeypatch.setenv("PIXI_PROJECT_ROOT", str(root))  # it asks for pixi, and takes the interpreter of this process
    monkeypatch.setenv("PYTHONPATH", str(root / "src"))
    return ComputeResource(mode="local", default_launcher=BashLauncher())


def test_the_jobs_payload_runs_the_family_and_says_what_it_made(here: Any, tmp_path: Path) -> None:
    from deploy.slurm.definitions import on_slurm
    from ml_core.families import get_family

    preset = tmp_path / "preset.yaml"
    preset.write_text(yaml.safe_dump({"ops": segger_config()["ops"]}))
    config = {"preset": str(preset), "until": "raw", "data": str(tmp_path / "data")}
    done = dg.materialize(
        [on_slurm(get_family("segger"))],
        resources={"compute": here},
        run_config={"ops": {"segger_on_slurm": {"config": config}}},
    )
    raw = Store(tmp_path / "data").current("segger", "raw")
    assert raw is not None
    (made,) = done.asset_materializations_for_node("segger_on_slurm")
    assert made.metadata["directory"].value == str(raw.directory)
    assert (made.tags or {})["dagster/data_version"] == raw.digest


def test_every_family_is_there() -> None:
    from deploy.slurm.definitions import defs
    from ml_core.families import find_families

    keys = defs().resolve_asset_graph().get_all_asset_keys()
    assert {key.to_user_string() for key in keys} == {f"{name}_on_slurm" for name in find_families()}
