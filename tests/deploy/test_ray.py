"""deploy/ray, read by dagster-ray itself; a stand-in for the cluster runs what is submitted on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.reconstruct import ReconstructableJob

from ml_core.artifacts import Store
from tests.deploy.conftest import Instance, place_the_model, segger_config

ADDRESS = "http://127.0.0.1:8265"


class Cluster:
    """Takes what a JobSubmissionClient submits. A job that asks for a GPU fails: there is none."""

    def __init__(self) -> None:
        self.submitted: list[dict[str, Any]] = []
        self.status: dict[str, Any] = {}

    def __call__(self, address: str, **more: Any) -> Cluster:
        assert address == ADDRESS
        return self

    def submit_job(self, *, entrypoint: str, submission_id: str, runtime_env: dict[str, Any], **asked: Any) -> None:
        from ray.job_submission import JobStatus

        self.submitted.append({"entrypoint": entrypoint, **asked})
        self.status[submission_id] = JobStatus.FAILED
        if asked["entrypoint_num_gpus"]:
            return
        environment = {**os.environ, **runtime_env["env_vars"]}
        command = f"{sys.executable} -m {entrypoint}"
        if subprocess.run(command, shell=True, env=environment, check=False).returncode == 0:  # noqa: S602
            self.status[submission_id] = JobStatus.SUCCEEDED

    def get_job_status(self, submission_id: str) -> Any:
        return self.status[submission_id]

    def get_job_info(self, submission_id: str) -> Any:
        from ray.job_submission import JobDetails, JobStatus, JobType

        return JobDetails(type=JobType.SUBMISSION, status=JobStatus.FAILED, entrypoint="", message="no GPU")


@pytest.fixture
def cluster(instance: Instance, tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    import ray.job_submission

    cluster = Cluster()
    monkeypatch.setattr(ray.job_submission, "JobSubmissionClient", cluster)
    monkeypatch.setenv("RAY_ADDRESS", ADDRESS)
    monkeypatch.setenv("BIOASSETS_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PYTHONPATH", f"{root / 'src'}:{root}")
    for name in ("HOST", "DB", "USERNAME", "PASSWORD"):
        monkeypatch.setenv(f"DAGSTER_PG_{name}", "none here")
    instance("ray").run_launcher  # noqa: B018 - reads its config
    return cluster


def test_a_step_is_a_ray_job_whose_command_makes_the_artifact(
    cluster: Cluster, job: Callable[[str, str], ReconstructableJob], tmp_path: Path
) -> None:
    config = {"ops": segger_config()["ops"]}
    selection = [dg.AssetKey("segger_raw")]
    instance = dg.DagsterInstance.get()
    done = dg.execute_job(job("ray", "segger"), instance=instance, run_config=config, asset_selection=selection)
    assert done.success
    assert len(cluster.submitted) == 1
    assert Store(tmp_path / "data").current("segger", "raw") is not None


def test_a_stage_that_trains_asks_for_a_gpu(cluster: Cluster, job: Callable[[str, str], ReconstructableJob]) -> None:
    place_the_model(job("ray", "segger"))
    (submitted,) = cluster.submitted
    assert (submitted["entrypoint_num_gpus"], submitted["entrypoint_num_cpus"]) == (1, 8)


def test_the_run_launcher_finds_the_cluster_and_passes_on_where_data_and_history_are(cluster: Cluster) -> None:
    launcher: Any = dg.DagsterInstance.get().run_launcher
    assert launcher.client is cluster
    assert {"BIOASSETS_DATA", "DAGSTER_HOME", "DAGSTER_PG_HOST"} <= set(launcher.env_vars)
